// The part of the CUDA execution model that the kernels use, on a CPU, for tests.
//
// Every thread of a block is a fiber. A launch runs on one operating-system thread, in an order of threads and
// blocks that the caller chooses, so that a failure can be reproduced. A fiber runs until it waits for others: at a
// barrier, in a warp operation, polling a flag, or having published one. Compilers see plain pointers, so memory
// errors are for AddressSanitizer; wrong synchronisation shows as a wrong value in one of the orders, as poison
// (NaN) read from shared memory, or as a deadlock. Memory is sequentially consistent here: an order of loads and
// stores that only the weaker memory model of a GPU allows does not occur.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace emu {

// A line of a kernel, for messages. As a default argument `here()` is the line of the caller.
struct Where {
  const char* file;
  int line;
};
constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }

// What a running thread may ask about itself.
struct Self {
  uint3 thread, block;
  dim3 block_dim, grid_dim;
};
extern thread_local const Self* self;

// Ends the launch with an error that names block, thread and line.
[[noreturn]] void fail(Where where, const char* what);
// The same in two parts, for a message that is built at run time: a thread that never continues would not free the
// message on its stack.
void blame(Where where, const std::string& what);
[[noreturn]] void give_up();

// Waits for every thread of the block; returns the sum of what the threads contribute.
int barrier(int contribution, Where where, const char* name);

// Waits for every lane in `mask`. The last to arrive calls `combine` with the contribution of each lane (null outside
// the mask), then all continue. `name` identifies the operation: lanes of one operation must call the same one.
using Combine = void (*)(void* const lanes[32], uint32_t mask);
void warp(uint32_t mask, void* contribution, Combine combine, Where where, const char* name);
unsigned lane();

// Shared memory, the same for all threads of a block, poisoned with NaN when the block starts. `key` is the
// address of something that exists once per declaration.
void* shared(const void* key, size_t bytes, Where where);
void* dynamic_shared(size_t alignment, Where where);

// Flags between blocks: before an acquiring load, after a releasing store, around an atomic operation.
void about_to_poll(const void* address, uint64_t value, Where where);
void published(Where where);
// Nanoseconds that have passed because all threads only polled.
uint64_t clock_ns();

// Copies that arrive late: the target is poison until the copying thread has waited.
void copy_async(void* target, const void* source, unsigned bytes, unsigned valid, Where where);
void copy_async_commit(Where where);
void copy_async_wait(unsigned groups_left, Where where);

void check_aligned(const void* address, size_t bytes, Where where);

// Makes a kernel known under the name of the variant of its source that it was compiled from.
struct Kernel {
  Kernel(const char* variant, const char* name, unsigned most_threads, size_t params_bytes, void (*body)(const void*));
};

template <class T> uint64_t bits(T value) {
  static_assert(sizeof(T) <= 8, "warp operations move at most eight bytes");
  uint64_t out = 0;
  std::memcpy(&out, &value, sizeof value);
  return out;
}

template <class T> T from_bits(uint64_t value) {
  T out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

// One lane's part of a shuffle: its value, whose value it wants, and then that value.
struct Shuffle {
  uint64_t value;
  unsigned source;
  bool outside;
};
void shuffle(uint32_t mask, Shuffle& mine, Where where, const char* name);

template <class T>
T shuffle(uint32_t mask, T value, unsigned source, Where where, const char* name) {
  Shuffle mine{bits(value), source, false};
  shuffle(mask, mine, where, name);
  return from_bits<T>(mine.value);
}

uint32_t ballot(uint32_t mask, bool predicate, Where where, const char* name);

// Fibers of a launch do not overlap, so plain loads and stores are atomic.
template <class T, class F> T atomic(T* address, F&& change, Where where) {
  check_aligned(address, sizeof(T), where);
  const T old = *address;
  *address = change(old);
  published(where);
  return old;
}

}  // namespace emu

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define threadIdx (::emu::self->thread)
#define blockIdx (::emu::self->block)
#define blockDim (::emu::self->block_dim)
#define gridDim (::emu::self->grid_dim)
// Declared plainly, shared memory could be neither poisoned nor kept apart for blocks that are live together.
#define __shared__ _Pragma("GCC error \"declare shared memory with SHARED or DYNAMIC_SHARED\"")

