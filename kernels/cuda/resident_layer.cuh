// One layer on one tile of the batch inside a persistent kernel, and how blocks tell one another.
//
// `each` gives an element to the same thread in every pass, so passes need no barrier between them; products and flags do.
#pragma once

#include "resident.cuh"

// An item in its turn.
struct Item {
  int index, tile;  // layer from 0; tile of the batch
  int rows;         // samples of the tile that exist
  int64_t row0;     // the first
  ResidentRow layer;
  int stride;
  float *v, *p, *m, *d;

  __device__ __forceinline__ int64_t below(int row, int column) const {
    return layer.below + (row0 + row) * layer.inputs + column;
  }
  __device__ __forceinline__ int64_t own(int row, int column) const {
    return layer.own + (row0 + row) * layer.outputs + column;
  }
  __device__ __forceinline__ int at(int row, int column) const { return row * stride + column; }
};

// The items of a block.
template <int ROWS> struct Share {
  int first, end, replica;
  float* memory;

  __device__ __forceinline__ Share(const PersistentParams& p, float* shared) : memory(shared) {
    first = int(blockIdx.x) % p.stages * p.per_block;
    end = min(first + p.per_block, p.depth);
    replica = int(blockIdx.x) / p.stages;
    // layer 1 passes through when it is needed
    for (int index = max(first, 1); index < end; ++index) hold(p, row_of(p, index), memory, 0);
    __syncthreads();
  }

  __device__ __forceinline__ Item item(const PersistentParams& p, int index, int tile) const {
    Item it;
    it.index = index, it.tile = tile;
    it.row0 = int64_t(tile) * ROWS;
#ifdef PLANT_LAST_SAMPLE
    it.rows = min(ROWS, p.batch - tile * ROWS - 1);
#else
    it.rows = min(ROWS, p.batch - tile * ROWS);
#endif
    it.layer = row_of(p, index);
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

// Everything that the block has written before is there for whoever sees the flag.
__device__ __forceinline__ void publish(uint32_t* flag, uint32_t value) {
#ifndef PLANT_DROP_PUBLISH_SYNC
  __syncthreads();
#endif
  if (threadIdx.x == 0) store_release(flag, value);
}

// Also a barrier of the block. `when` is the caller's turn, `order` the awaited flag's place among those of one turn in the
// order in which they are set: the least of both is what all others wait for in the end (src/persistent/watchdog.rs).
__device__ __forceinline__ void await(const PersistentParams& p, const uint32_t* flag, uint32_t value, uint32_t when,
                                      uint32_t order) {
#ifdef PLANT_WAIT_FOR_STEP_BEFORE
  value -= 1;
#endif
  if (threadIdx.x == 0)
    wait_or_lose(flag, value, p.lost, (unsigned long long)(when) << 32 | order, uint64_t(p.patience));
  __syncthreads();
}
// Until layer `index` has told the one above for the `value`th time, or the one below.
__device__ __forceinline__ void await_up(const PersistentParams& p, int index, int tile, uint32_t value, uint32_t when) {
  await(p, up_flag(p, index, tile), value, when, uint32_t(index * p.tiles + tile));
}
__device__ __forceinline__ void await_down(const PersistentParams& p, int index, int tile, uint32_t value, uint32_t when) {
  await(p, down_flag(p, index, tile), value, when, uint32_t((2 * p.depth - 1 - index) * p.tiles + tile));
}

// Last of all: what was made of something that never came must not look like a result.
template <class Share> __device__ __forceinline__ void spoil(const PersistentParams& p, const Share& mine) {
  if (!lost_anyone(p.lost)) return;
  const float nothing = __int_as_float(0x7fc00000);
  mine.upwards(p, [&](const Item& it) {
    each(it.rows, it.layer.outputs, [&](int r, int c) { p.errors[it.own(r, c)] = p.deltas[it.own(r, c)] = nothing; });
  });
}

// p = φ_in(v), v from memory that another block or this one has written.
__device__ __forceinline__ void operand(const Item& it, const float* from) {
  each_brought(
      it.rows, it.layer.inputs, [&](int row, int column) { return load_told(from + it.below(row, column)); },
      [&](int row, int column, float state) { it.v[it.at(row, column)] = state; });
  each(it.rows, padded(it.layer.inputs), [&](int row, int column) {
    const int at = it.at(row, column);
    it.p[at] = column < it.layer.inputs ? act(it.layer.act_in, it.v[at]) : 0.0f;
  });
}

// m = p Wᵀ; the caller has a barrier behind it, and one comes after the product.
template <int ROWS, class Math> __device__ __forceinline__ void along_rows(const Item& it, const float* memory) {
  Math::template product<ROWS, false>(it.p, memory + it.layer.held, held_stride(it.layer.held_columns), it.layer.inputs,
                                      it.layer.outputs, it.m, it.stride, false);
  __syncthreads();
}

// p = d W; the caller has a barrier behind it and puts one after it.
template <int ROWS, class Math> __device__ __forceinline__ void along_columns(const Item& it, const float* memory) {
  Math::template product<ROWS, true>(it.d, memory + it.layer.held, held_stride(it.layer.held_columns), it.layer.outputs,
                                     it.layer.inputs, it.p, it.stride, false);
}

// m = φ_in(x) W_1ᵀ, W_1 and x in pieces.
template <int ROWS, class Math>
__device__ __forceinline__ void first_product(const PersistentParams& p, const Item& it, float* memory) {
  const ResidentRow& layer = it.layer;
  // once at least, for a layer of no inputs
  for (int first = 0; first == 0 || first < layer.inputs; first += layer.held_columns) {
    const int inside = min(layer.held_columns, layer.inputs - first);
    hold(p, layer, memory, first);
    each(it.rows, padded(layer.held_columns), [&](int row, int column) {
      it.p[it.at(row, column)] =
          column < inside ? act(layer.act_in, p.states[it.below(row, first + column)]) : 0.0f;
    });
    __syncthreads();
    Math::template product<ROWS, false>(it.p, memory + layer.held, held_stride(layer.held_columns), inside,
                                        layer.outputs, it.m, it.stride, first > 0);
    __syncthreads();
  }
}

// From the product in m: μ in m, s·φ_out' in d with zeros beyond; then(row, column, μ, what was in d).
template <class Then>
__device__ __forceinline__ void predicted(const PersistentParams& p, const Item& it, const Then& then) {
  const ResidentRow& layer = it.layer;
  each(it.rows, padded(layer.outputs), [&](int row, int column) {
    if (column >= layer.outputs) {
      it.d[it.at(row, column)] = 0.0f;
      return;
    }
    float& m = it.m[it.at(row, column)];
    const float pre = fmaf(layer.scale, m, layer.bias >= 0 ? __ldg(p.weights + layer.bias + column) : 0.0f);
    float mu = act(layer.act_out, pre);
#ifndef PLANT_DROP_SKIP
    if (layer.skip) mu += it.index == 0 ? p.states[it.below(row, column)] : it.v[it.at(row, column)];
#endif
    m = mu;
    float& d = it.d[it.at(row, column)];
    const float before = d;
    d = layer.scale * act_slope(layer.act_out, pre);
    then(row, column, mu, before);
  });
}

// m = ε_L = −∂loss/∂μ_L from μ_L in m, and d ⊙= ε_L. A row belongs to one warp, in every pass.
__device__ __forceinline__ void output_errors(const PersistentParams& p, const Item& it) {
  const int outputs = it.layer.outputs, lane = int(threadIdx.x) % 32;
  for (int row = int(threadIdx.x) / 32; row < it.rows; row += RESIDENT_WARPS) {
    float* mu = it.m + row * it.stride;
    float most = -__int_as_float(0x7f800000), sum = 0.0f;
    if (p.loss == CROSS_ENTROPY) {
      for (int i = lane; i < outputs; i += 32) most = fmaxf(most, mu[i]);
      for (int apart = 16; apart > 0; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
      for (int i = lane; i < outputs; i += 32) sum += expf(mu[i] - most);
      for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
    }
    const float factor = p.loss == SQUARED_ERROR ? 2.0f * p.precision : p.precision;
    for (int i = lane; i < outputs; i += 32) {
      const float target = __ldg(p.targets + (it.row0 + row) * outputs + i);
      const float error = factor * (target - (p.loss == CROSS_ENTROPY ? expf(mu[i] - most) / sum : mu[i]));
      mu[i] = error;
      it.d[it.at(row, i)] *= error;
    }
  }
}
