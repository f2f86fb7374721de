// sPC relaxation of a stack of dense layers: all T steps of a batch in one cooperative launch, weights on chip
// throughout.
//
//   v_l = μ_l for l < L, at the start
//   μ_l = φ_out(s φ_in(v_{l−1}) W_lᵀ + b) (+ v_{l−1} if skip),  ε_l = v_l − μ_l for l < L,  ε_L = −∂loss/∂μ_L
//   T times, all layers at once:  v_l += g (φ_in' ⊙ (δ_{l+1} W_{l+1}) (+ ε_{l+1} if skip) − ε_l),  δ_l = s φ_out' ⊙ ε_l
//
// φ_in, s, W and skip in a state's step are those of layer l + 1. Afterwards v, ε and δ are those of the last states,
// v_L = μ_L.
//
// A layer on a tile of the batch is an item and belongs to a block, which holds W_l and v_{l−1}: so a step needs no
// more than one exchange with the layers above and below. Products are in f32 (_f32) or on tensor cores (_3xtf32,
// _tf32). Each block runs:
//
//   load the weights and biases of its layers into shared memory (but W_1, which is streamed when it is needed)
//   forward   for each item:
//     wait until the layer below has published μ_{l−1};  p = φ_in(μ_{l−1})
//     m = μ_l,  d = s φ_out',  from p Wᵀ;  publish μ_l above
//   step      for t = 0, 1, …, T − 1, for each item with l ≥ 2 that the first error has reached:
//     wait until the layer above has published v_l and the layer below μ_{l−1}
//     m = ε_l = v_l − m,  d = δ_l = d ⊙ ε_l                           (at the output ε_L, from the targets)
//     v_{l−1} += g (φ_in' ⊙ (d W) + ε_l if skip − (v_{l−1} − μ_{l−1}));  publish v_{l−1} below;  p = φ_in(v_{l−1})
//     m = μ_l,  d = s φ_out',  from p Wᵀ;  publish μ_l above
//   finish    for each item:
//     wait for the last v_l;  store v_{l−1}, ε_l and δ_l in memory
//
// If the items of a block use one set of tiles in turn (resident.cuh), each step begins with load_tile and ends with
// store_tile. The results of a product are in registers, some in each thread (`map` says which), and the epilogue works
// on them there. φ_in' is computed from p, so that every state and every prediction costs one tanh.
//
// Layer 1 has no state to move: W_1 x is computed once, and its error at the end. Layer l ≥ 2 begins at step L − l,
// when the first error arrives; `n` counts its steps since. It publishes in half n mod 2 of `up` and `down`; flag up =
// n + 1 and flag down = n count what it has published. The parity is that of its own count, because its forward
// prediction stays in half 0 until the first error arrives.
//
// No block overwrites a value that another block still has to read. Layer l, at step t, overwrites what it published at
// step t − 2, for which the last use is step t − 1 of a neighbour. It has waited for what both neighbours published at
// step t − 1, which they do after their reads; a neighbour below that has not begun reads what layer l publishes at the
// step before it begins, and layer l waits for it from the step after.
//
// No block waits for ever, if all blocks are resident, which a cooperative launch guarantees. A block processes its
// items in the order (step, tile, layer), the forward pass being step −1. A forward item needs the layer below on the
// same tile, which comes earlier in that order; a step needs only earlier steps. So the first unfinished item of all
// blocks is the next one of its block, and everything that it needs is there. If a GPU breaks this guarantee, the waits
// time out (wait_or_time_out), and errors and deltas become NaN (invalidate_on_timeout).
#include "resident_layer.cuh"

// The first step of layer `index`.
__device__ __forceinline__ int begins(const PersistentParams& p, int index) {
  if (index == 0) return p.steps;
#ifdef MUTANT_ARRIVE_LATE
  return p.light_cone ? p.depth - index : 0;
#else
  return p.light_cone ? p.depth - 1 - index : 0;
#endif
}
// The number of its steps before step t.
__device__ __forceinline__ int count(const PersistentParams& p, int index, int t) { return max(t - begins(p, index), 0); }

__device__ __forceinline__ float* half_of(const PersistentParams& p, float* published, int n) {
#ifdef MUTANT_WRONG_HALF
  return published + n / 2 % 2 * p.half;
#else
  return published + n % 2 * p.half;
#endif
}

