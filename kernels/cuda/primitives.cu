// The building blocks of compat.cuh, mma.cuh and dense.cuh, each in the smallest kernel that uses it, so that the
// emulator can be compared with a GPU.
#include "dense.cuh"
#include "mma.cuh"

// As `PrimitiveParams` in src/primitives.rs.
struct PrimitiveParams {
  const float* a;
  const float* b;
  float* out;
  uint32_t* flags;
  int32_t n;
  int32_t steps;
};
static_assert(sizeof(PrimitiveParams) == 40 && offsetof(PrimitiveParams, n) == 32, "as in src/primitives.rs");

// out [16,8] += a [16,8] · b [8,8], every operand rounded to tf32. One warp.
KERNEL(primitive_mma_tf32, 32, PrimitiveParams, p) {
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4;
  uint32_t a[4], b[2];
  float c[4];
  for (int r = 0; r < 4; ++r) {
    a[r] = near_tf32(p.a[(g + r % 2 * 8) * 8 + t + r / 2 * 4]);
    c[r] = p.out[(g + r / 2 * 8) * 8 + 2 * t + r % 2];
  }
  for (int r = 0; r < 2; ++r) b[r] = to_tf32(p.b[(t + 4 * r) * 8 + g]);
  mma_tf32(c, a, b);
  for (int r = 0; r < 4; ++r) p.out[(g + r / 2 * 8) * 8 + 2 * t + r % 2] = c[r];
}

// The same product as good as f32: three products of split operands.
KERNEL(primitive_mma_3xtf32, 32, PrimitiveParams, p) {
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4;
  uint32_t big_a[4], small_a[4], big_b[2], small_b[2];
  float c[4];
  for (int r = 0; r < 4; ++r) {
    split_tf32(p.a[(g + r % 2 * 8) * 8 + t + r / 2 * 4], big_a[r], small_a[r]);
    c[r] = p.out[(g + r / 2 * 8) * 8 + 2 * t + r % 2];
  }
  for (int r = 0; r < 2; ++r) split_tf32(p.b[(t + 4 * r) * 8 + g], big_b[r], small_b[r]);
  mma_tf32(c, small_a, big_b);
  mma_tf32(c, big_a, small_b);
  mma_tf32(c, big_a, big_b);
  for (int r = 0; r < 4; ++r) p.out[(g + r / 2 * 8) * 8 + 2 * t + r % 2] = c[r];
}

