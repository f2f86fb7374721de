"""Rows, medians, CSV and the command line of the PyTorch and the JAX program.

A program gives `main` a class of its library. It has `name`, `VARIANTS`, and, once opened on a device, `version`,
`variants(first)`, `build(problem, rule, steps, variant, tf32)`, `device_ns(program, calls)` (the calls are done when it returns)
and `spin(seconds)`. What `build` returns has `run()`, one weight update that may still be under way on the device, `wait()`,
`reset()`, the weights as drawn, `parameters()`, as nested lists, and `finite()`.
"""

import argparse
import csv
import math
import os
import statistics
import subprocess
import sys
import time

import common
import reference

STARTED = time.monotonic()
# Steps whose difference gives the time of one: from FEW = the largest depth on, every layer takes part.
FEW, MANY = 128, 384
EPC_STEPS = 8
COLUMNS = (
    "library,version,variant,tf32,rule,what,width,batch,depth,steps,samples,calls,device_ns,device_ns_q1,device_ns_q3,"
    "wall_ns,wall_ns_q1,wall_ns_q3,sm_mhz,refused"
).split(",")


class Unavailable(Exception):
    """A device that is not there."""


def refusal(library, rule, variant, tf32, bias, known):
    """Why a variant may not be timed, or an empty string; `known` keeps what was found."""
    key = (rule, variant, tf32, bias)
    if key not in known:
        small, steps = common.reduced(bias), 0 if rule == "bp" else common.REDUCED_STEPS
        program = library.build(small, rule, steps, variant, tf32)
        program.reset()
        program.run()
        share, words = common.worst(small, rule, steps, program.parameters(), tf32)
        known[key] = "" if share <= 1.0 else f"on a reduced problem {words}"
    return known[key]


def measure(library, programs, seconds):
    """Calls in a sample, and per sample nanoseconds of one call on the device and on the wall clock, of each program.

    Programs take turns. A sample is one pair of events around at least ten calls and a millisecond, fewer only where ten would
    not leave time for five samples; its wall clock runs from a device at rest to a device at rest. 5 to 200 samples, as fit.
    """

    def sample(program, calls):
        program.wait()
        start = time.perf_counter()
        device = library.device_ns(program, calls)
        return device / calls, (time.perf_counter() - start) * 1e9 / calls

    library.spin(0.1)
    alone = [min(sample(program, 1)[1] for _ in range(2)) * 1e-9 for program in programs]
    fitting = [max(10, math.ceil(1e-3 / one)) for one in alone]
    calls = [max(1, min(wanted, int(seconds / 5 / one))) for wanted, one in zip(fitting, alone)]
    turn = sum(count * one for count, one in zip(calls, alone))
    found = [[] for _ in programs]
    for _ in range(max(5, min(200, int(seconds * len(programs) / turn)))):
        for times, program, count in zip(found, programs, calls):
            times.append(sample(program, count))
    return min(calls), found


def clock_reader(device):
    """A function that gives the SM clock in MHz, or an empty string where it cannot be read."""
    if device != "cuda":
        return lambda: ""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    index = int(first) if first.isdigit() else 0
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
    except Exception:  # package, library or driver may be missing, each with an error of its own
        pass

    def ask():
        command = ["nvidia-smi", f"--id={index}", "--query-gpu=clocks.sm", "--format=csv,noheader,nounits"]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            return ""

    return ask


