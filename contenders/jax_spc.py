#!/usr/bin/env python3
"""sPC, ePC and BP in JAX, as fast as we know to write them, timed as CSV. README.md says what the columns mean.

    contenders/jax_spc.py [--device cuda|cpu] [--first] [--depths 8 32 128] [--variants stacked-unrolled ...]

Equations, signs and indices of layers are those of reference.py.
"""

import os
import sys
import time
from functools import partial

import common
import table

# Else JAX takes most of the memory of a GPU at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
try:
    import jax
    import jax.numpy as jnp
    from jax import lax
except ImportError:
    jax = None  # opening the library says so

# Into how many runs of steps of equal extent the light cone is cut: each is compiled as a loop of its own.
GROUPS = 4


class Rules:
    """The rules for constants of a problem. A rule returns the inputs and the errors of all layers."""

    def __init__(self, problem, tf32, unroll):
        self.loss, self.g, self.rate, self.depth = problem.loss, problem.step, problem.rate, problem.depth
        self.unroll = unroll
        precision = lax.Precision.DEFAULT if tf32 else lax.Precision.HIGHEST
        self.einsum = partial(jnp.einsum, precision=precision)

    def predict(self, below, w, b, e=None):
        """A layer's input after tanh, and its value: its prediction, plus its error if it has one."""
        h = jnp.tanh(below)
        value = self.einsum("...bi,...oi->...bo", h, w)
        value = value if b is None else value + b[..., None, :]
        return h, value if e is None else value + e

    def pull(self, error, w, h):
        """What an error does to the state below."""
        return self.einsum("...bo,...oi->...bi", error, w) * (1 - h * h)

    def repeat(self, count, step, carry):
        return lax.fori_loop(0, count, lambda _, c: step(c), carry, unroll=min(self.unroll, count))

    def climb(self, w, b, x, errors=None):
        """Inputs and values of all layers, one by one from the bottom up; the top one has no error."""
        inputs, values, below = [], [], x
        for l in range(self.depth):
            e = errors[l] if errors is not None and l < self.depth - 1 else None
            h, below = self.predict(below, w[l], None if b is None else b[l], e)
            inputs.append(h)
            values.append(below)
        return inputs, values

    def adjoints(self, w, inputs, delta):
        """Minus the gradients of the loss, from the top down."""
        deltas = [delta]
        for l in range(self.depth - 1, 0, -1):
            deltas.append(self.pull(deltas[-1], w[l], inputs[l]))
        return deltas[::-1]

    def spc_looped(self, w, b, x, y, steps):
        h, values = self.climb(w, b, x)
        v, top = values[:-1], self.depth - 1
        first, eps = values[0], [jnp.zeros_like(y)] * top + [self.loss * (y - values[-1])]

        def step(carry):
            v, h, eps = carry
            v = [v[l] + self.g * (self.pull(eps[l + 1], w[l + 1], h[l + 1]) - eps[l]) for l in range(top)]
            mu = [first]
            for l in range(top):
                h_above, mu_above = self.predict(v[l], w[l + 1], None if b is None else b[l + 1])
                h = h[: l + 1] + [h_above] + h[l + 2 :]
                mu.append(mu_above)
            return v, h, [v[l] - mu[l] for l in range(top)] + [self.loss * (y - mu[top])]

        v, h, eps = self.repeat(steps, step, (v, h, eps))
        return jnp.stack(h), jnp.stack(eps)

    def spc_stacked(self, w, b, x, y, steps):
        inputs, values = self.climb(w, b, x)
        h, v, mu = jnp.stack(inputs), jnp.stack(values[:-1]), jnp.stack(values[:-1])
        eps = jnp.concatenate([jnp.zeros_like(v), self.loss * (y - values[-1])[None]])
        for lowest, count in common.cone(self.depth, steps, GROUPS):
            # what lies below the cone stays, and so does the prediction of its lowest state
            upper = (w[lowest + 1 :], None if b is None else b[lowest + 1 :])

            def step(carry, upper=upper, own=mu[lowest : lowest + 1]):
                v, h, eps = carry
                v = v + self.g * (self.pull(eps[1:], upper[0], h) - eps[:-1])
                h, predicted = self.predict(v, *upper)
                errors = jnp.concatenate([v[:1] - own, v[1:] - predicted[:-1], self.loss * (y - predicted[-1:])])
                return v, h, errors

            moved = self.repeat(count, step, (v[lowest:], h[lowest + 1 :], eps[lowest:]))
            v, h, eps = v.at[lowest:].set(moved[0]), h.at[lowest + 1 :].set(moved[1]), eps.at[lowest:].set(moved[2])
        return h, eps

    def epc_looped(self, w, b, x, y, steps):
        def sweep(errors):
            inputs, values = self.climb(w, b, x, errors)
            deltas = self.adjoints(w, inputs, self.loss * (y - values[-1]))
            return [e + self.g * (delta - e) for e, delta in zip(errors, deltas)]

        errors = self.repeat(steps, sweep, [jnp.zeros_like(y)] * (self.depth - 1))
        inputs, values = self.climb(w, b, x, errors)
        return jnp.stack(inputs), jnp.stack(errors + [self.loss * (y - values[-1])])

    def bp_looped(self, w, b, x, y, _steps):
        inputs, values = self.climb(w, b, x)
        return jnp.stack(inputs), jnp.stack(self.adjoints(w, inputs, self.loss * (y - values[-1])))

    # The same sweeps with a loop over layers that is compiled once, whatever the depth.

    def scanned(self, w, b, x, y, errors):
        """Inputs, minus the gradients of the loss and the output's error."""
        below, inputs = lax.scan(lambda v, layer: self.predict(v, *layer)[::-1], x, (w, b, errors))
        output_error = self.loss * (y - below)

        def down(delta, layer):  # what the lowest one gives is not used: cheaper than a copy of all others
            return self.pull(delta, *layer), delta

        _, deltas = lax.scan(down, output_error, (w, inputs), reverse=True)
        return inputs, deltas

    def epc_stacked(self, w, b, x, y, steps):
        free = jnp.ones((self.depth, 1, 1)).at[-1].set(0.0)  # the output has no error of its own

        def sweep(errors):
            _, deltas = self.scanned(w, b, x, y, errors)
            return errors + self.g * free * (deltas - errors)

        errors = self.repeat(steps, sweep, jnp.zeros((self.depth, *y.shape)))
        below, inputs = lax.scan(lambda v, layer: self.predict(v, *layer)[::-1], x, (w, b, errors))
        return inputs, errors.at[-1].set(self.loss * (y - below))

    def bp_stacked(self, w, b, x, y, _steps):
        return self.scanned(w, b, x, y, None)

    def update(self, rule, steps, w, b, x, y):
        """One weight update: inference, directions of all layers in one batched product, SGD."""
        h, eps = getattr(self, rule)(w, b, x, y, steps)
        w = w + self.rate * self.einsum("lbo,lbi->loi", eps, h)
        return w, None if b is None else b + self.rate * eps.sum(1)