// out[i] = a[n − 1 − i]: pieces of 128 floats go through a ring of two in shared memory, the next in flight while one
// is used, and are stored in reverse order. One block of 32 threads; `a` is 16-byte aligned, n any number.
KERNEL(primitive_copy_async, 32, PrimitiveParams, p) {
  DYNAMIC_SHARED(float, ring);
  const int lane = int(threadIdx.x), pieces = (p.n + 127) / 128;
  const auto fetch = [&](int piece) {
    const int from = piece * 128 + lane * 4;
    const int left = p.n - from;
    const unsigned valid = left >= 4 ? 16u : left > 0 ? unsigned(left) * 4u : 0u;
    // an address must be valid even if no byte is read from it
    copy_async<16>(ring + piece % 2 * 128 + lane * 4, p.a + (left > 0 ? from : 0), valid);
    copy_async_commit();
  };
  if (pieces > 0) fetch(0);
  for (int piece = 0; piece < pieces; ++piece) {
    if (piece + 1 < pieces) {
      fetch(piece + 1);
#ifdef MUTANT_WAIT_TOO_LITTLE
      copy_async_wait<2>();
#else
      copy_async_wait<1>();
#endif
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    // copies of other threads are visible after the barrier
    for (int i = 127 - lane; i >= 0; i -= 32) {
      const int at = piece * 128 + i;
      if (at < p.n) p.out[p.n - 1 - at] = ring[piece % 2 * 128 + i];
    }
#ifndef MUTANT_DROP_RING_SYNC
    __syncthreads();
#endif
  }
}

// Neighbours exchange values for `steps` steps without a barrier over the grid. Block i owns a row of n floats and
// makes row_i ← (row_{i−1} + row_{i+1})/2, with nothing beyond the ends; rows lie in out [2, blocks, n], those of step
// t in half t mod 2, the start in half 0. flags [blocks] start at 0; flags[i] = t says that row i of step t is there.
//
// No block overwrites what a neighbour still reads: step t+1 goes where step t−1 was, and both neighbours have
// announced step t, for which step t−1 was their last use. No block waits for ever, if all blocks are resident: the
// neighbours of the block that is furthest behind are not behind it, so it need not wait.
KERNEL(primitive_relay, 64, PrimitiveParams, p) {
  const int me = int(blockIdx.x), blocks = int(gridDim.x), thread = int(threadIdx.x);
  const int64_t half = int64_t(blocks) * p.n;
  for (int t = 0; t < p.steps; ++t) {
    if (thread == 0) {
      if (me > 0) wait_at_least(p.flags + me - 1, uint32_t(t));
#ifndef MUTANT_DROP_FLAG_WAIT
      if (me + 1 < blocks) wait_at_least(p.flags + me + 1, uint32_t(t));
#endif
    }
    __syncthreads();
    const float* from = p.out + t % 2 * half;
    float* to = p.out + (t + 1) % 2 * half + int64_t(me) * p.n;
#ifdef MUTANT_SWAP_FLAG
    if (thread == 0) store_release(p.flags + me, uint32_t(t) + 1);
#endif
    for (int i = thread; i < p.n; i += int(blockDim.x)) {
      const float left = me > 0 ? from[int64_t(me - 1) * p.n + i] : 0.0f;
      const float right = me + 1 < blocks ? from[int64_t(me + 1) * p.n + i] : 0.0f;
      to[i] = 0.5f * (left + right);
    }
    __syncthreads();
#ifndef MUTANT_SWAP_FLAG
    if (thread == 0) store_release(p.flags + me, uint32_t(t) + 1);
#endif
  }
}

// out[i], i < 6·32, from a [32]: its warp sum, the value of lane 5 of each group of 8, the value of the lane above, of
// the lane below, the number of positive values, the largest of the group of 16. One warp.
KERNEL(primitive_warp, 32, PrimitiveParams, p) {
  const int lane = int(threadIdx.x);
  const float mine = p.a[lane];
  float sum = mine, most = mine;
  for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
  for (int apart = 8; apart > 0; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart, 16));
  p.out[lane] = sum;
  p.out[32 + lane] = __shfl_sync(~0u, mine, 5, 8);
  p.out[64 + lane] = __shfl_down_sync(~0u, mine, 1);
  p.out[96 + lane] = __shfl_up_sync(~0u, mine, 1);
  p.out[128 + lane] = float(__popc(__ballot_sync(~0u, mine > 0.0f)));
  p.out[160 + lane] = most;
}

// flags[0] counts the threads whose a[i] is positive, flags[1] is the largest index among them; out[0] is the sum of
// four floats at a time, from the 16-byte aligned a [4·(n/4)], in an order that does not vary. Any grid.
KERNEL(primitive_atomic, 128, PrimitiveParams, p) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  const bool positive = i < p.n && __ldg(p.a + i) > 0.0f;
  const int count = __syncthreads_count(positive);
  if (threadIdx.x == 0) atomicAdd(p.flags, uint32_t(count));
  if (positive) atomicMax(p.flags + 1, uint32_t(i));
  if (i == 0) {
    float sum = 0.0f;
    for (int at = 0; at + 4 <= p.n; at += 4) {
      const float4 v = load4(p.a + at);
      sum += v.x + v.y + (v.z + v.w);
    }
    p.out[0] = sum;
  }
}

// out[i] = tanh a[i] in f32. Any grid.
KERNEL(primitive_tanh, 128, PrimitiveParams, p) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < p.n) p.out[i] = tanh_of(p.a[i]);
}