def row(library, what, rule, variant, tf32, depth, seconds, clock, known):
    """One line of the table, as a dict."""
    of_step = what == "step"
    steps = {"spc": depth, "epc": EPC_STEPS, "bp": 0}[rule]
    cells = {
        "library": library.name,
        "version": library.version,
        "variant": variant,
        "tf32": int(tf32),
        "rule": rule,
        "what": what,
    }
    cells |= {"width": common.WIDTH, "batch": common.BATCH, "depth": depth, "samples": 0}
    cells["steps"] = f"{FEW}..{MANY}" if of_step else steps
    try:
        if reason := refusal(library, rule, variant, tf32, of_step, known):
            return cells | {"refused": reason}
        problem = common.problem(depth, bias=of_step)
        counts = (FEW, MANY) if of_step else (steps,)
        programs = [library.build(problem, rule, count, variant, tf32) for count in counts]
        calls, found = measure(library, programs, seconds)
        cells["sm_mhz"] = clock()
        if not all(program.finite() for program in programs):
            return cells | {"refused": "the weights have become NaN or infinite"}
    except Exception as error:  # of the library, its compiler or the driver: a row that says so, not the end of all rows
        return cells | {"refused": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    if of_step:  # differences of neighbours in time
        found = [[[(b - a) / (MANY - FEW) for a, b in zip(*pair)] for pair in zip(*found)]]
    cells |= {"samples": len(found[0]), "calls": calls}
    for name, times in zip(("device_ns", "wall_ns"), zip(*found[0])):
        q1, median, q3 = (f"{q:.0f}" for q in statistics.quantiles(times, n=4, method="inclusive"))
        cells |= {name: median, f"{name}_q1": q1, f"{name}_q3": q3}
    return cells


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(1, f"error: {message}; --help lists the options\n")


def positive(kind):
    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no {'whole ' if kind is int else ''}number above 0")
        return value

    return number


def parse(library, description, arguments):
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument(
        "--first", action="store_true", help="for a first look: depths 8, 32, 128, few variants, 0.1 s a row, a budget of 17 s"
    )
    parser.add_argument("--depths", nargs="+", type=positive(int), metavar="L", help="8 16 32 64 128 unless told otherwise")
    parser.add_argument("--rules", nargs="+", choices=list(reference.RULES), default=list(reference.RULES), metavar="RULE")
    parser.add_argument("--variants", nargs="+", choices=library.VARIANTS, metavar="VARIANT", help=" ".join(library.VARIANTS))
    parser.add_argument("--seconds", type=positive(float), help="of samples per row; 0.25 unless told otherwise")
    parser.add_argument(
        "--budget",
        type=positive(float),
        metavar="SECONDS",
        help="leaves out rows that would probably end later than that after the start",
    )
    chosen = parser.parse_args(arguments)
    chosen.depths = sorted(set(chosen.depths or ([8, 32, 128] if chosen.first else [8, 16, 32, 64, 128])))
    chosen.seconds = chosen.seconds or (0.1 if chosen.first else 0.25)
    chosen.budget = chosen.budget or (17.0 if chosen.first else float("inf"))
    return chosen


def rows(chosen, variants):
    """What is measured, the most important first: of each variant one step of sPC, then whole updates.

    A step is measured while FEW steps reach every layer; that of the deepest looped network would be recorded as some 300,000
    kernels, which takes too long for a first look.
    """
    for variant in variants:
        looped = chosen.first and variant.startswith("looped")
        for what, rule in (("step", "spc"), ("update", "spc"), ("update", "bp"), ("update", "epc")):
            deepest = float("inf") if what == "update" else 32 if looped else FEW
            for tf32 in (False, True) if chosen.device == "cuda" else (False,):
                for depth in chosen.depths if rule in chosen.rules else []:
                    if depth <= deepest:
                        yield what, rule, variant, tf32, depth


def table(library, chosen, variants, out):
    """Writes all rows that the budget has time for; how many were written, were refused and were left out."""
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    clock, known, took = clock_reader(chosen.device), {}, {}
    library.spin(0.5)
    written = refused = left = 0
    longest = 0.0
    for what, rule, variant, tf32, depth in rows(chosen, variants):
        start, kind = time.monotonic(), (what, rule, variant)
        # probably as long as the last one of its kind, or as the longest of all
        if start - STARTED + took.get(kind, longest) > chosen.budget:
            left += 1
            continue
        cells = row(library, what, rule, variant, tf32, depth, chosen.seconds, clock, known)
        took[kind] = time.monotonic() - start
        longest = max(longest, took[kind])
        writer.writerow(cells)
        out.flush()
        written, refused = written + 1, refused + bool(cells.get("refused"))
    return written, refused, left


def main(library, description, arguments=None, out=sys.stdout):
    """Exit code: 0 if all went well, 1 for a bad argument, a missing device or nothing measured, 2 if a row was refused, 3 if the
    library is not installed."""
    chosen = parse(library, description, arguments)

    def fail(sentence, code=1):
        print(f"error: {sentence}", file=sys.stderr)
        return code

    try:
        opened = library(chosen.device)
    except (ImportError, OSError) as error:
        return fail(f"{library.name} cannot be imported ({error}); install it, or leave this program out", 3)
    except Unavailable as error:
        return fail(f"device `{chosen.device}` is not available: {error}")
    usable = opened.variants(first=False)
    if wrong := [variant for variant in chosen.variants or [] if variant not in usable]:
        return fail(f"variant `{wrong[0]}` does not run on device `{chosen.device}`; these do: {' '.join(usable)}")
    try:
        written, refused, left = table(opened, chosen, chosen.variants or opened.variants(chosen.first), out)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return fail("standard output was closed before the table was complete")
    if left:
        print(f"# {left} rows left out: the budget of {chosen.budget:g} s is over", file=sys.stderr)
    if not written:
        return fail("nothing was measured; allow more with --budget, or ask for other depths, rules or variants")
    return 2 if refused else 0