class Program:
    """One weight update, compiled and ready to be repeated. Weights are given away to each call, so that none are copied."""

    def __init__(self, problem, rule, steps, tf32, unroll):
        def put(numbers):
            return None if numbers is None else jnp.asarray(numbers, dtype=jnp.float32)

        self.batch = put(problem.x), put(problem.y)
        self.drawn = put(problem.weights), put(problem.biases)
        self.update = jax.jit(partial(Rules(problem, tf32, unroll).update, rule, steps), donate_argnums=(0, 1))
        self.reset()
        self.run()  # compiles
        self.wait()

    def run(self):
        self.state = self.update(*self.state, *self.batch)

    def reset(self):
        self.state = jax.tree.map(jnp.copy, self.drawn)

    def wait(self):
        jax.block_until_ready(self.state)

    def parameters(self):
        return tuple(None if own is None else own.tolist() for own in self.state)

    def finite(self):
        return bool(jnp.isfinite(self.state[0]).all())


class Jax:
    name = "jax"
    # all layers in one batched product (of ePC and BP: in one `scan`), or each for itself; then a loop over steps, or over
    # eight steps at once
    VARIANTS = "stacked-unrolled stacked-jit looped-jit".split()

    def __init__(self, device):
        if jax is None:
            raise ImportError("there is no package `jax`")
        self.version = jax.__version__
        if device == "cpu":
            jax.config.update("jax_platforms", device)
        try:
            jax.devices(device)
        except RuntimeError as error:
            raise table.Unavailable(" ".join(str(error).split())) from error
        self.cuda = device == "cuda"

    def variants(self, first):
        return self.VARIANTS[:2] if first else self.VARIANTS

    def build(self, problem, rule, steps, variant, tf32):
        layout, how = variant.split("-")
        return Program(problem, f"{rule}_{layout}", steps, tf32, 8 if how == "unrolled" else 1)

    def device_ns(self, program, calls):
        """Nanoseconds of `calls` calls queued at once, by the host's clock: JAX has no events."""
        program.wait()
        start = time.perf_counter()
        for _ in range(calls):
            program.run()
        program.wait()
        return (time.perf_counter() - start) * 1e9

    def spin(self, seconds):
        """Work that brings the clock of a GPU up."""
        end = time.monotonic() + seconds
        while self.cuda and time.monotonic() < end:
            a = jnp.ones((4096, 4096))
            (a @ a).sum().block_until_ready()


if __name__ == "__main__":
    sys.exit(table.main(Jax, __doc__))
