// Products of a persistent kernel, operands in shared memory and results in registers.
//
// result [ROWS, columns] = a [ROWS, depth] · W, where W(k, column) is w[column, k] or, TRANSPOSED, w[k, column]; a and
// w are zero from `depth` up to its multiple of 16. Results come in tiles of ROWS×128. Of each a thread has PIECES runs
// of RUN neighbouring columns, and Map says which: row(piece) of the tile, column(piece) of the whole. What lies beyond
// `columns` is multiplied with the last column, so that nothing is read beyond W; the caller must ignore these results.
#pragma once

#include "mma.cuh"
#include "resident.cuh"

// For each tile of results: loaded = before(map), which issues loads that are in flight while the tile is multiplied;
// then then(map, sum, loaded). Called by all threads, with barriers before and after.
template <int ROWS, bool TRANSPOSED, class Math, class Before, class Then>
__device__ __forceinline__ void product(const float* a, int stride, const float* w, int stride_w, int depth, int columns,
                                        const Before& before, const Then& then) {
#ifdef MUTANT_TILE_EDGE
  for (int column0 = 0; column0 == 0 || column0 + RESIDENT_COLUMNS <= columns; column0 += RESIDENT_COLUMNS) {
#else
  for (int column0 = 0; column0 < columns; column0 += RESIDENT_COLUMNS) {
#endif
    using Map = typename Math::template Map<ROWS, TRANSPOSED>;
    const Map map(column0);
    const auto loaded = before(map);
    float sum[Map::PIECES][Map::RUN] = {};
    Math::accumulate(map, a, stride, w, stride_w, depth, columns, sum);
    then(map, sum, loaded);
  }
}

// The elements of a thread: of a product, or of another array with the same map.
template <class Map> struct Runs {
  float x[Map::PIECES][Map::RUN];
};

// Some of a map's runs, from piece `from` on: sixteen elements, or all. Sixteen independent elements hide the latency
// of arithmetic and leave registers for the rest.
template <class Map> struct Part {
  static constexpr int RUN = Map::RUN, PIECES = Map::PIECES * RUN < 16 ? Map::PIECES : 16 / RUN;
  static_assert(Map::PIECES % PIECES == 0, "parts of one size");
  const Map& map;
  const int from;
  __device__ __forceinline__ int row(int piece) const { return map.row(from + piece); }
  __device__ __forceinline__ int column(int piece) const { return map.column(from + piece); }
};

// f(part) for part after part.
template <class Map, class F> __device__ __forceinline__ void each_part(const Map& map, const F& f) {
#pragma unroll
  for (int from = 0; from < Map::PIECES; from += Part<Map>::PIECES) f(Part<Map>{map, from});
}

// f(piece, place in it) for all elements, unrolled. f is for arithmetic alone: without a condition around it several
// elements are in flight at once, and elements beyond the columns cost no extra time.
template <class Map, class F> __device__ __forceinline__ void each_result(const Map&, const F& f) {
#pragma unroll
  for (int piece = 0; piece < Map::PIECES; ++piece)
#pragma unroll
    for (int r = 0; r < Map::RUN; ++r) f(piece, r);
}

// From and to a tile in shared memory, whose rows have space for columns up to a multiple of 16; zeros beyond.
template <class Map>
__device__ __forceinline__ Runs<Map> from_tile(const Map& map, int columns, const float* tile, int stride) {
  Runs<Map> runs = {};
#pragma unroll
  for (int piece = 0; piece < Map::PIECES; ++piece)
    if (map.column(piece) < padded(columns)) load_run(tile + map.row(piece) * stride + map.column(piece), runs.x[piece]);
  return runs;
}
template <class Map>
__device__ __forceinline__ void to_tile(const Map& map, int columns, float* tile, int stride,
                                        const float (&x)[Map::PIECES][Map::RUN]) {
#pragma unroll
  for (int piece = 0; piece < Map::PIECES; ++piece)
    if (map.column(piece) < padded(columns)) store_run(tile + map.row(piece) * stride + map.column(piece), x[piece]);
}

// From and to [rows, columns] at `of` in memory between blocks; zeros beyond.
template <bool TOGETHER, class Map>
__device__ __forceinline__ void from_memory_as(const Map& map, int rows, int columns, const float* of, Runs<Map>& runs) {
#pragma unroll
  for (int piece = 0; piece < Map::PIECES; ++piece) {
    const int row = map.row(piece), column = map.column(piece);
    const int left = row < rows ? columns - column : 0;
    load_published_run<TOGETHER>(of + int64_t(row) * columns + column, left, runs.x[piece]);
  }
}
template <class Map>
__device__ __forceinline__ Runs<Map> from_memory(const Map& map, int rows, int columns, const float* of) {
  Runs<Map> runs;
  if (Map::RUN == 4 && in_fours(of, columns, columns))
    from_memory_as<Map::RUN == 4>(map, rows, columns, of, runs);
  else
    from_memory_as<false>(map, rows, columns, of, runs);
  return runs;
}
template <bool TOGETHER, class Map>
__device__ __forceinline__ void to_memory_as(const Map& map, int rows, int columns, float* of,
                                             const float (&x)[Map::PIECES][Map::RUN]) {
#pragma unroll
  for (int piece = 0; piece < Map::PIECES; ++piece) {
    const int row = map.row(piece), column = map.column(piece);
    store_published_run<TOGETHER>(of + int64_t(row) * columns + column, row < rows ? columns - column : 0, x[piece]);
  }
}
template <class Map>
__device__ __forceinline__ void to_memory(const Map& map, int rows, int columns, float* of,
                                          const float (&x)[Map::PIECES][Map::RUN]) {
  if (Map::RUN == 4 && in_fours(of, columns, columns))
    to_memory_as<Map::RUN == 4>(map, rows, columns, of, x);
  else
    to_memory_as<false>(map, rows, columns, of, x);
}

// For products during which nothing is loaded.
struct Nothing {};
struct LoadNothing {
  template <class Map> __device__ __forceinline__ Nothing operator()(const Map&) const { return {}; }
};

// In f32 by fused multiply-adds. Sums run over k in order, as in tile.cuh.
struct F32 {
  // A weight as it is stored in shared memory.
  static __device__ __forceinline__ float held(float weight) { return weight; }

  // By rows of W the columns of a thread are ACROSS apart, by columns of W they are fours ACROSS·4 apart: either way
  // lanes of a warp that read along W with 16 bytes each have no bank conflicts.
  //
  // Even and odd lanes of a warp have other rows of a, pairs of lanes other columns of W: a warp reads 16 different
  // pieces of 16 bytes of W at once, 256 bytes, which shared memory gives in two cycles; 32 different pieces would take
  // four.
  template <int ROWS, bool BY_COLUMNS> struct Map {
    static constexpr bool TRANSPOSED = BY_COLUMNS;
    static constexpr int TALL = ROWS >= 32 ? 4 : 2, ACROSS = RESIDENT_THREADS / (ROWS / TALL);
    static constexpr int WIDE = RESIDENT_COLUMNS / ACROSS, TOPS = RESIDENT_THREADS / ACROSS / 2;
    static constexpr int RUN = TRANSPOSED ? 4 : 1, RUNS = WIDE / RUN, PIECES = TALL * RUNS;
    static_assert(WIDE % 4 == 0, "columns of a thread come in fours");
    static_assert(RESIDENT_WARPS / TOPS * 16 == ACROSS, "every place once");
    int top, left;

    __device__ __forceinline__ explicit Map(int column0) {
      const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
      top = (2 * (warp % TOPS) + lane % 2) * TALL;
      left = column0 + RUN * (warp / TOPS * 16 + lane / 2);
    }
    __device__ __forceinline__ int row(int piece) const { return top + piece / RUNS; }
    __device__ __forceinline__ int column(int piece) const { return left + piece % RUNS * ACROSS * RUN; }
  };

  template <class Map>
  static __device__ __forceinline__ void accumulate(const Map& map, const float* a, int stride, const float* w, int stride_w,
                                                    int depth, int columns, float (&sum)[Map::PIECES][Map::RUN]) {
    constexpr int TALL = Map::TALL, RUNS = Map::RUNS;
    int at[RUNS];
#pragma unroll
    for (int j = 0; j < RUNS; ++j)
      at[j] = Map::TRANSPOSED ? min(map.column(j), (columns - 1) / 4 * 4) : min(map.column(j), columns - 1) * stride_w;
#pragma unroll 2
    for (int k = 0; k < depth; k += 4) {
      float4 l[TALL];
#pragma unroll
      for (int i = 0; i < TALL; ++i) l[i] = load4(a + (map.top + i) * stride + k);
      if constexpr (Map::TRANSPOSED) {
#pragma unroll
        for (int c = 0; c < 4; ++c)
#pragma unroll
          for (int j = 0; j < RUNS; ++j) {
            const float4 r = load4(w + (k + c) * stride_w + at[j]);
#pragma unroll
            for (int i = 0; i < TALL; ++i) {
              const float x = c == 0 ? l[i].x : c == 1 ? l[i].y : c == 2 ? l[i].z : l[i].w;
              float(&s)[4] = sum[i * RUNS + j];
              s[0] = fmaf(x, r.x, s[0]);
              s[1] = fmaf(x, r.y, s[1]);
              s[2] = fmaf(x, r.z, s[2]);
              s[3] = fmaf(x, r.w, s[3]);
            }
          }
      } else {
#pragma unroll
        for (int j = 0; j < RUNS; ++j) {
          const float4 r = load4(w + at[j] + k);
#pragma unroll
          for (int i = 0; i < TALL; ++i) {
            float& s = sum[i * RUNS + j][0];
            s = fmaf(l[i].x, r.x, s);
            s = fmaf(l[i].y, r.y, s);
            s = fmaf(l[i].z, r.z, s);
            s = fmaf(l[i].w, r.w, s);
          }
        }
      }
    }
  }
};

// On tensor cores, a warp per 16 samples and 8 columns at a time.
template <class Kind> struct OnTensorCores {
  static __device__ __forceinline__ float held(float weight) { return Kind::held(weight); }

  // Rows of W begin 4 or 20 banks apart, an odd multiple of 4. By rows of W lanes (g, t) of a warp then read banks 4g +
  // t, all different. By columns they read banks 4t + n(g), or 20t + n(g): with n(g) = g two lanes would share one,
  // with four columns and the four 16 further on none do.
  template <int ROWS, bool BY_COLUMNS> struct Map {
    static constexpr bool TRANSPOSED = BY_COLUMNS;
    static constexpr int TALL = ROWS / 16, ACROSS = RESIDENT_WARPS / TALL, WIDE = RESIDENT_COLUMNS / 8 / ACROSS;
    static constexpr int RUN = 2, PIECES = 2 * WIDE;
    int top, column0, first, g, t;

    __device__ __forceinline__ explicit Map(int column0) : column0(column0) {
      const int warp = int(threadIdx.x) / 32;
      g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
      top = warp % TALL * 16 + g, first = warp / TALL * WIDE;
    }
    // Column `n` of eight, of the thread's eight number j.
    __device__ __forceinline__ int of_eight(int j, int n) const {
      const int eight = first + j;
      return column0 + (TRANSPOSED ? eight / 4 * 32 + eight % 4 * 4 + n % 4 + n / 4 * 16 : eight * 8 + n);
    }
    __device__ __forceinline__ int row(int piece) const { return top + piece % 2 * 8; }
#ifdef MUTANT_COLUMNS_IN_A_ROW
    __device__ __forceinline__ int column(int piece) const { return column0 + 8 * (first + piece / 2) + 2 * t; }
#else
    __device__ __forceinline__ int column(int piece) const { return of_eight(piece / 2, 2 * t); }
#endif
  };

  template <class Map>
  static __device__ __forceinline__ void accumulate(const Map& map, const float* a, int stride, const float* w, int stride_w,
                                                    int depth, int columns, float (&sum)[Map::PIECES][2]) {
    int at[Map::WIDE];
#pragma unroll
    for (int j = 0; j < Map::WIDE; ++j) at[j] = min(map.of_eight(j, map.g), columns - 1) * (Map::TRANSPOSED ? 1 : stride_w);
    for (int k = 0; k < depth; k += Kind::DEPTH) {
      typename Kind::Left l;
      Kind::left(l, a + map.top * stride + k, stride, map.t);
#pragma unroll
      for (int j = 0; j < Map::WIDE; ++j) {
        const auto right = [&](int depth) { return w[at[j] + (Map::TRANSPOSED ? (k + depth) * stride_w : k + depth)]; };
        float c[4] = {sum[2 * j][0], sum[2 * j][1], sum[2 * j + 1][0], sum[2 * j + 1][1]};
        Kind::multiply(c, l, right, map.t);
        sum[2 * j][0] = c[0], sum[2 * j][1] = c[1], sum[2 * j + 1][0] = c[2], sum[2 * j + 1][1] = c[3];
      }
    }
  }
};

// Operands as tf32: weights are rounded once, where they are loaded, the others here.
struct KindTf32 {
  static __device__ __forceinline__ float held(float weight) { return __uint_as_float(to_tf32(weight)); }
  static constexpr int DEPTH = 8;
  using Left = uint32_t[4];
  static __device__ __forceinline__ void left(Left& l, const float* a, int stride, int t) {
#pragma unroll
    for (int r = 0; r < 4; ++r) l[r] = near_tf32(a[r % 2 * 8 * stride + t + r / 2 * 4]);
  }
  template <class Right>
  static __device__ __forceinline__ void multiply(float (&c)[4], const Left& l, const Right& right, int t) {
    const uint32_t b[2] = {__float_as_uint(right(t)), __float_as_uint(right(t + 4))};
    mma_tf32(c, l, b);
  }
};

// Operands as two tf32 each: as good as f32.
struct Kind3xTf32 {
  static __device__ __forceinline__ float held(float weight) { return weight; }
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
#ifndef MUTANT_SPLIT_HALF
    mma_tf32(c, l.small, big);
#endif
    mma_tf32(c, l.big, small);
    mma_tf32(c, l.big, big);
  }
};

using Tf32 = OnTensorCores<KindTf32>;
using Tf32x3 = OnTensorCores<Kind3xTf32>;
