// What every kernel file includes: one vocabulary for GPUs and the emulator.
//
//   KERNEL(name, threads, Params, p) { ... }   a kernel of at most `threads` threads per block, one parameter struct
//   KERNEL_ALONE(...)                          the same for a kernel whose one resident block may use all registers of a
//                                              multiprocessor
//   ASIDE                                      a function that is called, not inlined
//   SHARED(float[8][33], tile);                shared memory of a fixed size
//   DYNAMIC_SHARED(float, ring);               shared memory whose size the launch gives
//   load4, store4, load2, store2               four floats at once, 16-byte aligned; two, 8-byte aligned
//   store_release, wait_at_least               flags between blocks
//   wait_or_time_out, any_timed_out            the same with a time limit
//   load_published, load_published4            values that another block of the same launch has written
//   exp2_near, reciprocal_near                 2^x and 1/x within two units of the last place
//   copy_async, copy_async_commit, copy_async_wait<N>
#pragma once

#include <stdint.h>

#ifdef PCNBENCH_EMU
#include "cuda_emu.h"

#define KERNEL(name, threads, Params, p)                                                             \
  static void name(const Params& p);                                                                 \
  static const emu::Kernel name##_kernel(PCNBENCH_EMU_VARIANT, #name, threads, sizeof(Params),       \
                                         [](const void* at) { name(*static_cast<const Params*>(at)); }); \
  static void name(const Params& p)

#define KERNEL_ALONE KERNEL

#define ASIDE inline

