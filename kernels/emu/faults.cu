// Kernels with deliberate errors, which the emulator must report. Never built for a GPU.
#include "mma.cuh"

struct FaultParams {
  float* data;
  uint32_t* flags;
};

KERNEL(fault_barrier_of_some, 64, FaultParams, p) {
  if (threadIdx.x < 40) __syncthreads();
  p.data[threadIdx.x] = 1.0f;
}

KERNEL(fault_two_barriers, 64, FaultParams, p) {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  p.data[threadIdx.x] = 1.0f;
}

KERNEL(fault_flag_never_set, 64, FaultParams, p) {
  if (threadIdx.x == 0) wait_at_least(p.flags, 7);
  __syncthreads();
}

// Every block waits for the next one: correct if all run together, a deadlock one by one.
KERNEL(fault_needs_cooperation, 32, FaultParams, p) {
  if (threadIdx.x == 0) {
    store_release(p.flags + blockIdx.x, 1);
    wait_at_least(p.flags + (blockIdx.x + 1) % gridDim.x, 1);
  }
}

KERNEL(fault_lane_left_out, 32, FaultParams, p) {
  float value = float(threadIdx.x);
  if (threadIdx.x < 16) value = __shfl_xor_sync(~0u, value, 1);
  p.data[threadIdx.x] = value;
}

KERNEL(fault_masks_disagree, 32, FaultParams, p) {
  p.data[threadIdx.x] = __shfl_sync(threadIdx.x < 16 ? 0xffffu : ~0u, float(threadIdx.x), 0);
}

KERNEL(fault_reads_outside_mask, 32, FaultParams, p) {
  if (threadIdx.x < 16) p.data[threadIdx.x] = __shfl_sync(0xffffu, float(threadIdx.x), 20);
}

KERNEL(fault_misaligned, 32, FaultParams, p) {
  const float4 v = load4(p.data + 1);
  store4(p.data, v);
}

KERNEL(fault_copy_not_awaited, 32, FaultParams, p) {
  SHARED(float[32][4], to);
  copy_async<16>(to[threadIdx.x], p.data + 4 * threadIdx.x);
  copy_async_commit();
}

// A value that is read before it is written must be NaN.
KERNEL(fault_reads_poison, 32, FaultParams, p) {
  SHARED(float[32], fixed);
  DYNAMIC_SHARED(float, given);
  p.data[threadIdx.x] = fixed[threadIdx.x];
  p.data[32 + threadIdx.x] = given[threadIdx.x];
  __syncthreads();
  fixed[threadIdx.x] = given[threadIdx.x] = 1.0f;
}

KERNEL(fault_deep_recursion, 32, FaultParams, p) {
  struct Deep {
    static float down(volatile float* at, int n) {
      volatile float here[256];
      for (int i = 0; i < 256; ++i) here[i] = float(n);
      return n == 0 ? here[0] : here[n % 256] + down(here, n - 1) + at[0];
    }
  };
  volatile float start[1] = {0.0f};
  if (threadIdx.x == 31) p.data[0] = Deep::down(start, 66);
}

// For AddressSanitizer: one float too far, in shared memory of either kind and in global memory.
KERNEL(fault_past_fixed, 32, FaultParams, p) {
  SHARED(float[32], fixed);
  fixed[threadIdx.x + p.flags[0]] = 1.0f;
  p.data[threadIdx.x] = fixed[threadIdx.x];
}
KERNEL(fault_past_given, 32, FaultParams, p) {
  DYNAMIC_SHARED(float, given);
  given[threadIdx.x + p.flags[0]] = 1.0f;
  p.data[threadIdx.x] = given[threadIdx.x];
}
KERNEL(fault_past_global, 32, FaultParams, p) { p.data[threadIdx.x + p.flags[0]] = 1.0f; }
