#!/usr/bin/env python3
"""One weight update of VGG-5 by backpropagation in PyTorch, timed as CSV: the network of `architecture = { kind = "vgg" }`.

    contenders/torch_vgg.py [--width 128] [--batch 64] [--threads N ...] [--rounds 20]

Four 3x3 convolutions of 1, 2, 4 and 4 times the width, each with a bias, an exact gelu and a 2x2 max-pool, and a linear layer of 10
outputs; cross-entropy, plain SGD. Both orders of an image in memory take turns, so that the faster one can be taken. The work is
said as 2mnk of every product, as pcnbench counts it: the gradient by the images themselves is left out, as PyTorch leaves it out.
"""

import csv
import statistics
import sys
import time

import table

try:
    import torch
    from torch import nn
except ImportError:
    torch = None  # `main` says so

COLUMNS = "library,version,layout,threads,width,batch,rounds,median_ns,q1_ns,q3_ns,gemm_flops".split(",")
SIDE, CHANNELS, CLASSES = 32, 3, 10


def shapes(width):
    """(inputs, outputs, side of the image that the convolution reads) of every convolution."""
    outputs = [width, 2 * width, 4 * width, 4 * width]
    inputs = [CHANNELS, *outputs[:-1]]
    return [(i, o, SIDE >> k) for k, (i, o) in enumerate(zip(inputs, outputs))]


def gemm_flops(width, batch):
    """Of the products of one update: value, gradient by the weights, and gradient by what is read where that is no image."""
    products = [side * side * 9 * i * o for i, o, side in shapes(width)]
    last = 4 * width * (SIDE >> 4) ** 2 * CLASSES
    return 2 * batch * (3 * (sum(products) + last) - products[0])


def network(width):
    layers = []
    for i, o, _ in shapes(width):
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.GELU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * (SIDE >> 4) ** 2, CLASSES))


def updater(width, batch, layout):
    """A function that makes one update."""
    torch.manual_seed(1)
    form = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}[layout]
    net = network(width).to(memory_format=form)
    x = torch.randn(batch, CHANNELS, SIDE, SIDE).to(memory_format=form)
    y = torch.randint(0, CLASSES, (batch,))
    optimiser = torch.optim.SGD(net.parameters(), 1e-3)

    @torch.enable_grad()  # whatever another program in this process has chosen
    def update():
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()

    return update


def main(arguments=None):
    parser = table.Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--width", type=table.positive(int), default=128)
    parser.add_argument("--batch", type=table.positive(int), default=64)
    parser.add_argument("--threads", type=table.positive(int), nargs="+", default=None, help="as many as PyTorch takes by itself unless given")
    parser.add_argument("--rounds", type=table.positive(int), default=20)
    own = parser.parse_args(arguments)
    if torch is None:
        print("there is no package `torch`; install PyTorch, or run with a Python that has it", file=sys.stderr)
        return 3
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    for threads in own.threads or [torch.get_num_threads()]:
        torch.set_num_threads(threads)
        updates = {layout: updater(own.width, own.batch, layout) for layout in ("contiguous", "channels-last")}
        times = {layout: [] for layout in updates}
        for kept in [False] * 2 + [True] * own.rounds:
            for layout, update in updates.items():
                start = time.perf_counter_ns()
                update()
                if kept:
                    times[layout].append(time.perf_counter_ns() - start)
        for layout, found in times.items():
            quartiles = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
            middle = [round(q) for q in (quartiles[1], quartiles[0], quartiles[2])]
            fixed = ["torch", torch.__version__, layout, threads, own.width, own.batch, own.rounds]
            rows.writerow(fixed + middle + [gemm_flops(own.width, own.batch)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
