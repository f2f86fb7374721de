// What the kernels of a whole call share: the table of layers, the parameters, and how a block finds its layer and
// tile.
//
// Everything of a call lies in one arena of T (f32 or f64) at offsets that the table names, batch-major: the values of
// a layer are [batch, n_l], sample after sample. src/launch/ lays it out and says which launches make up which rule.
#pragma once

#include "tile.cuh"

// Arrays that a layer may have, as `Field` in src/rows.rs. An offset of −1: it has none. Two fields of a layer
// may be the same array.
enum Field {
  STATE,         // v_l
  ACTIVATED,     // φ_in of the layer above at v_l: STATE where that is the identity
  ERROR,         // ε_l
  DELTA,         // φ_out' ⊙ ε_l, φ_out' alone until ε_l is known: ERROR where φ_out is the identity
  OTHER_ERROR,   // the second buffer of ERROR: written while ERROR is read
  OTHER_DELTA,   // the second buffer of DELTA
  OUTPUT_SLOPE,  // φ_out' where it outlives DELTA
  PENDING_STEP,  // steps of states to be taken later; under ePC the adjoint that a skip carries down
  PREDICTION,    // μ_1, which never changes, and μ_L = o
  TARGET,        // y, at layer L
  CARRIED,       // what a skip of layer l carries down: one of the others
  LEARNED,       // δ_l that parameters learn from: ERROR or DELTA
  PRODUCT,       // a product that a library made
  FIELDS
};

// Counts of what lies before a layer, as `Row::before` in src/rows.rs: tiles of [batch, n_l] and of
// [n_l, n_{l−1}] at 64, 32 and 16, and chunks of CHUNK elements of [batch, n_l].
enum Before { STATE_64, STATE_32, STATE_16, PARAMETERS_64, PARAMETERS_32, PARAMETERS_16, CHUNKS, BEFORES };
constexpr int CHUNK = 1024;

// One layer l = 0..L, as `Row` in src/rows.rs; row 0 is the input. Offsets count elements.
struct Row {
  int64_t at[FIELDS];
  int64_t before[BEFORES];
  int64_t weights;       // W_l [n_l, n_{l−1}] in θ
  int64_t bias;          // b_l [n_l] in θ, or −1
  int64_t units_before;  // n_1 + … + n_{l−1}
  int32_t units;         // n_l
  int32_t act_in, act_out;
  int32_t skip;
  double scale;
};
static_assert(sizeof(Row) == 208 && offsetof(Row, before) == 104 && offsetof(Row, weights) == 160 &&
                  offsetof(Row, units) == 184 && offsetof(Row, scale) == 200,
              "as in src/rows.rs");

// As `Params` in src/launch/params.rs; a field that a launch does not use is 0.
struct RelaxParams {
  const Row* rows;
  void* arena;
  void* theta;    // parameters, and the optimiser's state behind them
  const void* x;  // [batch, n_0]
  const void* y;  // [batch, n_L]
  void* out;      // the results of `learn`
  int64_t parameters;
  int64_t out_at;         // in `out`, where `result_field` is written
  int64_t products_at;    // in the arena, a library's products for parameters, in the form of θ
  int64_t states_at;      // in the arena, the states of a persistent kernel
  int64_t buffer_stride;  // from these states to its errors, and from its errors to its deltas
  int64_t flags_at;       // in the arena, its flags
  int64_t delta_sums_at;  // in the arena, sums of |Δ| for MQ, one per tile of parameters
  int32_t batch, depth;
  int32_t first, count;  // layers first..first+count take part
  int32_t mode;
  int32_t softmax;         // 1 if the output error is taken of softmax(o)
  int32_t lowest_nonzero;  // errors and directions of lower layers are exactly zero, and may never have been written
  int32_t arriving;        // the layer that an error reaches in this launch for the first time, or 0
  int32_t products;        // 1 if a library has made the products
  int32_t swap;            // 0: reads ERROR and DELTA, writes OTHER_ERROR and OTHER_DELTA; 1: the reverse
  int32_t math;            // MathMode: how products read their operands
  int32_t result_field;    // the field that WRITE_RESULT copies to `out`
  int32_t add_errors;      // 1 if errors are added to it
  int32_t flags;           // number of flags
  int32_t tile;            // which size of tiles `mq` sums over: 0, 1 or 2
  // The longest run of consecutive layers with equally many blocks: uniform_layers layers from uniform_first on, with
  // uniform_blocks blocks each. uniform_before blocks of other layers come before them.
  int32_t uniform_first, uniform_layers, uniform_blocks, uniform_before;
  int32_t unused;
  double step_size;      // g
  double output_weight;  // of the output error, as `OutputError` in src/loss.rs
  double c[7];           // the coefficients of the optimiser
};
static_assert(sizeof(RelaxParams) == 256 && offsetof(RelaxParams, batch) == 104 &&
                  offsetof(RelaxParams, step_size) == 184 && offsetof(RelaxParams, c) == 200,
              "as in src/launch/params.rs");

// The layer of this block, and which tile or chunk of it.
struct Spot {
  int layer, local;
};

// Most blocks belong to the run of layers with equally many blocks, which the host has found: their layer follows from
// a division, without a load. The other layers, usually few and at either end, are found by binary search in the table.
__device__ __forceinline__ Spot find_spot(const RelaxParams& p, int which) {
  const int block = int(blockIdx.x), beyond = block - p.uniform_before, end = p.uniform_first + p.uniform_layers;
#ifdef MUTANT_ALL_UNIFORM
  const int next = min(p.uniform_layers > 0 ? p.uniform_first + beyond / p.uniform_blocks : 0, p.first + p.count - 1);
  // a layer without units would divide by zero
  if (beyond >= 0 && p.uniform_layers > 0 && p.rows[next].units > 0) return {next, beyond % p.uniform_blocks};
#endif
  if (beyond >= 0 && beyond < p.uniform_layers * p.uniform_blocks)
    return {p.uniform_first + beyond / p.uniform_blocks, beyond % p.uniform_blocks};
  const int64_t index = p.rows[p.first].before[which] + block;
  int low = beyond < 0 ? p.first : end, high = (beyond < 0 ? p.uniform_first : p.first + p.count) - 1;
  // the last layer whose tiles begin at or before this one: those without any begin where the next one does
  while (low < high) {
    const int middle = (low + high + 1) / 2;
#ifdef MUTANT_LAYER_TOO_HIGH
    if (p.rows[middle].before[which] <= index + 1) {
#else
    if (p.rows[middle].before[which] <= index) {
#endif
      low = middle;
    } else {
      high = middle - 1;
    }
  }
#ifdef MUTANT_LAYER_TOO_HIGH
  // a layer without units would divide by zero
  while (low > p.first && p.rows[low].units == 0) --low;
  return {low, max(int(index - p.rows[low].before[which]), 0)};
#else
  return {low, int(index - p.rows[low].before[which])};
#endif
}

// Which counts belong to a tile of PER² results per thread.
template <int PER> __host__ __device__ constexpr int tile_index() { return PER == 4 ? 0 : PER == 2 ? 1 : 2; }

template <class T> __device__ __forceinline__ T* field(const RelaxParams& p, int l, Field which) {
  const int64_t at = p.rows[l].at[which];
  return at < 0 ? nullptr : static_cast<T*>(p.arena) + at;
}

// The same, or nullptr where the field shares its array with `other`.
template <class T> __device__ __forceinline__ T* distinct(const RelaxParams& p, int l, Field which, Field other) {
  return p.rows[l].at[which] == p.rows[l].at[other] ? nullptr : field<T>(p, l, which);
}
