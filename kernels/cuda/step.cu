// One sPC inference step of a stack of dense layers in f32, grouped over depth: two launches whatever L is, three with
// cross entropy.
//
//   rung 2  product and everything element-wise around it in one kernel
//   rung 3  one launch for all layers: a block finds its layer in the table, ragged ends included     <- this file
//
//   μ_l = φ_out(s·φ_in(v_{l−1}) Wᵀ + b) + (v_{l−1} if skip)
//   ε_l = v_l − μ_l,  δ_l = s·φ_out'(·) ⊙ ε_l                      predict, softmax
//   v_l += g·(φ_in'(v_l) ⊙ (δ_{l+1} W_{l+1}) + (ε_{l+1} if skip) − ε_l)   update
//
// φ_in, s, W and skip in `update` are those of layer l+1. At the output ε_L = −∂loss/∂μ_L, and v_L holds μ_L.
// Within a launch no block reads what another writes: `predict` reads states and writes errors (and v_L, which nothing
// reads), `update` reads errors and writes states.
#include "dense.cuh"

// One row of the table, as `LayerRow` in src/step.rs. Offsets count floats.
struct LayerRow {
  int64_t weights;  // W [outputs, inputs], row by row
  int64_t bias;     // b [outputs], or −1
  int64_t below;    // v_{l−1} [batch, inputs]
  int64_t own;      // v_l, ε_l, δ_l [batch, outputs], in the buffer of each
  int64_t tiles;    // of [batch, outputs] in the layers before this one
  int32_t inputs, outputs;
  int32_t act_in, act_out;
  int32_t skip;
  float scale;
};
static_assert(sizeof(LayerRow) == 64 && offsetof(LayerRow, tiles) == 32 && offsetof(LayerRow, inputs) == 40 &&
                  offsetof(LayerRow, skip) == 56,
              "as in src/step.rs");

// As `Loss` in src/step.rs.
enum Loss { HALF_SQUARED_ERROR = 0, SQUARED_ERROR = 1, CROSS_ENTROPY = 2 };

// As `StepParams` in src/step.rs.
struct StepParams {
  const LayerRow* layers;  // [depth]
  const float* weights;
  const float* targets;  // [batch, outputs of the last layer]
  float* states;
  float* errors;
  float* deltas;
  int32_t batch;
  int32_t depth;  // L
  int32_t first;  // layers first..first+count of the table take part
  int32_t count;
  int32_t loss;
  int32_t forward;  // predict: v_l = μ_l and ε_l = 0 for hidden layers
  float step_size;  // g
  float precision;  // factor of the loss, p/N
};
static_assert(sizeof(StepParams) == 80 && offsetof(StepParams, batch) == 48 && offsetof(StepParams, step_size) == 72,
              "as in src/step.rs");

constexpr int TILE = 64, PER_THREAD = 4;

// Which layer of the table this block works on, and where its tile lies.
struct Place {
  int layer, row0, column0;
};

__device__ __forceinline__ Place find_place(const StepParams& p) {
  const int64_t tile = p.layers[p.first].tiles + blockIdx.x;
  // the last layer whose tiles begin at or before this one
  int low = p.first, high = p.first + p.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (p.layers[middle].tiles <= tile) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  const int local = int(tile - p.layers[low].tiles);
  const int across = (p.layers[low].outputs + TILE - 1) / TILE;
  return {low, local / across * TILE, local % across * TILE};
}

