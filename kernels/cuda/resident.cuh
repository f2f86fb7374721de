// What a persistent kernel keeps on a multiprocessor for as long as it runs: weights of its layers, tiles of its batch.
//
// A grid is `stages` blocks for the layers, each with `per_block` consecutive ones, times `replicas`, which share out the
// tiles of ROWS samples. An item is one layer on one tile; a block owns per_block · ⌈tiles/replicas⌉ of them. If `resident`
// every item has its four tiles in shared memory; otherwise all items of a block take turns with one set, and what must
// outlast a turn waits in `states`, `errors` and `deltas`, where nobody else looks before the kernel ends.
//
//   W      [outputs, inputs]  read by rows for W φ(v), by columns for the transposed product
//   v      [ROWS, inputs]     state below the layer
//   p      [ROWS, inputs]     operand φ_in(v) of the product; before, the transposed product
//   m      [ROWS, outputs]    prediction μ, then error
//   d      [ROWS, outputs]    s·φ_out', then δ
//
// A row is padded with zeros to a multiple of 16, which the depth of every product divides, and by four floats more:
// then rows that follow one another begin 4 or 20 banks apart, and neither product has threads that meet in a bank where
// they read along it with 128 bits each. A state of 784 units below layer 1 has no place: W_1 φ(x) is needed once, and W_1
// passes through in pieces of `held_columns` columns.
#pragma once

#include "dense.cuh"
#include "mma.cuh"

// As `ResidentRow` in src/persistent/launch.rs. Offsets count floats.
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
              "as in src/persistent/launch.rs");

// As `LossKind` in src/stack.rs.
enum Loss { HALF_SQUARED_ERROR = 0, SQUARED_ERROR = 1, CROSS_ENTROPY = 2 };

// As `PersistentParams` in src/persistent/launch.rs.
struct PersistentParams {
  const ResidentRow* layers;  // [depth]
  const float* weights;
  const float* targets;     // [batch, outputs of the last layer]
  const float* step_sizes;  // [steps]
  float* states;            // v_0 .. v_L
  float* errors;
  float* deltas;
  float* up;        // two halves, each laid out like the states: what a layer tells the one above
  float* down;      // two halves, each laid out like the states: what a layer tells the one below
  uint32_t* flags;  // up [depth, tiles], down [depth, tiles]; 0 at the start
  unsigned long long* lost;  // 0, until somebody has waited in vain
  int64_t half;     // floats in a half
  int64_t patience; // nanoseconds for which a block waits
  int32_t batch, depth, steps, tiles;
  int32_t per_block, stages, replicas;
  int32_t resident;
  int32_t loss;
  int32_t light_cone;  // sPC: skip layers that no error has reached yet
  int32_t once;        // sweeps: one way up and one way down, errors are the adjoints' negatives
  int32_t tiles_at;    // where tiles begin in shared memory
  int32_t stride;      // floats from a row of a tile to the next
  float precision;     // factor of the loss, p/N
};
static_assert(sizeof(PersistentParams) == 160 && offsetof(PersistentParams, half) == 88 &&
                  offsetof(PersistentParams, per_block) == 120 && offsetof(PersistentParams, precision) == 156,
              "as in src/persistent/launch.rs");

// Row `index` of the table, which nobody writes while a kernel runs: read through the cache that no flag empties, since every
// turn of an item begins with it.
__device__ __forceinline__ ResidentRow row_of(const PersistentParams& p, int index) {
#ifdef PCNBENCH_EMU
  return p.layers[index];
#else
  ResidentRow row;
  static_assert(sizeof row % sizeof(int4) == 0, "read in pieces of 16 bytes, at which rows of 64 bytes are aligned");
  const int4* const from = reinterpret_cast<const int4*>(p.layers + index);
  int4* const to = reinterpret_cast<int4*>(&row);
#pragma unroll
  for (unsigned i = 0; i < sizeof row / sizeof(int4); ++i) to[i] = __ldg(from + i);
  return row;
#endif
}

constexpr int RESIDENT_THREADS = 256, RESIDENT_WARPS = RESIDENT_THREADS / 32, RESIDENT_COLUMNS = 128;

__device__ __forceinline__ int padded(int n) { return (n + 15) / 16 * 16; }
__device__ __forceinline__ int held_stride(int columns) { return padded(columns) + 4; }

// f(row, column) for a tile, a warp per row: neighbours in a warp are neighbours in memory.
template <class F> __device__ __forceinline__ void each(int rows, int columns, const F& f) {
  for (int row = int(threadIdx.x) / 32; row < rows; row += RESIDENT_WARPS)
    for (int column = int(threadIdx.x) % 32; column < columns; column += 32) f(row, column);
}

