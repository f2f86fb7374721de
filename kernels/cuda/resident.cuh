// What a persistent kernel keeps in shared memory for as long as it runs: weights of its layers, tiles of the batch.
//
// A grid has `stages` × `replicas` blocks. A stage holds `per_block` consecutive layers; the replicas of a stage divide
// the tiles of ROWS samples among themselves. An item is one layer on one tile; a block owns per_block ·
// ⌈tiles/replicas⌉ items. If `resident`, every item has its four tiles in shared memory. Otherwise the items of a block
// use one set in turn (load_tile, store_tile), and what must outlast a turn is stored in `states`, `errors` and
// `deltas`, which no other block reads before the kernel ends.
//
//   W      [outputs, inputs]  read by rows for W φ(v), by columns for the transposed product
//   b      [outputs]          bias, with zeros up to a multiple of 16, in the four floats after each of the first rows of W
//   v      [ROWS, inputs]     state below the layer
//   p      [ROWS, inputs]     operand φ_in(v) of the product
//   m      [ROWS, outputs]    prediction μ, then error
//   d      [ROWS, outputs]    s·φ_out', then δ
//
// A row of W, p and d is padded with zeros to a multiple of 16, which the depth of every product divides, and all rows
// have four floats more: consecutive rows begin 4 or 20 banks apart, and neither product has bank conflicts between
// threads that read 128 bits each. An input of 784 units does not fit: W_1 φ(x) is needed once, and W_1 is streamed
// through shared memory in pieces of `held_columns` columns.
#pragma once

#include "pack.cuh"

// As `ResidentRow` in src/rows.rs. Offsets count floats.
struct ResidentRow {
  int64_t weights;  // W [outputs, inputs], row by row
  int64_t bias;     // b [outputs], or −1
  int64_t below;    // v_{l−1} [batch, inputs]
  int64_t own;      // v_l, ε_l, δ_l [batch, outputs]
  int32_t inputs, outputs;
  int32_t act_in, act_out;
  int32_t skip;
  float scale;
  int32_t held;          // where W lies in shared memory
  int32_t held_columns;  // columns of W that are there at once
};
static_assert(sizeof(ResidentRow) == 64 && offsetof(ResidentRow, inputs) == 32 && offsetof(ResidentRow, held) == 56,
              "as in src/rows.rs");

// As `PersistentParams` in src/persistent/layout.rs.
struct PersistentParams {
  const ResidentRow* rows;  // [depth]
  const float* theta;       // parameters
  const float* y;           // [batch, outputs of the last layer]
  const float* step_sizes;  // [steps]
  float* states;            // v_0 .. v_L
  float* errors;
  float* deltas;
  float* up;        // two halves, each laid out like the states: what a layer publishes to the one above
  float* down;      // two halves, each laid out like the states: what a layer publishes to the one below
  uint32_t* flags;  // up [depth, tiles], down [depth, tiles]; 0 at the start
  unsigned long long* timed_out;  // 0, until a block's wait has timed out
  int64_t half;     // floats in a half
  int64_t patience; // nanoseconds for which a block waits
  int32_t batch, depth, steps, tiles;
  int32_t per_block, stages, replicas;
  int32_t resident;
  int32_t softmax;     // 1 if the output error is taken of softmax(o)
  int32_t light_cone;  // sPC: skip layers that no error has reached yet
  int32_t once;        // sweeps: one way up and one way down, errors are the adjoints' negatives
  int32_t tiles_at;    // where tiles begin in shared memory
  int32_t stride;      // floats from a row of a tile to the next
  float output_weight; // of the output error, as `OutputError` in src/loss.rs
};
static_assert(sizeof(PersistentParams) == 160 && offsetof(PersistentParams, half) == 88 &&
                  offsetof(PersistentParams, per_block) == 120 && offsetof(PersistentParams, output_weight) == 156,
              "as in src/persistent/layout.rs");

// Row `index` of the table, which no kernel writes. Every turn of an item begins with this load and with a wait that
// does not need it, so the load is hidden by the wait.
__device__ __forceinline__ ResidentRow row_of(const PersistentParams& p, int index) {
#ifdef PCNBENCH_EMU
  return p.rows[index];
#else
  ResidentRow row;
  static_assert(sizeof row % sizeof(int4) == 0, "read in pieces of 16 bytes, at which rows of 64 bytes are aligned");
  const int4* const from = reinterpret_cast<const int4*>(p.rows + index);
  int4* const to = reinterpret_cast<int4*>(&row);
#pragma unroll
  for (unsigned i = 0; i < sizeof row / sizeof(int4); ++i) to[i] = __ldg(from + i);
  return row;
#endif
}

// Phases of an sPC step, as `PHASES` in src/persistent/trace.rs.
enum Phase { WAIT, ERRORS, PRODUCT_DOWN, MOVE, PUBLISH_DOWN, PRODUCT_UP, PREDICT, PUBLISH_UP, PHASES };

// A traced build writes down when a phase of step t begins, of the layer in the middle on the first tile: behind the
// word at `timed_out`, for the last TRACED_STEPS steps; of a product of several tiles of columns, that of the last.
// Others do nothing.
constexpr int TRACED_STEPS = 32;
__device__ __forceinline__ void trace(const PersistentParams& p, int index, int tile, int t, Phase phase) {
#if defined(PCNBENCH_TRACE) || defined(PCNBENCH_EMU)
  const int step = t - max(p.steps - TRACED_STEPS, 0);
  if (threadIdx.x == 0 && index == p.depth / 2 && tile == 0 && step >= 0)
    p.timed_out[1 + step * PHASES + phase] = clock_cycles();
#endif
}

