// sPC relaxation of a stack of dense layers: all T steps of a batch in one cooperative launch, weights on chip throughout.
//
// A layer belongs to a block, neighbours meet at flags; products in f32 (_f32) or on tensor cores (_3xtf32, _tf32).
//
//   v_l = μ_l for l < L, at the start
//   μ_l = φ_out(s φ_in(v_{l−1}) W_lᵀ + b) (+ v_{l−1} if skip),  ε_l = v_l − μ_l for l < L,  ε_L = −∂loss/∂μ_L
//   T times, all layers at once:  v_l += g (φ_in' ⊙ (δ_{l+1} W_{l+1}) (+ ε_{l+1} if skip) − ε_l),  δ_l = s φ_out' ⊙ ε_l
//
// φ_in, s, W and skip in a state's step are those of layer l + 1. Afterwards v, ε and δ are those of the last states, v_L = μ_L.
//
// The block that holds W_l holds v_{l−1} as well, so that a step needs no more than one exchange:
//
//   ε_l = v_l − μ_l                          v_l from the block above, μ_l its own
//   v_{l−1} += g (φ_in' ⊙ (δ_l W_l) + ε_l if skip − (v_{l−1} − μ_{l−1}))        μ_{l−1} from the block below; tells below
//   μ_l = φ_out(s φ_in(v_{l−1}) W_lᵀ + b) (+ v_{l−1})                            tells above
//
// Layer 1 has no state to move: W_1 x is computed once, and its error at the end. Layer l ≥ 2 begins at step L − l, when the
// first error arrives; `n` counts its steps since. What it tells lies in half n mod 2 of `up` and `down`; flag up = n + 1
// and flag down = n say how far it is. The parity is that of its own count, because its forward prediction stays in half 0
// however long it takes for the first error to arrive.
//
// Nobody overwrites what is still to be read. Layer l, at step t, writes over what it told at step t − 2, for which the
// last use is step t − 1 of a neighbour. It has waited for what both neighbours told at step t − 1, which they do after
// their reads; a neighbour below that has not begun reads what layer l tells at the step before it begins, and layer l
// waits for it from the step after.
//
// Nobody waits for ever, if all blocks are resident, which a cooperative launch sees to. A block takes its items in the
// order (step, tile, layer), the forward pass being step −1. A forward item needs the layer below on the same tile, which
// comes earlier in that order; a step needs only steps before it. So the first item of all that is not done is the next of
// its block and lacks nothing.
// Should a card not keep its side of this, `await` ends all the same, and the launch leaves no numbers (wait_or_lose).
#include "resident_layer.cuh"

// Since when layer `index` has something to do.
__device__ __forceinline__ int begins(const PersistentParams& p, int index) {
  if (index == 0) return p.steps;
#ifdef PLANT_ARRIVE_LATE
  return p.light_cone ? p.depth - index : 0;
#else
  return p.light_cone ? p.depth - 1 - index : 0;
#endif
}
// How many of its steps lie before step t.
__device__ __forceinline__ int count(const PersistentParams& p, int index, int t) { return max(t - begins(p, index), 0); }

__device__ __forceinline__ float* half_of(const PersistentParams& p, float* told, int n) {
#ifdef PLANT_WRONG_HALF
  return told + n / 2 % 2 * p.half;
#else
  return told + n % 2 * p.half;
#endif
}

// If items take turns: v, m and d wait where their final values will lie.
__device__ __forceinline__ void take(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { it.v[it.at(r, c)] = p.states[it.below(r, c)]; });
  each(it.rows, padded(it.layer.outputs), [&](int r, int c) {
    const bool inside = c < it.layer.outputs;
    if (inside) it.m[it.at(r, c)] = p.errors[it.own(r, c)];
    it.d[it.at(r, c)] = inside ? p.deltas[it.own(r, c)] : 0.0f;
  });
}
__device__ __forceinline__ void leave(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { p.states[it.below(r, c)] = it.v[it.at(r, c)]; });
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

// μ_l goes up as number n.
__device__ __forceinline__ void tell_above(const PersistentParams& p, const Item& it, int n) {
  float* up = half_of(p, p.up, n);
#ifdef PLANT_SWAP_FLAG
  publish(up_flag(p, it.index, it.tile), uint32_t(n) + 1);
#endif
  predicted(p, it, [&](int row, int column, float mu, float) { up[it.own(row, column)] = mu; });
#ifdef PLANT_NEVER_TELL
  if (it.index == 1 && n >= 2) return;
#endif
#ifndef PLANT_SWAP_FLAG
  publish(up_flag(p, it.index, it.tile), uint32_t(n) + 1);
#endif
}