// If the items of a block use one set of tiles in turn: loads v, m and d of an item from where store_tile has stored
// them, which is where their final values will be.
__device__ __forceinline__ void load_tile(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  // all threads have finished with the item before
  __syncthreads();
#ifdef MUTANT_STALE_OPERAND
  each(it.rows, it.layer.inputs, [&](int r, int c) { it.v[it.at(r, c)] = p.states[it.below(r, c)]; });
#else
  if (it.index > 0) operand(it, p.states);
#endif
  each(it.rows, padded(it.layer.outputs), [&](int r, int c) {
    const bool inside = c < it.layer.outputs;
    if (inside) it.m[it.at(r, c)] = p.errors[it.own(r, c)];
    it.d[it.at(r, c)] = inside ? p.deltas[it.own(r, c)] : 0.0f;
  });
  __syncthreads();
}
__device__ __forceinline__ void store_tile(const PersistentParams& p, const Item& it) {
  if (p.resident) return;
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { p.states[it.below(r, c)] = it.v[it.at(r, c)]; });
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

// From the product with W_l: stores μ_l, prediction n of the layer, where the layer above reads it.
template <class Map>
__device__ __forceinline__ void store_prediction(const PersistentParams& p, const Item& it, int n, const Map& map,
                                           float (&sum)[Map::PIECES][Map::RUN]) {
  predicted(p, it, map, sum);
  to_memory(map, it.rows, it.layer.outputs, half_of(p, p.up, n) + it.own(0, 0), sum);
}
// Publishes prediction n to the layer above, once all its columns are stored.
__device__ __forceinline__ void publish_prediction(const PersistentParams& p, const Item& it, int n) {
#ifdef MUTANT_NEVER_PUBLISH
  if (it.index == 1 && n >= 2) return;
#endif
  publish(up_flag(p, it.index, it.tile), uint32_t(n) + 1);
  store_tile(p, it);
}

template <int ROWS, class Math>
__device__ __forceinline__ void forward(const PersistentParams& p, const Item& it, float* memory) {
  const auto store = [&](const auto& map, auto& sum, Nothing) { store_prediction(p, it, 0, map, sum); };
  if (it.index == 0) {
    first_product<ROWS, Math>(p, it, memory, store);
  } else {
    await_up(p, it.index - 1, it.tile, 1, 0);
    __syncthreads();
    operand(it, p.up);
    __syncthreads();
    along_rows<ROWS, Math>(it, LoadNothing{}, store);
  }
  publish_prediction(p, it, 0);
}

// m = ε_l and d = δ_l at the beginning of a step; n is how many states the layer above has published.
__device__ __forceinline__ void errors(const PersistentParams& p, const Item& it, int n) {
  if (it.index == p.depth - 1) {
    output_errors(p, it);
  } else if (n == 0) {
    // the layer above has not moved v_l yet, so it is the prediction
    each(it.rows, it.layer.outputs, [&](int r, int c) {
      it.m[it.at(r, c)] = 0.0f;
      it.d[it.at(r, c)] *= 0.0f;
    });
  } else {
    const int outputs = it.layer.outputs;
    const float* const states = half_of(p, p.down, n) + it.own(0, 0);
    each_published(it.rows, outputs, states, outputs, [&](int row, int column, const float (&state)[4]) {
      float m[4], d[4];
      load_run(it.m + it.at(row, column), m);
      load_run(it.d + it.at(row, column), d);
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        m[r] = state[r] - m[r];
        d[r] = column + r < outputs ? d[r] * m[r] : 0.0f;
      }
      store_run(it.m + it.at(row, column), m);
      store_run(it.d + it.at(row, column), d);
    });
  }
}

// From the transposed product: the new v_{l−1}, in v and in place of the sums, and p = φ_in(v_{l−1}) with zeros beyond.
template <class Kind, class Map>
__device__ __forceinline__ void move(const Item& it, Kind kind, const Map& map, float (&sum)[Map::PIECES][Map::RUN],
                                     const float (&mu)[Map::PIECES][Map::RUN], float g) {
  const int inputs = it.layer.inputs;
  each_part(map, [&](const Part<Map>& part) {
    auto v = from_tile(part, inputs, it.v, it.stride), a = from_tile(part, inputs, it.p, it.stride);
    Runs<Part<Map>> carried = {};
    if (it.layer.skip) carried = from_tile(part, inputs, it.m, it.stride);
    each_result(part, [&](int piece, int r) {
      float &state = v.x[piece][r], &operand = a.x[piece][r], &result = sum[part.from + piece][r];
      const float pull = fmaf(act_slope_from(kind.value, operand, state), result, carried.x[piece][r]);
      state = fmaf(g, pull - (state - mu[part.from + piece][r]), state);
      operand = part.column(piece) + r < inputs ? act(kind.value, state) : 0.0f;
      result = state;
    });
    to_tile(part, inputs, it.v, it.stride, v.x);
    to_tile(part, inputs, it.p, it.stride, a.x);
  });
}

