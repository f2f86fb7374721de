// Dense layers in f32 or f64: activations, and tiles of matrix products through shared memory.
#pragma once

#include "compat.cuh"

// As `Activation` in src/stack.rs.
enum Act { IDENTITY = 0, TANH = 1, RELU = 2, GELU = 3 };

// Without a branch, so that several are in flight at once; within 3.5·10⁻⁷ of itself. Below 0.6 an odd polynomial, the best of its
// degree, 3·10⁻⁹ off before rounding; above, 1 − 2/(e^{2|z|} + 1), where nothing cancels any more.
__device__ __forceinline__ float tanh_of(float z) {
  const float size = fabsf(z), square = z * z;
  float part = fmaf(square, -5.895158394e-3f, 2.079597195e-2f);
#ifndef PLANT_TANH_TOO_SHORT
  part = fmaf(square, part, -5.378383037e-2f);
#endif
  part = fmaf(square, part, 1.333192413e-1f);
  part = fmaf(square, part, -3.333329800e-1f);
  const float near = fmaf(z * square, part, z);
  // the factor is 2/ln 2
  const float far = fmaf(-2.0f, reciprocal_near(exp2_near(2.885390082f * size) + 1.0f), 1.0f);
  return size < 0.6f ? near : copysignf(far, z);
}
__device__ __forceinline__ double tanh_of(double z) { return tanh(z); }
__device__ __forceinline__ float exp_of(float z) { return expf(z); }
__device__ __forceinline__ double exp_of(double z) { return exp(z); }
__device__ __forceinline__ float erf_of(float z) { return erff(z); }
__device__ __forceinline__ double erf_of(double z) { return erf(z); }
__device__ __forceinline__ float sqrt_of(float z) { return sqrtf(z); }
__device__ __forceinline__ double sqrt_of(double z) { return sqrt(z); }
__device__ __forceinline__ float abs_of(float z) { return fabsf(z); }
__device__ __forceinline__ double abs_of(double z) { return fabs(z); }
// a·b + c in one rounding.
__device__ __forceinline__ float fma_of(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fma_of(double a, double b, double c) { return fma(a, b, c); }

// Φ(z), the normal distribution function; the constant is √½.
template <class T> __device__ __forceinline__ T normal_cdf(T z) {
  return T(0.5) * (T(1) + erf_of(z * T(0.70710678118654752440)));
}

// φ(z).
template <class T> __device__ __forceinline__ T act(int kind, T z) {
  switch (kind) {
    case TANH: return tanh_of(z);
    case RELU: return z > T(0) ? z : T(0);
    case GELU: return z * normal_cdf(z);
    default: return z;
  }
}

// φ'(z), with φ'(0) = 0 for relu; the constant is 1/√(2π).
template <class T> __device__ __forceinline__ T act_slope(int kind, T z) {
  switch (kind) {
    case TANH: {
      const T a = tanh_of(z);
      return T(1) - a * a;
    }
    case RELU: return z > T(0) ? T(1) : T(0);
    case GELU: return normal_cdf(z) + z * T(0.39894228040143267794) * exp_of(T(-0.5) * z * z);
    default: return T(1);
  }
}

// φ'(z) read off a = φ(z) where that tells it.
template <class T> __device__ __forceinline__ T act_slope_from(int kind, T a, T z) {
  switch (kind) {
    case TANH: return T(1) - a * a;
    case RELU: return a > T(0) ? T(1) : T(0);
    case GELU: return act_slope(GELU, z);
    default: return T(1);
  }
}

// f(Kind<φ>{}) for φ = kind: what f does many times is compiled for every φ, and chosen once.
template <int KIND> struct Kind {
  static constexpr int value = KIND;
};
template <bool TRUTH> struct Truth {
  static constexpr bool value = TRUTH;
};
template <class F> __device__ __forceinline__ void with_kind(int kind, const F& f) {
  switch (kind) {
    case TANH: return f(Kind<TANH>{});
    case RELU: return f(Kind<RELU>{});
    case GELU: return f(Kind<GELU>{});
    default: return f(Kind<IDENTITY>{});
  }
}

// A tile of (16·PER)² results by 256 threads, PER² each, in steps of 64/PER along the depth of the product.
//
// A thread's results are rows row0 + tile_row<PER>() + i and columns column0 + tile_column() + 16·j: columns apart by
// 16 let the threads of a half-warp read neighbouring words of shared memory and write neighbouring results.
constexpr int TILE_THREADS = 256;

template <int PER> __device__ __forceinline__ int tile_row() { return int(threadIdx.x) / 16 * PER; }
__device__ __forceinline__ int tile_column() { return int(threadIdx.x) % 16; }

// sum[i][j] += Σ_k left(row, k) · right(k, column) for the tile at (row0, column0).
//
// `left` and `right` are called with any index up to the next multiple of the tile, and give 0 outside. LEFT_ALONG_K
// says that left(row, ·) is contiguous in k (a batch read by samples), otherwise in the row; RIGHT_ALONG_K the same of
// right(·, column) (a weight matrix read by rows). All threads of the block must call it; it ends with a barrier, so
// that it can be called again.
template <bool LEFT_ALONG_K, bool RIGHT_ALONG_K, class T, int PER, class Left, class Right>
__device__ __forceinline__ void tile_product(int depth, int row0, int column0, const Left& left, const Right& right,
                                             T (&sum)[PER][PER]) {
  constexpr int TILE = 16 * PER, STEP = 64 / PER;
  // one word more per row: threads that write down a column hit different banks
  using Side = T[STEP][TILE + 1];
  SHARED(Side, lefts);
  SHARED(Side, rights);
  const int thread = int(threadIdx.x);
  // Each thread brings the same few numbers of either side whatever the tile; those of the next step are on their way
  // from memory while this one is multiplied.
  constexpr int BRINGS = TILE * STEP / TILE_THREADS;
  T from_left[BRINGS], from_right[BRINGS];
  const auto bring = [&](int k0) {
#pragma unroll
    for (int n = 0; n < BRINGS; ++n) {
      const int i = thread + n * TILE_THREADS;
      from_left[n] = LEFT_ALONG_K ? left(row0 + i / STEP, k0 + i % STEP) : left(row0 + i % TILE, k0 + i / TILE);
      from_right[n] =
          RIGHT_ALONG_K ? right(k0 + i % STEP, column0 + i / STEP) : right(k0 + i / TILE, column0 + i % TILE);
    }
  };
  if (depth > 0) bring(0);
  for (int k0 = 0; k0 < depth; k0 += STEP) {
#pragma unroll
    for (int n = 0; n < BRINGS; ++n) {
      const int i = thread + n * TILE_THREADS;
      lefts[LEFT_ALONG_K ? i % STEP : i / TILE][LEFT_ALONG_K ? i / STEP : i % TILE] = from_left[n];
      rights[RIGHT_ALONG_K ? i % STEP : i / TILE][RIGHT_ALONG_K ? i / STEP : i % TILE] = from_right[n];
    }
#ifndef PLANT_DROP_SYNC_AFTER_LOAD
    __syncthreads();
#endif
#ifdef PLANT_BRING_THE_SAME
    if (k0 + STEP < depth) bring(k0);
#else
    if (k0 + STEP < depth) bring(k0 + STEP);
#endif
#pragma unroll
    for (int k = 0; k < STEP; ++k) {
      T l[PER], r[PER];
#pragma unroll
      for (int i = 0; i < PER; ++i) l[i] = lefts[k][tile_row<PER>() + i];
#pragma unroll
      for (int j = 0; j < PER; ++j) r[j] = rights[k][tile_column() + 16 * j];
#pragma unroll
      for (int i = 0; i < PER; ++i)
#pragma unroll
        for (int j = 0; j < PER; ++j) sum[i][j] = fma_of(l[i], r[j], sum[i][j]);
    }
#ifndef PLANT_DROP_SYNC
    __syncthreads();
#endif
  }
}