template <int ROWS, class Math>
__device__ __forceinline__ void forward(const PersistentParams& p, const Item& it, float* memory) {
  if (it.index == 0) {
    first_product<ROWS, Math>(p, it, memory);
  } else {
    await_up(p, it.index - 1, it.tile, 1, 0);
    operand(it, p.up);
    __syncthreads();
    along_rows<ROWS, Math>(it, memory);
  }
  tell_above(p, it, 0);
  leave(p, it);
}

// m = ε_l and d = δ_l at the beginning of step t.
__device__ __forceinline__ void errors(const PersistentParams& p, const Item& it, int t) {
  if (it.index == p.depth - 1) {
    output_errors(p, it);
    return;
  }
  const int n = count(p, it.index + 1, t);
  if (n > 0) await_down(p, it.index + 1, it.tile, uint32_t(n), uint32_t(t) + 1);
  const float* down = half_of(p, p.down, n);
  each_brought(
      it.rows, it.layer.outputs,
      [&](int row, int column) { return n > 0 ? load_told(down + it.own(row, column)) : 0.0f; },
      [&](int row, int column, float state) {
        float& m = it.m[it.at(row, column)];
        // before anything has come from above the state is the prediction
        const float error = n > 0 ? state - m : 0.0f;
        m = error;
        it.d[it.at(row, column)] *= error;
      });
}

template <int ROWS, class Math>
__device__ __forceinline__ void step(const PersistentParams& p, const Item& it, int t, float* memory) {
  take(p, it);
  const float g = __ldg(p.step_sizes + t);
  errors(p, it, t);
#ifndef PLANT_DROP_SYNC
  __syncthreads();
#endif
  along_columns<ROWS, Math>(it, memory);
  const int n = count(p, it.index, t), below = count(p, it.index - 1, t);
  await_up(p, it.index - 1, it.tile, uint32_t(below) + 1, uint32_t(t) + 1);
#ifdef PLANT_HALF_BY_STEP
  const float* prediction = half_of(p, p.up, t);
#else
  const float* prediction = half_of(p, p.up, below);
#endif
  float* down = half_of(p, p.down, n + 1);
  // the product has read δ, and `predicted` writes it anew: until then its place is free for predictions of the layer below
  each_brought(
      it.rows, it.layer.inputs, [&](int row, int column) { return load_told(prediction + it.below(row, column)); },
      [&](int row, int column, float mu) { it.d[it.at(row, column)] = mu; });
  each(it.rows, padded(it.layer.inputs), [&](int row, int column) {
    float& operand = it.p[it.at(row, column)];
    if (column >= it.layer.inputs) {
      operand = 0.0f;
      return;
    }
    float& v = it.v[it.at(row, column)];
    float pull = act_slope(it.layer.act_in, v) * operand;
    if (it.layer.skip) pull += it.m[it.at(row, column)];
    v = fmaf(g, pull - (v - it.d[it.at(row, column)]), v);
    down[it.below(row, column)] = v;
    operand = act(it.layer.act_in, v);
  });
  publish(down_flag(p, it.index, it.tile), uint32_t(n) + 1);
  // which has been a barrier of the block: the operand is there
  along_rows<ROWS, Math>(it, memory);
  tell_above(p, it, n + 1);
  leave(p, it);
}

__device__ __forceinline__ void finish(const PersistentParams& p, const Item& it) {
  take(p, it);
  if (it.index == p.depth - 1)
    each(it.rows, it.layer.outputs, [&](int r, int c) { p.states[it.own(r, c)] = it.m[it.at(r, c)]; });
  errors(p, it, p.steps);
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { p.states[it.below(r, c)] = it.v[it.at(r, c)]; });
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

template <int ROWS, class Math> __device__ __forceinline__ void relax(const PersistentParams& p) {
  DYNAMIC_SHARED(float, memory);
  const Share<ROWS> mine(p, memory);
  mine.upwards(p, [&](const Item& it) { forward<ROWS, Math>(p, it, memory); });
  for (int t = 0; t < p.steps; ++t)
    mine.upwards(p, [&](const Item& it) {
      if (it.index > 0 && t >= begins(p, it.index)) step<ROWS, Math>(p, it, t, memory);
    });
  mine.upwards(p, [&](const Item& it) { finish(p, it); });
  spoil(p, mine);
}

#define PERSISTENT_SPC(rows, name, Math) \
  KERNEL_ALONE(persistent_spc_##rows##_##name, RESIDENT_THREADS, PersistentParams, p) { relax<rows, Math>(p); }
PERSISTENT_SPC(16, f32, F32)
PERSISTENT_SPC(32, f32, F32)
PERSISTENT_SPC(64, f32, F32)
PERSISTENT_SPC(16, 3xtf32, Tf32x3)
PERSISTENT_SPC(32, 3xtf32, Tf32x3)
PERSISTENT_SPC(64, 3xtf32, Tf32x3)
PERSISTENT_SPC(16, tf32, Tf32)
PERSISTENT_SPC(32, tf32, Tf32)
PERSISTENT_SPC(64, tf32, Tf32)