constexpr int warpSize = 32;

inline void __syncthreads(emu::Where w = emu::here()) { emu::barrier(0, w, "__syncthreads"); }
inline int __syncthreads_count(int p, emu::Where w = emu::here()) {
  return emu::barrier(p != 0, w, "__syncthreads_count");
}
inline int __syncthreads_or(int p, emu::Where w = emu::here()) {
  return emu::barrier(p != 0, w, "__syncthreads_or") != 0;
}
inline int __syncthreads_and(int p, emu::Where w = emu::here()) {
  return emu::barrier(p == 0, w, "__syncthreads_and") == 0;
}
inline void __syncwarp(uint32_t mask = ~0u, emu::Where w = emu::here()) {
  emu::warp(mask, nullptr, [](void* const*, uint32_t) {}, w, "__syncwarp");
}
template <class T>
T __shfl_sync(uint32_t mask, T value, int source, int width = 32, emu::Where w = emu::here()) {
  const unsigned lane = emu::lane(), inside = unsigned(width) - 1;
  return emu::shuffle(mask, value, (lane & ~inside) | (unsigned(source) & inside), w, "__shfl_sync");
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, emu::Where w = emu::here()) {
  const unsigned lane = emu::lane(), from = lane ^ unsigned(bits), inside = unsigned(width) - 1;
  // a lane reads its own value where its partner is in a later segment
  return emu::shuffle(mask, value, (from & ~inside) > (lane & ~inside) ? lane : from, w, "__shfl_xor_sync");
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta, int width = 32, emu::Where w = emu::here()) {
  const unsigned lane = emu::lane(), inside = lane & (unsigned(width) - 1);
  return emu::shuffle(mask, value, inside + delta < unsigned(width) ? lane + delta : lane, w, "__shfl_down_sync");
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned delta, int width = 32, emu::Where w = emu::here()) {
  const unsigned lane = emu::lane(), inside = lane & (unsigned(width) - 1);
  return emu::shuffle(mask, value, inside >= delta ? lane - delta : lane, w, "__shfl_up_sync");
}
inline unsigned __ballot_sync(uint32_t mask, int p, emu::Where w = emu::here()) {
  return emu::ballot(mask, p != 0, w, "__ballot_sync");
}
inline int __any_sync(uint32_t mask, int p, emu::Where w = emu::here()) {
  return emu::ballot(mask, p != 0, w, "__any_sync") != 0;
}
inline int __all_sync(uint32_t mask, int p, emu::Where w = emu::here()) {
  return emu::ballot(mask, p == 0, w, "__all_sync") == 0;
}

// Fibers of a launch never overlap, so there is nothing to order.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {}

template <class T> T atomicAdd(T* at, T value, emu::Where w = emu::here()) {
  return emu::atomic(at, [=](T old) { return T(old + value); }, w);
}
template <class T> T atomicMax(T* at, T value, emu::Where w = emu::here()) {
  return emu::atomic(at, [=](T old) { return std::max(old, value); }, w);
}
template <class T> T atomicMin(T* at, T value, emu::Where w = emu::here()) {
  return emu::atomic(at, [=](T old) { return std::min(old, value); }, w);
}
template <class T> T atomicExch(T* at, T value, emu::Where w = emu::here()) {
  return emu::atomic(at, [=](T) { return value; }, w);
}
template <class T> T atomicCAS(T* at, T expected, T value, emu::Where w = emu::here()) {
  return emu::atomic(at, [=](T old) { return old == expected ? value : old; }, w);
}

template <class T> T __ldg(const T* at, emu::Where w = emu::here()) {
  emu::check_aligned(at, sizeof(T), w);
  return *at;
}
inline float __int_as_float(int bits) { return emu::from_bits<float>(unsigned(bits)); }
inline float __uint_as_float(unsigned bits) { return emu::from_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return unsigned(emu::bits(value)); }
inline int __float_as_int(float value) { return int(emu::bits(value)); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __expf(float x) { return expf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
using std::max;
using std::min;