KERNEL(step_predict_f32, TILE_THREADS, StepParams, p) {
  const Place at = find_place(p);
  const LayerRow layer = p.layers[at.layer];
  const int inputs = layer.inputs, outputs = layer.outputs, batch = p.batch;
  const float* below = p.states + layer.below;
  const float* w = p.weights + layer.weights;
  float sum[PER_THREAD][PER_THREAD] = {};
  tile_product<true, true>(
      inputs, at.row0, at.column0,
      [&](int row, int k) { return row < batch && k < inputs ? act(layer.act_in, below[int64_t(row) * inputs + k]) : 0.0f; },
      [&](int k, int column) {
#if defined(PLANT_READ_PAST_EDGE)
        const bool inside = k < inputs;
#elif defined(PLANT_RAGGED_OFF_BY_ONE)
        const bool inside = column < outputs && k + 1 < inputs;
#else
        const bool inside = column < outputs && k < inputs;
#endif
        return inside ? w[int64_t(column) * inputs + k] : 0.0f;
      },
      sum);
  const bool output = at.layer == p.depth - 1;
  for (int i = 0; i < PER_THREAD; ++i) {
    const int row = at.row0 + tile_row<PER_THREAD>() + i;
    if (row >= batch) break;
    for (int j = 0; j < PER_THREAD; ++j) {
      const int column = at.column0 + tile_column() + 16 * j;
#ifdef PLANT_TILE_EDGE
      if (column > outputs) break;
#else
      if (column >= outputs) break;
#endif
      const int64_t own = layer.own + int64_t(row) * outputs + column;
      const float pre = fmaf(layer.scale, sum[i][j], layer.bias >= 0 ? p.weights[layer.bias + column] : 0.0f);
      float mu = act(layer.act_out, pre);
#ifndef PLANT_DROP_SKIP
      if (layer.skip) mu += below[int64_t(row) * inputs + column];
#endif
      const float slope = layer.scale * act_slope(layer.act_out, pre);
      float error;
      if (!output) {
        if (p.forward) p.states[own] = mu;
        error = p.forward ? 0.0f : p.states[own] - mu;
      } else {
        p.states[own] = mu;
        // softmax goes on where there is a sum over the row to be had
        const float factor = p.loss == SQUARED_ERROR ? 2.0f * p.precision : p.precision;
        error = p.loss == CROSS_ENTROPY ? 1.0f : factor * (p.targets[int64_t(row) * outputs + column] - mu);
      }
      p.errors[own] = error;
      p.deltas[own] = slope * error;
    }
  }
}

// ε_L = (p/N)(y − softmax μ_L), and δ_L, of which `predict` has left the factor. One warp per sample.
constexpr int SOFTMAX_WARPS = 4;

KERNEL(step_softmax_f32, 32 * SOFTMAX_WARPS, StepParams, p) {
  const LayerRow layer = p.layers[p.depth - 1];
  const int outputs = layer.outputs, lane = int(threadIdx.x) % 32;
  const int row = int(blockIdx.x) * SOFTMAX_WARPS + int(threadIdx.x) / 32;
  // a whole warp at a time: nobody is left waiting in a shuffle
  if (row >= p.batch) return;
  const int64_t own = layer.own + int64_t(row) * outputs;
  const float* mu = p.states + own;
  float most = -__int_as_float(0x7f800000);
  for (int i = lane; i < outputs; i += 32) most = fmaxf(most, mu[i]);
#ifdef PLANT_HALF_A_WARP
  for (int apart = 8; apart > 0; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
#else
  for (int apart = 16; apart > 0; apart /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
#endif
  float sum = 0.0f;
  for (int i = lane; i < outputs; i += 32) sum += expf(mu[i] - most);
  for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
  for (int i = lane; i < outputs; i += 32) {
    const float error = p.precision * (p.targets[int64_t(row) * outputs + i] - expf(mu[i] - most) / sum);
    p.errors[own + i] = error;
    p.deltas[own + i] *= error;
  }
}

KERNEL(step_update_f32, TILE_THREADS, StepParams, p) {
  const Place at = find_place(p);
  const LayerRow own = p.layers[at.layer], above = p.layers[at.layer + 1];
  const int width = own.outputs, depth = above.outputs, batch = p.batch;
  const float* delta = p.deltas + above.own;
  const float* w = p.weights + above.weights;
  float sum[PER_THREAD][PER_THREAD] = {};
  tile_product<true, false>(
      depth, at.row0, at.column0,
      [&](int row, int k) { return row < batch && k < depth ? delta[int64_t(row) * depth + k] : 0.0f; },
      [&](int k, int column) { return k < depth && column < width ? w[int64_t(k) * width + column] : 0.0f; }, sum);
  for (int i = 0; i < PER_THREAD; ++i) {
    const int row = at.row0 + tile_row<PER_THREAD>() + i;
    if (row >= batch) break;
    for (int j = 0; j < PER_THREAD; ++j) {
      const int column = at.column0 + tile_column() + 16 * j;
      if (column >= width) break;
      const int64_t place = own.own + int64_t(row) * width + column;
      const float state = p.states[place];
      float pull = act_slope(above.act_in, state) * sum[i][j];
      if (above.skip) pull += p.errors[above.own + int64_t(row) * width + column];
#ifdef PLANT_FLIP_ERROR_SIGN
      p.states[place] = fmaf(p.step_size, pull + p.errors[place], state);
#else
      p.states[place] = fmaf(p.step_size, pull - p.errors[place], state);
#endif
    }
  }
}
