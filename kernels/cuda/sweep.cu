// ePC and BP on a stack of dense layers: all sweeps of a batch in one cooperative launch, weights on chip throughout.
//
// Tiles of the batch pass up and down through the blocks that hold the layers; products in f32 (_f32) or on tensor cores
// (_3xtf32, _tf32).
//
//   up    v_l = μ_l + e_l,  μ_l = φ_out(s φ_in(v_{l−1}) W_lᵀ + b) (+ v_{l−1})
//   down  b_L = ε_L = −∂loss/∂μ_L,  b_{l−1} = φ_in' ⊙ ((s φ_out' ⊙ b_l) W_l) (+ b_l),  e_l += g (b_l − e_l) for l < L
//
// ePC goes up, then T times down and up, with e = 0 at the start; afterwards ε_l = e_l, ε_L = b_L, δ_l = s·φ_out' ⊙ ε_l, and
// v is the last way up. BP (`once`) goes up and down once: ε_l = b_l, and v is the forward pass. W_1 x is computed once, and
// nothing is propagated below layer 1.
//
// Samples are independent, so tiles need never meet: each is up or down to its own flags, and while one is in the upper
// layers the blocks of the lower ones work on others. Flag up = t + 1 says that v_l of way t is there, down = t + 1 that b_l is.
// Layer l writes v_l of way t + 1 after it has seen b_l of way t, which the layer above told when it needed v_l no more; and
// that layer writes b_l of way t + 1 after it has seen v_l of way t + 1, which came after b_l of way t had been used. One
// buffer for each is enough.
//
// Nobody waits for ever, if all blocks are resident, which a cooperative launch sees to. A block takes its items in the
// order (way, tile, layer), ways being up 0, down 0, up 1 and so on and layers being taken in their direction. An item needs
// its neighbour on the same way and tile, which comes earlier in that order, and its own block's items of earlier ways. So
// the first item of all that is not done is the next of its block and lacks nothing.
// Should a card not keep its side of this, `await` ends all the same, and the launch leaves no numbers (wait_or_lose).
#include "resident_layer.cuh"

