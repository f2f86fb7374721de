// What follows a product, element by element: errors after predictions, updates of states and errors after pulls.
//
// Both epilogues know all addresses of their layer once. They take N neighbours of a row at a time: i is the first of
// them in [batch, n_l], and `at` says how they are read and written.
#pragma once

#include "relax.cuh"

// Modes of `relax_predict`, as in src/launch/params.rs.
enum PredictMode {
  FORWARD = 0,     // v = μ, DELTA or OUTPUT_SLOPE = φ_out'
  REBUILD = 1,     // v = μ + ε, DELTA or OUTPUT_SLOPE = φ_out'
  ERRORS = 2,      // ε = v − μ, δ = φ_out' ⊙ ε
  SLOPES = 3       // ε = v − μ, DELTA = φ_out'
};

// After Σ = Σ_k W_jk h_k: μ = φ_out(a Σ + b) + (v_{l−1} if skip).
template <class T> struct Predicted {
  T *v, *h, *e, *d, *slope, *m;
  const T *y, *bias, *below;
  T scale, weight;
  int act_out, act_next, mode;
  bool output, softmax, known;

  __device__ __forceinline__ Predicted(const RelaxParams& p, int l) {
    const Row& row = p.rows[l];
    output = l == p.depth;
    v = field<T>(p, l, STATE);
    h = distinct<T>(p, l, ACTIVATED, STATE);
    e = field<T>(p, l, ERROR);
    d = distinct<T>(p, l, DELTA, ERROR);
    m = field<T>(p, l, PREDICTION);
    y = field<T>(p, l, TARGET);
    bias = row.bias < 0 ? nullptr : static_cast<const T*>(p.theta) + row.bias;
    below = row.skip ? field<T>(p, l - 1, STATE) : nullptr;
    T* const lasting = field<T>(p, l, OUTPUT_SLOPE);
    act_out = row.act_out;
    act_next = output ? IDENTITY : p.rows[l + 1].act_in;
    scale = T(row.scale);
    weight = T(p.output_weight);
    mode = p.mode;
    softmax = p.softmax != 0;
    known = !output && l == 1 && m && mode >= ERRORS;
    slope = lasting ? lasting : act_out == IDENTITY ? nullptr : d;
  }

  // Layer 1's prediction from the forward pass, which needs no product.
  template <int N> __device__ __forceinline__ void again(int64_t i, Access at) const {
    const auto error = at.load<N>(v + i) - at.load<N>(m + i);
    at.store(e + i, error);
    if (!d) return;
    const auto kept = at.load<N>(slope + i);
    at.store(d + i, mode == SLOPES ? kept : kept * error);
  }

  // Of units j..j+N.
  template <int N> __device__ __forceinline__ void operator()(int64_t i, int j, const Pack<T, N>& sum, Access at) const {
    Pack<T, N> b = {};
    // θ need not begin at a multiple of 16 bytes there
    if (bias) b = Access{false, at.left}.load<N>(bias + j);
    const auto pre = fma_of(scale, sum, b), a = act(act_out, pre);
    const auto slope_out = [&] { return act_slope_from(act_out, a, pre); };
    auto mu = a;
#ifndef MUTANT_NO_SKIP_UP
    if (below) mu = mu + at.load<N>(below + i);
#endif
    if (output) {
      at.store(m + i, mu);
      if (softmax) {
        // the kernel `softmax` completes it, with a sum over the row
        if (d) at.store(d + i, slope_out());
        return;
      }
      const auto error = weight * (at.load<N>(y + i) - mu);
      at.store(e + i, error);
      if (d) at.store(d + i, slope_out() * error);
      return;
    }
    if (mode >= ERRORS) {
      const auto error = at.load<N>(v + i) - mu;
      at.store(e + i, error);
      if (d) at.store(d + i, mode == SLOPES ? slope_out() : slope_out() * error);
      return;
    }
    if (m && mode == FORWARD) at.store(m + i, mu);
    if (slope) at.store(slope + i, slope_out());
    if (mode == REBUILD) mu = mu + at.load<N>(e + i);
    at.store(v + i, mu);
#ifndef MUTANT_STALE_INPUT
    if (h) at.store(h + i, act(act_next, mu));
#else
    if (h && mode == FORWARD) at.store(h + i, act(act_next, mu));
#endif
  }
};

// Modes of `relax_pull`, as in src/launch/params.rs.
enum PullMode {
  ADJOINT = 0,  // ε = r, δ = φ_out' ⊙ r
  DESCEND = 1,  // ε += g (r − ε), and r goes on down as δ
  MOVE = 2,     // v += g (r − ε)
  SWEEP = 3,    // v += s and ε += s with s = g (r − ε), then δ = φ_out' ⊙ ε
  FIXED = 4,    // ε' = ε + g (r − ε), δ' = φ_out' ⊙ ε'
  DELAY = 5,    // PENDING_STEP = g (r − ε)
  IN_PLACE = 6  // ε += g (r − ε), δ = φ_out' ⊙ ε
};

// After Σ = Σ_j δ_j W_jk of layer l + 1: r = φ_in' ⊙ a Σ + (what the skip carries), for state l.
template <class T> struct Pulled {
  T *v, *h, *e, *d, *r, *e_to;
  const T *a, *slope, *m, *carried;
  T scale, g;
  int act_in, mode;
  bool arriving, plain;

  __device__ __forceinline__ Pulled(const RelaxParams& p, int l) {
    const Row &row = p.rows[l], &above = p.rows[l + 1];
    const bool swap = p.swap != 0;
    mode = p.mode;
    v = field<T>(p, l, STATE);
    a = field<T>(p, l, ACTIVATED);
    h = distinct<T>(p, l, ACTIVATED, STATE);
    e = field<T>(p, l, swap ? OTHER_ERROR : ERROR);
    e_to = mode == FIXED ? field<T>(p, l, swap ? ERROR : OTHER_ERROR) : nullptr;
    d = mode == FIXED && !swap ? distinct<T>(p, l, OTHER_DELTA, OTHER_ERROR) : distinct<T>(p, l, DELTA, ERROR);
    slope = field<T>(p, l, OUTPUT_SLOPE);
    r = field<T>(p, l, PENDING_STEP);
    m = field<T>(p, l, PREDICTION);
    carried = above.skip ? field<T>(p, l + 1, mode == FIXED ? (swap ? OTHER_ERROR : ERROR) : CARRIED) : nullptr;
    act_in = above.act_in;
    scale = T(above.scale);
    g = T(p.step_size);
    arriving = p.arriving == l;
    plain = row.act_out == IDENTITY;
    // nothing is pulled back below layer 1, so DELTA of layer 1 keeps its slope
    if (l == 1 && (mode == DESCEND || mode == MOVE || mode == SWEEP)) d = nullptr;
  }

  template <int N> __device__ __forceinline__ void store(int64_t i, const Pack<T, N>& state, Access at) const {
    at.store(v + i, state);
    if (h) at.store(h + i, act(act_in, state));
  }

  template <int N> __device__ __forceinline__ void operator()(int64_t i, const Pack<T, N>& sum, Access at) const {
    const auto old = at.load<N>(v + i);
    auto pull = scale * sum * act_slope_from(act_in, at.load<N>(a + i), old);
#ifndef MUTANT_NO_SKIP_DOWN
    if (carried) pull = pull + at.load<N>(carried + i);
#endif
    // ε after a step; where an error arrives ε was 0 and has not been written, so the step is g r
    const auto moved_error = [&] {
      if (arriving) return g * pull;
      const auto before = at.load<N>(e + i);
      return fma_of(g, pull - before, before);
    };
    switch (mode) {
      case ADJOINT:
        if (d) at.store(d + i, at.load<N>(d + i) * pull);
        if (e) at.store(e + i, pull);
        return;
      case DESCEND: {
        if (d) at.store(d + i, plain ? pull : at.load<N>(d + i) * pull);
        if (r) at.store(r + i, pull);
        const auto error = moved_error();
        at.store(e + i, error);
        // the state of layer 1 follows at once, because its prediction is that of the forward pass
        if (m) store(i, at.load<N>(m + i) + error, at);
        return;
      }
      case MOVE:
#ifdef MUTANT_FORGET_ARRIVAL
        if (false) {
#else
        if (arriving) {
#endif
          const auto moved = fma_of(g, pull, old), error = moved - old;
          at.store(e + i, error);
          if (d) at.store(d + i, at.load<N>(d + i) * error);
          store(i, moved, at);
        } else {
          store(i, fma_of(g, pull - at.load<N>(e + i), old), at);
        }
        return;
      case SWEEP: {
        const auto before = arriving ? Pack<T, N>{} : at.load<N>(e + i);
        const auto step = g * (pull - before), error = before + step;
        at.store(e + i, error);
        if (d) at.store(d + i, at.load<N>(d + i) * error);
        store(i, old + step, at);
        return;
      }
      case FIXED: {
        const auto error = moved_error();
        at.store(e_to + i, error);
        if (d) at.store(d + i, at.load<N>(slope + i) * error);
        return;
      }
      case IN_PLACE: {
        const auto before = at.load<N>(e + i), error = fma_of(g, pull - before, before);
        at.store(e + i, error);
        if (d) at.store(d + i, at.load<N>(slope + i) * error);
        return;
      }
      default: at.store(r + i, g * (arriving ? pull : pull - at.load<N>(e + i)));
    }
  }
};
