"""What the two programs of one training run share: the recipe, the start, the checks before timing, and the command line.

A program gives `main` a class of its library. It has `name` and `VARIANTS`, and once opened with a variant and a number of threads
`version` and `build(params, x, y, recipe)`. What `build` returns has `prepare(updates)`, which compiles what that many updates need
and leaves the parameters alone, `epoch(order)`, updates on the batches with these rows, done when it returns, and `state()`:
parameters and both moments of Adam, each as a list of arrays, weights of all layers before biases of all layers.

An update is that of reference.py with `linear_input` and `classes` and c = 1, and Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1) on the
directions of descent d, which are sums over the batch:

    m <- b1 m + (1 - b1) d,   s <- b2 s + (1 - b2) d^2,   theta <- theta + rate (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps).
"""

import csv
import json
import struct
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import common
import mnist
import reference
import table
from mnist import Unusable

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
RULES = ("spc", "bp")
COLUMNS = "library,version,variant,rule,threads,updates,seconds,preparation_seconds,test_accuracy".split(",")
UNIT = 2.0**-24  # unit roundoff of f32

# What a recipe must say, and what it may choose.
FIXED = {"activation": "tanh", "parameterisation": "sp-uniform", "bias": True, "loss": "cross_entropy", "optimiser": "adam"}
FREE = {"depth", "width", "batch", "steps", "step_size", "learning_rate", "epochs", "evaluations"}


@dataclass
class Recipe:
    sizes: list  # units from the input to the output
    batch: int
    steps: int  # T
    step: float  # g
    rate: float
    epochs: int
    seed: int
    rule: str = "spc"


def recipe(path, inputs, rule):
    """The recipe in a suite of pcnbench, on images of that many pixels; refuses what the programs do not do."""
    import tomllib

    try:
        suite = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        (benchmark,) = suite["benchmark"]
        axes = {name: value for name, (value,) in benchmark["axes"].items()}
        said = {**axes, **benchmark["network"], **benchmark["training"]}
        wrong = [key for key in said.keys() | FIXED if key not in FREE and (key not in FIXED or said.get(key) != FIXED[key])]
        if wrong:
            key = min(wrong)
            expected = f"expected {FIXED[key]!r}" if key in FIXED else "leave it out"
            raise Unusable(f"`{path}` says {key} = {said.get(key)!r}, which these programs do not compute; {expected}")
        sizes = [inputs, *[said["width"]] * (said["depth"] - 1), mnist.CLASSES]
        numbers = (said[key] for key in ("batch", "steps", "step_size", "learning_rate", "epochs"))
        return Recipe(sizes, *numbers, suite["seed"], rule)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"`{path}` is no suite of one benchmark with one value per axis: {type(error).__name__}: {error}") from error


def start(sizes, seed):
    """Weights and biases, uniform in +-1/sqrt(fan_in)."""
    import numpy

    draws = numpy.random.default_rng(seed)

    def uniform(fan_in, *shape):
        return draws.uniform(-(fan_in**-0.5), fan_in**-0.5, shape).astype(numpy.float32)

    layers = list(zip(sizes, sizes[1:]))
    return [uniform(i, o, i) for i, o in layers] + [uniform(i, o) for i, o in layers]


def one_hot(labels):
    import numpy

    return numpy.eye(mnist.CLASSES, dtype=numpy.float32)[labels]


def accuracy(params, x, labels):
    """Share of rows whose largest output is that of their class, by a forward pass."""
    import numpy

    depth = len(params) // 2
    v = x
    for l in range(depth):
        v = (numpy.tanh(v) if l else v) @ params[l].T + params[depth + l]
    return float((v.argmax(1) == labels).mean())


# The checks before timing.


def network(params, x, y, recipe):
    """For the reference."""
    depth = len(params) // 2
    plain = [own.tolist() for own in params]
    return reference.Network(plain[:depth], plain[depth:], x.tolist(), y.tolist(), 1.0, recipe.step, linear_input=True, classes=True)


def expected(params, x, y, recipe):
    """Directions of the reference, as the programs order them."""
    import numpy

    weights, biases = reference.directions(network(params, x, y, recipe), recipe.rule, recipe.steps)
    return [numpy.array(own) for own in weights + biases]


def step_of_adam(before, d, t, rate):
    """Parameters and moments after update t, in f64."""
    import numpy

    found = []
    for theta, m, s, own in zip(*before, d):
        m = BETA1 * m + (1 - BETA1) * own
        s = BETA2 * s + (1 - BETA2) * own * own
        found.append((theta + rate * m / (1 - BETA1**t) / (numpy.sqrt(s / (1 - BETA2**t)) + EPSILON), m, s))
    return [list(each) for each in zip(*found)]


