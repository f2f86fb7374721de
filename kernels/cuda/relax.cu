// Inference of every rule, from the loaded batch to states and errors, as a list of launches without the host between
// them: products with their epilogues, any number of layers in one launch.
//
//   grouped     one launch for all layers of a phase, ragged ends included    <- this file
//   graph       the list recorded once and replayed                           (src/cuda/)
//   persistent  one launch for all T steps                                    (persistent.cu, sweep.cu)
//   cublas      products by a library, these epilogues after them             <- this file, `ready`
//
// φ_in is applied where a state is written, once per element, not where it is read, once per element and tile.
// Within a launch no block reads what another writes; src/launch/rules.rs says so for each mode.
#include "epilogue.cuh"

// Predictions of layers first..first+count and what becomes of them.
template <class T, int PER> __device__ __forceinline__ void predict(const RelaxParams& p) {
  constexpr int TILE = 16 * PER;
  const Spot spot = find_spot(p, STATE_64 + tile_index<PER>());
  const Row &own = p.rows[spot.layer], &under = p.rows[spot.layer - 1];
  const int inputs = under.units, outputs = own.units, batch = p.batch;
  const int across = (outputs + TILE - 1) / TILE;
  const int row0 = int(spot.local / across) * TILE, column0 = int(spot.local % across) * TILE;
  const Predicted<T> then(p, spot.layer);
  const T* const product = p.ready ? field<T>(p, spot.layer, PRODUCT) : nullptr;
  T sum[PER][PER] = {};
  // the same for all threads of the block
  if (!then.known && !product) {
    const T* const below = field<T>(p, spot.layer - 1, H);
    const T* const w = static_cast<const T*>(p.theta) + own.weights;
    tile_product<true, true>(
        inputs, row0, column0,
        [&](int row, int k) { return row < batch && k < inputs ? as_operand(p.operands, below[int64_t(row) * inputs + k]) : T(0); },
        [&](int k, int column) {
#if defined(PLANT_LAST_INPUT)
          const bool inside = column < outputs && k + 1 < inputs;
#elif defined(PLANT_READ_PAST_EDGE)
          const bool inside = k < inputs;
#else
          const bool inside = column < outputs && k < inputs;
#endif
          return inside ? as_operand(p.operands, w[int64_t(column) * inputs + k]) : T(0);
        },
        sum);
  }
#pragma unroll
  for (int i = 0; i < PER; ++i) {
    const int row = row0 + tile_row<PER>() + i;
    if (row >= batch) break;
#pragma unroll
    for (int j = 0; j < PER; ++j) {
      const int column = column0 + tile_column() + 16 * j;
      if (column >= outputs) break;
      const int64_t at = int64_t(row) * outputs + column;
      if (then.known) {
        then.again(at);
      } else {
        then(at, column, product ? product[at] : sum[i][j]);
      }
    }
  }
}

// Errors of layers first+1..first+count+1 pulled back to the states below them, and what becomes of those.
template <class T, int PER> __device__ __forceinline__ void pull(const RelaxParams& p) {
  constexpr int TILE = 16 * PER;
  const Spot spot = find_spot(p, STATE_64 + tile_index<PER>());
  const Row &own = p.rows[spot.layer], &above = p.rows[spot.layer + 1];
  const int width = own.units, depth = above.units, batch = p.batch;
  const int across = (width + TILE - 1) / TILE;
  const int row0 = int(spot.local / across) * TILE, column0 = int(spot.local % across) * TILE;
  const Pulled<T> then(p, spot.layer);
  const T* const product = p.ready ? field<T>(p, spot.layer, PRODUCT) : nullptr;
  T sum[PER][PER] = {};
  if (!product) {
    const T* const delta = field<T>(p, spot.layer + 1, p.from ? D2 : D);
    const T* const w = static_cast<const T*>(p.theta) + above.weights;
    tile_product<true, false>(
        depth, row0, column0,
        [&](int row, int k) {
          return row < batch && k < depth ? as_operand(p.operands, delta[int64_t(row) * depth + k]) : T(0);
        },
        [&](int k, int column) {
          return k < depth && column < width ? as_operand(p.operands, w[int64_t(k) * width + column]) : T(0);
        },
        sum);
  }
#pragma unroll
  for (int i = 0; i < PER; ++i) {
    const int row = row0 + tile_row<PER>() + i;
    if (row >= batch) break;
#pragma unroll
    for (int j = 0; j < PER; ++j) {
      const int column = column0 + tile_column() + 16 * j;
      if (column >= width) break;
      const int64_t at = int64_t(row) * width + column;
      then(at, column, product ? product[at] : sum[i][j]);
    }
  }
}

#define RELAX(T, name, tile, per)                                                          \
  KERNEL(relax_predict_##name##_##tile, TILE_THREADS, RelaxParams, p) { predict<T, per>(p); } \
  KERNEL(relax_pull_##name##_##tile, TILE_THREADS, RelaxParams, p) { pull<T, per>(p); }

RELAX(float, f32, 64, 4)
RELAX(float, f32, 32, 2)
RELAX(float, f32, 16, 1)
RELAX(double, f64, 64, 4)
RELAX(double, f64, 32, 2)
RELAX(double, f64, 16, 1)