// If items take turns: v is where the layer below told it, d and the output's error wait where their final values will lie.
__device__ __forceinline__ void take(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  const bool output = it.index == p.depth - 1;
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { it.v[it.at(r, c)] = p.up[it.below(r, c)]; });
  each(it.rows, padded(it.layer.outputs), [&](int r, int c) {
    const bool inside = c < it.layer.outputs;
    if (output && inside) it.m[it.at(r, c)] = p.errors[it.own(r, c)];
    it.d[it.at(r, c)] = inside ? p.deltas[it.own(r, c)] : 0.0f;
  });
}
__device__ __forceinline__ void leave(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  const bool output = it.index == p.depth - 1;
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    if (output) p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

// Way t up; on the last one errors, deltas and states are left behind.
template <int ROWS, class Math>
__device__ __forceinline__ void go_up(const PersistentParams& p, const Item& it, int t, bool last, float* memory) {
  const bool output = it.index == p.depth - 1;
  // the output has no error of its own to add
  const bool adds = t > 0 && !output;
  const auto told = [&](int row, int column, float mu, float brought) {
    const int64_t own = it.own(row, column);
    const float error = adds ? brought : 0.0f;
    const float v = adds ? mu + error : mu;
    p.up[own] = v;
    if (last || p.once) p.states[own] = v;
    if (last && !output) {
      p.errors[own] = error;
      p.deltas[own] = it.d[it.at(row, column)] * error;
    }
  };
  if (it.index == 0 && t > 0) {
    // μ_1 is what it was, in the half that nobody else uses
    take(p, it);
    struct Both {
      float mu, error;
    };
    each_brought(
        it.rows, it.layer.outputs,
        [&](int row, int column) {
          const int64_t own = it.own(row, column);
          return Both{p.up[p.half + own], adds ? p.errors[own] : 0.0f};
        },
        [&](int row, int column, Both both) { told(row, column, both.mu, both.error); });
  } else {
    if (it.index == 0) {
      first_product<ROWS, Math>(p, it, memory);
    } else {
      // on the way up δ has been used: its place is free for what is added to the prediction, and there is time to bring it
      if (adds)
        each_brought(
            it.rows, it.layer.outputs, [&](int row, int column) { return p.errors[it.own(row, column)]; },
            [&](int row, int column, float error) { it.d[it.at(row, column)] = error; });
      await_up(p, it.index - 1, it.tile, uint32_t(t) + 1, 2 * uint32_t(t));
      operand(it, p.up);
      __syncthreads();
      along_rows<ROWS, Math>(it, memory);
    }
    predicted(p, it, [&](int row, int column, float mu, float brought) {
      if (it.index == 0) p.up[p.half + it.own(row, column)] = mu;
      told(row, column, mu, brought);
    });
  }
  publish(up_flag(p, it.index, it.tile), uint32_t(t) + 1);
  if (output) {
    output_errors(p, it);
    if (last)
      each(it.rows, it.layer.outputs, [&](int row, int column) {
        p.errors[it.own(row, column)] = it.m[it.at(row, column)];
        p.deltas[it.own(row, column)] = it.d[it.at(row, column)];
      });
  }
  if (!last) leave(p, it);
}

// Way t down.
template <int ROWS, class Math>
__device__ __forceinline__ void go_down(const PersistentParams& p, const Item& it, int t, float* memory) {
  take(p, it);
  if (it.index < p.depth - 1) {
    await_down(p, it.index + 1, it.tile, uint32_t(t) + 1, 2 * uint32_t(t) + 1);
    const float g = p.once ? 0.0f : __ldg(p.step_sizes + t);
    struct Both {
      float b, error;
    };
    each_brought(
        it.rows, it.layer.outputs,
        [&](int row, int column) {
          const int64_t own = it.own(row, column);
          return Both{load_told(p.down + own), t > 0 ? p.errors[own] : 0.0f};
        },
        [&](int row, int column, Both both) {
          const int64_t own = it.own(row, column);
          const float b = both.b;
          p.errors[own] = p.once ? b : fmaf(g, b - both.error, both.error);
          it.m[it.at(row, column)] = b;
          // of layer 1 the slope is needed again
          if (it.index > 0 || p.once) it.d[it.at(row, column)] *= b;
          if (p.once) p.deltas[own] = it.d[it.at(row, column)];
        });
  } else if (p.once) {
    each(it.rows, it.layer.outputs, [&](int row, int column) {
      p.errors[it.own(row, column)] = it.m[it.at(row, column)];
      p.deltas[it.own(row, column)] = it.d[it.at(row, column)];
    });
  }
  if (it.index == 0) return;
#ifndef PLANT_DROP_SYNC
  __syncthreads();
#endif
  along_columns<ROWS, Math>(it, memory);
  __syncthreads();
#ifdef PLANT_SWAP_FLAG
  publish(down_flag(p, it.index, it.tile), uint32_t(t) + 1);
#endif
  each(it.rows, it.layer.inputs, [&](int row, int column) {
    float b = act_slope(it.layer.act_in, it.v[it.at(row, column)]) * it.p[it.at(row, column)];
#ifndef PLANT_DROP_SKIP_BELOW
    if (it.layer.skip) b += it.m[it.at(row, column)];
#endif
    p.down[it.below(row, column)] = b;
  });
#ifdef PLANT_NEVER_TELL
  if (it.index == 2) return;
#endif
#ifndef PLANT_SWAP_FLAG
  publish(down_flag(p, it.index, it.tile), uint32_t(t) + 1);
#endif
}

template <int ROWS, class Math> __device__ __forceinline__ void sweep(const PersistentParams& p) {
  DYNAMIC_SHARED(float, memory);
  const Share<ROWS> mine(p, memory);
  for (int t = 0; t < p.steps || (t == p.steps && !p.once); ++t) {
    const bool last = p.once ? false : t == p.steps;
    mine.upwards(p, [&](const Item& it) { go_up<ROWS, Math>(p, it, t, last, memory); });
    if (t < p.steps) mine.downwards(p, [&](const Item& it) { go_down<ROWS, Math>(p, it, t, memory); });
  }
  spoil(p, mine);
}

#define PERSISTENT_SWEEP(rows, name, Math) \
  KERNEL_ALONE(persistent_sweep_##rows##_##name, RESIDENT_THREADS, PersistentParams, p) { sweep<rows, Math>(p); }
PERSISTENT_SWEEP(16, f32, F32)
PERSISTENT_SWEEP(32, f32, F32)
PERSISTENT_SWEEP(64, f32, F32)
PERSISTENT_SWEEP(16, 3xtf32, Tf32x3)
PERSISTENT_SWEEP(32, 3xtf32, Tf32x3)
PERSISTENT_SWEEP(64, 3xtf32, Tf32x3)
PERSISTENT_SWEEP(16, tf32, Tf32)
PERSISTENT_SWEEP(32, tf32, Tf32)
PERSISTENT_SWEEP(64, tf32, Tf32)