def doubles(state):
    import numpy

    return [[numpy.asarray(own, dtype=numpy.float64) for own in each] for each in state]


def directions_of(before, after):
    """d, from the first moment before and after it."""
    return [(m - BETA1 * own) / (1 - BETA1) for own, m in zip(before[1], after[1])]


def worse(worst, off, allowed, words):
    """The larger share of what is allowed; no number counts as infinitely large."""
    share = float((abs(off) / allowed).max())
    return max(worst, (share if share == share else float("inf"), words))


def reduced(recipe):
    """Unequal sizes, and a step that brings the output's error all the way down and is not 1/2."""
    return replace(recipe, sizes=[12, 8, 8, 8, mnist.CLASSES], batch=4, steps=common.REDUCED_STEPS, step=0.4, rate=0.01)


def refusal(library, recipe):
    """Why a program may not be timed, or an empty string, by three updates of a small network.

    Each direction is held against the reference at the program's own parameters before that update, and what Adam makes of it against
    f64. The gain 1 - b2 may be rounded before it is used, which is off by 2^-24 / (1 - b2) in units of itself.
    """
    import numpy

    small = reduced(recipe)
    rows = 3 * small.batch
    x = numpy.asarray(common.numbers(3, rows * small.sizes[0], 1.0), dtype=numpy.float32).reshape(rows, -1)
    y = one_hot(numpy.arange(rows) * 7 % mnist.CLASSES)
    program = library.build(start(small.sizes, 5), x, y, small)
    program.prepare(1)
    before, worst, depth = doubles(program.state()), (0.0, ""), len(small.sizes) - 1
    for t in range(1, 4):
        order = numpy.arange(rows).reshape(3, -1)[t - 1 : t]
        program.epoch(order)
        after = doubles(program.state())
        d = directions_of(before, after)
        for at, (found, wanted) in enumerate(zip(d, expected(before[0], x[order[0]], y[order[0]], small))):
            allowed = common.allowance(depth, small.steps, small.step, small.sizes[0], abs(wanted).max(), tf32=False)
            worst = worse(worst, found - wanted, allowed, f"directions of parameter {at} are off in update {t}")
        moved = step_of_adam(before, d, t, small.rate)
        for at, (theta, s, own_theta, own_s, m) in enumerate(zip(moved[0], moved[2], after[0], after[2], after[1])):
            allowed = UNIT * (8 + 1 / (1 - BETA2)) * s + 1e-30
            worst = worse(worst, own_s - s, allowed, f"the second moment of parameter {at} is off in update {t}")
            # of the step, at most rate / sqrt(1 - b2) long, both gains round, and the parameter itself
            longest = abs(m / (1 - BETA1**t) / numpy.sqrt(s / (1 - BETA2**t) + 1e-30)) * small.rate
            allowed = UNIT * ((16 + 2 / (1 - BETA2)) * longest + 2 * abs(theta)) + 1e-12
            worst = worse(worst, own_theta - theta, allowed, f"parameter {at} is off after update {t}")
        before = after
    return "" if worst[0] <= 1.0 else f"on a reduced problem {worst[1]}, {worst[0]:.1e} of what rounding allows"


def checkpoint(path, depth):
    """Parameters and moments in a checkpoint of `pcnbench train`: a length, a JSON header, numbers."""
    import numpy

    try:
        data = Path(path).read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])

        def tensor(name):
            entry = header[name]
            begin, end = entry["data_offsets"]
            assert entry["dtype"] == "F32"
            return numpy.frombuffer(data[8 + length :][begin:end], "<f4").reshape(entry["shape"]).copy()

        names = [f"{kind}.{l + 1}" for kind in "wb" for l in range(depth)]
        moments = [f"optimiser.{moment}_moment." for moment in ("first", "second")]
        kinds = ["", *(moment for moment in moments if moment + "w.1" in header)]  # before the first update there are none
        return [[tensor(kind + name) for name in names] for kind in kinds]
    except (OSError, ValueError, KeyError, AssertionError, struct.error) as error:
        why = f"{type(error).__name__}: {error}"
        raise Unusable(f"`{path}` is no checkpoint of {depth} layers in f32: {why}") from error


