// Activations in f32 and f64.
#pragma once

#include "compat.cuh"

// As `Activation` in src/layer.rs.
enum Act { IDENTITY = 0, TANH = 1, RELU = 2, GELU = 3 };

// Without a branch, so that several are in flight at once; relative error below 3.5·10⁻⁷. Below 0.6 an odd polynomial,
// the best of its degree, 3·10⁻⁹ off before rounding; above, 1 − 2/(e^{2|z|} + 1), where nothing cancels any more.
__device__ __forceinline__ float tanh_of(float z) {
  const float size = fabsf(z), square = z * z;
  float part = fmaf(square, -5.895158394e-3f, 2.079597195e-2f);
#ifndef MUTANT_TANH_TOO_SHORT
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

// φ'(z) computed from a = φ(z) where it follows from that.
template <class T> __device__ __forceinline__ T act_slope_from(int kind, T a, T z) {
  switch (kind) {
    case TANH: return T(1) - a * a;
    case RELU: return a > T(0) ? T(1) : T(0);
    case GELU: return act_slope(GELU, z);
    default: return T(1);
  }
}

// f(Kind<φ>{}) for φ = kind: f is compiled for every φ, and the branch is taken once, outside its loops.
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
