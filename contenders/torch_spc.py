#!/usr/bin/env python3
"""sPC, ePC and BP in PyTorch, as fast as we know to write them, timed as CSV. README.md says what the columns mean.

    contenders/torch_spc.py [--device cuda|cpu] [--first] [--depths 8 32 128] [--variants stacked-captured ...]

Equations, signs and indices of layers are those of reference.py.
"""

import sys
import time

import common
import table

try:
    import torch
    from torch.nn.functional import linear
except ImportError:
    torch = None  # opening the library says so


def predict(below, w, b, e=None):
    """A layer's input after tanh, and its value: its prediction, plus its error if it has one."""
    h = torch.tanh(below)
    mu = linear(h, w, b)
    return h, mu if e is None else mu + e


def pull(error, w, h):
    """What an error does to the state below; `tanh_backward` is error * (1 - h * h) in one kernel."""
    return torch.ops.aten.tanh_backward(error @ w, h)


def move(v, eps, above, w, h, g):
    return torch.add(v, pull(above, w, h) - eps, alpha=g)


def step(v, h, eps, w, b, minus, g, lowest):
    """One step of sPC for all states from `lowest` up, in place: seven kernels (eight with biases), two of them batched products.

    The last row of v is c y, and `minus` is -1 for every layer but the last, which has -c: one kernel makes all errors.
    """
    pulled = pull(eps[lowest + 1 :], w[lowest + 1 :], h[lowest + 1 :])
    v[lowest:-1].add_(pulled - eps[lowest:-1], alpha=g)
    torch.tanh(v[lowest:-1], out=h[lowest + 1 :])
    mu = h[lowest:] @ w[lowest:].mT
    if b is not None:
        mu += b[lowest:, None]
    torch.addcmul(v[lowest:], mu, minus[lowest:], out=eps[lowest:])


FUNCTIONS = ("predict", "pull", "move", "step")


class Plain:
    """The four functions as they are."""

    predict, pull, move, step = map(staticmethod, (predict, pull, move, step))


class Net:
    """A problem on a device, and the rules on it. A rule returns the inputs and the errors of all layers."""

    def __init__(self, problem, device, functions):
        def put(numbers):
            return None if numbers is None else torch.as_tensor(numbers, dtype=torch.float32, device=device).clone()

        self.w, self.b, self.x, self.y = map(put, (problem.weights, problem.biases, problem.x, problem.y))
        self.loss, self.g, self.rate, self.depth = problem.loss, problem.step, problem.rate, problem.depth
        # for `step`
        self.target = self.loss * self.y
        self.minus = torch.full((self.depth, 1, 1), -1.0, device=device)
        self.minus[-1] = -self.loss
        self.ws = self.w.unbind()
        self.bs = [None] * self.depth if self.b is None else self.b.unbind()
        self.f = functions

    def output_error(self, output):
        return self.loss * (self.y - output)

    def climb(self, errors=None):
        """Inputs and values of all layers, from the bottom up."""
        inputs, values, below = [], [], self.x
        for l in range(self.depth):
            e = errors[l] if errors is not None and l < self.depth - 1 else None
            h, below = self.f.predict(below, self.ws[l], self.bs[l], e)
            inputs.append(h)
            values.append(below)
        return inputs, values

    def adjoints(self, inputs, output):
        """Minus the gradients of the loss, from the top down."""
        deltas = [self.output_error(output)]
        for l in range(self.depth - 1, 0, -1):
            deltas.append(self.f.pull(deltas[-1], self.ws[l], inputs[l]))
        return deltas[::-1]

    def spc_looped(self, steps, exact_cone):
        h, values = self.climb()
        v, top = values[:-1], self.depth - 1
        eps = [torch.zeros_like(self.y)] * top + [self.output_error(values[-1])]
        mu = list(values)
        for lowest, count in common.cone(self.depth, steps, None if exact_cone else 1):
            for _ in range(count):
                for l in range(lowest, top):
                    v[l] = self.f.move(v[l], eps[l], eps[l + 1], self.ws[l + 1], h[l + 1], self.g)
                for l in range(lowest, top):
                    h[l + 1], mu[l + 1] = self.f.predict(v[l], self.ws[l + 1], self.bs[l + 1])
                    eps[l] = v[l] - mu[l]
                eps[top] = self.output_error(mu[top])
        return h, eps

    def spc_stacked(self, steps, exact_cone):
        inputs, values = self.climb()
        h, v = torch.stack(inputs), torch.stack(values[:-1] + [self.target])
        eps = torch.zeros_like(v)
        eps[-1] = self.output_error(values[-1])
        for lowest, count in common.cone(self.depth, steps, None if exact_cone else 1):
            for _ in range(count):
                self.f.step(v, h, eps, self.w, self.b, self.minus, self.g, lowest)
        return h, eps

    def epc_looped(self, steps, _exact_cone):
        errors = [torch.zeros_like(self.y)] * (self.depth - 1)
        for _ in range(steps):
            inputs, values = self.climb(errors)
            deltas = self.adjoints(inputs, values[-1])
            errors = [torch.lerp(e, delta, self.g) for e, delta in zip(errors, deltas)]
        inputs, values = self.climb(errors)
        return inputs, errors + [self.output_error(values[-1])]

    def epc_stacked(self, steps, _exact_cone):
        """Sweeps go through the layers one by one; what is element by element is done for all of them at once."""
        eps = torch.zeros(self.depth, *self.y.shape, device=self.w.device)
        errors = eps[:-1]
        for _ in range(steps):
            inputs, values = self.climb(errors)
            errors.lerp_(torch.stack(self.adjoints(inputs, values[-1])[:-1]), self.g)
        inputs, values = self.climb(errors)
        eps[-1] = self.output_error(values[-1])
        return torch.stack(inputs), eps

    def bp_looped(self, _steps, _exact_cone):
        inputs, values = self.climb()
        return inputs, self.adjoints(inputs, values[-1])

    def bp_stacked(self, _steps, _exact_cone):
        return map(torch.stack, self.bp_looped(0, True))

    def learn_looped(self, inputs, errors):
        """Directions and SGD in one product per layer."""
        for l, (h, eps) in enumerate(zip(inputs, errors)):
            self.ws[l].addmm_(eps.T, h, alpha=self.rate)
            if self.b is not None:
                self.bs[l].add_(eps.sum(0), alpha=self.rate)

    def learn_stacked(self, h, eps):
        """Directions and SGD of all layers in one batched product."""
        self.w.baddbmm_(eps.mT, h, alpha=self.rate)
        if self.b is not None:
            self.b.add_(eps.sum(1), alpha=self.rate)