constexpr int RESIDENT_THREADS = 256, RESIDENT_WARPS = RESIDENT_THREADS / 32, RESIDENT_COLUMNS = 128;

__device__ __forceinline__ int padded(int n) { return (n + 15) / 16 * 16; }
__device__ __forceinline__ int held_stride(int columns) { return padded(columns) + 4; }
// Where b_j lies from the beginning of a W that is held `columns` wide, j ≥ 0: four in the gap behind each row, that of
// W's row i from i·held_stride + padded on.
__device__ __forceinline__ int held_bias(int columns, int j) { return ((j >> 2) + 1) * padded(columns) + j; }

// f(row, column) for a tile, a warp per row: neighbours in a warp are neighbours in memory.
template <class F> __device__ __forceinline__ void each(int rows, int columns, const F& f) {
  for (int row = int(threadIdx.x) / 32; row < rows; row += RESIDENT_WARPS)
    for (int column = int(threadIdx.x) % 32; column < columns; column += 32) f(row, column);
}

// f(row, column, load(row, column)) for the same elements by the same threads as `each`. `load` reads global memory,
// for 16 elements at a time, so that their latencies overlap. f should be short, because the compiler repeats it for
// each of the 16.
template <class Load, class F>
__device__ __forceinline__ void each_loaded(int rows, int columns, const Load& load, const F& f) {
  constexpr int TALL = 4, WIDE = 4;
  for (int row0 = int(threadIdx.x) / 32; row0 < rows; row0 += TALL * RESIDENT_WARPS)
    for (int column0 = int(threadIdx.x) % 32; column0 < columns; column0 += WIDE * 32) {
      decltype(load(0, 0)) loaded[TALL][WIDE];
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j) {
          const int row = row0 + i * RESIDENT_WARPS, column = column0 + j * 32;
          loaded[i][j] = {};
          if (row < rows && column < columns) loaded[i][j] = load(row, column);
        }
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j) {
          const int row = row0 + i * RESIDENT_WARPS, column = column0 + j * 32;
#ifdef MUTANT_DROP_LAST_LOADED
          if (row < rows && column + 1 < columns) f(row, column, loaded[i][j]);
#else
          if (row < rows && column < columns) f(row, column, loaded[i][j]);
#endif
        }
    }
}

// Up to `left` of RUN neighbours that another block has published, with zeros beyond; TOGETHER if there are four or
// none.
template <bool TOGETHER, int RUN>
__device__ __forceinline__ void load_published_run(const float* at, int left, float (&x)[RUN]) {
  if constexpr (TOGETHER) {
    const float4 all = left > 0 ? load_published4(at) : float4{};
    x[0] = all.x, x[1] = all.y, x[2] = all.z, x[3] = all.w;
  } else {
#pragma unroll
    for (int r = 0; r < RUN; ++r) x[r] = r < left ? load_published(at + r) : 0.0f;
  }
}
template <bool TOGETHER, int RUN>
__device__ __forceinline__ void store_published_run(float* at, int left, const float (&x)[RUN]) {
  if constexpr (TOGETHER) {
    if (left > 0) store_run(at, x);
  } else {
#pragma unroll
    for (int r = 0; r < RUN; ++r)
      if (r < left) at[r] = x[r];
  }
}

// f(row, column, x) for all runs x of four of [rows, columns] at `from`, rows `apart` floats after one another,
// published by another block or this one, with zeros from `columns` up to a multiple of 16. 16 elements are loaded at a
// time, so that their latencies overlap.
template <class F>
__device__ __forceinline__ void each_published(int rows, int columns, const float* from, int apart, const F& f) {
  constexpr int TALL = 4;
  const auto go = [&](auto together) {
    for (int row0 = int(threadIdx.x) / 32; row0 < rows; row0 += TALL * RESIDENT_WARPS)
      for (int column = 4 * (int(threadIdx.x) % 32); column < padded(columns); column += 4 * 32) {
        float published[TALL][4];
#ifdef MUTANT_DROP_LAST_PUBLISHED
        const int left = columns - 4 - column;
#else
        const int left = columns - column;
#endif
#pragma unroll
        for (int i = 0; i < TALL; ++i) {
          const int row = row0 + i * RESIDENT_WARPS;
          load_published_run<together.value>(from + int64_t(row) * apart + column, row < rows ? left : 0, published[i]);
        }
#pragma unroll
        for (int i = 0; i < TALL; ++i)
          if (row0 + i * RESIDENT_WARPS < rows) f(row0 + i * RESIDENT_WARPS, column, published[i]);
      }
  };
  if (in_fours(from, columns, apart))
    go(Truth<true>{});
  else
    go(Truth<false>{});
}

// Loads columns first..first+columns of W [outputs, inputs] into shared memory as Math reads them, with zeros up to
// multiples of 16.
template <class Math>
ASIDE void load_weights(const float* w, int outputs, int inputs, float* to, int columns, int first) {
  const int stride = held_stride(columns);
#ifdef MUTANT_RAGGED_OFF_BY_ONE
  const int inside = min(inputs - first - 1, columns);
#else
  const int inside = min(inputs - first, columns);
#endif
  each_loaded(
      padded(outputs), padded(columns),
      [&](int row, int column) {
        return row < outputs && column < inside ? __ldg(w + int64_t(row) * inputs + first + column) : 0.0f;
      },
      [&](int row, int column, float weight) { to[row * stride + column] = Math::held(weight); });
}
template <class Math>
__device__ __forceinline__ void load_weights(const PersistentParams& p, const ResidentRow& layer, float* memory,
                                             int first) {
  load_weights<Math>(p.theta + layer.weights, layer.outputs, layer.inputs, memory + layer.held, layer.held_columns,
                     first);
}
