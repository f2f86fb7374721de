"""The statistics of scripts/epoch-beside.sh, on invented turns."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import beside


def printed(out):
    text, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err):
        code = beside.main([str(out)], text)
    return code, text.getvalue(), err.getvalue()


class Intervals(unittest.TestCase):
    def test_order_statistics_by_the_binomial(self):
        # published two-sided 95 % intervals of the median: the extremes of 6 to 8 values, the second of 9 to 11, the third of 12 to 14
        for n, k in ((6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (14, 3)):
            low, high, held = beside.interval(list(range(n, 0, -1)))
            self.assertEqual((low, high), (k, n + 1 - k), n)
            self.assertGreaterEqual(held, 0.95)
        self.assertEqual(beside.interval([3.0, 1.0, 2.0, 5.0, 4.0]), (1.0, 5.0, 1 - 2 / 32))
        self.assertEqual(beside.interval([2.0]), (2.0, 2.0, 0.0))


class Text(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.out = Path(scratch.name)

    def ours(self, turn, seconds, rule="spc", updates=937):
        path = self.out / f"{turn}-pcnbench-{rule}"
        path.mkdir()
        (path / "training.json").write_text('{"version": "0.1.0", "rev": "abc", "dirty": false}')
        (path / "training.csv").write_text(f"update,seconds,test_accuracy\n0,0.0,0.1\n{updates},{seconds},0.95\n")

    def theirs(self, turn, name, seconds, rule="spc", updates=937):
        columns = "version,updates,seconds,preparation_seconds,test_accuracy"
        (self.out / f"{turn}-{name}-{rule}.csv").write_text(f"{columns}\n2.15.0,{updates},{seconds},3.5,0.94\n")

    def rounds(self):
        # a slow second round: the ratio within rounds is 2, 3, 2; that of medians 2.5
        for turn, (ours, theirs) in enumerate(((1.0, 2.0), (2.0, 6.0), (1.25, 2.5))):
            self.ours(turn, ours)
            self.theirs(turn, "torch-eager", theirs)

    def test_ratios_are_taken_within_rounds(self):
        self.rounds()
        code, text, err = printed(self.out)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("# torch 2.15.0\n", text)
        self.assertIn("# pcnbench 0.1.0, revision abc\n", text)
        self.assertIn("spc, 937 updates, 3 rounds", text)
        lines = [line.split() for line in text.splitlines()]
        (ours,) = [line for line in lines if line[:1] == ["pcnbench"]]
        (theirs,) = [line for line in lines if line[:1] == ["torch-eager"]]
        self.assertEqual(ours, "pcnbench 1.250 [1.125, 1.625] [1.000, 2.000] 95.00 %".split())
        self.assertEqual(theirs, "torch-eager 2.500 [2.250, 4.250] [2.000, 6.000] 2.00 [2.00, 3.00] 94.00 % 3.5".split())
        self.assertLess(lines.index(ours), lines.index(theirs))

    def test_what_cannot_be_compared_is_refused(self):
        self.assertEqual(printed(self.out)[0], 1)
        self.rounds()
        for spoil in (
            lambda: self.theirs(0, "torch-eager", 2.0, updates=900),
            lambda: self.theirs(0, "torch-eager", "nan"),
            lambda: (self.out / "0-torch-eager-spc.csv").unlink(),
            lambda: (self.out / "1-torch-eager-spc.csv").write_text("version\n"),
            lambda: (self.out / "0-pcnbench-spc" / "training.csv").write_text("update,seconds,test_accuracy\n"),
        ):
            with self.subTest():
                spoil()
                code, text, err = printed(self.out)
                self.assertEqual((code, text), (1, ""))
                self.assertTrue(err.startswith("error: "), err)
                for path in self.out.glob("*/*"):
                    path.unlink()
                for path in self.out.iterdir():
                    path.rmdir() if path.is_dir() else path.unlink()
                self.rounds()


if __name__ == "__main__":
    unittest.main()
