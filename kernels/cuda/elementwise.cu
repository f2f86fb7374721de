// Element-wise work of a call, besides products and their epilogues: loading the batch, cross entropy, updates of
// states and errors, results. Grouped over layers as in relax.cu.
#include "relax.cuh"

// Modes of `elementwise`, as `Elementwise` in src/launch/params.rs.
enum ElementwiseMode {
  LOAD = 0,           // STATE and ACTIVATED of layer 0 from x, TARGET of layer L from y
  CLEAR = 1,          // ERROR = DELTA = 0
  LEARN_ERROR = 2,    // DELTA = φ_out' ⊙ ERROR
  SWAP_BUFFERS = 3,   // ERROR = OTHER_ERROR, DELTA = OTHER_DELTA
  ADVANCE = 4,        // v += PENDING_STEP; where an error arrives, ERROR becomes the change of v
  WRITE_RESULT = 5,   // states, errors or outputs, the field `result_field`, to `out`
  PACK_STATES = 6,    // x to the states of a persistent kernel; its flags become 0
  UNPACK_STATES = 7,  // STATE, ACTIVATED, ERROR, DELTA and PREDICTION from its states, errors and deltas
  START = 8,          // ERROR = −STATE, DELTA = φ_out' ⊙ ERROR: where activation relaxation begins
};

template <class T> __device__ __forceinline__ void elementwise(const RelaxParams& p) {
  const Spot spot = find_spot(p, CHUNKS);
  const int l = spot.layer;
  const Row& row = p.rows[l];
  const int64_t all = int64_t(p.batch) * row.units, start = int64_t(spot.local) * CHUNK;
  const int64_t end = start + CHUNK < all ? start + CHUNK : all;
  T* const e = field<T>(p, l, ERROR);
  T* const d = distinct<T>(p, l, DELTA, ERROR);
  if (p.mode == PACK_STATES) {
    uint32_t* const flags = reinterpret_cast<uint32_t*>(static_cast<T*>(p.arena) + p.flags_at);
    const int64_t blocks = int64_t(gridDim.x) * blockDim.x;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < p.flags; i += blocks) flags[i] = 0;
  }
  for (int64_t i = start + threadIdx.x; i < end; i += blockDim.x) {
    switch (p.mode) {
      case PACK_STATES:
        if (l == 0) static_cast<T*>(p.arena)[p.states_at + i] = field<T>(p, 0, STATE)[i];
        break;
      case UNPACK_STATES: {
        const T* const from =
            static_cast<const T*>(p.arena) + p.states_at + p.batch * (p.rows[0].units + row.units_before) + i;
        if (l == p.depth) {
          field<T>(p, l, PREDICTION)[i] = *from;
        } else {
          field<T>(p, l, STATE)[i] = *from;
          if (T* const h = distinct<T>(p, l, ACTIVATED, STATE)) h[i] = act(p.rows[l + 1].act_in, *from);
        }
        if (e) e[i] = from[p.buffer_stride];
        // δ of a persistent kernel includes the factor of the layer; DELTA does not
#ifdef MUTANT_FACTOR_TWICE
        if (d) d[i] = from[2 * p.buffer_stride];
#else
        if (d) d[i] = from[2 * p.buffer_stride] / T(row.scale);
#endif
        break;
      }
      case LOAD:
        if (l == 0) {
          const T state = static_cast<const T*>(p.x)[i];
          field<T>(p, l, STATE)[i] = state;
          if (T* const h = distinct<T>(p, l, ACTIVATED, STATE)) h[i] = act(p.rows[1].act_in, state);
        }
        if (l == p.depth) field<T>(p, l, TARGET)[i] = static_cast<const T*>(p.y)[i];
        break;
      case CLEAR:
        if (e) e[i] = T(0);
        if (d) d[i] = T(0);
        break;
      case LEARN_ERROR:
        if (row.act_out != IDENTITY) {
          const T* const slope = field<T>(p, l, OUTPUT_SLOPE);
          d[i] = (slope ? slope[i] : d[i]) * e[i];
        }
        break;
      case SWAP_BUFFERS:
        e[i] = field<T>(p, l, OTHER_ERROR)[i];
        if (d) d[i] = field<T>(p, l, OTHER_DELTA)[i];
        break;
      case START: {
        const T error = -field<T>(p, l, STATE)[i];
        e[i] = error;
        if (d) d[i] = field<T>(p, l, OUTPUT_SLOPE)[i] * error;
        break;
      }
      case ADVANCE: {
        T* const v = field<T>(p, l, STATE);
        const T old = v[i], moved = old + field<T>(p, l, PENDING_STEP)[i];
        if (p.arriving == l) {
          e[i] = moved - old;
          if (d) d[i] *= moved - old;
        }
        v[i] = moved;
        if (T* const h = distinct<T>(p, l, ACTIVATED, STATE)) h[i] = act(p.rows[l + 1].act_in, moved);
        break;
      }
      default: {
        // below the light cone an error is exactly zero and has not been written
        const Field which = Field(p.result_field);
        T value = which == ERROR && l < p.lowest_nonzero ? T(0) : field<T>(p, l, which)[i];
        if (p.add_errors && l >= p.lowest_nonzero) value += e[i];
        const int64_t before = p.batch * (row.units_before - p.rows[p.first].units_before);
        static_cast<T*>(p.out)[p.out_at + before + i] = value;
      }
    }
  }
}

KERNEL(elementwise_f32, 256, RelaxParams, p) { elementwise<float>(p); }
KERNEL(elementwise_f64, 256, RelaxParams, p) { elementwise<double>(p); }

// ε_L = weight·(y − softmax o), and δ_L, whose slope `relax_predict` has stored. One warp per sample.
constexpr int SOFTMAX_WARPS = 4;

template <class T> __device__ __forceinline__ void softmax(const RelaxParams& p) {
  const int outputs = p.rows[p.depth].units, lane = int(threadIdx.x) % 32;
  const int row = int(blockIdx.x) * SOFTMAX_WARPS + int(threadIdx.x) / 32;
  // the condition is the same for a whole warp, so no lane is missing from a shuffle
  if (row >= p.batch) return;
  const int64_t own = int64_t(row) * outputs;
  const T* const o = field<T>(p, p.depth, PREDICTION) + own;
  const T* const y = field<T>(p, p.depth, TARGET) + own;
  T* const e = field<T>(p, p.depth, ERROR) + own;
  T* const d = distinct<T>(p, p.depth, DELTA, ERROR);
  T most = lane < outputs ? o[lane] : o[0];
  for (int i = lane + 32; i < outputs; i += 32) most = o[i] > most ? o[i] : most;
  for (int far = 16; far > 0; far /= 2) {
    const T other = __shfl_xor_sync(~0u, most, far);
    most = other > most ? other : most;
  }
  T sum = T(0);
  for (int i = lane; i < outputs; i += 32) sum += exp_of(o[i] - most);
#ifdef MUTANT_SUM_OF_HALF
  for (int far = 8; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
#else
  for (int far = 16; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
#endif
  for (int i = lane; i < outputs; i += 32) {
    const T error = T(p.output_weight) * (y[i] - exp_of(o[i] - most) / sum);
    e[i] = error;
    if (d) d[own + i] *= error;
  }
}

KERNEL(softmax_f32, 32 * SOFTMAX_WARPS, RelaxParams, p) { softmax<float>(p); }
KERNEL(softmax_f64, 32 * SOFTMAX_WARPS, RelaxParams, p) { softmax<double>(p); }
