#!/usr/bin/env python3
"""A training run of MNIST by sPC or BP in JAX on a CPU, as fast as we know to write it, timed as one row of CSV.

    contenders/jax_epoch.py --data DIR [--rule spc|bp] [--variant scanned|sharded] [--threads 2]

All updates of an epoch are one call: a `scan` over batches under `jit`, with steps unrolled, states below the light cone left
where they are, and parameters and moments in donated buffers. `sharded` gives every thread a device and a share of the batch, with
one sum of directions per update; `scanned` leaves threads to XLA. XLA's CPU code takes numbers too small for f32's exponent as zero.
"""

import sys
from functools import partial

import common
import epoch
import table

try:
    import jax
    import jax.numpy as jnp
    from jax import lax
    from jax.sharding import PartitionSpec
except ImportError:
    jax = None  # opening the library says so


def directions(params, x, y, rule, steps, g):
    """Directions of descent of all weights, then of all biases."""
    depth = len(params) // 2
    weights, biases, top = params[:depth], params[depth:], depth - 1

    def predict(l, h):
        return h @ weights[l].T + biases[l]

    def pull(l, error, h):
        return (error @ weights[l + 1]) * (1 - h * h)

    v, h = [predict(0, x)], []
    for l in range(1, depth):
        h.append(jnp.tanh(v[-1]))
        v.append(predict(l, h[-1]))
    mu, eps = list(v), [jnp.zeros_like(own) for own in v[:-1]] + [y - jax.nn.softmax(v[-1])]
    if rule == "bp":
        for l in reversed(range(top)):
            eps[l] = pull(l, eps[l + 1], h[l])
        steps = 0
    for lowest, count in common.cone(depth, steps):
        for _ in range(count):
            moved = [v[l] + g * (pull(l, eps[l + 1], h[l]) - eps[l]) for l in range(lowest, top)]
            v = v[:lowest] + moved + v[top:]
            h = h[:lowest] + [jnp.tanh(own) for own in moved]
            # the prediction of the lowest state that moves has not moved
            mu = mu[: lowest + 1] + [predict(l, h[l - 1]) for l in range(lowest + 1, depth)]
            eps = eps[:lowest] + [v[l] - mu[l] for l in range(lowest, top)] + [y - jax.nn.softmax(mu[top])]
    return [e.T @ read for e, read in zip(eps, [x, *h])] + [e.sum(0) for e in eps]


def updates(recipe, axis, state, order, x, y):
    """Updates on the batches with the rows of `order`, one after another."""

    def update(state, rows):
        params, first, second, t = state
        d = directions(params, x[rows], y[rows], recipe.rule, recipe.steps, recipe.step)
        if axis is not None:
            d = lax.psum(d, axis)
        t = t + 1
        gain, scale = recipe.rate / (1 - epoch.BETA1**t), 1 / (1 - epoch.BETA2**t)
        first = [epoch.BETA1 * m + (1 - epoch.BETA1) * own for m, own in zip(first, d)]
        second = [epoch.BETA2 * s + (1 - epoch.BETA2) * own * own for s, own in zip(second, d)]
        params = [p + gain * m / (jnp.sqrt(scale * s) + epoch.EPSILON) for p, m, s in zip(params, first, second)]
        return (params, first, second, t), None

    return lax.scan(update, state, order)[0]


class Program:
    def __init__(self, params, x, y, recipe, threads):
        function = partial(updates, recipe, None)
        place = self.order_place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        if threads is not None:
            mesh = jax.make_mesh((threads,), ("thread",))
            whole, shared = PartitionSpec(), PartitionSpec(None, "thread")
            function = partial(updates, recipe, "thread")
            specs = {"in_specs": (whole, shared, whole, whole), "out_specs": whole}
            function = jax.shard_map(function, mesh=mesh, check_vma=False, **specs)
            place, self.order_place = (jax.sharding.NamedSharding(mesh, spec) for spec in (whole, shared))
        self.x, self.y = jax.device_put((x, y), place)
        zeros = [0 * own for own in params]
        self.at = jax.device_put((params, zeros, [1 * own for own in zeros], jnp.float32(0)), place)
        self.function, self.compiled, self.batch = jax.jit(function, donate_argnums=0), {}, recipe.batch

    def prepare(self, updates):
        shape = jax.ShapeDtypeStruct((updates, self.batch), jnp.int32, sharding=self.order_place)
        self.compiled[updates] = self.function.lower(self.at, shape, self.x, self.y).compile()

    def epoch(self, order):
        order = jax.device_put(order.astype("int32"), self.order_place)
        self.at = jax.block_until_ready(self.compiled[len(order)](self.at, order, self.x, self.y))

    def state(self):
        return jax.device_get(self.at[:3])


class Jax:
    name = "jax"
    VARIANTS = ("scanned", "sharded")

    def __init__(self, variant, threads):
        if jax is None:
            raise ImportError("there is no package `jax`")
        self.version, self.threads = jax.__version__, threads if variant == "sharded" else None
        try:
            jax.config.update("jax_platforms", "cpu")
            jax.config.update("jax_num_cpu_devices", threads)
        except RuntimeError:
            pass  # JAX has been used in this process, with the devices that are counted below
        if len(jax.devices()) < (self.threads or 1):
            raise table.Unavailable(f"JAX has {len(jax.devices())} devices and {threads} were asked for; take a new process")

    def build(self, params, x, y, recipe):
        if recipe.batch % (self.threads or 1):
            raise epoch.Unusable(f"a batch of {recipe.batch} does not divide by {self.threads} threads; give a divisor")
        return Program(params, x, y, recipe, self.threads)


if __name__ == "__main__":
    sys.exit(epoch.main(Jax, __doc__))
