// Inference of every rule, from the loaded batch to states and errors, as a list of launches that needs no decision of
// the host in between: products with their epilogues, any number of layers in one launch.
//
//   grouped     one launch for all layers of a phase, ragged ends included    <- this file
//   graph       the list recorded once and replayed                           (src/cuda/)
//   persistent  one launch for all T steps                                    (persistent.cu, sweep.cu)
//   cublas      products by a library, these epilogues after them             <- this file, `products`
//
// φ_in is applied where a state is written, once per element, not where it is read, once per element and tile.
// Within a launch no block reads what another writes; src/launch/rules.rs says so for each mode.
#include "epilogue.cuh"

// Predictions of layers first..first+count, and the epilogue.
template <class T, int PER> __device__ __forceinline__ void predict(const RelaxParams& p) {
  constexpr int TILE = 16 * PER;
  const Spot spot = find_spot(p, STATE_64 + tile_index<PER>());
  const Row &own = p.rows[spot.layer], &under = p.rows[spot.layer - 1];
  const int inputs = under.units, outputs = own.units, batch = p.batch;
  const int across = (outputs + TILE - 1) / TILE;
  const int row0 = spot.local / across * TILE, column0 = spot.local % across * TILE;
  const Predicted<T> then(p, spot.layer);
  const T* const product = p.products ? field<T>(p, spot.layer, PRODUCT) : nullptr;
  T sum[PER][PER] = {};
  // the same for all threads of the block
  if (!then.known && !product) {
    const Matrix<T> below(field<T>(p, spot.layer - 1, ACTIVATED), batch, inputs, p.math);
    const Matrix<T> weights(static_cast<const T*>(p.theta) + own.weights, outputs, inputs, p.math);
    tile_product<true, true>(inputs, row0, column0, below, weights, sum);
  }
  // arrays of the arena begin at multiples of 32 numbers
  const bool fours = in_fours(static_cast<const T*>(p.arena), outputs, outputs);
  each_run(sum, row0, column0, batch, outputs, [&](int64_t i, int column, int left, auto x) {
    const Access at{fours, left};
    if (then.known) return then.template again<decltype(x)::SIZE>(i, at);
    if (product) x = at.load<decltype(x)::SIZE>(product + i);
    then(i, column, x, at);
  });
}

// The vector-Jacobian products ("pulls") of layers first+1..first+count+1: their errors pulled back to the states below
// them, and the epilogue.
template <class T, int PER> __device__ __forceinline__ void pull(const RelaxParams& p) {
  constexpr int TILE = 16 * PER;
  const Spot spot = find_spot(p, STATE_64 + tile_index<PER>());
  const Row &own = p.rows[spot.layer], &above = p.rows[spot.layer + 1];
  const int width = own.units, depth = above.units, batch = p.batch;
  const int across = (width + TILE - 1) / TILE;
  const int row0 = spot.local / across * TILE, column0 = spot.local % across * TILE;
  const Pulled<T> then(p, spot.layer);
  const T* const product = p.products ? field<T>(p, spot.layer, PRODUCT) : nullptr;
  T sum[PER][PER] = {};
  if (!product) {
    const Matrix<T> delta(field<T>(p, spot.layer + 1, p.swap ? OTHER_DELTA : DELTA), batch, depth, p.math);
    const Matrix<T> weights(static_cast<const T*>(p.theta) + above.weights, depth, width, p.math);
    tile_product<true, false>(depth, row0, column0, delta, weights, sum);
  }
  const bool fours = in_fours(static_cast<const T*>(p.arena), width, width);
  each_run(sum, row0, column0, batch, width, [&](int64_t i, int, int left, auto x) {
    const Access at{fours, left};
    if (product) x = at.load<decltype(x)::SIZE>(product + i);
    then(i, x, at);
  });
}

#define RELAX(KERNEL, T, name, tile, per)                                                     \
  KERNEL(relax_predict_##name##_##tile, TILE_THREADS, RelaxParams, p) { predict<T, per>(p); } \
  KERNEL(relax_pull_##name##_##tile, TILE_THREADS, RelaxParams, p) { pull<T, per>(p); }

RELAX(KERNEL, float, f32, 64, 4)
RELAX(KERNEL, float, f32, 32, 2)
RELAX(KERNEL, float, f32, 16, 1)
RELAX(KERNEL_ALONE, double, f64, 64, 4)
RELAX(KERNEL_ALONE, double, f64, 32, 2)
RELAX(KERNEL_ALONE, double, f64, 16, 1)
