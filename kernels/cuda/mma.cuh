// Tensor cores, one warp at a time: D = A·B + C with f32 accumulation.
//
// With g = lane / 4 and t = lane % 4, a lane holds (row, column):
//
//   A 16×8   a[0] (g, t)       a[1] (g+8, t)       a[2] (g, t+4)       a[3] (g+8, t+4)
//   B 8×8    b[0] (t, g)       b[1] (t+4, g)
//   C 16×8   c[0] (g, 2t)      c[1] (g, 2t+1)      c[2] (g+8, 2t)      c[3] (g+8, 2t+1)
//
// The order of the sums inside one product is the hardware's; results may differ from the emulator's by rounding.
#pragma once

#include "compat.cuh"

// x with 10 bits of fraction, to nearest, ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float x) {
#ifdef PCNBENCH_EMU
  const uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & ~0x1fffu;
  return (bits + 0x1000u) & ~0x1fffu;
#else
  uint32_t out;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(x));
  return out;
#endif
}

// The same for an operand of a product, which ignores the bits beyond tf32, so they need not be cleared. Avoids the
// conversion of the instruction set, which takes seven instructions on some GPUs.
__device__ __forceinline__ uint32_t near_tf32(float x) {
#ifdef MUTANT_OPERAND_IS_CUT
  return __float_as_uint(x);
#else
  return x == x ? __float_as_uint(x) + 0x1000u : 0x7fffe000u;
#endif
}

// x = big + small up to 2⁻²¹ of x, in three instructions: big is cut, which leaves less than 2⁻¹⁰ of x, and small has
// half a unit added to it, which the multiplier, reading 10 bits of fraction, cuts again. Three products big·big +
// big·small + small·big then leave out 2⁻¹⁹ of a product at most: 2⁻²⁰ of small·small, and 2⁻²¹ of either operand. What
// is not finite stays so, an infinity perhaps as no number.
__device__ __forceinline__ void split_tf32(float x, uint32_t& big, uint32_t& small) {
  big = __float_as_uint(x) & ~0x1fffu;
  small = __float_as_uint(x - __uint_as_float(big));
#ifndef MUTANT_SMALL_IS_CUT
  small += 0x1000u;
#endif
}

// x with 7 bits of fraction, to nearest, ties to even.
__device__ __forceinline__ float to_bf16(float x) {
#ifdef PCNBENCH_EMU
  const uint32_t bits = __float_as_uint(x);
  if (x != x) return __uint_as_float(0x7fff0000u);
  return __uint_as_float((bits + 0x7fffu + (bits >> 16 & 1)) & ~0xffffu);
#else
  uint32_t out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(x), "f"(0.0f));
  return __uint_as_float(out & ~0xffffu);
#endif
}

#ifdef PCNBENCH_EMU
namespace mma_emu {

struct Fragments {
  const uint32_t *a, *b;
  float* c;
};

// The product of the operands in the registers of all lanes.
inline void product(void* const lanes[32], uint32_t) {
  constexpr int DEPTH = 8;
  float a[16][DEPTH], b[DEPTH][8];
  for (int l = 0; l < 32; ++l) {
    const auto& at = *static_cast<Fragments*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int r = 0; r < 4; ++r) {
      // the hardware ignores the bits beyond tf32
      a[g + r % 2 * 8][t + r / 2 * 4] = __uint_as_float(at.a[r] & ~0x1fffu);
      if (r < 2) b[t + r * 4][g] = __uint_as_float(at.b[r] & ~0x1fffu);
    }
  }
  for (int l = 0; l < 32; ++l) {
    float* c = static_cast<Fragments*>(lanes[l])->c;
    for (int r = 0; r < 4; ++r) {
      const int row = l / 4 + r / 2 * 8, column = l % 4 * 2 + r % 2;
      for (int k = 0; k < DEPTH; ++k) c[r] += a[row][k] * b[k][column];
    }
  }
}

}  // namespace mma_emu
#endif

// c += A·B, m16n8k8; operands as to_tf32, near_tf32 or split_tf32 give them. All 32 lanes take part.
#ifdef PCNBENCH_EMU
inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], emu::Where w = emu::here()) {
  mma_emu::Fragments mine{a, b, c};
  emu::warp(~0u, &mine, mma_emu::product, w, "mma_tf32");
}
#else
__device__ __forceinline__ void mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif
