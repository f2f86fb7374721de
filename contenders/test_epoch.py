"""The training programs: their recipe, data and checks, and, where a library is installed, its program against numbers of JPC.

What is compiled by `torch.compile` is left out, because it takes minutes; it is still checked on a reduced problem before it is timed.
"""

import contextlib
import gzip
import io
import json
import struct
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import cases
import common
import epoch
import jax_epoch
import mnist
import table
import torch_epoch

try:
    import numpy
except ImportError:
    numpy = None

RECIPE = Path(__file__).with_name("epoch.toml")


def idx(magic, sizes, data):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + bytes(data)


def folder(path, rows=6, pack=lambda data: data, dot="-"):
    """A data set of images of 2x2 pixels: image k has k in every pixel, and class k."""
    pixels = [k for k in range(rows) for _ in range(4)]
    for half in ("train", "t10k"):
        images, labels = idx(mnist.IMAGES, (rows, 2, 2), pixels), idx(mnist.LABELS, (rows,), range(rows))
        for what, n, data in (("images", 3, images), ("labels", 1, labels)):
            (Path(path) / f"{half}-{what}{dot}idx{n}-ubyte").write_bytes(pack(data))
    return Path(path)


class Folder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = Path(scratch.name)


class Data(Folder):
    def test_the_first_rows_of_plain_and_packed_files(self):
        for pack, dot in ((lambda data: data, "-"), (gzip.compress, "."), (gzip.compress, "-")):
            with self.subTest(dot=dot), tempfile.TemporaryDirectory() as own:
                mnist.cut(folder(own, pack=pack, dot=dot), 2, self.path / "cut")
                image, pixels, labels = mnist.half(self.path / "cut", "t10k")
                self.assertEqual((image, pixels, labels), ([2, 2], bytes([0] * 4 + [1] * 4), bytes([0, 1])))

    def test_refusals(self):
        whole = folder(self.path)
        images, labels = whole / "train-images-idx3-ubyte", whole / "train-labels-idx1-ubyte"
        for path, data in (
            (images, b""),
            (images, b"\x1f\x8b damaged"),
            (images, idx(mnist.LABELS, (6, 2, 2), [0] * 24)),
            (images, idx(mnist.IMAGES, (6, 2, 2), [0] * 23)),
            (images, idx(mnist.IMAGES, (5, 2, 2), [0] * 20)),
            (labels, idx(mnist.LABELS, (6,), [0, 1, 2, 3, 4, 10])),
        ):
            kept = path.read_bytes()
            path.write_bytes(data)
            with self.subTest(path.name, data=data), self.assertRaises(mnist.Unusable):
                mnist.half(whole, "train")
            path.write_bytes(kept)
        self.assertEqual(mnist.half(whole, "train")[0], [2, 2])
        for rows in (0, 7):
            with self.assertRaises(mnist.Unusable):
                mnist.cut(whole, rows, self.path / "out")
        labels.unlink()
        with self.assertRaises(mnist.Unusable):
            mnist.half(whole, "train")

    @unittest.skipIf(numpy is None, "numpy is not installed")
    def test_black_is_minus_one_and_white_is_one(self):
        data = folder(self.path)
        (data / "train-images-idx3-ubyte").write_bytes(idx(mnist.IMAGES, (6, 1, 2), [0, 255, 51, 204] * 3))
        x, labels = mnist.read(data, "train")
        self.assertEqual((x.dtype, x.shape, labels.tolist()), (numpy.float32, (6, 2), list(range(6))))
        self.assertEqual(x[0].tolist(), [-1.0, 1.0])
        for found, wanted in zip(x[1].tolist(), (-0.6, 0.6)):
            self.assertAlmostEqual(found, wanted, delta=2.0**-23)