template <int ROWS, class Math>
__device__ __forceinline__ void step(const PersistentParams& p, const Item& it, int t) {
  const auto begin = [&](Phase phase) { trace(p, it.index, it.tile, t, phase); };
  begin(WAIT);
  const float g = __ldg(p.step_sizes + t);
  const int above = it.index < p.depth - 1 ? count(p, it.index + 1, t) : 0;
  const int n = count(p, it.index, t), below = count(p, it.index - 1, t);
  load_tile(p, it);
  if (above > 0) await_down(p, it.index + 1, it.tile, uint32_t(above), uint32_t(t) + 1);
  await_up(p, it.index - 1, it.tile, uint32_t(below) + 1, uint32_t(t) + 1);
  __syncthreads();
  begin(ERRORS);
  errors(p, it, above);
#ifndef MUTANT_DROP_SYNC
  __syncthreads();
#endif
  begin(PRODUCT_DOWN);
#ifdef MUTANT_HALF_BY_STEP
  const float* prediction = half_of(p, p.up, t) + it.below(0, 0);
#else
  const float* prediction = half_of(p, p.up, below) + it.below(0, 0);
#endif
  float* down = half_of(p, p.down, n + 1) + it.below(0, 0);
  const int inputs = it.layer.inputs;
  along_columns<ROWS, Math>(
      it, [&](const auto& map) { return from_memory(map, it.rows, inputs, prediction); },
      [&](const auto& map, auto& sum, const auto& mu) {
        begin(MOVE);
        with_kind(it.layer.act_in, [&](auto kind) { move(it, kind, map, sum, mu.x, g); });
        to_memory(map, it.rows, inputs, down, sum);
      });
  begin(PUBLISH_DOWN);
  publish(down_flag(p, it.index, it.tile), uint32_t(n) + 1);
  // `publish` is a barrier of the block, so the operand p is complete
#ifdef MUTANT_SWAP_FLAG
  publish(up_flag(p, it.index, it.tile), uint32_t(n) + 2);
#endif
  begin(PRODUCT_UP);
  along_rows<ROWS, Math>(it, LoadNothing{}, [&](const auto& map, auto& sum, Nothing) {
    begin(PREDICT);
    store_prediction(p, it, n + 1, map, sum);
  });
  begin(PUBLISH_UP);
  publish_prediction(p, it, n + 1);
}

__device__ __forceinline__ void finish(const PersistentParams& p, const Item& it) {
  load_tile(p, it);
  if (it.index == p.depth - 1) {
    each(it.rows, it.layer.outputs, [&](int r, int c) { p.states[it.own(r, c)] = it.m[it.at(r, c)]; });
    errors(p, it, 0);
  } else {
    const int above = count(p, it.index + 1, p.steps);
    if (above > 0) await_down(p, it.index + 1, it.tile, uint32_t(above), uint32_t(p.steps) + 1);
    __syncthreads();
    errors(p, it, above);
  }
  __syncthreads();
  if (it.index > 0)
    each(it.rows, it.layer.inputs, [&](int r, int c) { p.states[it.below(r, c)] = it.v[it.at(r, c)]; });
  each(it.rows, it.layer.outputs, [&](int r, int c) {
    p.errors[it.own(r, c)] = it.m[it.at(r, c)];
    p.deltas[it.own(r, c)] = it.d[it.at(r, c)];
  });
}

template <int ROWS, class Math> __device__ __forceinline__ void relax(const PersistentParams& p) {
  DYNAMIC_SHARED(float, memory);
  const Share<ROWS, Math> mine(p, memory);
  mine.upwards(p, [&](const Item& it) { forward<ROWS, Math>(p, it, memory); });
  for (int t = 0; t < p.steps; ++t)
    mine.upwards(p, [&](const Item& it) {
      if (it.index > 0 && t >= begins(p, it.index)) step<ROWS, Math>(p, it, t);
    });
  mine.upwards(p, [&](const Item& it) { finish(p, it); });
  invalidate_on_timeout(p, mine);
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
