// What every kernel file begins with: the same words on a card and in the emulator.
//
//   KERNEL(name, threads, Params, p) { ... }   a kernel of at most `threads` threads per block, one parameter struct
//   KERNEL_ALONE(...)                          the same for one that may have all registers of a multiprocessor: because it has it
//                                              to itself, or because it would not do with fewer
//   ASIDE                                      a function that is called, not written out wherever it is used
//   SHARED(float[8][33], tile);                shared memory of a fixed size
//   DYNAMIC_SHARED(float, ring);               shared memory whose size the launch gives
//   load4, store4, load2, store2               four floats at once, 16-byte aligned; two, 8-byte aligned
//   store_release, wait_at_least               flags between blocks
//   wait_or_lose, lost_anyone                  the same with an end to waiting
//   load_told, load_told4                      what another block of the same launch has written
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
// All that a block wrote before store_release is seen by a thread that has read the stored value with `poll` and then gone
// through `fence_acquire`. A poll alone orders nothing, so that it costs no more than a load: one that acquires would empty
// the L1 cache every time. A block puts __syncthreads() before the store and after the fence.

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

// Nanoseconds since some time. In the emulator they pass only while all threads poll and nothing comes of it.
__device__ __forceinline__ uint64_t clock_ns() {
#ifdef PCNBENCH_EMU
  return emu::clock_ns();
#else
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
#endif
}

// Cycles of the multiprocessor since some time. In the emulator a count of calls.
__device__ __forceinline__ unsigned long long clock_cycles() {
#ifdef PCNBENCH_EMU
  static thread_local unsigned long long calls = 0;
  return ++calls;
#else
  unsigned long long now;
  // nothing that reads or writes memory passes it; arithmetic may
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(now)::"memory");
  return now;
#endif
}

// Whether a block has given up waiting.
__device__ __forceinline__ bool lost_anyone(const unsigned long long* lost) {
  return *static_cast<const volatile unsigned long long*>(lost) != 0;
}

// As wait_at_least, but for `patience` nanoseconds, or until another block has given up. Then *lost, 0 before, becomes
// the complement of the least `mark` of all callers that have timed out, and the caller goes on without the flag. It
// looks at the clock and at *lost once in POLLS polls: a caller that times out loses microseconds, one that need not
// wait loses nothing.
__device__ __forceinline__ void wait_or_lose(const uint32_t* flag, uint32_t value, unsigned long long* lost,
                                             unsigned long long mark, uint64_t patience) {
  constexpr uint32_t POLLS = 64;
  uint64_t since = 0;
  for (uint32_t polls = 1; poll(flag) < value; ++polls) {
    if (polls % POLLS != 0) continue;
    const uint64_t now = clock_ns();
    if (since == 0) since = now;
    if (lost_anyone(lost) || now - since > patience) {
      atomicMax(lost, ~mark);
      return;
    }
  }
  fence_acquire();
}

// What another block has written in this launch, after its flag. By the fence any load would do; this one says that
// it never is the non-coherent kind, whatever the compiler learns of the pointer, and that L1 keeps nothing of it.
#ifdef PCNBENCH_EMU
inline float load_told(const float* at) { return *at; }
inline float4 load_told4(const float* at, emu::Where w = emu::here()) { return load4(at, w); }
#else
__device__ __forceinline__ float load_told(const float* at) { return __ldcg(at); }
__device__ __forceinline__ float4 load_told4(const float* at) { return __ldcg(reinterpret_cast<const float4*>(at)); }
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
