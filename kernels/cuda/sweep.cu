// ePC and BP on a stack of dense layers: all sweeps of a batch in one cooperative launch, weights on chip throughout.
//
// Tiles of the batch pass up and down through the blocks that hold the layers; products in f32 (_f32) or on tensor
// cores (_3xtf32, _tf32).
//
//   up    v_l = μ_l + e_l,  μ_l = φ_out(s φ_in(v_{l−1}) W_lᵀ + b) (+ v_{l−1})
//   down  b_L = ε_L = −∂loss/∂μ_L,  b_{l−1} = φ_in' ⊙ ((s φ_out' ⊙ b_l) W_l) (+ b_l),  e_l += g (b_l − e_l) for l < L
//
// ePC goes up, then T times down and up, with e = 0 at the start; afterwards ε_l = e_l, ε_L = b_L, δ_l = s·φ_out' ⊙
// ε_l, and v is the last way up. BP (`once`) goes up and down once: ε_l = b_l, and v is the forward pass. W_1 x is
// computed once, and nothing is propagated below layer 1.
//
// A block, for each of its tiles and layers (on the way up from the lowest layer, on the way down from the highest
// one):
//
//   up t     wait until the layer below has published v_{l−1} of way t;  p = φ_in(v_{l−1})
//            m = μ_l,  d = s φ_out',  from p Wᵀ;  publish v_l = μ_l + e_l above   (at the output b_L, from the targets)
//   down t   wait until the layer above has published b_l of way t
//            e_l += g (b_l − e_l),  d = d ⊙ b_l;  publish b_{l−1} below, from d W
//
// Samples are independent, so each tile has its own flags, and while one tile is in the upper layers the blocks of the
// lower layers work on other tiles. Flag up = t + 1 says that v_l of way t is published, flag down = t + 1 that b_{l−1}
// is. One buffer for each is enough: layer l writes v_l of way t + 1 after it has read b_l of way t, which the layer
// above published after its last use of v_l; and that layer writes b_l of way t + 1 after it has read v_l of way t + 1,
// which was published after the last use of b_l of way t.
//
// No block waits for ever, if all blocks are resident, which a cooperative launch guarantees. A block processes its
// items in the order (way, tile, layer), ways being up 0, down 0, up 1 and so on, and layers in the direction of the
// way. An item needs its neighbour on the same way and tile, which comes earlier in that order, and items of earlier
// ways in its own block. So the first unfinished item of all blocks is the next one of its block, and everything that
// it needs is there. If a GPU breaks this guarantee, the waits time out (wait_or_time_out), and errors and deltas
// become NaN (invalidate_on_timeout).
#include "resident_layer.cuh"

// If the items of a block use one set of tiles in turn: loads v from where the layer below has published it, d and the
// output's error from where store_tile has stored them, which is where their final values will be.
__device__ __forceinline__ void load_tile(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  // all threads have finished with the item before
  __syncthreads();
  const bool output = it.index == p.depth - 1;
#ifdef MUTANT_STALE_OPERAND
  each(it.rows, it.layer.inputs, [&](int r, int c) { it.v[it.at(r, c)] = p.up[it.below(r, c)]; });
#else
  if (it.index > 0) operand(it, p.up);
#endif
  each(it.rows, padded(it.layer.outputs), [&](int r, int c) {
    const bool inside = c < it.layer.outputs;
    if (output && inside) it.m[it.at(r, c)] = p.errors[it.own(r, c)];
    it.d[it.at(r, c)] = inside ? p.deltas[it.own(r, c)] : 0.0f;
  });
  __syncthreads();
}
__device__ __forceinline__ void store_tile(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  const bool output = it.index == p.depth - 1;
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    if (output) p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

// Way t up; on the last one errors, deltas and states are stored.
template <int ROWS, class Math>
__device__ __forceinline__ void go_up(const PersistentParams& p, const Item& it, int t, bool last, float* memory) {
  const int outputs = it.layer.outputs;
  const int64_t own = it.own(0, 0);
  const bool output = it.index == p.depth - 1;
  // the output has no error of its own to add
  const bool adds = t > 0 && !output;
  if (it.index == 0 && t > 0) {
    // μ_1 has not changed; it is in the second half of `up`, which has no other use
    load_tile(p, it);
    // other threads have made errors and slopes
    __syncthreads();
    each_published(it.rows, outputs, p.up + p.half + own, outputs, [&](int row, int column, const float (&mu)[4]) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        if (column + r >= outputs) break;
        const int64_t at = it.own(row, column + r);
        const float error = adds ? p.errors[at] : 0.0f;
        p.up[at] = mu[r] + error;
        if (!last) continue;
        p.states[at] = mu[r] + error;
        if (!output) p.deltas[at] = it.d[it.at(row, column + r)] * error;
      }
    });
  } else {
    const auto store = [&](const auto& map, auto& sum, Nothing) {
      predicted(p, it, map, sum);
      if (it.index == 0) to_memory(map, it.rows, outputs, p.up + p.half + own, sum);
      each_part(map, [&](const auto& part) {
        const auto error = from_memory(part, adds ? it.rows : 0, outputs, p.errors + own);
        auto v = error, delta = error;
        each_result(part, [&](int piece, int r) { v.x[piece][r] += sum[part.from + piece][r]; });
        to_memory(part, it.rows, outputs, p.up + own, v.x);
        if (last || p.once) to_memory(part, it.rows, outputs, p.states + own, v.x);
        if (!last || output) return;
        const auto slope = from_tile(part, outputs, it.d, it.stride);
        each_result(part, [&](int piece, int r) { delta.x[piece][r] *= slope.x[piece][r]; });
        to_memory(part, it.rows, outputs, p.errors + own, error.x);
        to_memory(part, it.rows, outputs, p.deltas + own, delta.x);
      });
    };
    if (it.index == 0) {
      first_product<ROWS, Math>(p, it, memory, store);
    } else {
      await_up(p, it.index - 1, it.tile, uint32_t(t) + 1, 2 * uint32_t(t));
      __syncthreads();
      operand(it, p.up);
      __syncthreads();
      along_rows<ROWS, Math>(it, LoadNothing{}, store);
    }
  }
  publish(up_flag(p, it.index, it.tile), uint32_t(t) + 1);
  if (output) {
    output_errors(p, it);
    if (last)
      each(it.rows, outputs, [&](int row, int column) {
        p.errors[it.own(row, column)] = it.m[it.at(row, column)];
        p.deltas[it.own(row, column)] = it.d[it.at(row, column)];
      });
  }
  if (!last) store_tile(p, it);
}

// From the transposed product, b_{l−1} in place of the sums.
template <class Kind, class Map>
__device__ __forceinline__ void adjoint(const Item& it, Kind kind, const Map& map, float (&sum)[Map::PIECES][Map::RUN]) {
  const int inputs = it.layer.inputs;
  each_part(map, [&](const Part<Map>& part) {
    const auto v = from_tile(part, inputs, it.v, it.stride), a = from_tile(part, inputs, it.p, it.stride);
    Runs<Part<Map>> carried = {};
#ifndef MUTANT_DROP_SKIP_BELOW
    if (it.layer.skip) carried = from_tile(part, inputs, it.m, it.stride);
#endif
    each_result(part, [&](int piece, int r) {
      float& b = sum[part.from + piece][r];
      b = fmaf(act_slope_from(kind.value, a.x[piece][r], v.x[piece][r]), b, carried.x[piece][r]);
    });
  });
}

// Way t down.
template <int ROWS, class Math>
__device__ __forceinline__ void go_down(const PersistentParams& p, const Item& it, int t) {
  load_tile(p, it);
  if (it.index < p.depth - 1) {
    await_down(p, it.index + 1, it.tile, uint32_t(t) + 1, 2 * uint32_t(t) + 1);
    __syncthreads();
    const float g = p.once ? 0.0f : __ldg(p.step_sizes + t);
    struct Both {
      float b, error;
    };
    each_loaded(
        it.rows, it.layer.outputs,
        [&](int row, int column) {
          const int64_t own = it.own(row, column);
          return Both{load_published(p.down + own), t > 0 ? p.errors[own] : 0.0f};
        },
        [&](int row, int column, Both both) {
          const int64_t own = it.own(row, column);
          const float b = both.b;
          p.errors[own] = p.once ? b : fmaf(g, b - both.error, both.error);
          it.m[it.at(row, column)] = b;
          // in layer 1 the slope is needed again
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
#ifndef MUTANT_DROP_SYNC
  __syncthreads();
#endif
#ifdef MUTANT_SWAP_FLAG
  publish(down_flag(p, it.index, it.tile), uint32_t(t) + 1);
#endif
  along_columns<ROWS, Math>(it, LoadNothing{}, [&](const auto& map, auto& sum, Nothing) {
    with_kind(it.layer.act_in, [&](auto kind) { adjoint(it, kind, map, sum); });
    to_memory(map, it.rows, it.layer.inputs, p.down + it.below(0, 0), sum);
  });
#ifdef MUTANT_NEVER_PUBLISH
  if (it.index == 2) return;
#endif
#ifndef MUTANT_SWAP_FLAG
  publish(down_flag(p, it.index, it.tile), uint32_t(t) + 1);
#endif
}

template <int ROWS, class Math> __device__ __forceinline__ void sweep(const PersistentParams& p) {
  DYNAMIC_SHARED(float, memory);
  const Share<ROWS, Math> mine(p, memory);
  for (int t = 0; t < p.steps || (t == p.steps && !p.once); ++t) {
    const bool last = p.once ? false : t == p.steps;
    mine.upwards(p, [&](const Item& it) { go_up<ROWS, Math>(p, it, t, last, memory); });
    if (t < p.steps) mine.downwards(p, [&](const Item& it) { go_down<ROWS, Math>(p, it, t); });
  }
  invalidate_on_timeout(p, mine);
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
