// Parameter directions of all layers in one launch, and in the same pass the optimiser.
//
//   dW_l = a Σ_b δ_l ⊗ h_{l−1},  db_l = Σ_b δ_l
//
// One block makes a tile of W_l; the first block of each row of tiles makes b_l too. Each sum over the batch has one
// order, without atomics, so equal calls give equal bits. The optimiser works on the results in their registers.
#include "relax.cuh"

// As `Moves` in src/launch/params.rs. θ has the optimiser's state behind its P parameters.
enum MoveMode {
  WRITE = 0,     // out = d
  SGD = 1,       // θ += c0 d
  MOMENTUM = 2,  // m ← c1 m + d, θ += c0 m
  ADAM = 3,      // m ← c1 m + c2 d, s ← c3 s + c4 d², θ += c0 m / (√(c5 s) + c6)
  MQ = 4,        // Δ = c3 d, θ += Δ (c0/(v_l + c2) + c1), and Σ|Δ| is stored for mq
};

template <class T> struct Mover {
  T *theta, *out;
  int64_t parameters;
  T c0, c1, c2, c3, c4, c5, c6;
  int mode;

  __device__ __forceinline__ Mover(const RelaxParams& p, int l)
      : theta(static_cast<T*>(p.theta)), out(static_cast<T*>(p.out)), parameters(p.parameters),
        c0(T(p.c[0])), c1(T(p.c[1])), c2(T(p.c[2])), c3(T(p.c[3])), c4(T(p.c[4])), c5(T(p.c[5])), c6(T(p.c[6])),
        mode(p.mode) {
    // one factor for the layer, from its v before this update
    if (mode == MQ) c0 = c0 / (theta[parameters + l - 1] + c2) + c1;
  }

  // Whether rows of `columns` numbers from i on can be read and written in fours, in every array that the mode uses.
  __device__ __forceinline__ bool in_fours(int64_t i, int columns) const {
#ifdef MUTANT_STATE_IN_FOURS
    const bool state = false;
#else
    const bool state = mode == MOMENTUM || mode == ADAM;
#endif
    return (!state || parameters % 4 == 0) && ::in_fours(mode == WRITE ? out + i : theta + i, columns, columns);
  }

  // Moves parameters i..i+N by their directions d, zeros beyond `at`; returns the sum of their |Δ|.
  template <int N> __device__ __forceinline__ T operator()(int64_t i, const Pack<T, N>& d, Access at) const {
    switch (mode) {
      case WRITE: at.store(out + i, d); break;
      case SGD: at.store(theta + i, fma_of(c0, d, at.load<N>(theta + i))); break;
      case MOMENTUM: {
        const auto m = fma_of(c1, at.load<N>(theta + parameters + i), d);
        at.store(theta + parameters + i, m);
        at.store(theta + i, fma_of(c0, m, at.load<N>(theta + i)));
        break;
      }
      case ADAM: {
        T *const m = theta + parameters + i, *const s = m + parameters;
        const auto first = c1 * at.load<N>(m) + c2 * d;
#ifdef MUTANT_MOMENT_OF_D
        const auto second = c3 * at.load<N>(s) + c4 * d;
#else
        const auto second = c3 * at.load<N>(s) + c4 * (d * d);
#endif
        at.store(m, first);
        at.store(s, second);
        const auto step = each_of<T, N>([&](int r) { return c0 * first.x[r] / (sqrt_of(second.x[r] * c5) + c6); });
        at.store(theta + i, at.load<N>(theta + i) + step);
        break;
      }
      default: {
        const auto delta = c3 * d;
        at.store(theta + i, fma_of(c0, delta, at.load<N>(theta + i)));
        T moved = T(0);
#pragma unroll
        for (int r = 0; r < N; ++r) moved += abs_of(delta.x[r]);
        return moved;
      }
    }
    return T(0);
  }
};

// The sum over the block of what its threads contribute, in one order; for thread 0.
template <class T> __device__ __forceinline__ T block_sum(T mine) {
  using Sums = T[TILE_THREADS];
  SHARED(Sums, sums);
  const int thread = int(threadIdx.x);
  sums[thread] = mine;
  __syncthreads();
  for (int half = TILE_THREADS / 2; half > 0; half /= 2) {
    if (thread < half) sums[thread] += sums[thread + half];
#ifndef MUTANT_SUM_WITHOUT_WAITING
    __syncthreads();
#endif
  }
  return sums[0];
}

