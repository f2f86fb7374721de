// What the kernels of a whole call share: the table of layers, the parameters, and how a block finds its place.
//
// Everything of a call lies in one arena of T (f32 or f64) at offsets that the table names, batch-major: the values of a
// layer are [batch, n_l], sample after sample. src/launch/ lays it out and says which launches make up which rule.
#pragma once

#include "tile.cuh"

// Arrays that a layer may have, as `Field` in src/launch/table.rs. An offset of −1: it has none. Two fields of a layer
// may be the same array.
enum Field {
  V,        // v_l
  H,        // φ_in of the layer above at v_l: V where that is the identity
  E,        // ε_l
  D,        // φ_out' ⊙ ε_l, φ_out' alone until ε_l is known: E where φ_out is the identity
  E2, D2,   // the other half of a pair of errors: what is written while E and D are read
  S,        // φ_out' where it outlives D
  R,        // steps that may not be taken yet
  M,        // μ_1, which never changes, and μ_L = o
  Y,        // targets, at layer L
  CARRIED,  // what a skip of layer l carries down
  LEARNED,  // δ_l that parameters learn from
  PRODUCT,  // a product that a library made
  FIELDS
};

// Counts of what lies before a layer, as `Row::before` in src/launch/table.rs: tiles of [batch, n_l] and of
// [n_l, n_{l−1}] at 64, 32 and 16, and chunks of CHUNK elements of [batch, n_l].
enum Before { STATE_64, STATE_32, STATE_16, PARAMETERS_64, PARAMETERS_32, PARAMETERS_16, CHUNKS, BEFORES };
constexpr int CHUNK = 1024;

// One layer l = 0..L, as `Row` in src/launch/table.rs; row 0 is the input. Offsets count elements.
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
              "as in src/launch/table.rs");

// As `Params` in src/launch/params.rs; what a launch does not speak of is 0.
struct RelaxParams {
  const Row* rows;
  void* arena;
  void* theta;    // parameters, and the optimiser's state behind them
  const void* x;  // [batch, n_0]
  const void* y;  // [batch, n_L]
  void* out;      // what `learn` leaves
  int64_t parameters;
  int64_t out_at;       // in `out`, where what is given goes
  int64_t products_at;  // in the arena, a library's products for parameters, in the form of θ
  int64_t states_at;    // in the arena, the states of a persistent kernel
  int64_t apart;        // from these to its errors, and from its errors to its deltas
  int64_t flags_at;     // in the arena, its flags
  int64_t sums_at;      // in the arena, sums of |Δ|, one per tile of parameters
  int32_t batch, depth;
  int32_t first, count;  // layers first..first+count take part
  int32_t mode;
  int32_t loss;
  int32_t low;       // directions of the layers below are exactly zero
  int32_t arriving;  // the layer whose error was 0 until now, or 0
  int32_t products;  // 1 if a library has made the products
  int32_t swap;      // 0: errors are read from E and D and written to E2 and D2; 1: the other way round
  int32_t operands;  // what products read of their operands
  int32_t given;     // the field that is given
  int32_t and_errors;  // 1 if errors are added to it
  int32_t flags;     // how many flags there are
  int32_t tile;      // which size of tiles `mq` sums over: 0, 1 or 2
  // Most blocks of this launch: those of `alike_layers` layers from `alike_first` on, `alike_blocks` each, after `alike_before`
  // others.
  int32_t alike_first, alike_layers, alike_blocks, alike_before;
  int32_t unused;
  double step;       // g
  double weight;     // of the output error
  double c[7];       // of the optimiser
};
static_assert(sizeof(RelaxParams) == 256 && offsetof(RelaxParams, batch) == 104 && offsetof(RelaxParams, step) == 184 &&
                  offsetof(RelaxParams, c) == 200,
              "as in src/launch/params.rs");

// As `LossKind` in src/stack.rs; squared errors differ in their weight alone.
constexpr int LOSS_CROSS_ENTROPY = 2;

// The layer of this block, and which tile or chunk of it.
struct Spot {
  int layer, local;
};

// The host says which layers in a row have most blocks, as many each: theirs are found without a look into memory. Of the
// others there are few, usually, at either end.
__device__ __forceinline__ Spot find_spot(const RelaxParams& p, int which) {
  const int block = int(blockIdx.x), beyond = block - p.alike_before, end = p.alike_first + p.alike_layers;
#ifdef PLANT_ALL_ALIKE
  const int next = min(p.alike_layers > 0 ? p.alike_first + beyond / p.alike_blocks : 0, p.first + p.count - 1);
  // one without units would only divide by zero
  if (beyond >= 0 && p.alike_layers > 0 && p.rows[next].units > 0) return {next, beyond % p.alike_blocks};
#endif
  if (beyond >= 0 && beyond < p.alike_layers * p.alike_blocks)
    return {p.alike_first + beyond / p.alike_blocks, beyond % p.alike_blocks};
  const int64_t index = p.rows[p.first].before[which] + block;
  int low = beyond < 0 ? p.first : end, high = (beyond < 0 ? p.alike_first : p.first + p.count) - 1;
  // the last layer whose tiles begin at or before this one: those without any begin where the next one does
  while (low < high) {
    const int middle = (low + high + 1) / 2;
#ifdef PLANT_LAYER_TOO_HIGH
    if (p.rows[middle].before[which] <= index + 1) {
#else
    if (p.rows[middle].before[which] <= index) {
#endif
      low = middle;
    } else {
      high = middle - 1;
    }
  }
#ifdef PLANT_LAYER_TOO_HIGH
  // one without units would only divide by zero
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

// The same where it is an array of its own.
template <class T> __device__ __forceinline__ T* apart(const RelaxParams& p, int l, Field which, Field from) {
  return p.rows[l].at[which] == p.rows[l].at[from] ? nullptr : field<T>(p, l, which);
}
