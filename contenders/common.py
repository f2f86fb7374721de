"""What both programs compute: numbers from a seed, the networks, the light cone, and the check before timing."""

import struct
from dataclasses import dataclass, replace

import reference

WIDTH, BATCH, STEP = 128, 64, 0.1
# So small that no number of calls takes the weights anywhere.
RATE = 1e-9


def numbers(seed, count, scale, skip=0):
    """`count` f32 numbers between -scale and scale after the first `skip`, by splitmix64: those of kernels/benches."""
    try:
        import numpy
    except ImportError:
        return [draw(seed, skip + i, scale) for i in range(count)]
    whole = numpy.uint64  # arrays of it wrap around
    z = numpy.arange(skip + 1, skip + count + 1, dtype=whole) * whole(0x9E3779B97F4A7C15) + whole(seed)
    z = (z ^ (z >> whole(30))) * whole(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> whole(27))) * whole(0x94D049BB133111EB)
    z ^= z >> whole(31)
    return (scale * ((z >> whole(11)) / 2.0**52 - 1.0)).astype(numpy.float32)


def draw(seed, index, scale):
    """Number `index` of them, in plain Python."""
    mask = 2**64 - 1
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & mask
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    z ^= z >> 31
    return struct.unpack("f", struct.pack("f", scale * ((z >> 11) / 2**52 - 1.0)))[0]


def shaped(flat, *shape):
    """An array of numpy, or without it nested lists, of that shape."""
    if hasattr(flat, "reshape"):
        return flat.reshape(shape)
    if len(shape) == 1:
        return list(flat)
    size = len(flat) // shape[0]
    return [shaped(flat[i * size : (i + 1) * size], *shape[1:]) for i in range(shape[0])]


@dataclass
class Problem:
    """A network of equal layers and its batch; biases may be None. Everything can be iterated like nested lists."""

    weights: object  # [depth, width, width], a row per output
    biases: object  # [depth, width]
    x: object  # [batch, width]
    y: object  # [batch, width]
    loss: float
    step: float = STEP
    rate: float = RATE

    @property
    def depth(self):
        return len(self.weights)

    def network(self):
        """For the reference."""

        def plain(nested):
            return nested.tolist() if hasattr(nested, "tolist") else nested

        biases = None if self.biases is None else plain(self.biases)
        return reference.Network(plain(self.weights), biases, plain(self.x), plain(self.y), self.loss, self.step)


def problem(depth, bias, width=WIDTH, batch=BATCH):
    """The network of kernels/benches: with biases that of `claims`, without them that of `ladder`."""
    layer = width * width + (width if bias else 0)
    theta = shaped(numbers(7, depth * layer, width**-0.5), depth, layer)
    weights = [shaped(own[: width * width], width, width) for own in theta]
    biases = [own[width * width :] for own in theta] if bias else None
    x = shaped(numbers(7, batch * width, 1.0, depth * layer), batch, width)
    y = shaped(numbers(7, batch * width, 1.0, depth * layer + batch * width), batch, width)
    if hasattr(x, "tolist"):
        import numpy

        weights, biases = numpy.stack(weights), numpy.stack(biases) if bias else None
    return Problem(weights, biases, x, y, 1.0 / batch)


def cone(depth, steps, groups=None):
    """The lowest hidden state that moves in each step: the output's error gets down by one layer per step, so lower ones stay.

    As (lowest, steps) of runs of steps; in at most `groups` of them if given, each with the lowest of its steps. States that
    need not move yet move by nothing, so fewer groups are as exact and do more products.
    """
    lowest = [max(0, depth - 2 - t) for t in range(steps)]
    size = 1 if groups is None else max(1, -(-steps // groups))
    runs = [lowest[at : at + size] for at in range(0, steps, size)]
    return [(run[-1], len(run)) for run in runs]


# The check before timing.

REDUCED_STEPS = 7


def reduced(bias):
    """Five layers of width 8 on a batch of 4, with a step that brings the error all the way down (and is not 1/2, which would hide
    g where 1 - g is meant)."""
    small = problem(5, bias, width=8, batch=4)
    return replace(small, step=0.4, rate=1.0)


def allowance(depth, steps, step, width, largest, tf32):
    """How far a direction may be off. u is the unit roundoff of what rounds, `largest` the largest direction of the layer.

    f32 rounds every operation: each of the sums of width + 2 terms of L + 2T products. tf32 also rounds the two operands of
    each product to 10 bits of fraction; T steps reach the states through their sizes.
    """
    exact = 2.0**-24 * (width + 2) * (depth + 2 * steps) * 8 * (largest + 1)
    return exact + (2.0**-10 * 4 * (2 * (depth + steps * step) + 1) * (largest + 1) if tf32 else 0.0)


def worst(small, rule, steps, parameters, tf32):
    """The largest error of an update with rate 1, in units of its allowance (1 or less passes), and which layer's it is."""
    net, (weights, biases) = small.network(), parameters
    of_weights, of_biases = reference.directions(net, rule, steps)
    found = []
    for l in range(net.depth):
        pairs = [("weights", of_weights[l], weights[l], net.weights[l])]
        if net.biases is not None:
            pairs.append(("biases", [of_biases[l]], [biases[l]], [net.biases[l]]))
        for name, expected, after, before in pairs:
            flat = [(e, a - b) for rows in zip(expected, after, before) for e, a, b in zip(*rows)]
            largest = max(abs(e) for e, _ in flat)
            allowed = allowance(net.depth, steps, net.step, len(net.x[0]), largest, tf32)
            off = max(abs(got - e) if got == got else float("inf") for e, got in flat)
            found.append(
                (off / allowed, f"directions of the {name} of layer {l + 1} are off by {off:.1e}, allowed {allowed:.1e}")
            )
    return max(found)
