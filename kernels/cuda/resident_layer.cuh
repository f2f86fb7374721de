// One layer on one tile of the batch inside a persistent kernel, and how blocks publish values to one another.
//
// `each` gives an element to the same thread in every pass, so passes need no barrier between them. A product assigns
// elements to threads in another way, so a barrier is needed before and after it.
#pragma once

#include "resident_product.cuh"

// An item, with its tiles in shared memory.
struct Item {
  int index, tile;  // layer from 0; tile of the batch
  int rows;         // samples of the tile that exist
  int64_t row0;     // the first
  ResidentRow layer;
  int stride;
  float *v, *p, *m, *d;
  const float* w;

  __device__ __forceinline__ int64_t below(int row, int column) const {
    return layer.below + (row0 + row) * layer.inputs + column;
  }
  __device__ __forceinline__ int64_t own(int row, int column) const {
    return layer.own + (row0 + row) * layer.outputs + column;
  }
  __device__ __forceinline__ int at(int row, int column) const { return row * stride + column; }
};

// The items of a block.
template <int ROWS, class Math> struct Share {
  int first, end, replica;
  float* memory;

  __device__ __forceinline__ Share(const PersistentParams& p, float* shared) : memory(shared) {
    first = int(blockIdx.x) % p.stages * p.per_block;
    end = min(first + p.per_block, p.depth);
    replica = int(blockIdx.x) / p.stages;
    for (int index = first; index < end; ++index) {
      const ResidentRow layer = row_of(p, index);
      // W_1 is streamed when it is needed
      if (index > 0) load_weights<Math>(p, layer, memory, 0);
#ifdef MUTANT_BIAS_OF_FIRST_LAYER
      const int64_t bias = row_of(p, first).bias;
#else
      const int64_t bias = layer.bias;
#endif
      for (int j = int(threadIdx.x); j < padded(layer.outputs); j += RESIDENT_THREADS)
        memory[layer.held + held_bias(layer.held_columns, j)] = bias >= 0 && j < layer.outputs ? p.theta[bias + j] : 0.0f;
    }
    __syncthreads();
  }

  __device__ __forceinline__ Item item(const PersistentParams& p, int index, int tile) const {
    Item it;
    it.index = index, it.tile = tile;
    it.row0 = int64_t(tile) * ROWS;
#ifdef MUTANT_LAST_SAMPLE
    it.rows = min(ROWS, p.batch - tile * ROWS - 1);
#else
    it.rows = min(ROWS, p.batch - tile * ROWS);
#endif
    it.layer = row_of(p, index);
    it.w = memory + it.layer.held;
    it.stride = p.stride;
    const int slot = p.resident ? tile / p.replicas * p.per_block + index - first : 0;
    const int area = ROWS * p.stride;
    it.v = memory + p.tiles_at + slot * 4 * area;
    it.p = it.v + area, it.m = it.p + area, it.d = it.m + area;
    return it;
  }

  // f(item) for tile after tile, layers upwards or downwards.
  template <class F> __device__ __forceinline__ void upwards(const PersistentParams& p, const F& f) const {
    for (int tile = replica; tile < p.tiles; tile += p.replicas)
      for (int index = first; index < end; ++index) f(item(p, index, tile));
  }
  template <class F> __device__ __forceinline__ void downwards(const PersistentParams& p, const F& f) const {
    for (int tile = replica; tile < p.tiles; tile += p.replicas)
      for (int index = end - 1; index >= first; --index) f(item(p, index, tile));
  }
};

__device__ __forceinline__ uint32_t* up_flag(const PersistentParams& p, int index, int tile) {
  return p.flags + int64_t(index) * p.tiles + tile;
}
__device__ __forceinline__ uint32_t* down_flag(const PersistentParams& p, int index, int tile) {
  return p.flags + int64_t(p.depth + index) * p.tiles + tile;
}

// Sets a flag. A block that sees the flag also sees everything that this block has written before.
__device__ __forceinline__ void publish(uint32_t* flag, uint32_t value) {
#ifndef MUTANT_DROP_PUBLISH_SYNC
  __syncthreads();
#endif
  if (threadIdx.x == 0) store_release(flag, value);
}

