#!/usr/bin/env python3
"""A training run of MNIST by sPC or BP in PyTorch on a CPU, as fast as we know to write it, timed as one row of CSV.

    contenders/torch_epoch.py --data DIR [--rule spc|bp] [--variant compiled|eager] [--threads 2]

Gradients are written by hand, nothing is recorded for autograd, states below the light cone stay where they are, and numbers too
small for f32's exponent are zero. `compiled` gives a whole update, Adam too, to `torch.compile` with a wrapper in C++; `eager` calls
PyTorch's fused Adam.
"""

import sys

import common
import epoch

try:
    import torch
    from torch.nn.functional import linear
except ImportError:
    torch = None  # opening the library says so


def pull(error, w, h):
    """What an error does to the state below; `tanh_backward` is error * (1 - h * h) in one kernel."""
    return torch.ops.aten.tanh_backward(error @ w, h)


def directions(x, y, weights, biases, rule, steps, g):
    """Directions of descent of all weights, then of all biases."""
    top = len(weights) - 1
    v, h = [linear(x, weights[0], biases[0])], []
    for w, b in zip(weights[1:], biases[1:]):
        h.append(torch.tanh(v[-1]))
        v.append(linear(h[-1], w, b))
    mu, eps = list(v), [None] * top + [y - torch.softmax(v[-1], 1)]
    if rule == "bp":
        for l in reversed(range(top)):
            eps[l] = pull(eps[l + 1], weights[l + 1], h[l])
        steps = 0
    for lowest, count in common.cone(len(weights), steps):
        for _ in range(count):
            for l in range(lowest, top):
                pulled = pull(eps[l + 1], weights[l + 1], h[l])
                v[l] = torch.add(v[l], pulled if eps[l] is None else pulled - eps[l], alpha=g)
            for l in range(lowest, top):
                h[l] = torch.tanh(v[l])
                if l > lowest:
                    mu[l] = linear(h[l - 1], weights[l], biases[l])
                eps[l] = v[l] - mu[l]
            eps[top] = y - torch.softmax(linear(h[-1], weights[top], biases[top]), 1)
    # a layer that no error has reached does not learn
    eps = [torch.zeros_like(own) if e is None else e for e, own in zip(eps, v)]
    return [e.t() @ read for e, read in zip(eps, [x, *h])] + [e.sum(0) for e in eps]


class Program:
    def __init__(self, params, x, y, recipe, compiled):
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.params = [torch.from_numpy(own).clone() for own in params]
        self.first, self.second = ([torch.zeros_like(own) for own in self.params] for _ in range(2))
        self.recipe, self.compiled, self.t, self.count = recipe, compiled, 0, torch.zeros(())
        self.update = self.compiled_update() if compiled else self.eager_update

    def directions(self, x, y, params):
        depth, own = len(params) // 2, self.recipe
        return directions(x, y, params[:depth], params[depth:], own.rule, own.steps, own.step)

    def eager_update(self, x, y):
        found = self.directions(x, y, self.params)
        self.count += 1
        torch._fused_adam_(
            self.params,
            found,
            self.first,
            self.second,
            [],
            [self.count] * len(found),
            lr=self.recipe.rate,
            beta1=epoch.BETA1,
            beta2=epoch.BETA2,
            eps=epoch.EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=True,
        )

    def compiled_update(self):
        def whole(x, y, params, first, second, gains):
            found = self.directions(x, y, params)
            for p, m, s, d in zip(params, first, second, found):
                m.lerp_(d, 1 - epoch.BETA1)
                s.mul_(epoch.BETA2).addcmul_(d, d, value=1 - epoch.BETA2)
                p.add_(m * gains[0] / (torch.sqrt(s * gains[1]) + epoch.EPSILON))

        compiled = torch.compile(whole, dynamic=False, fullgraph=True, options={"cpp_wrapper": True})

        def update(x, y):
            # as a tensor: the compiler would take numbers for constants
            self.t += 1
            gains = torch.tensor([self.recipe.rate / (1 - epoch.BETA1**self.t), 1 / (1 - epoch.BETA2**self.t)])
            compiled(x, y, self.params, self.first, self.second, gains)

        return update

    def prepare(self, _updates):
        """A few updates, which load and compile what they need, and are taken back."""
        moved = [*self.params, *self.first, *self.second, self.count]
        before, rows = [own.clone() for own in moved], torch.arange(self.recipe.batch)
        for _ in range(3):
            self.update(self.x.index_select(0, rows), self.y.index_select(0, rows))
        torch._foreach_copy_(moved, before)
        self.t = 0

    def epoch(self, order):
        for rows in torch.from_numpy(order):
            self.update(self.x.index_select(0, rows), self.y.index_select(0, rows))

    def state(self):
        first = self.first if self.compiled else [-own for own in self.first]  # PyTorch's own is of gradients also where it climbs
        return [[own.numpy().copy() for own in each] for each in (self.params, first, self.second)]


class Torch:
    name = "torch"
    VARIANTS = ("compiled", "eager")

    def __init__(self, variant, threads):
        if torch is None:
            raise ImportError("there is no package `torch`")
        self.version, self.compiled = torch.__version__, variant == "compiled"
        # before the first thread starts: later ones take this over
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    def build(self, params, x, y, recipe):
        return Program(params, x, y, recipe, self.compiled)


if __name__ == "__main__":
    sys.exit(epoch.main(Torch, __doc__))
