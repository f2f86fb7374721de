// Dense layers in f32: activations, and tiles of matrix products through shared memory.
#pragma once

#include "compat.cuh"

// As `Act` in src/step.rs.
enum Act { IDENTITY = 0, TANH = 1, RELU = 2, GELU = 3 };

// φ(z).
__device__ __forceinline__ float act(int kind, float z) {
  switch (kind) {
    case TANH: return tanhf(z);
    case RELU: return fmaxf(z, 0.0f);
    case GELU: return 0.5f * z * (1.0f + erff(z * 0.70710678118654752f));
    default: return z;
  }
}

// φ'(z), with φ'(0) = 0 for relu.
__device__ __forceinline__ float act_slope(int kind, float z) {
  switch (kind) {
    case TANH: {
      const float a = tanhf(z);
      return 1.0f - a * a;
    }
    case RELU: return z > 0.0f ? 1.0f : 0.0f;
    case GELU:
      // Φ(z) + z·φ_normal(z); the constant is 1/√(2π)
      return 0.5f * (1.0f + erff(z * 0.70710678118654752f)) + z * 0.39894228040143268f * expf(-0.5f * z * z);
    default: return 1.0f;
  }
}

// A tile of 64×64 results by 256 threads, 4×4 each, in steps of 16 along the depth of the product.
//
// A thread's results are rows row0 + tile_row() + i and columns column0 + tile_column() + 16·j: columns apart by 16
// let the threads of a half-warp read neighbouring words of shared memory and write neighbouring results.
constexpr int TILE = 64, TILE_DEPTH = 16, TILE_THREADS = 256, PER_THREAD = 4;

__device__ __forceinline__ int tile_row() { return int(threadIdx.x) / 16 * PER_THREAD; }
__device__ __forceinline__ int tile_column() { return int(threadIdx.x) % 16; }

// sum[i][j] += Σ_k left(row, k) · right(k, column) for the tile at (row0, column0).
//
// `left` and `right` are called with any index up to the next multiple of the tile, and give 0 outside. RIGHT_ALONG_K
// says that right(k, ·) is contiguous in k (a weight matrix read by rows), otherwise in the column. All threads of the
// block must call it; it ends with a barrier, so that it can be called again.
template <bool RIGHT_ALONG_K, class Left, class Right>
__device__ __forceinline__ void tile_product(int depth, int row0, int column0, const Left& left, const Right& right,
                                             float (&sum)[PER_THREAD][PER_THREAD]) {
  // one word more per row: threads that write down a column hit different banks
  SHARED(float[TILE_DEPTH][TILE + 1], lefts);
  SHARED(float[TILE_DEPTH][TILE + 1], rights);
  const int thread = int(threadIdx.x);
  for (int k0 = 0; k0 < depth; k0 += TILE_DEPTH) {
#pragma unroll
    for (int i = thread; i < TILE * TILE_DEPTH; i += TILE_THREADS) {
      const int k = i % TILE_DEPTH, at = i / TILE_DEPTH;
      lefts[k][at] = left(row0 + at, k0 + k);
      if (RIGHT_ALONG_K) {
        rights[k][at] = right(k0 + k, column0 + at);
      } else {
        rights[i / TILE][i % TILE] = right(k0 + i / TILE, column0 + i % TILE);
      }
    }
#ifndef PLANT_DROP_SYNC_AFTER_LOAD
    __syncthreads();
#endif
#pragma unroll
    for (int k = 0; k < TILE_DEPTH; ++k) {
      float l[PER_THREAD], r[PER_THREAD];
#pragma unroll
      for (int i = 0; i < PER_THREAD; ++i) l[i] = lefts[k][tile_row() + i];
#pragma unroll
      for (int j = 0; j < PER_THREAD; ++j) r[j] = rights[k][tile_column() + 16 * j];
#pragma unroll
      for (int i = 0; i < PER_THREAD; ++i)
#pragma unroll
        for (int j = 0; j < PER_THREAD; ++j) sum[i][j] = fmaf(l[i], r[j], sum[i][j]);
    }
#ifndef PLANT_DROP_SYNC
    __syncthreads();
#endif
  }
}