class Recipes(Folder):
    def test_the_one_of_epoch_toml(self):
        own = epoch.recipe(RECIPE, 784, "bp")
        self.assertEqual((own.sizes, own.batch, own.steps, own.step), ([784, 128, 128, 128, 10], 64, 8, 0.1))
        self.assertEqual((own.rate, own.epochs, own.rule), (1e-3, 1, "bp"))

    def test_what_the_programs_do_not_do_is_refused(self):
        said = RECIPE.read_text()
        for before, after in (
            ('"tanh"', '"relu"'),
            ('"adam"', '"sgd"'),
            ("bias = true", "bias = false"),
            ('"cross_entropy"', '"half_squared_error"'),
            ("bias = true", 'bias = true\nplacement = "output"'),
            ("epochs = 1", "epochs = 1\nweight_decay = 0.1"),
            ("[128]", "[128, 256]"),
            ("batch = [64]", ""),
            ("[benchmark.network]", "["),
        ):
            changed = self.path / "changed.toml"
            self.assertIn(before, said)
            changed.write_text(said.replace(before, after))
            with self.subTest(after), self.assertRaises(mnist.Unusable):
                epoch.recipe(changed, 784, "spc")
        with self.assertRaises(mnist.Unusable):
            epoch.recipe(self.path / "none.toml", 784, "spc")


