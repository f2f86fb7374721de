// Neighbours of a row that a thread reads, computes and writes together.
#pragma once

#include "dense.cuh"

// N neighbours of a row, in registers. Arithmetic on them is element by element: written out N times, so that several
// are in flight at once, with an activation chosen once for all.
template <class T, int N> struct Pack {
  static constexpr int SIZE = N;
  T x[N];
};
template <class T, int N, class F> __device__ __forceinline__ Pack<T, N> each_of(const F& f) {
  Pack<T, N> result;
#pragma unroll
  for (int r = 0; r < N; ++r) result.x[r] = f(r);
  return result;
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> operator+(const Pack<T, N>& a, const Pack<T, N>& b) {
  return each_of<T, N>([&](int r) { return a.x[r] + b.x[r]; });
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> operator-(const Pack<T, N>& a, const Pack<T, N>& b) {
  return each_of<T, N>([&](int r) { return a.x[r] - b.x[r]; });
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> operator*(const Pack<T, N>& a, const Pack<T, N>& b) {
  return each_of<T, N>([&](int r) { return a.x[r] * b.x[r]; });
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> operator*(T a, const Pack<T, N>& b) {
  return each_of<T, N>([&](int r) { return a * b.x[r]; });
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> fma_of(T a, const Pack<T, N>& b, const Pack<T, N>& c) {
  return each_of<T, N>([&](int r) { return fma_of(a, b.x[r], c.x[r]); });
}
template <class T, int N> __device__ __forceinline__ Pack<T, N> act(int kind, const Pack<T, N>& z) {
  switch (kind) {
    case TANH: return each_of<T, N>([&](int r) { return act(TANH, z.x[r]); });
    case RELU: return each_of<T, N>([&](int r) { return act(RELU, z.x[r]); });
    case GELU: return each_of<T, N>([&](int r) { return act(GELU, z.x[r]); });
    default: return z;
  }
}
template <class T, int N>
__device__ __forceinline__ Pack<T, N> act_slope_from(int kind, const Pack<T, N>& a, const Pack<T, N>& z) {
  switch (kind) {
    case TANH: return each_of<T, N>([&](int r) { return act_slope_from(TANH, a.x[r], z.x[r]); });
    case RELU: return each_of<T, N>([&](int r) { return act_slope_from(RELU, a.x[r], z.x[r]); });
    case GELU: return each_of<T, N>([&](int r) { return act_slope_from(GELU, a.x[r], z.x[r]); });
    default: return each_of<T, N>([&](int) { return T(1); });
  }
}

// N neighbours at once, the first at a multiple of their size or of 16 bytes.
template <int N> __device__ __forceinline__ void load_run(const float* at, float (&x)[N]) {
  if constexpr (N == 4) {
    const float4 all = load4(at);
    x[0] = all.x, x[1] = all.y, x[2] = all.z, x[3] = all.w;
  } else if constexpr (N == 2) {
    const float2 both = load2(at);
    x[0] = both.x, x[1] = both.y;
  } else {
    x[0] = *at;
  }
}
template <int N> __device__ __forceinline__ void store_run(float* at, const float (&x)[N]) {
  if constexpr (N == 4) {
    store4(at, {x[0], x[1], x[2], x[3]});
  } else if constexpr (N == 2) {
    store2(at, {x[0], x[1]});
  } else {
    *at = x[0];
  }
}
// One by one: f64 is for comparison, not for speed.
template <int N> __device__ __forceinline__ void load_run(const double* at, double (&x)[N]) {
#pragma unroll
  for (int r = 0; r < N; ++r) x[r] = at[r];
}
template <int N> __device__ __forceinline__ void store_run(double* at, const double (&x)[N]) {
#pragma unroll
  for (int r = 0; r < N; ++r) at[r] = x[r];
}

// Whether rows of `columns` numbers, `apart` numbers from one to the next, the first at row0, can be read and written
// in aligned fours.
template <class T> __device__ __forceinline__ bool in_fours(const T* row0, int columns, int apart) {
#ifdef MUTANT_ASSUME_FOURS
  return columns > 0 && apart > 0 && row0;
#else
  return columns % 4 == 0 && apart % 4 == 0 && reinterpret_cast<uintptr_t>(row0) % 16 == 0;
#endif
}

// How a thread reads and writes N neighbours of a row: at once, or those `left` that the row still has.
struct Access {
  bool together;
  int left;

  template <int N, class T> __device__ __forceinline__ Pack<T, N> load(const T* at) const {
    if (together) {
      Pack<T, N> pack;
      load_run(at, pack.x);
      return pack;
    }
    return each_of<T, N>([&](int r) { return r < left ? at[r] : T(0); });
  }
  template <class T, int N> __device__ __forceinline__ void store(T* at, const Pack<T, N>& pack) const {
    if (together) return store_run(at, pack.x);
#pragma unroll
    for (int r = 0; r < N; ++r)
#ifdef MUTANT_STORE_ONE_LESS
      if (r + 1 < left) at[r] = pack.x[r];
#else
      if (r < left) at[r] = pack.x[r];
#endif
  }
};
