#!/usr/bin/env python3
"""What scripts/epoch-beside.sh measured, as text: seconds of every program, and the ratio of each to pcnbench's within rounds.

    contenders/beside.py OUT

OUT/ROUND-PROGRAM-RULE.csv is what a program printed in that round, OUT/ROUND-pcnbench-RULE a folder of `pcnbench train`.
"""

import csv
import json
import statistics
import sys
from math import comb
from pathlib import Path

from mnist import Unusable

OURS = "pcnbench"
LINE = "{:<16} {:>9} {:>16} {:>16} {:>10} {:>14} {:>8} {:>11}"


def interval(values):
    """Two order statistics that hold the median with a probability of at least 95 %, as close as that allows, and that probability.

    The k-th of n values from below and the k-th from above miss it if fewer than k values lie on one side of it, which has the
    probability 2 sum_{i < k} C(n, i) / 2^n. The extremes of fewer than six values hold it with less than 95 %.
    """
    ordered, n = sorted(values), len(values)
    for k in range((n + 1) // 2, 0, -1):
        held = 1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n
        if held >= 0.95 or k == 1:
            return ordered[k - 1], ordered[n - k], max(held, 0.0)
    raise Unusable("an interval needs at least one value")


def read_rows(path):
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unusable(f"{path} cannot be read: {error}") from error


def turn(path):
    """Updates, seconds, accuracy, preparation and the program's version, of one turn."""
    try:
        if path.is_dir():
            last = read_rows(path / "training.csv")[-1]
            header = json.loads((path / "training.json").read_text(encoding="utf-8"))
            version = f"{header['version']}, revision {header['rev']}{' with local changes' * header['dirty']}"
            found = int(last["update"]), float(last["seconds"]), float(last["test_accuracy"]), None, version
        else:
            (row,) = read_rows(path)
            numbers = (float(row[name]) for name in ("seconds", "test_accuracy", "preparation_seconds"))
            found = int(row["updates"]), *numbers, row["version"]
        if not 0 < found[1] < float("inf"):
            raise ValueError(f"{found[1]} seconds")
        return found
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise Unusable(f"{path} is not what a finished run leaves: {type(error).__name__}: {error}") from error


def measured(out):
    """Turns by rule, program and round."""
    found = {}
    for path in sorted(Path(out).iterdir()):
        parts = path.name.removesuffix(".csv").split("-")
        if len(parts) >= 3 and parts[0].isdigit() and (path.is_dir() or path.suffix == ".csv"):
            found.setdefault(parts[-1], {}).setdefault("-".join(parts[1:-1]), {})[int(parts[0])] = turn(path)
    if not found:
        raise Unusable(f"`{out}` has no turn; run scripts/epoch-beside.sh")
    return found


def block(rule, programs):
    """Lines on one rule."""
    if OURS not in programs:
        raise Unusable(f"{rule} was not run by {OURS}")
    rounds = set(programs[OURS])
    updates = {turn[0] for turns in programs.values() for turn in turns.values()}
    if len(updates) != 1 or any(set(turns) != rounds for turns in programs.values()):
        raise Unusable(f"the programs did not make the same updates in the same rounds by {rule}: {sorted(updates)} updates")
    yield f"\n{rule}, {updates.pop()} updates, {len(rounds)} rounds"
    yield LINE.format("program", "median s", "quartiles", "range", "over ours", "interval", "test", "prepared s")
    ours = programs[OURS]
    for name in sorted(programs, key=lambda name: statistics.median(t[1] for t in programs[name].values())):
        turns = programs[name]
        seconds = [t[1] for t in turns.values()]
        quartiles = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
        ratios = [turns[r][1] / ours[r][1] for r in rounds]
        low, high, _ = interval(ratios)
        over = ("", "") if name == OURS else (f"{statistics.median(ratios):.2f}", f"[{low:.2f}, {high:.2f}]")
        spread = f"[{quartiles[0]:.3f}, {quartiles[2]:.3f}]", f"[{min(seconds):.3f}, {max(seconds):.3f}]"
        test = f"{100 * statistics.median(t[2] for t in turns.values()):.2f} %"
        prepared = "" if name == OURS else f"{statistics.median(t[3] for t in turns.values()):.1f}"
        yield LINE.format(name, f"{statistics.median(seconds):.3f}", *spread, *over, test, prepared).rstrip()


def text(out):
    found = measured(out)
    versions = {}
    for programs in found.values():
        for name, turns in programs.items():
            versions.setdefault(name.split("-")[0], set()).update(t[4] for t in turns.values())
    for name, own in sorted(versions.items()):
        yield f"# {name} {' and '.join(sorted(own))}"
    counts = {len(turns) for programs in found.values() for turns in programs.values()}
    held = ", ".join(f"{100 * interval(range(n))[2]:.1f} %" for n in sorted(counts))
    yield "# seconds: shuffling, gathering rows and updating; neither start, compiling (prepared) nor evaluation"
    yield f"# over ours: the median of ratios within rounds, and two order statistics that hold the median with {held}"
    for rule in sorted(found, reverse=True):
        yield from block(rule, found[rule])


def main(arguments, out=sys.stdout):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        lines = list(text(arguments[0]))
    except (Unusable, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