// f(row, column, bring(row, column)) for the same elements by the same threads as `each`. What is brought comes from global
// memory: of 16 elements together, because one after another each would cost the way to L2 and back. f should be short, as
// the compiler repeats it for every one of the 16.
template <class Bring, class F>
__device__ __forceinline__ void each_brought(int rows, int columns, const Bring& bring, const F& f) {
  constexpr int TALL = 4, WIDE = 4;
  for (int row0 = int(threadIdx.x) / 32; row0 < rows; row0 += TALL * RESIDENT_WARPS)
    for (int column0 = int(threadIdx.x) % 32; column0 < columns; column0 += WIDE * 32) {
      decltype(bring(0, 0)) brought[TALL][WIDE];
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j) {
          const int row = row0 + i * RESIDENT_WARPS, column = column0 + j * 32;
          brought[i][j] = {};
          if (row < rows && column < columns) brought[i][j] = bring(row, column);
        }
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j) {
          const int row = row0 + i * RESIDENT_WARPS, column = column0 + j * 32;
#ifdef PLANT_BROUGHT_TOO_FEW
          if (row < rows && column + 1 < columns) f(row, column, brought[i][j]);
#else
          if (row < rows && column < columns) f(row, column, brought[i][j]);
#endif
        }
    }
}

// Columns first..first+columns of W into shared memory, with zeros around them.
__device__ __forceinline__ void hold(const PersistentParams& p, const ResidentRow& layer, float* memory, int first) {
  float* to = memory + layer.held;
  const float* w = p.weights + layer.weights + first;
  const int stride = held_stride(layer.held_columns), left = layer.inputs - first;
#ifdef PLANT_RAGGED_OFF_BY_ONE
  const int inside = min(left - 1, layer.held_columns);
#else
  const int inside = min(left, layer.held_columns);
#endif
  each_brought(
      padded(layer.outputs), stride,
      [&](int row, int column) {
        return row < layer.outputs && column < inside ? __ldg(w + int64_t(row) * layer.inputs + column) : 0.0f;
      },
      [&](int row, int column, float weight) { to[row * stride + column] = weight; });
}

// --- products ----------------------------------------------------------------------------------------------
//
// out [ROWS, columns] (+)= a [ROWS, depth] · W, where W(k, column) is w[column, k] or, TRANSPOSED, w[k, column]. a and w
// are zero from `depth` up to its multiple of 16. Results outside `columns` are not written; their operands are those of
// the last column, so that nothing is read beyond W. Called by all threads, with barriers before and after.

// In f32, a tile of ROWS×128 at a time by 256 threads. Sums run over k in order, as in dense.cuh.
struct F32 {
  template <int ROWS, bool TRANSPOSED>
  static __device__ __forceinline__ void product(const float* a, const float* w, int stride_w, int depth, int columns,
                                                 float* out, int stride, bool more) {
    constexpr int TALL = ROWS >= 32 ? 4 : 2, ACROSS = RESIDENT_THREADS / (ROWS / TALL), WIDE = RESIDENT_COLUMNS / ACROSS;
    static_assert(WIDE % 4 == 0, "columns of a thread come in fours");
    // Even and odd lanes of a warp have other rows of a, pairs of lanes other columns of W: a warp reads 16 different pieces of
    // 16 bytes of W at once, 256 bytes, which shared memory gives in two cycles; 32 different pieces would take four.
    constexpr int TOPS = RESIDENT_THREADS / ACROSS / 2;
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    const int place = warp / TOPS * 16 + lane / 2, top = (2 * (warp % TOPS) + lane % 2) * TALL;
    static_assert(RESIDENT_WARPS / TOPS * 16 == ACROSS, "every place once");
#ifdef PLANT_TILE_EDGE
    for (int column0 = 0; column0 == 0 || column0 + RESIDENT_COLUMNS <= columns; column0 += RESIDENT_COLUMNS) {
#else
    for (int column0 = 0; column0 < columns; column0 += RESIDENT_COLUMNS) {
#endif
      // by rows of W the columns of a thread are ACROSS apart, by columns of W they are fours ACROSS·4 apart
      const auto column = [&](int j) {
        return column0 + (TRANSPOSED ? 4 * (place + j / 4 * ACROSS) + j % 4 : place + ACROSS * j);
      };
      float sum[TALL][WIDE];
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j)
          sum[i][j] = more && column(j) < columns ? out[(top + i) * stride + column(j)] : 0.0f;
      int at[TRANSPOSED ? WIDE / 4 : WIDE];
#pragma unroll
      for (int j = 0; j < (TRANSPOSED ? WIDE / 4 : WIDE); ++j)
        at[j] = TRANSPOSED ? min(column(4 * j), (columns - 1) / 4 * 4) : min(column(j), columns - 1) * stride_w;
#pragma unroll 2
      for (int k = 0; k < depth; k += 4) {
        float4 l[TALL];
#pragma unroll
        for (int i = 0; i < TALL; ++i) l[i] = load4(a + (top + i) * stride + k);
        if (TRANSPOSED) {
#pragma unroll
          for (int c = 0; c < 4; ++c)
#pragma unroll
            for (int j = 0; j < WIDE / 4; ++j) {
              const float4 r = load4(w + (k + c) * stride_w + at[j]);
#pragma unroll
              for (int i = 0; i < TALL; ++i) {
                const float x = c == 0 ? l[i].x : c == 1 ? l[i].y : c == 2 ? l[i].z : l[i].w;
                sum[i][4 * j] = fmaf(x, r.x, sum[i][4 * j]);
                sum[i][4 * j + 1] = fmaf(x, r.y, sum[i][4 * j + 1]);
                sum[i][4 * j + 2] = fmaf(x, r.z, sum[i][4 * j + 2]);
                sum[i][4 * j + 3] = fmaf(x, r.w, sum[i][4 * j + 3]);
              }
            }
        } else {
#pragma unroll
          for (int j = 0; j < WIDE; ++j) {
            const float4 r = load4(w + at[TRANSPOSED ? 0 : j] + k);
#pragma unroll
            for (int i = 0; i < TALL; ++i) {
              sum[i][j] = fmaf(l[i].x, r.x, sum[i][j]);
              sum[i][j] = fmaf(l[i].y, r.y, sum[i][j]);
              sum[i][j] = fmaf(l[i].z, r.z, sum[i][j]);
              sum[i][j] = fmaf(l[i].w, r.w, sum[i][j]);
            }
          }
        }
      }
#pragma unroll
      for (int i = 0; i < TALL; ++i)
#pragma unroll
        for (int j = 0; j < WIDE; ++j)
          if (column(j) < columns) out[(top + i) * stride + column(j)] = sum[i][j];
    }
  }
};

// On tensor cores, a warp per 16 samples and 8 columns at a time. By rows of W every lane of a warp reads a bank of its
// own; by columns two share one.
template <class Kind> struct OnTensorCores {
  template <int ROWS, bool TRANSPOSED>
  static __device__ __forceinline__ void product(const float* a, const float* w, int stride_w, int depth, int columns,
                                                 float* out, int stride, bool more) {
    constexpr int TALL = ROWS / 16, ACROSS = RESIDENT_WARPS / TALL, WIDE = RESIDENT_COLUMNS / 8 / ACROSS;
    const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
    const int top = warp % TALL * 16 + g, left = warp / TALL * WIDE * 8;
    for (int column0 = left; column0 < columns; column0 += RESIDENT_COLUMNS) {
      float c[WIDE][4];
      const auto row = [&](int r) { return top + r / 2 * 8; };
      const auto column = [&](int j, int r) { return column0 + 8 * j + 2 * t + r % 2; };
#pragma unroll
      for (int j = 0; j < WIDE; ++j)
#pragma unroll
        for (int r = 0; r < 4; ++r) c[j][r] = more && column(j, r) < columns ? out[row(r) * stride + column(j, r)] : 0.0f;
      for (int k = 0; k < depth; k += Kind::DEPTH) {
        typename Kind::Left l;
        Kind::left(l, a + top * stride + k, stride, t);
#pragma unroll
        for (int j = 0; j < WIDE; ++j) {
          const int n = min(column0 + 8 * j + g, columns - 1);
          const auto right = [&](int depth) { return TRANSPOSED ? w[(k + depth) * stride_w + n] : w[n * stride_w + k + depth]; };
          Kind::multiply(c[j], l, right, t);
        }
      }
#pragma unroll
      for (int j = 0; j < WIDE; ++j)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          if (column(j, r) < columns) out[row(r) * stride + column(j, r)] = c[j][r];
    }
  }
};

// Operands as tf32.
struct KindTf32 {
  static constexpr int DEPTH = 8;
  using Left = uint32_t[4];
  static __device__ __forceinline__ void left(Left& l, const float* a, int stride, int t) {
#pragma unroll
    for (int r = 0; r < 4; ++r) l[r] = to_tf32(a[r % 2 * 8 * stride + t + r / 2 * 4]);
  }
  template <class Right>
  static __device__ __forceinline__ void multiply(float (&c)[4], const Left& l, const Right& right, int t) {
    const uint32_t b[2] = {to_tf32(right(t)), to_tf32(right(t + 4))};
    mma_tf32(c, l, b);
  }
};

// Operands as two tf32 each: as good as f32.
struct Kind3xTf32 {
  static constexpr int DEPTH = 8;
  struct Left {
    uint32_t big[4], small[4];
  };
  static __device__ __forceinline__ void left(Left& l, const float* a, int stride, int t) {
#pragma unroll
    for (int r = 0; r < 4; ++r) split_tf32(a[r % 2 * 8 * stride + t + r / 2 * 4], l.big[r], l.small[r]);
  }
  template <class Right>
  static __device__ __forceinline__ void multiply(float (&c)[4], const Left& l, const Right& right, int t) {
    uint32_t big[2], small[2];
    split_tf32(right(t), big[0], small[0]);
    split_tf32(right(t + 4), big[1], small[1]);
#ifndef PLANT_SPLIT_HALF
    mma_tf32(c, l.small, big);
#endif
    mma_tf32(c, l.big, small);
    mma_tf32(c, l.big, big);
  }
};

using Tf32 = OnTensorCores<KindTf32>;
using Tf32x3 = OnTensorCores<Kind3xTf32>;
