"""The programs against numbers of other people's programs, where their libraries are installed.

On a GPU if PCNBENCH_CONTENDERS_DEVICE=cuda, so that what is recorded as a CUDA graph is tried too. What is compiled is left out,
because it takes minutes; each is still checked on a reduced problem before it is timed.
"""

import os
import unittest

import cases
import common
import jax_spc
import torch_spc

DEVICE = os.environ.get("PCNBENCH_CONTENDERS_DEVICE", "cpu")


class Programs:
    library = None

    def test_numbers_of_other_programs(self):
        opened = self.library(DEVICE)
        for name in cases.NAMES:
            net, rule, steps, (grad_weights, grad_biases), _ = cases.load(name)
            # stacked ones want equal widths
            width = max(len(net.x[0]), *(len(w) for w in net.weights))
            weights = [cases.padded(w, width, width) for w in net.weights]
            biases = net.biases and [cases.padded([b], 1, width)[0] for b in net.biases]
            x, y = cases.padded(net.x, len(net.x), width), cases.padded(net.y, len(net.x), width)
            problem = common.Problem(weights, biases, x, y, net.loss, net.step, 1.0)
            for variant in opened.variants(first=False):
                if variant.endswith("compiled"):
                    continue
                with self.subTest(name, variant=variant):
                    program = opened.build(problem, rule, steps, variant, False)
                    program.reset()
                    program.run()
                    after_weights, after_biases = program.parameters()
                    self.descended(problem, steps, weights, after_weights, grad_weights)
                    if biases:
                        self.descended(
                            problem, steps, [[b] for b in biases], [[b] for b in after_biases], [[g] for g in grad_biases]
                        )

    def descended(self, problem, steps, before, after, grads):
        """One step of rate 1 against the gradients, within what f32 allows."""
        for own, moved, grad in zip(before, after, grads):
            wanted = cases.padded(grad, len(own), len(own[0]))
            largest = max(abs(g) for row in wanted for g in row)
            allowed = common.allowance(problem.depth, steps, problem.step, len(own[0]), largest, tf32=False)
            for rows in zip(own, moved, wanted):
                for b, a, g in zip(*rows):
                    self.assertLessEqual(abs(a - b + g), allowed)


@unittest.skipIf(torch_spc.torch is None, "PyTorch is not installed")
class OfTorch(Programs, unittest.TestCase):
    library = torch_spc.Torch


@unittest.skipIf(jax_spc.jax is None, "JAX is not installed")
class OfJax(Programs, unittest.TestCase):
    library = jax_spc.Jax


if __name__ == "__main__":
    unittest.main()