template <class T, int PER> __device__ __forceinline__ void learn(const RelaxParams& p) {
  constexpr int TILE = 16 * PER;
  const Spot spot = find_spot(p, PARAMETERS_64 + tile_index<PER>());
  const int l = spot.layer, batch = p.batch;
  const Row& row = p.rows[l];
  const int outputs = row.units, inputs = p.rows[l - 1].units;
  const int tiles = (inputs + TILE - 1) / TILE, across = tiles > 0 ? tiles : 1;
  const int row0 = spot.local / across * TILE, column0 = spot.local % across * TILE;
  const T* const delta = field<T>(p, l, LEARNED);
  const bool zero = l < p.lowest_nonzero;
  const T* const product = p.products && !zero ? static_cast<const T*>(p.arena) + p.products_at + row.weights : nullptr;
  T sum[PER][PER] = {};
  if (!zero && !product) {
    const Matrix<T> errors(delta, batch, outputs, p.math);
    const Matrix<T> below(field<T>(p, l - 1, ACTIVATED), batch, inputs, p.math);
    tile_product<false, false>(batch, row0, column0, errors, below, sum);
  }
  const Mover<T> move(p, l);
  const T scale = T(row.scale);
  T moved = T(0);
  const bool fours = move.in_fours(row.weights, inputs), product_fours = product && in_fours(product, inputs, inputs);
  each_run(sum, row0, column0, outputs, inputs, [&](int64_t i, int, int left, auto x) {
    if (product) x = Access{product_fours, left}.load<decltype(x)::SIZE>(product + i);
    moved += move(row.weights + i, scale * x, Access{fours, left});
  });
#ifdef MUTANT_BIAS_OF_EVERY_TILE
  const bool biases = row.bias >= 0;
#else
  // the same for all threads of the block
  const bool biases = row.bias >= 0 && column0 == 0;
#endif
  if (biases) {
    // PARTS threads share the samples of a unit, so that no thread loads the whole batch.
    constexpr int PARTS = TILE_THREADS / TILE;
    using Sums = T[PARTS][TILE];
    SHARED(Sums, sums);
    const int part = int(threadIdx.x) / TILE, column = int(threadIdx.x) % TILE, unit = row0 + column;
    T mine = T(0);
    if (!zero && unit < outputs) {
      for (int k = part; k < batch; k += PARTS) mine += delta[int64_t(k) * outputs + unit];
    }
    sums[part][column] = mine;
#ifndef MUTANT_BIAS_WITHOUT_WAITING
    __syncthreads();
#endif
    if (part == 0 && unit < outputs) {
      T bias = T(0);
#pragma unroll
      for (int other = 0; other < PARTS; ++other) bias += sums[other][column];
      moved += move(row.bias + unit, Pack<T, 1>{{bias}}, Access{false, 1});
    }
  }
  if (p.mode == MQ) {
    const T all = block_sum(moved);
    if (threadIdx.x == 0) static_cast<T*>(p.arena)[p.delta_sums_at + blockIdx.x] = all;
  }
}

#define LEARN(KERNEL, T, name, tile, per) \
  KERNEL(learn_##name##_##tile, TILE_THREADS, RelaxParams, p) { learn<T, per>(p); }

// otherwise the compiler aims at more blocks of 64 registers at once, and spills some of them
LEARN(KERNEL_ALONE, float, f32, 64, 4)
LEARN(KERNEL, float, f32, 32, 2)
LEARN(KERNEL, float, f32, 16, 1)
LEARN(KERNEL_ALONE, double, f64, 64, 4)
LEARN(KERNEL_ALONE, double, f64, 32, 2)
LEARN(KERNEL_ALONE, double, f64, 16, 1)

// v_l ← c4 v_l + (1 − c4) mean|Δ|: one block per layer over the sums of its tiles, whose size `tile` says.
template <class T> __device__ __forceinline__ void mq(const RelaxParams& p) {
  const int l = p.first + int(blockIdx.x), which = PARAMETERS_64 + p.tile;
  const Row& row = p.rows[l];
  const int64_t first = row.before[which], end = p.rows[l + 1].before[which];
  const T* const sums = static_cast<const T*>(p.arena) + p.delta_sums_at;
  T mine = T(0);
  for (int64_t i = first + threadIdx.x; i < end; i += TILE_THREADS) mine += sums[i];
  const T all = block_sum(mine);
  if (threadIdx.x != 0) return;
  const int64_t elements = int64_t(row.units) * p.rows[l - 1].units + (row.bias < 0 ? 0 : row.units);
  T* const v = static_cast<T*>(p.theta) + p.parameters + l - 1;
  *v = T(p.c[4]) * *v + T((1.0 - p.c[4]) / double(elements > 0 ? elements : 1)) * all;
}

KERNEL(mq_f32, TILE_THREADS, RelaxParams, p) { mq<float>(p); }
KERNEL(mq_f64, TILE_THREADS, RelaxParams, p) { mq<double>(p); }
