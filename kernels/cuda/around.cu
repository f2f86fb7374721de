// What a call does besides products: loading the batch, cross entropy, states and errors element by element, and what is
// handed back. Grouped over layers as in relax.cu.
#include "relax.cuh"

// Modes of `around`, as in src/launch/params.rs.
enum AroundMode {
  LOAD = 0,        // V and H of layer 0 from x, Y of layer L from y
  CLEAR = 1,       // E = D = 0
  LEARN_ERROR = 2, // D = φ_out' ⊙ E
  TAKE_OTHER = 3,  // E = E2, D = D2
  ADVANCE = 4,     // v += R; where the error arrives it becomes what v moved by
  START = 8,       // E = −V, D = φ_out' ⊙ E: where activation relaxation begins
  GIVE = 5,        // states, errors or outputs, the field `given`, to `out`
  BRING = 6,       // x to the states of a persistent kernel; its flags become 0
  HAND_OVER = 7,   // V, H, E, D and M from its states, errors and deltas
};

template <class T> __device__ __forceinline__ void around(const RelaxParams& p) {
  const Spot spot = find_spot(p, CHUNKS);
  const int l = spot.layer;
  const Row& row = p.rows[l];
  const int64_t all = int64_t(p.batch) * row.units, start = int64_t(spot.local) * CHUNK;
  const int64_t end = start + CHUNK < all ? start + CHUNK : all;
  T* const e = field<T>(p, l, E);
  T* const d = apart<T>(p, l, D, E);
  if (p.mode == BRING) {
    uint32_t* const flags = reinterpret_cast<uint32_t*>(static_cast<T*>(p.arena) + p.flags_at);
    const int64_t blocks = int64_t(gridDim.x) * blockDim.x;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < p.flags; i += blocks) flags[i] = 0;
  }
  for (int64_t i = start + threadIdx.x; i < end; i += blockDim.x) {
    switch (p.mode) {
      case BRING:
        if (l == 0) static_cast<T*>(p.arena)[p.states_at + i] = field<T>(p, 0, V)[i];
        break;
      case HAND_OVER: {
        const T* const from =
            static_cast<const T*>(p.arena) + p.states_at + p.batch * (p.rows[0].units + row.units_before) + i;
        if (l == p.depth) {
          field<T>(p, l, M)[i] = *from;
        } else {
          field<T>(p, l, V)[i] = *from;
          if (T* const h = apart<T>(p, l, H, V)) h[i] = act(p.rows[l + 1].act_in, *from);
        }
        if (e) e[i] = from[p.apart];
        // there δ has the layer's factor in it, here it has not
#ifdef PLANT_FACTOR_TWICE
        if (d) d[i] = from[2 * p.apart];
#else
        if (d) d[i] = from[2 * p.apart] / T(row.scale);
#endif
        break;
      }
      case LOAD:
        if (l == 0) {
          const T state = static_cast<const T*>(p.x)[i];
          field<T>(p, l, V)[i] = state;
          if (T* const h = apart<T>(p, l, H, V)) h[i] = act(p.rows[1].act_in, state);
        }
        if (l == p.depth) field<T>(p, l, Y)[i] = static_cast<const T*>(p.y)[i];
        break;
      case CLEAR:
        if (e) e[i] = T(0);
        if (d) d[i] = T(0);
        break;
      case LEARN_ERROR:
        if (row.act_out != IDENTITY) {
          const T* const slope = field<T>(p, l, S);
          d[i] = (slope ? slope[i] : d[i]) * e[i];
        }
        break;
      case TAKE_OTHER:
        e[i] = field<T>(p, l, E2)[i];
        if (d) d[i] = field<T>(p, l, D2)[i];
        break;
      case START: {
        const T error = -field<T>(p, l, V)[i];
        e[i] = error;
        if (d) d[i] = field<T>(p, l, S)[i] * error;
        break;
      }
      case ADVANCE: {
        T* const v = field<T>(p, l, V);
        const T old = v[i], moved = old + field<T>(p, l, R)[i];
        if (p.arriving == l) {
          e[i] = moved - old;
          if (d) d[i] *= moved - old;
        }
        v[i] = moved;
        if (T* const h = apart<T>(p, l, H, V)) h[i] = act(p.rows[l + 1].act_in, moved);
        break;
      }
      default: {
        // below the light cone an error is exactly zero and has not been written
        const Field which = Field(p.given);
        T value = which == E && l < p.low ? T(0) : field<T>(p, l, which)[i];
        if (p.and_errors && l >= p.low) value += e[i];
        const int64_t before = p.batch * (row.units_before - p.rows[p.first].units_before);
        static_cast<T*>(p.out)[p.out_at + before + i] = value;
      }
    }
  }
}

KERNEL(around_f32, 256, RelaxParams, p) { around<float>(p); }
KERNEL(around_f64, 256, RelaxParams, p) { around<double>(p); }

// ε_L = weight·(y − softmax o), and δ_L, of which `relax_predict` has left the slope. One warp per sample.
constexpr int SOFTMAX_WARPS = 4;

template <class T> __device__ __forceinline__ void softmax(const RelaxParams& p) {
  const int outputs = p.rows[p.depth].units, lane = int(threadIdx.x) % 32;
  const int row = int(blockIdx.x) * SOFTMAX_WARPS + int(threadIdx.x) / 32;
  // a whole warp at a time: no lane is left waiting in a shuffle
  if (row >= p.batch) return;
  const int64_t own = int64_t(row) * outputs;
  const T* const o = field<T>(p, p.depth, M) + own;
  const T* const y = field<T>(p, p.depth, Y) + own;
  T* const e = field<T>(p, p.depth, E) + own;
  T* const d = apart<T>(p, p.depth, D, E);
  T most = lane < outputs ? o[lane] : o[0];
  for (int i = lane + 32; i < outputs; i += 32) most = o[i] > most ? o[i] : most;
  for (int far = 16; far > 0; far /= 2) {
    const T other = __shfl_xor_sync(~0u, most, far);
    most = other > most ? other : most;
  }
  T sum = T(0);
  for (int i = lane; i < outputs; i += 32) sum += exp_of(o[i] - most);
#ifdef PLANT_SUM_OF_HALF
  for (int far = 8; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
#else
  for (int far = 16; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
#endif
  for (int i = lane; i < outputs; i += 32) {
    const T error = T(p.weight) * (y[i] - exp_of(o[i] - most) / sum);
    e[i] = error;
    if (d) d[own + i] *= error;
  }
}

KERNEL(softmax_f32, 32 * SOFTMAX_WARPS, RelaxParams, p) { softmax<float>(p); }
KERNEL(softmax_f64, 32 * SOFTMAX_WARPS, RelaxParams, p) { softmax<double>(p); }