#define SHARED(type, name)                 \
  using name##_type = type;                \
  static char name##_key;                  \
  auto& name = *static_cast<name##_type*>( \
      ::emu::shared(&name##_key, sizeof(name##_type), ::emu::here(__FILE__, __LINE__)))

#define DYNAMIC_SHARED(type, name) \
  type* name = static_cast<type*>(::emu::dynamic_shared(alignof(type), ::emu::here(__FILE__, __LINE__)))

#else

#define KERNEL(name, threads, Params, p) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Params p)

#define KERNEL_ALONE(name, threads, Params, p) \
  extern "C" __global__ void __launch_bounds__(threads, 1) name(const __grid_constant__ Params p)

#define ASIDE static __device__ __noinline__

#define SHARED(type, name)  \
  using name##_type = type; \
  __shared__ __align__(128) name##_type name

#define DYNAMIC_SHARED(type, name)                               \
  extern __shared__ __align__(128) unsigned char dynamic_shared_[]; \
  type* name = reinterpret_cast<type*>(dynamic_shared_)

#endif

// --- vectors -----------------------------------------------------------------------------------------------

#ifdef PCNBENCH_EMU
inline float4 load4(const float* at, emu::Where w = emu::here()) {
  emu::check_aligned(at, 16, w);
  return {at[0], at[1], at[2], at[3]};
}
inline void store4(float* at, float4 v, emu::Where w = emu::here()) {
  emu::check_aligned(at, 16, w);
  at[0] = v.x, at[1] = v.y, at[2] = v.z, at[3] = v.w;
}
inline float2 load2(const float* at, emu::Where w = emu::here()) {
  emu::check_aligned(at, 8, w);
  return {at[0], at[1]};
}
inline void store2(float* at, float2 v, emu::Where w = emu::here()) {
  emu::check_aligned(at, 8, w);
  at[0] = v.x, at[1] = v.y;
}
#else
__device__ __forceinline__ float4 load4(const float* at) { return *reinterpret_cast<const float4*>(at); }
__device__ __forceinline__ void store4(float* at, float4 v) { *reinterpret_cast<float4*>(at) = v; }
__device__ __forceinline__ float2 load2(const float* at) { return *reinterpret_cast<const float2*>(at); }
__device__ __forceinline__ void store2(float* at, float2 v) { *reinterpret_cast<float2*>(at) = v; }
#endif

// --- flags between blocks ----------------------------------------------------------------------------------
//
// A thread that has read the stored value with `poll` and then passed `fence_acquire` sees everything that the other
// block wrote before its store_release. A poll alone orders nothing and costs no more than a load; an acquiring load
// would invalidate the L1 cache at every poll. A block puts __syncthreads() before the store and after the fence.

#ifdef PCNBENCH_EMU
inline uint32_t poll(const uint32_t* flag, emu::Where w = emu::here()) {
  emu::check_aligned(flag, sizeof *flag, w);
  emu::about_to_poll(flag, *flag, w);
  return *flag;
}
inline void store_release(uint32_t* flag, uint32_t value, emu::Where w = emu::here()) {
  emu::check_aligned(flag, sizeof *flag, w);
  *flag = value;
  emu::published(w);
}
inline void wait_at_least(const uint32_t* flag, uint32_t value, emu::Where w = emu::here()) {
  while (poll(flag, w) < value) {
  }
}
inline void fence_acquire() {}
#else
__device__ __forceinline__ uint32_t poll(const uint32_t* flag) {
  uint32_t value;
  asm volatile("ld.relaxed.gpu.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return value;
}
__device__ __forceinline__ void fence_acquire() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
__device__ __forceinline__ void store_release(uint32_t* flag, uint32_t value) {
  asm volatile("st.release.gpu.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}
__device__ __forceinline__ void wait_at_least(const uint32_t* flag, uint32_t value) {
  while (poll(flag) < value) {
  }
  fence_acquire();
}
#endif

// Nanoseconds since an arbitrary time. In the emulator time passes only while all threads poll without progress.
__device__ __forceinline__ uint64_t clock_ns() {
#ifdef PCNBENCH_EMU
  return emu::clock_ns();
#else
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
#endif
}

// Cycles of the multiprocessor since an arbitrary time. In the emulator a count of calls.
__device__ __forceinline__ unsigned long long clock_cycles() {
#ifdef PCNBENCH_EMU
  static thread_local unsigned long long calls = 0;
  return ++calls;
#else
  unsigned long long now;
  // memory accesses are not reordered across it; arithmetic may be
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(now)::"memory");
  return now;
#endif
}

// Whether the wait of any block has timed out.
__device__ __forceinline__ bool any_timed_out(const unsigned long long* timed_out) {
  return *static_cast<const volatile unsigned long long*>(timed_out) != 0;
}

// As wait_at_least, but for at most `patience` nanoseconds, and only until another block has timed out. On a timeout
// *timed_out, 0 before, becomes the complement of the least `mark` of all callers that have timed out, and the caller
// goes on without the flag. The clock and *timed_out are read once in POLLS polls: a timeout is noticed microseconds
// late, and a wait shorter than that costs nothing extra.
__device__ __forceinline__ void wait_or_time_out(const uint32_t* flag, uint32_t value, unsigned long long* timed_out,
                                             unsigned long long mark, uint64_t patience) {
  constexpr uint32_t POLLS = 64;
  uint64_t since = 0;
  for (uint32_t polls = 1; poll(flag) < value; ++polls) {
    if (polls % POLLS != 0) continue;
    const uint64_t now = clock_ns();
    if (since == 0) since = now;
    if (any_timed_out(timed_out) || now - since > patience) {
      atomicMax(timed_out, ~mark);
      return;
    }
  }
  fence_acquire();
}

// A value that another block has written in this launch, to be loaded after its flag. After the fence any load would be
// correct. This one can never become a non-coherent load, whatever the compiler infers about the pointer, and leaves
// nothing in L1.
#ifdef PCNBENCH_EMU
inline float load_published(const float* at) { return *at; }
inline float4 load_published4(const float* at, emu::Where w = emu::here()) { return load4(at, w); }
#else
__device__ __forceinline__ float load_published(const float* at) { return __ldcg(at); }
__device__ __forceinline__ float4 load_published4(const float* at) {
  return __ldcg(reinterpret_cast<const float4*>(at));
}
#endif

// --- arithmetic --------------------------------------------------------------------------------------------
//
// One instruction each; subnormal numbers are taken for zero.

#ifdef PCNBENCH_EMU
inline float exp2_near(float x) { return exp2f(x); }
inline float reciprocal_near(float x) { return 1.0f / x; }
#else
__device__ __forceinline__ float exp2_near(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}
__device__ __forceinline__ float reciprocal_near(float x) {
  float out;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}
#endif

// --- copies from global to shared memory that arrive later -------------------------------------------------
//
// copy_async<BYTES>(target, source, valid): BYTES is 4, 8 or 16, both addresses are multiples of it, and what lies
// beyond the first `valid` bytes becomes zero. A copy may be read by its own thread after copy_async_wait, by others
// after a barrier too.

#ifdef PCNBENCH_EMU
template <int BYTES>
void copy_async(void* target, const void* source, unsigned valid = BYTES, emu::Where w = emu::here()) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "what the instruction can do");
  emu::copy_async(target, source, BYTES, valid, w);
}
inline void copy_async_commit(emu::Where w = emu::here()) { emu::copy_async_commit(w); }
// Waits until at most the N newest groups are on their way.
template <int N> void copy_async_wait(emu::Where w = emu::here()) { emu::copy_async_wait(N, w); }
#else
template <int BYTES>
__device__ __forceinline__ void copy_async(void* target, const void* source, unsigned valid = BYTES) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "what the instruction can do");
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(target));
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(source), "n"(BYTES), "r"(valid)
               : "memory");
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most the N newest groups are on their way.
template <int N> __device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif
