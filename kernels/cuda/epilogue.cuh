// What follows a product, element by element: errors after predictions, moves after pulls.
//
// Both epilogues know all addresses of their layer once; i is an element of [batch, n_l], j its unit.
#pragma once

#include "relax.cuh"

// Modes of `relax_predict`, as in src/launch/params.rs.
enum PredictMode {
  FORWARD = 0,     // v = μ, D or S = φ_out'
  REBUILD = 1,     // v = μ + ε, D or S = φ_out'
  ERRORS = 2,      // ε = v − μ, δ = φ_out' ⊙ ε
  SLOPES = 3       // ε = v − μ, D = φ_out'
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
    v = field<T>(p, l, V);
    h = apart<T>(p, l, H, V);
    e = field<T>(p, l, E);
    d = apart<T>(p, l, D, E);
    m = field<T>(p, l, M);
    y = field<T>(p, l, Y);
    bias = row.bias < 0 ? nullptr : static_cast<const T*>(p.theta) + row.bias;
    below = row.skip ? field<T>(p, l - 1, V) : nullptr;
    T* const kept = field<T>(p, l, S);
    act_out = row.act_out;
    act_next = output ? IDENTITY : p.rows[l + 1].act_in;
    scale = T(row.scale);
    weight = T(p.weight);
    mode = p.mode;
    softmax = p.loss == LOSS_CROSS_ENTROPY;
    known = !output && l == 1 && m && mode >= ERRORS;
    slope = kept ? kept : act_out == IDENTITY ? nullptr : d;
  }

  // Layer 1's prediction from the forward pass, which needs no product.
  __device__ __forceinline__ void again(int64_t i) const {
    const T error = v[i] - m[i];
    e[i] = error;
    if (d) d[i] = mode == SLOPES ? slope[i] : slope[i] * error;
  }

  __device__ __forceinline__ void operator()(int64_t i, int j, T sum) const {
    const T pre = fma_of(scale, sum, bias ? bias[j] : T(0)), a = act(act_out, pre);
    const auto slope_out = [&] { return act_slope_from(act_out, a, pre); };
    T mu = a;
#ifndef PLANT_NO_SKIP_UP
    if (below) mu += below[i];
#endif
    if (output) {
      m[i] = mu;
      if (softmax) {
        // goes on where there is a sum over the row to be had
        if (d) d[i] = slope_out();
        return;
      }
      const T error = weight * (y[i] - mu);
      e[i] = error;
      if (d) d[i] = slope_out() * error;
      return;
    }
    if (mode >= ERRORS) {
      const T error = v[i] - mu;
      e[i] = error;
      if (d) d[i] = mode == SLOPES ? slope_out() : slope_out() * error;
      return;
    }
    if (m && mode == FORWARD) m[i] = mu;
    if (slope) slope[i] = slope_out();
    if (mode == REBUILD) mu += e[i];
    v[i] = mu;
#ifndef PLANT_STALE_INPUT
    if (h) h[i] = act(act_next, mu);
#else
    if (h && mode == FORWARD) h[i] = act(act_next, mu);
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
  DELAY = 5,    // R = g (r − ε)
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
    const bool swap = p.from != 0;
    mode = p.mode;
    v = field<T>(p, l, V);
    a = field<T>(p, l, H);
    h = apart<T>(p, l, H, V);
    e = field<T>(p, l, swap ? E2 : E);
    e_to = mode == FIXED ? field<T>(p, l, swap ? E : E2) : nullptr;
    d = mode == FIXED ? (swap ? apart<T>(p, l, D, E) : apart<T>(p, l, D2, E2)) : apart<T>(p, l, D, E);
    slope = field<T>(p, l, S);
    r = field<T>(p, l, R);
    m = field<T>(p, l, M);
    carried = above.skip ? field<T>(p, l + 1, mode == FIXED ? (swap ? E2 : E) : CARRIED) : nullptr;
    act_in = above.act_in;
    scale = T(above.scale);
    g = T(p.step);
    arriving = p.arriving == l;
    plain = row.act_out == IDENTITY;
    // nothing goes further down than layer 1, whose slope is kept
    if (l == 1 && (mode == DESCEND || mode == MOVE || mode == SWEEP)) d = nullptr;
  }

  __device__ __forceinline__ void store(int64_t i, T state) const {
    v[i] = state;
    if (h) h[i] = act(act_in, state);
  }

  __device__ __forceinline__ void operator()(int64_t i, int, T sum) const {
    const T old = v[i];
    T pull = scale * sum * act_slope_from(act_in, a[i], old);
#ifndef PLANT_NO_SKIP_DOWN
    if (carried) pull += carried[i];
#endif
    switch (mode) {
      case ADJOINT:
        if (d) d[i] *= pull;
        if (e) e[i] = pull;
        return;
      case DESCEND: {
        if (d) d[i] = plain ? pull : d[i] * pull;
        if (r) r[i] = pull;
        const T error = arriving ? g * pull : fma_of(g, pull - e[i], e[i]);
        e[i] = error;
        // layer 1 has the last word of a sweep: its prediction is that of the forward pass
        if (m) store(i, m[i] + error);
        return;
      }
      case MOVE:
#ifdef PLANT_FORGET_ARRIVAL
        if (false) {
#else
        if (arriving) {
#endif
          const T moved = fma_of(g, pull, old), error = moved - old;
          e[i] = error;
          if (d) d[i] *= error;
          store(i, moved);
        } else {
          store(i, fma_of(g, pull - e[i], old));
        }
        return;
      case SWEEP: {
        const T before = arriving ? T(0) : e[i], step = g * (pull - before);
        e[i] = before + step;
        if (d) d[i] *= before + step;
        store(i, old + step);
        return;
      }
      case FIXED: {
        const T error = arriving ? g * pull : fma_of(g, pull - e[i], e[i]);
        e_to[i] = error;
        if (d) d[i] = slope[i] * error;
        return;
      }
      case IN_PLACE: {
        const T error = fma_of(g, pull - e[i], e[i]);
        e[i] = error;
        if (d) d[i] = slope[i] * error;
        return;
      }
      default: r[i] = arriving ? g * pull : g * (pull - e[i]);
    }
  }
};
