"""VGG-5 in PyTorch: its work by hand, its command line, and, where PyTorch is installed, that it is the network that was counted."""

import contextlib
import csv
import io
import unittest

import torch_vgg


def printed(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = torch_vgg.main(arguments)
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


class Counts(unittest.TestCase):
    def test_work_by_hand(self):
        # width 1, one sample: 1024*27 + 256*9*2 + 64*9*8 + 16*9*16 and 4*4*10 multiply-adds, three times but for the first
        by_hand = 27648 + 4608 + 4608 + 2304 + 160
        self.assertEqual(torch_vgg.gemm_flops(1, 1), 2 * (3 * by_hand - 27648))
        self.assertEqual(torch_vgg.gemm_flops(1, 5), 5 * torch_vgg.gemm_flops(1, 1))

    def test_bad_arguments(self):
        for bad in ["--width 0", "--rounds -1", "--threads x", "--depth 5"]:
            with self.subTest(bad):
                code, out, err = printed(*bad.split())
                self.assertEqual((code, out), (1, ""))
                self.assertIn("error: ", err)


@unittest.skipIf(torch_vgg.torch is None, "PyTorch is not installed")
class Network(unittest.TestCase):
    def test_multiply_adds_are_those_of_the_weights(self):
        seen = []

        def count(module, _, value):
            weights = getattr(module, "weight", None)
            if weights is not None:
                # every number of the value is a product with the weights of one output
                seen.append(value.numel() * weights[0].numel())

        net = torch_vgg.network(3)
        for module in net:
            module.register_forward_hook(count)
        net(torch_vgg.torch.zeros(2, 3, 32, 32))
        self.assertEqual(torch_vgg.gemm_flops(3, 2), 2 * (3 * sum(seen) - seen[0]))

    def test_rows(self):
        code, out, _ = printed("--width", "1", "--batch", "2", "--threads", "1", "--rounds", "3")
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(code, 0)
        self.assertEqual([row["layout"] for row in rows], ["contiguous", "channels-last"])
        for row in rows:
            times = [int(row[name]) for name in ("q1_ns", "median_ns", "q3_ns")]
            self.assertEqual(times, sorted(times))
            self.assertGreater(times[0], 0)


if __name__ == "__main__":
    unittest.main()