class Program:
    """One weight update, ready to be repeated."""

    def __init__(self, net, update, captured):
        self.net, self.run = net, update
        self.drawn = [p.clone() for p in (net.w, net.b) if p is not None]
        if captured:
            self.run = capture(update)

    def reset(self):
        for own, drawn in zip((self.net.w, self.net.b), self.drawn):
            own.copy_(drawn)

    def wait(self):
        if self.net.w.is_cuda:
            torch.cuda.synchronize()

    def parameters(self):
        return self.net.w.tolist(), None if self.net.b is None else self.net.b.tolist()

    def finite(self):
        return bool(self.net.w.isfinite().all())


def capture(update):
    """Records everything that an update does into one CUDA graph, after a run that loads and compiles what it needs."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        update()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        update()
    return graph.replay


class Torch:
    name = "torch"
    # one layer after another, or all in one batched product where the rule allows; then one launch after another (eager),
    # recorded as one CUDA graph (captured), or compiled and recorded
    VARIANTS = "stacked-captured looped-captured stacked-compiled looped-compiled stacked-eager looped-eager".split()

    def __init__(self, device):
        if torch is None:
            raise ImportError("there is no package `torch`")
        self.version = torch.__version__
        self.cuda = device == "cuda"
        if self.cuda and not torch.cuda.is_available():
            raise table.Unavailable("PyTorch sees no GPU")
        self.device, self.key, self.functions = torch.device(device), None, None
        torch.set_grad_enabled(False)

    def variants(self, first):
        if self.cuda:
            return self.VARIANTS[:2] if first else self.VARIANTS
        return self.VARIANTS[-2:] if first else self.VARIANTS[2:]

    def build(self, problem, rule, steps, variant, tf32):
        layout, how = variant.split("-")
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        functions = self.compiled((rule, variant, tf32, problem.depth, len(problem.x))) if how == "compiled" else Plain
        net = Net(problem, self.device, functions)
        infer, learn = getattr(net, f"{rule}_{layout}"), getattr(net, f"learn_{layout}")
        # compiled, every height of the cone would be compiled anew
        exact_cone = variant != "stacked-compiled"
        return Program(net, lambda: learn(*infer(steps, exact_cone)), self.cuda and how != "eager")

    def compiled(self, key):
        """The four functions above, compiled for the sizes at hand, where what is done element by element is fused.

        `max-autotune` also tries products with that as their epilogue. Without CUDA graphs of its own, of which there would be
        one per call: the whole update is recorded instead. What was compiled for another row is dropped, because the compiler
        stops after eight versions of a function.
        """
        if key != self.key:
            torch.compiler.reset()
            made = {
                name: torch.compile(getattr(Plain, name), mode="max-autotune-no-cudagraphs", dynamic=False) for name in FUNCTIONS
            }
            self.key, self.functions = key, type("Compiled", (), {name: staticmethod(made[name]) for name in FUNCTIONS})
        return self.functions

    def device_ns(self, program, calls):
        """Nanoseconds of `calls` calls between two events; on the CPU by its clock."""
        if not self.cuda:
            start = time.perf_counter()
            for _ in range(calls):
                program.run()
            return (time.perf_counter() - start) * 1e9
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            program.run()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) * 1e6

    def spin(self, seconds):
        """Work that brings the clock of a GPU up."""
        end = time.monotonic() + seconds
        while self.cuda and time.monotonic() < end:
            a = torch.ones(4096, 4096, device=self.device)
            (a @ a).sum().item()


if __name__ == "__main__":
    sys.exit(table.main(Torch, __doc__))