def disagreement(library, recipe, run, x, y):
    """What a program makes of the first parameters of a run of pcnbench that ends after one update on all rows of its data, beside what
    pcnbench made of them: an empty string, or how far apart they are.

    Both round, so that twice the allowance is allowed. Adam's first step is +-rate wherever a direction is not lost in that.
    """
    import numpy

    depth = len(recipe.sizes) - 1
    first = checkpoint(Path(run) / "update-0000000000.safetensors", depth)[0]
    theirs = doubles(checkpoint(Path(run) / "update-0000000001.safetensors", depth))
    if len(x) != recipe.batch or len(theirs) != 3:
        raise Unusable(f"`{run}` is no run of one update by Adam on all {len(x)} rows; make one on {recipe.batch} rows")
    program = library.build(first, x, y, recipe)
    program.prepare(1)
    program.epoch(numpy.arange(len(x))[None])
    own, worst = doubles(program.state()), (0.0, "")
    for at in range(2 * depth):
        d, wanted = own[1][at] / (1 - BETA1), theirs[1][at] / (1 - BETA1)
        allowed = 2 * common.allowance(depth, recipe.steps, recipe.step, recipe.sizes[0], abs(wanted).max(), tf32=False)
        worst = worse(worst, d - wanted, allowed, f"directions of parameter {at} disagree")
        apart = (own[0][at] - theirs[0][at]) * (abs(wanted) > 2 * allowed)
        allowed = UNIT * ((32 + 4 / (1 - BETA2)) * recipe.rate + 4 * abs(theirs[0][at]))
        worst = worse(worst, apart, allowed, f"parameter {at} disagrees after Adam's first step")
    return "" if worst[0] <= 1.0 else f"{worst[1]}, {worst[0]:.1e} of what rounding allows"


def timed(program, recipe, rows):
    """Seconds of preparation and of all updates, and their number: shuffling and gathering of rows count, evaluation does not."""
    import numpy

    draws, updates = numpy.random.default_rng(recipe.seed), rows // recipe.batch
    began = time.perf_counter()
    program.prepare(updates)
    prepared = time.perf_counter()
    for _ in range(recipe.epochs):
        # as in pcnbench, rows that fill no batch are dropped
        program.epoch(draws.permutation(rows)[: updates * recipe.batch].reshape(updates, recipe.batch))
    return prepared - began, time.perf_counter() - prepared, updates * recipe.epochs


def parse(library, description, arguments):
    parser = table.Parser(description=description.split("\n\n")[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with MNIST's four IDX files")
    parser.add_argument("--rule", choices=RULES, default="spc")
    parser.add_argument("--variant", choices=library.VARIANTS, default=library.VARIANTS[0])
    parser.add_argument("--threads", type=table.positive(int), default=2)
    parser.add_argument("--recipe", default=Path(__file__).with_name("epoch.toml"), metavar="FILE", help="a suite of pcnbench")
    parser.add_argument("--agree", metavar="RUN", help="time nothing: compare an update with that of a run of pcnbench on the same rows")
    return parser.parse_args(arguments)


def main(library, description, arguments=None, out=sys.stdout):
    """Exit code: 0 if all went well, 1 for a bad argument or bad data, 2 for a wrong update, 3 if a library is not installed."""
    chosen = parse(library, description, arguments)

    def fail(sentence, code=1):
        print(f"error: {sentence}", file=sys.stderr)
        return code

    try:
        opened = library(chosen.variant, chosen.threads)
        x, labels = mnist.read(chosen.data, "train")
        own = recipe(chosen.recipe, x.shape[1], chosen.rule)
        y = one_hot(labels)
        if why := disagreement(opened, own, chosen.agree, x, y) if chosen.agree else refusal(opened, own):
            return fail(f"{library.name} {chosen.variant} by {chosen.rule}: {why}", 2)
        if chosen.agree:
            print(f"{library.name} {chosen.variant} by {chosen.rule} makes the same update as pcnbench", file=out)
            return 0
        program = opened.build(start(own.sizes, own.seed), x, y, own)
        preparation, seconds, updates = timed(program, own, len(x))
        share = accuracy(program.state()[0], *mnist.read(chosen.data, "t10k"))
    except ImportError as error:
        advice = "install contenders/requirements.txt, or leave this program out"
        return fail(f"{library.name} cannot run here ({error}); {advice}", 3)
    except (Unusable, table.Unavailable) as error:
        return fail(str(error))
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    fixed = [library.name, opened.version, chosen.variant, chosen.rule, chosen.threads, updates]
    rows.writerow([*fixed, f"{seconds:.4f}", f"{preparation:.2f}", f"{share:.4f}"])
    return 0