// Waits for a flag, on one thread; a barrier must follow. `when` is the caller's turn; `order` numbers the flags of one
// turn in the order in which they are set. The least (when, order) of all timeouts names the flag that all other blocks
// wait for, directly or not (src/persistent/watchdog.rs).
__device__ __forceinline__ void await(const PersistentParams& p, const uint32_t* flag, uint32_t value, uint32_t when,
                                      uint32_t order) {
#ifdef MUTANT_WAIT_FOR_STEP_BEFORE
  value -= 1;
#endif
  wait_or_time_out(flag, value, p.timed_out, (unsigned long long)(when) << 32 | order, uint64_t(p.patience));
}
// Waits until layer `index` has published to the layer above (`await_up`) or below (`await_down`) for the `value`th
// time. Two warps wait, one for each direction, so that both flags are polled at the same time.
__device__ __forceinline__ void await_up(const PersistentParams& p, int index, int tile, uint32_t value, uint32_t when) {
  if (threadIdx.x == 0) await(p, up_flag(p, index, tile), value, when, uint32_t(index * p.tiles + tile));
}
__device__ __forceinline__ void await_down(const PersistentParams& p, int index, int tile, uint32_t value, uint32_t when) {
  if (threadIdx.x == 32)
    await(p, down_flag(p, index, tile), value, when, uint32_t((2 * p.depth - 1 - index) * p.tiles + tile));
}

// The last step of a kernel: if a wait has timed out, errors and deltas become NaN, so that nothing looks like a
// result.
template <class Share>
__device__ __forceinline__ void invalidate_on_timeout(const PersistentParams& p, const Share& mine) {
  if (!any_timed_out(p.timed_out)) return;
  const float nan = __int_as_float(0x7fc00000);
  mine.upwards(p, [&](const Item& it) {
    each(it.rows, it.layer.outputs, [&](int r, int c) { p.errors[it.own(r, c)] = p.deltas[it.own(r, c)] = nan; });
  });
}

// [rows, columns] at `from`, rows `apart` floats after one another, as they are into a tile v, if there is one, and φ
// of them into a tile p.
ASIDE void to_operand(int kind, int rows, int columns, const float* from, int apart, float* v, float* p, int stride) {
  with_kind(kind, [&](auto kind) {
    each_published(rows, columns, from, apart, [&](int row, int column, const float (&x)[4]) {
      float a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) a[r] = act(kind.value, x[r]);
      if (v) store_run(v + row * stride + column, x);
      // φ(0) = 0, so there are zeros beyond the columns
      store_run(p + row * stride + column, a);
    });
  });
}

// v from values that another block or this one has published, p = φ_in(v).
__device__ __forceinline__ void operand(const Item& it, const float* from) {
  to_operand(it.layer.act_in, it.rows, it.layer.inputs, from + it.below(0, 0), it.layer.inputs, it.v, it.p, it.stride);
}

// φ_in(v) W_lᵀ from p; before(map) and then(map, sum, loaded) as for `product`.
template <int ROWS, class Math, class Before, class Then>
__device__ __forceinline__ void along_rows(const Item& it, const Before& before, const Then& then) {
  product<ROWS, false, Math>(it.p, it.stride, it.w, held_stride(it.layer.held_columns), it.layer.inputs, it.layer.outputs,
                             before, then);
}

// δ_l W_l from d.
template <int ROWS, class Math, class Before, class Then>
__device__ __forceinline__ void along_columns(const Item& it, const Before& before, const Then& then) {
  product<ROWS, true, Math>(it.d, it.stride, it.w, held_stride(it.layer.held_columns), it.layer.outputs, it.layer.inputs,
                            before, then);
}

// φ_in(x) W_1ᵀ, W_1 and x in pieces; the sums of all but the last piece are kept in m.
template <int ROWS, class Math, class Then>
__device__ __forceinline__ void first_product(const PersistentParams& p, const Item& it, float* memory, const Then& then) {
  const ResidentRow& layer = it.layer;
  // at least once, for a layer without inputs
  for (int first = 0; first == 0 || first < layer.inputs; first += layer.held_columns) {
    const int inside = min(layer.held_columns, layer.inputs - first);
    const bool last = first + layer.held_columns >= layer.inputs;
    load_weights<Math>(p, layer, memory, first);
    to_operand(layer.act_in, it.rows, inside, p.states + it.below(0, first), layer.inputs, nullptr, it.p, it.stride);
    __syncthreads();
    product<ROWS, false, Math>(it.p, it.stride, it.w, held_stride(layer.held_columns), inside, layer.outputs, LoadNothing{},
                               [&](const auto& map, auto& sum, Nothing nothing) {
                                 if (first > 0) {
                                   const auto before = from_tile(map, layer.outputs, it.m, it.stride);
                                   each_result(map, [&](int piece, int r) { sum[piece][r] += before.x[piece][r]; });
                                 }
                                 if (last)
                                   then(map, sum, nothing);
                                 else
                                   to_tile(map, layer.outputs, it.m, it.stride, sum);
                               });
    __syncthreads();
  }
}