class ByReference:
    """A program in f64 whose directions are the reference's, and which may be wrong in one way."""

    name, version, VARIANTS = "reference", "", ("right",)

    def __init__(self, wrong=None):
        self.wrong = wrong

    def build(self, params, x, y, recipe):
        own = ByReference(self.wrong)
        own.x, own.y, own.recipe, own.t = x, y, recipe, 0
        own.at = epoch.doubles([params, [0 * p for p in params], [0 * p for p in params]])
        return own

    def prepare(self, _updates):
        pass

    def epoch(self, order):
        for rows in order:
            self.t += 1
            wrong, recipe = self.wrong, self.recipe
            if wrong == "one step less":
                recipe = replace(recipe, steps=recipe.steps - 1)
            if wrong == "backpropagation":
                recipe = replace(recipe, rule="bp")
            d = epoch.expected(self.at[0], self.x[rows], self.y[rows], recipe)
            if wrong == "ascent":
                d = [-own for own in d]
            if wrong == "mean over the batch":
                d = [own / len(rows) for own in d]
            if wrong == "first bias stays":
                d[len(d) // 2] = 0 * d[len(d) // 2]
            if wrong == "next rows":
                d = epoch.expected(self.at[0], self.x[rows - 1], self.y[rows - 1], recipe)
            before = self.at
            self.at = epoch.step_of_adam(before, d, 1 if wrong == "correction of the first update" else self.t, recipe.rate)
            if wrong == "parameters stay":
                self.at[0] = before[0]
            if wrong == "no number":
                self.at[0][1][0, 0] = float("nan")

    def state(self):
        return [[own.astype(numpy.float32) for own in each] for each in self.at]


MUTANTS = [
    "one step less",
    "backpropagation",
    "ascent",
    "mean over the batch",
    "first bias stays",
    "next rows",
    "correction of the first update",
    "parameters stay",
    "no number",
]


@unittest.skipIf(numpy is None, "numpy is not installed")
class Checks(Folder):
    def setUp(self):
        super().setUp()
        self.recipe = epoch.recipe(RECIPE, 784, "spc")

    def test_adam_by_hand(self):
        # a constant direction moves a parameter by the rate times its sign, whatever its length, in every update
        d = [numpy.array([3.0, -0.25])]
        at = [[numpy.array([1.0, 1.0])], [numpy.zeros(2)], [numpy.zeros(2)]]
        for t in range(1, 4):
            at = epoch.step_of_adam(at, d, t, 0.5)
            for found, sign in zip(at[0][0], (1, -1)):
                self.assertAlmostEqual(found, 1.0 + 0.5 * t * sign, delta=1e-6)
        # after a direction a and then b: m = 0.09 a + 0.1 b, s = 0.000999 a^2 + 0.001 b^2
        at = [[numpy.zeros(1)], [numpy.zeros(1)], [numpy.zeros(1)]]
        for t, own in ((1, 2.0), (2, -1.0)):
            at = epoch.step_of_adam(at, [numpy.array([own])], t, 1.0)
        self.assertAlmostEqual(at[0][0][0], 1.0 + (0.08 / 0.19) / ((0.004996 / 0.001999) ** 0.5), delta=1e-7)

    def test_a_right_update_passes_and_a_wrong_one_does_not(self):
        for rule in epoch.RULES:
            self.assertEqual(epoch.refusal(ByReference(), replace(self.recipe, rule=rule)), "")
        for wrong in MUTANTS:
            with self.subTest(wrong):
                self.assertNotEqual(epoch.refusal(ByReference(wrong), self.recipe), "")

    def run_of(self, made, first, name):
        """A folder as `pcnbench train` leaves it after one update."""
        run = self.path / name
        run.mkdir()
        depth = len(first) // 2
        names = [f"{kind}.{l + 1}" for kind in "wb" for l in range(depth)]
        for update, (params, *moments) in enumerate(([first], made.state())):
            tensors = dict(zip(names, params))
            for moment, own in zip(("first", "second"), moments):
                tensors |= {f"optimiser.{moment}_moment.{name}": tensor for name, tensor in zip(names, own)}
            header, data = {"__metadata__": {}}, b""
            for key, tensor in tensors.items():
                header[key] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(data), len(data) + tensor.nbytes]}
                data += tensor.astype("<f4").tobytes()
            head = json.dumps(header).encode()
            (run / f"update-{update:010}.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
        return run

    def test_agreement_with_a_run(self):
        own = replace(self.recipe, sizes=[6, 5, 4, 7, 10], batch=8)
        x = numpy.asarray(common.numbers(1, 48, 1.0), dtype=numpy.float32).reshape(8, 6)
        y, first = epoch.one_hot(numpy.arange(8)), epoch.start(own.sizes, 2)
        made = ByReference().build(first, x, y, own)
        made.epoch(numpy.arange(8)[None])
        run = self.run_of(made, first, "run")
        self.assertEqual(epoch.disagreement(ByReference(), own, run, x, y), "")
        # what shows in one update on all rows
        for wrong in set(MUTANTS) - {"next rows", "correction of the first update"}:
            with self.subTest(wrong):
                self.assertNotEqual(epoch.disagreement(ByReference(wrong), own, run, x, y), "")
        with self.assertRaises(mnist.Unusable):
            epoch.disagreement(ByReference(), own, run, x[:7], y[:7])
        (run / "update-0000000001.safetensors").write_bytes(b"damaged")
        with self.assertRaises(mnist.Unusable):
            epoch.disagreement(ByReference(), own, run, x, y)

    def test_accuracy_is_that_of_a_forward_pass(self):
        # one unit, tanh in between: outputs -a and a with a = tanh(x)
        zero, params = numpy.zeros(1), [numpy.array([[1.0]]), numpy.array([[-1.0], [1.0]])]
        x = numpy.array([[2.0], [-3.0], [0.5], [-0.1]])
        self.assertEqual(epoch.accuracy([*params, zero, numpy.zeros(2)], x, numpy.array([1, 0, 1, 1])), 0.75)


class Programs:
    library, missing, variants = None, False, ()

    def setUp(self):
        super().setUp()
        if self.missing:
            self.skipTest(f"{self.library.name} is not installed")

    def opened(self):
        for variant in self.variants:
            with self.subTest(variant):
                try:
                    yield self.library(variant, 2)
                except table.Unavailable as error:
                    self.skipTest(str(error))

    def test_updates_are_those_of_the_reference(self):
        for opened in self.opened():
            for rule in epoch.RULES:
                self.assertEqual(epoch.refusal(opened, epoch.recipe(RECIPE, 784, rule)), "")

    def test_numbers_of_jpc(self):
        case = json.loads((cases.FOLDER / "jpc_spc-tanh-ce-T20.json").read_text())
        layers, tensors, rule = case["layers"], case["tensors"], case["rule"]
        # the recipe's network
        self.assertEqual([own["act_in"] for own in layers], ["identity"] + ["tanh"] * (len(layers) - 1))
        self.assertEqual((case["loss"]["kind"], case["loss"]["reduction"], rule["name"]), ("cross_entropy", "sum", "spc"))

        def array(own):
            return numpy.array(own, dtype=numpy.float32)

        names = [f"{kind}.{l + 1}" for kind in "wb" for l in range(len(layers))]
        params, x, y = [array(tensors[name]) for name in names], array(tensors["x"]), array(tensors["y"])
        sizes = [x.shape[1]] + [len(w) for w in params[: len(layers)]]
        # twice the same rows, which sharing over threads needs: directions are sums
        x, y = numpy.concatenate([x, x]), numpy.concatenate([y, y])
        own = epoch.Recipe(sizes, len(x), rule["steps"], rule["step_size"], 1e-3, 1, 0)
        for opened in self.opened():
            program = opened.build(params, x, y, own)
            program.prepare(1)
            program.epoch(numpy.arange(len(x))[None])
            for name, m in zip(names, epoch.doubles(program.state())[1]):
                wanted = -2 * numpy.array(case["expect"][f"grad.{name}"])
                allowed = common.allowance(len(layers), own.steps, own.step, max(sizes), abs(wanted).max(), tf32=False)
                self.assertLessEqual(abs(m / (1 - epoch.BETA1) - wanted).max(), allowed, name)

    def test_an_epoch_is_its_updates_one_after_another(self):
        own = epoch.reduced(epoch.recipe(RECIPE, 784, "spc"))
        x = numpy.asarray(common.numbers(4, 12 * own.sizes[0], 1.0), dtype=numpy.float32).reshape(12, -1)
        y, order = epoch.one_hot(numpy.arange(12) % 10), numpy.arange(12).reshape(3, 4)[::-1].copy()
        for opened in self.opened():
            first = epoch.start(own.sizes, 6)
            whole, single = (opened.build(first, x, y, own) for _ in range(2))
            whole.prepare(3)
            for found, wanted in zip(whole.state()[0], first):
                self.assertTrue((found == wanted).all(), "preparing moves parameters")
            whole.epoch(order)
            single.prepare(1)
            for rows in order:
                single.epoch(rows[None])
            for a, b in zip(epoch.doubles(whole.state())[1], epoch.doubles(single.state())[1]):
                allowed = common.allowance(len(own.sizes) - 1, own.steps, own.step, own.sizes[0], abs(b).max(), tf32=False)
                self.assertLessEqual(abs(a - b).max(), allowed)

    def test_a_row(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder(scratch, rows=10)
            changed = Path(scratch) / "recipe.toml"
            changed.write_text(RECIPE.read_text().replace("[64]", "[4]").replace("[128]", "[8]"))
            for variant in self.variants:
                out, err = io.StringIO(), io.StringIO()
                with contextlib.redirect_stderr(err):
                    code = epoch.main(self.library, "", ["--data", scratch, "--recipe", str(changed), "--variant", variant], out)
                if "take a new process" in err.getvalue():
                    self.skipTest(err.getvalue())
                self.assertEqual((code, err.getvalue()), (0, ""))
                names, values = (line.split(",") for line in out.getvalue().splitlines())
                row = dict(zip(names, values))
                # ten rows: the last two fill no batch
                self.assertEqual((row["variant"], row["rule"], row["updates"]), (variant, "spc", "2"))
                self.assertGreater(float(row["seconds"]), 0)
                self.assertTrue(0 <= float(row["test_accuracy"]) <= 1)


class OfTorch(Programs, unittest.TestCase):
    library, missing, variants = torch_epoch.Torch, torch_epoch.torch is None or numpy is None, ("eager",)


class OfJax(Programs, unittest.TestCase):
    library, missing, variants = jax_epoch.Jax, jax_epoch.jax is None or numpy is None, jax_epoch.Jax.VARIANTS


class Commands(Folder):
    def test_bad_arguments_and_data_end_with_a_sentence(self):
        for library, missing in ((torch_epoch.Torch, OfTorch.missing), (jax_epoch.Jax, OfJax.missing)):
            for arguments, code in ((["--threads", "0"], 1), (["--variant", "fast"], 1), ([], 3 if missing else 1)):
                err = io.StringIO()
                with self.subTest(library=library.name, arguments=arguments), contextlib.redirect_stderr(err):
                    try:
                        found = epoch.main(library, "", ["--data", str(self.path), *arguments], io.StringIO())
                    except SystemExit as end:
                        found = end.code
                    self.assertEqual(found, code)
                    self.assertTrue(err.getvalue().startswith("error: "), err.getvalue())


if __name__ == "__main__":
    unittest.main()
