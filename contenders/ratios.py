#!/usr/bin/env python3
"""How many times as long as the fused engine PyTorch and JAX take, as CSV.

    contenders/ratios.py [--ladder ladder.csv] [--claims claims.csv] CONTENDERS.csv...

Updates are held against the fastest launch strategy of the same rule, depth and steps in what kernels/benches/ladder.rs
prints: rows without tf32 against the engine's f32 or 3xtf32, which is as exact, rows with it against its tf32. A step of sPC is
held against `ns per step at depth L` of kernels/benches/claims, the quicker of f32 and 3xtf32. Only rows of width 128 and batch
64 count. `low` and `high` are the ratios at the contender's quartiles; `fastest` marks the row that a claim of "N times as
fast" has to be about.
"""

import argparse
import csv
import re
import sys

from table import Parser

COLUMNS = "what,rule,depth,tf32,engine,engine_ns,contender,contender_ns,ratio,low,high,fastest".split(",")
CONTENDER = "library,variant,tf32,rule,what,width,batch,depth,steps,device_ns,device_ns_q1,device_ns_q3,refused"
LADDER = "strategy,operands,rule,width,batch,depth,steps,device_ns,refused"


class Unreadable(Exception):
    pass


def read(path, columns):
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from error
    for row in rows:
        for column in columns.split(","):
            if row.get(column) is None:
                raise Unreadable(
                    f"{path} has a row without column `{column}`; expected the output of the program that is named by --help"
                )
    return rows


def nanoseconds(path, row, column):
    try:
        value = float(row[column])
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise Unreadable(f"{path}: `{row[column]}` in column `{column}` is no number above 0")
    return value


def narrow(row):
    return row["width"] == "128" and row["batch"] == "64" and row["depth"].isdigit() and not row["refused"]


def engine(ladder, claims):
    """Fastest time and its name by (what, rule, depth, steps or nothing, tf32)."""
    found = {}

    def add(key, ns, name):
        found[key] = min(found.get(key, (float("inf"), "")), (ns, name))

    for row in read(ladder, LADDER) if ladder else []:
        if narrow(row) and row["operands"] != "bf16":
            key = ("update", row["rule"], row["depth"], row["steps"], "1" if row["operands"] == "tf32" else "0")
            add(key, nanoseconds(ladder, row, "device_ns"), f"{row['strategy']} {row['operands']}")
    for row in read(claims, "what,value") if claims else []:
        if (of := re.fullmatch(r"ns per step at depth (\d+) in (f32|3xtf32)", row["what"])) and row["value"]:
            add(("step", "spc", of[1], "", "0"), nanoseconds(claims, row, "value"), of[2])
    return found


def ratios(fused, paths):
    rows = []
    for path in paths:
        for row in filter(narrow, read(path, CONTENDER)):
            key = (row["what"], row["rule"], row["depth"], "" if row["what"] == "step" else row["steps"], row["tf32"])
            if key in fused:
                ns, name = fused[key]
                times = [nanoseconds(path, row, column) for column in ("device_ns", "device_ns_q1", "device_ns_q3")]
                rows.append((key, times[0], f"{row['library']} {row['variant']}", [t / ns for t in times], ns, name))
    rows.sort(key=lambda row: (row[0][0], row[0][1], int(row[0][2]), row[0][4], row[1]))
    before = None
    for key, theirs, contender, (ratio, low, high), ours, name in rows:
        what, rule, depth, _, tf32 = key
        numbers = (f"{ratio:.2f}", f"{low:.2f}", f"{high:.2f}")
        yield what, rule, depth, tf32, name, f"{ours:.0f}", contender, f"{theirs:.0f}", *numbers, "" if key == before else "yes"
        before = key


def main(arguments=None, out=sys.stdout):
    """Exit code 0 with at least one ratio, else 1 with one sentence."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", nargs="+", metavar="CONTENDERS.csv")
    parser.add_argument("--ladder")
    parser.add_argument("--claims")
    chosen = parser.parse_args(arguments)
    try:
        rows = list(ratios(engine(chosen.ladder, chosen.claims), chosen.contenders))
        if not rows:
            raise Unreadable("no row of the contenders has its like in what --ladder and --claims name")
    except Unreadable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
