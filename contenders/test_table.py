"""Rows, refusals, sentences and exit codes, with a library that is only pretended."""

import contextlib
import csv
import io
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import reference
import table

HERE = Path(__file__).resolve().parent


class Pretended:
    """A library whose updates are the reference's, or wrong, and whose times are known: 1000 ns, and 50 for every step."""

    name, version = "pretended", "1"
    VARIANTS = ["right", "wrong", "broken"]

    def __init__(self, device):
        if device == "cuda":
            raise table.Unavailable("there is none")
        self.spun = 0.0

    def variants(self, first):
        return self.VARIANTS[:1] if first else self.VARIANTS[:2]

    def build(self, problem, rule, steps, variant, _tf32):
        if variant == "broken":
            raise MemoryError("none, not even\na little")
        return PretendedUpdate(problem, rule, steps, variant == "wrong")

    def device_ns(self, program, calls):
        return calls * (1000.0 + 50.0 * program.steps)

    def spin(self, seconds):
        self.spun += seconds


class PretendedUpdate:
    def __init__(self, problem, rule, steps, wrong):
        self.problem, self.rule, self.steps, self.wrong = problem, rule, steps, wrong

    def run(self):
        pass

    wait = reset = run

    def finite(self):
        return True

    def parameters(self):
        net = self.problem.network()
        steps = self.steps + self.wrong  # one step too many
        weights, biases = reference.directions(net, "spc" if self.wrong else self.rule, steps)
        after = [reference.zipped(lambda w, d: w + d, *pair) for pair in zip(net.weights, weights)]
        return after, [[b + d for b, d in zip(*pair)] for pair in zip(net.biases, biases)] if net.biases else None


class Simulated:
    """A library on a clock of its own, by which a call takes `call` seconds."""

    def __init__(self, call):
        self.call, self.now = call, 0.0

    def perf_counter(self):
        return self.now

    def device_ns(self, _program, calls):
        self.now += calls * self.call
        return calls * self.call * 1e9

    def wait(self):
        pass

    def spin(self, _seconds):
        pass


class Measuring(unittest.TestCase):
    def test_a_sample_is_ten_calls_and_a_millisecond_unless_five_samples_would_not_fit(self):
        # seconds of a call and of samples; calls in a sample and samples that follow
        for call, seconds, calls, samples in (
            (2.0**-10, 1.0, 10, 102),
            (2.0**-16, 1.0, 66, 200),
            (2.0**-6, 0.5, 6, 5),
            (1.0, 0.5, 1, 5),
        ):
            simulated = Simulated(call)
            with mock.patch.object(table.time, "perf_counter", simulated.perf_counter):
                found = table.measure(simulated, [simulated], seconds)
            self.assertEqual((found[0], len(found[1][0])), (calls, samples))
            for device, wall in found[1][0]:
                self.assertAlmostEqual(device, call * 1e9, delta=1e-3)
                self.assertAlmostEqual(wall, call * 1e9, delta=1e-3)


class Table(unittest.TestCase):
    def rows(self, *arguments, library=Pretended, expected=0):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err):
            code = table.main(library, "", ["--device", "cpu", "--depths", "2", "--seconds", "1e-6", *arguments], out)
        self.assertEqual(code, expected, err.getvalue())
        return list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()

    def test_times_are_per_call_and_per_step(self):
        rows, _ = self.rows("--variants", "right")
        found = {(row["what"], row["rule"]): row["device_ns"] for row in rows}
        wanted = {("step", "spc"): "50", ("update", "spc"): "1100", ("update", "bp"): "1000", ("update", "epc"): "1400"}
        self.assertEqual(found, wanted)
        self.assertTrue(all(row["refused"] == "" and int(row["calls"]) >= 1 for row in rows))

    def test_a_wrong_variant_is_refused_and_not_timed(self):
        rows, _ = self.rows("--variants", "right", "wrong", "--rules", "spc", expected=2)
        for row in rows:
            self.assertEqual(row["variant"] == "wrong", "reduced problem" in row["refused"])
            self.assertEqual(row["variant"] == "wrong", row["device_ns"] == "")

    def test_what_fails_is_a_row(self):
        class Broken(Pretended):
            def variants(self, first):
                return ["broken", "right"]

        rows, _ = self.rows("--rules", "bp", library=Broken, expected=2)
        self.assertEqual([row["refused"] for row in rows], ["MemoryError: none, not even a little", ""])

    def test_no_row_begins_after_the_budget(self):
        _, err = self.rows("--budget", "1e-9", expected=1)
        self.assertIn("error: nothing was measured", err)

        class Slow(Pretended):
            def build(self, *arguments):
                time.sleep(0.1)
                return super().build(*arguments)

        budget = time.monotonic() - table.STARTED + 0.5
        rows, err = self.rows("--budget", str(budget), "--variants", "right", library=Slow)
        # the first takes 0.3 s: a check on a reduced problem and two programs
        self.assertEqual(len(rows), 1)
        self.assertIn("# 3 rows left out", err)

    def test_sentences_and_exit_codes(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(table.main(Pretended, "", [], out), 1)
            self.assertEqual(table.main(Pretended, "", ["--device", "cpu", "--variants", "broken"], out), 1)
        lines = err.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("device `cuda` is not available", lines[0])
        self.assertIn("variant `broken` does not run on device `cpu`", lines[1])

    def test_a_closed_output_is_said(self):
        class Closed(io.StringIO):
            def flush(self):
                raise BrokenPipeError

            def fileno(self):
                return self.file.fileno()

        with tempfile.TemporaryFile() as file, contextlib.redirect_stderr(io.StringIO()) as err:
            out = Closed()
            out.file = file
            self.assertEqual(table.main(Pretended, "", ["--device", "cpu", "--depths", "2", "--rules", "bp"], out), 1)
        self.assertIn("standard output was closed", err.getvalue())


class Programs(unittest.TestCase):
    """Both as they are started, where the library is not installed: a module of its name that cannot be imported stands in."""

    def start(self, library, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"{library}.py").write_text("raise ImportError('not here')\n")
            command = [sys.executable, str(HERE / f"{library}_spc.py"), *arguments]
            environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        return done.returncode, done.stdout, done.stderr

    def test_a_missing_library_is_exit_code_3_and_one_sentence(self):
        for library in ("torch", "jax"):
            code, out, err = self.start(library, "--device", "cpu")
            self.assertEqual((code, out), (3, ""))
            self.assertRegex(err, rf"^error: {library} cannot be imported .*\n$")

    def test_bad_arguments_are_exit_code_1_and_one_sentence(self):
        for library in ("torch", "jax"):
            for bad in (
                ["--depths", "0"],
                ["--depths", "8.5"],
                ["--device", "tpu"],
                ["--variants", "x"],
                ["--seconds", "nan"],
                ["--rules", "zil"],
                ["--x"],
            ):
                code, out, err = self.start(library, *bad)
                self.assertEqual((code, out), (1, ""), bad)
                self.assertRegex(err, r"^error: .*; --help lists the options\n$", bad)
                self.assertIn(bad[-1].lstrip("-"), err)


if __name__ == "__main__":
    unittest.main()