// From the product: μ in m and in place of the sums, s·φ_out' in d with zeros beyond.
template <class Map>
__device__ __forceinline__ void predicted(const PersistentParams& p, const Item& it, const Map& map,
                                          float (&sum)[Map::PIECES][Map::RUN]) {
  const ResidentRow& layer = it.layer;
  with_kind(layer.act_out, [&](auto kind) {
    each_part(map, [&](const Part<Map>& part) {
      Runs<Part<Map>> bias;
      each_result(part, [&](int piece, int r) {
        const int j = part.column(piece) + r;
        bias.x[piece][r] = j < padded(layer.outputs) ? it.w[held_bias(layer.held_columns, j)] : 0.0f;
      });
      Runs<Part<Map>> mu, slope;
      each_result(part, [&](int piece, int r) {
        const float pre = fmaf(layer.scale, sum[part.from + piece][r], bias.x[piece][r]), a = act(kind.value, pre);
        const bool inside = part.column(piece) + r < layer.outputs;
        mu.x[piece][r] = a;
        slope.x[piece][r] = inside ? layer.scale * act_slope_from(kind.value, a, pre) : 0.0f;
      });
      to_tile(part, layer.outputs, it.d, it.stride, slope.x);
#ifdef MUTANT_DROP_SKIP
      if (layer.skip && it.index < 0) {
#else
      if (layer.skip) {
#endif
        const auto below = it.index > 0 ? from_tile(part, layer.outputs, it.v, it.stride)
                                        : from_memory(part, it.rows, layer.outputs, p.states + it.below(0, 0));
        each_result(part, [&](int piece, int r) { mu.x[piece][r] += below.x[piece][r]; });
      }
      to_tile(part, layer.outputs, it.m, it.stride, mu.x);
      each_result(part, [&](int piece, int r) { sum[part.from + piece][r] = mu.x[piece][r]; });
    });
  });
}

// The loss on one tile; targets are [rows, outputs].
struct TileLoss {
  const float* targets;
  int softmax;
  float weight;  // of the error
};

// m = ε_L = −∂loss/∂μ_L from μ_L in m, and d ⊙= ε_L. A row belongs to one warp, in every pass.
ASIDE void output_errors(TileLoss of, int rows, int outputs, float* m, float* d, int stride) {
  const int lane = int(threadIdx.x) % 32;
  const bool softmax = of.softmax != 0;
  for (int row = int(threadIdx.x) / 32; row < rows; row += RESIDENT_WARPS) {
    float *const mu = m + row * stride, *const delta = d + row * stride;
    float most = -__int_as_float(0x7f800000), sum = 0.0f;
    // exponentials of four outputs at a time
    const auto exponentials = [&](int i0, float (&e)[4]) {
#pragma unroll
      for (int j = 0; j < 4; ++j) e[j] = i0 + 32 * j < outputs ? mu[i0 + 32 * j] : most;
#pragma unroll
      for (int j = 0; j < 4; ++j) e[j] = expf(e[j] - most);
    };
    if (softmax) {
      for (int i = lane; i < outputs; i += 32) most = fmaxf(most, mu[i]);
      for (int apart = 16; apart > 0; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
      for (int i0 = lane; i0 < outputs; i0 += 4 * 32) {
        float e[4];
        exponentials(i0, e);
#pragma unroll
        for (int j = 0; j < 4; ++j) sum += i0 + 32 * j < outputs ? e[j] : 0.0f;
      }
      for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
    }
    const float factor = of.weight, share = 1.0f / sum;
    for (int i0 = lane; i0 < outputs; i0 += 4 * 32) {
      float shown[4];
      if (softmax) exponentials(i0, shown);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int i = i0 + 32 * j;
        if (i >= outputs) break;
        const float error = factor * (__ldg(of.targets + int64_t(row) * outputs + i) - (softmax ? share * shown[j] : mu[i]));
        mu[i] = error;
        delta[i] *= error;
      }
    }
  }
}
__device__ __forceinline__ void output_errors(const PersistentParams& p, const Item& it) {
  const int outputs = it.layer.outputs;
  output_errors(TileLoss{p.y + it.row0 * outputs, p.softmax, p.output_weight}, it.rows, outputs, it.m, it.d, it.stride);
}
