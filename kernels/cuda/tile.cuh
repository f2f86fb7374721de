// Tiles of matrix products through shared memory, on the multipliers of f32 or f64.
#pragma once

#include "mma.cuh"
#include "pack.cuh"

// As `rounded` in src/math_mode.rs: an operand as a product reads it. These multipliers are no faster on rounded
// operands; rounding is for equal results, not for speed.
enum MathMode { MATH_TF32 = 2, MATH_BF16 = 3 };
__device__ __forceinline__ double as_operand(int, double x) { return x; }
__device__ __forceinline__ float as_operand(int math, float x) {
#ifdef MUTANT_NOT_ROUNDED
  if (math == MATH_TF32) return x;
#else
  if (math == MATH_TF32) return __uint_as_float(to_tf32(x));
#endif
  if (math == MATH_BF16) return to_bf16(x);
  return x;
}

// An operand of a product: [rows, columns] at `of`, row after row, with zeros outside, each number read as `math` says.
template <class T> struct Matrix {
  const T* of;
  int rows, columns, math;
  bool fours;

  __device__ __forceinline__ Matrix(const T* of, int rows, int columns, int math)
      : of(of), rows(rows), columns(columns), math(math), fours(in_fours(of, columns, columns)) {}

  // Columns column..column+4 of a row.
  __device__ __forceinline__ Pack<T, 4> four(int row, int column) const {
#ifdef MUTANT_READ_PAST_EDGE
    const bool inside = column < columns;
#else
    const bool inside = row < rows && column < columns;
#endif
#ifdef MUTANT_LAST_COLUMN
    const int left = inside ? columns - 1 - column : 0;
#else
    const int left = inside ? columns - column : 0;
#endif
    if (left <= 0) return {};
    const auto read = Access{fours, left}.template load<4>(of + int64_t(row) * columns + column);
    return each_of<T, 4>([&](int r) { return as_operand(math, read.x[r]); });
  }
};

// A tile of (16·PER)² results by 256 threads in steps of 64/PER along the depth of the product.
//
// A thread has a square of PER rows from row0 + tile_row<PER>() and PER columns from column0 + tile_column<PER>(). The
// squares of a warp lie 4 by 8: what it reads of one step along the depth are 4 and 8 packs, both without conflicts
// between banks, and what it writes of a row are whole sectors of 32 bytes.
constexpr int TILE_THREADS = 256;

template <int PER> __device__ __forceinline__ int tile_row() {
  return (int(threadIdx.x) / 64 * 4 + int(threadIdx.x) % 32 / 8) * PER;
}
template <int PER> __device__ __forceinline__ int tile_column() {
  return (int(threadIdx.x) / 32 % 2 * 8 + int(threadIdx.x) % 8) * PER;
}

// One side of a tile as products read it: number `line` of step k at [k][line]. Each thread loads four numbers of each
// step.
//
// ALONG: rows of the matrix are lines, so that four neighbours are of four steps; a warp loads 16 lines by 8 steps,
// whole sectors of 32 bytes, and stores them without conflicts between banks, as four rows are 16 banks apart. Else
// columns are lines, and four neighbours are of four lines.
template <class T, int PER, bool ALONG> struct Side {
  static constexpr int TILE = 16 * PER, STEP = 64 / PER;
  // rows begin at multiples of 16 bytes
  using Memory = T[STEP][TILE + 4];
  int line, k;

  __device__ __forceinline__ Side() {
    const int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
    constexpr int LINES = TILE / (ALONG ? 16 : 4);
    line = ALONG ? warp % LINES * 16 + lane % 16 : thread % LINES * 4;
    k = ALONG ? warp / LINES * 8 + lane / 16 * 4 : thread / LINES;
  }
  __device__ __forceinline__ Pack<T, 4> load(const Matrix<T>& from, int line0, int k0) const {
    return ALONG ? from.four(line0 + line, k0 + k) : from.four(k0 + k, line0 + line);
  }
  __device__ __forceinline__ void store(Memory& memory, const Pack<T, 4>& four) const {
    if constexpr (ALONG) {
#pragma unroll
      for (int r = 0; r < 4; ++r) memory[k + r][line] = four.x[r];
    } else {
      store_run(&memory[k][line], four.x);
    }
  }
};

// sum[i][j] += Σ_k left(row, k) · right(k, column) for the tile at (row0, column0), in the order of k.
//
// LEFT_ALONG says that the left matrix is [rows of the result, depth] (a batch), else [depth, rows]; RIGHT_ALONG that
// the right one is [columns, depth] (weights that predict), else [depth, columns]. All threads of the block must call
// it; it ends with a barrier, so that it can be called again.
template <bool LEFT_ALONG, bool RIGHT_ALONG, class T, int PER>
__device__ __forceinline__ void tile_product(int depth, int row0, int column0, const Matrix<T>& left, const Matrix<T>& right,
                                             T (&sum)[PER][PER]) {
  using Left = Side<T, PER, LEFT_ALONG>;
  using Right = Side<T, PER, RIGHT_ALONG>;
  using LeftMemory = typename Left::Memory;
  using RightMemory = typename Right::Memory;
  SHARED(LeftMemory, lefts);
  SHARED(RightMemory, rights);
  const Left of_left;
  const Right of_right;
  Pack<T, 4> from_left = {}, from_right = {};
  // loads of the next step are in flight while this step is multiplied
  const auto load = [&](int k0) {
    from_left = of_left.load(left, row0, k0);
    from_right = of_right.load(right, column0, k0);
  };
  if (depth > 0) load(0);
  for (int k0 = 0; k0 < depth; k0 += Left::STEP) {
    of_left.store(lefts, from_left);
    of_right.store(rights, from_right);
#ifndef MUTANT_DROP_SYNC_AFTER_LOAD
    __syncthreads();
#endif
#ifdef MUTANT_LOAD_SAME_STEP
    if (k0 + Left::STEP < depth) load(k0);
#else
    if (k0 + Left::STEP < depth) load(k0 + Left::STEP);
#endif
#pragma unroll
    for (int k = 0; k < Left::STEP; ++k) {
      T l[PER], r[PER];
      load_run(&lefts[k][tile_row<PER>()], l);
      load_run(&rights[k][tile_column<PER>()], r);
#pragma unroll
      for (int i = 0; i < PER; ++i)
#pragma unroll
        for (int j = 0; j < PER; ++j) sum[i][j] = fma_of(l[i], r[j], sum[i][j]);
    }
#ifndef MUTANT_DROP_SYNC
    __syncthreads();
#endif
  }
}

// f(i, column, left, x) for the runs x of a thread's results: neighbours in a row of [rows, columns], the first at
// element i and in this column, of which there are `left` from there on.
template <class T, int PER, class F>
__device__ __forceinline__ void each_run(const T (&sum)[PER][PER], int row0, int column0, int rows, int columns, const F& f) {
  // an epilogue over four numbers of f64 at a time would need more registers than a thread has
  constexpr int RUN = sizeof(T) == 8 && PER == 4 ? 2 : PER;
#pragma unroll
  for (int i = 0; i < PER; ++i) {
    const int row = row0 + tile_row<PER>() + i;
    if (row >= rows) break;
#pragma unroll
    for (int j = 0; j < PER; j += RUN) {
      const int column = column0 + tile_column<PER>() + j;
      if (column >= columns) break;
      f(int64_t(row) * columns + column, column, columns - column, each_of<T, RUN>([&](int r) { return sum[i][j + r]; }));
    }
  }
}
