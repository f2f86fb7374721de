#!/usr/bin/env python3
"""Counts what nvcc made of every kernel, from text of nvdisasm -c on standard input.

    sass.py [--check TABLE]

prints a table with one line per kernel: instructions in all; the worst of its product loops, in instructions and in loads from
shared memory per multiplication (of a tensor core, or a fused multiply-add); instructions per tanh where most of them follow
one another; loops with an exponential in them, and of those the ones in which fewer than four are on their way at once;
instructions that use local memory. With --check every number is held against TABLE, a table like the one printed: more of
anything, nothing of what there was, or a kernel that one of them lacks, ends with exit code 1.
"""

import re
import sys
from collections import Counter

COLUMNS = [
    "kernel",
    "instructions",
    "per_multiplication",
    "loads_per_multiplication",
    "per_activation",
    "activation_loops",
    "rolled_loops",
    "local",
]
# What multiplies, and how many of it make a loop a product's.
MULTIPLICATIONS = {"HMMA": 1, "FFMA": 16, "DFMA": 16}


def kernels(lines):
    """Of each kernel, its instructions and where its labels stand."""
    found, code, labels = {}, None, None
    for line in lines:
        if start := re.match(r"\.text\.(\w+):", line):
            if start.group(1) in found:
                sys.exit(f"sass: kernel {start.group(1)} is there twice")
            code, labels = [], {}
            found[start.group(1)] = (code, labels)
        elif code is None:
            continue
        elif label := re.match(r"(\.L\w+):", line):
            labels[label.group(1)] = len(code)
        elif instruction := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            code.append(re.sub(r"^@!?U?P\w+\s+", "", instruction.group(1).strip()))
    return found


def loops(code, labels):
    """Innermost loops: from the target of a jump backwards to the jump, with no other such loop inside."""
    spans = set()
    for end, instruction in enumerate(code):
        if target := re.match(r"BRA\b.*`\((\.L\w+)\)", instruction):
            begin = labels.get(target.group(1), end + 1)
            if begin <= end:
                spans.add((begin, end))
    inner = [a for a in spans if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    return sorted(inner)


def straight(code, labels, begin, end):
    """Pieces of code that no branch leaves or enters."""
    entries, piece = set(labels.values()), []
    for at in range(begin, end + 1):
        if at in entries and piece:
            yield piece
            piece = []
        piece.append(code[at])
        if re.match(r"BRA|BRX|CALL|RET|EXIT", code[at]):
            yield piece
            piece = []
    if piece:
        yield piece


def number(piece, what):
    return sum(what in instruction for instruction in piece)


def counted(name, code, labels):
    """One line of the table."""
    row = {"kernel": name, "instructions": len(code), "activation_loops": 0, "rolled_loops": 0}
    per, loads = 0.0, 0.0
    # tanh is an exponential and a reciprocal; the longest pieces are those that follow products
    pieces = [piece for piece in straight(code, labels, 0, len(code) - 1) if number(piece, "MUFU.EX2") >= 4]
    pieces = [piece for piece in pieces if number(piece, "MUFU.RCP") >= number(piece, "MUFU.EX2")]
    most = max((number(piece, "MUFU.EX2") for piece in pieces), default=0)
    each = [len(piece) / most for piece in pieces if number(piece, "MUFU.EX2") == most]
    row["per_activation"] = f"{max(each, default=0):.1f}"
    for begin, end in loops(code, labels):
        loop = code[begin : end + 1]
        what = Counter(instruction.split()[0].split(".")[0] for instruction in loop)
        if number(loop, "MUFU.EX2"):
            row["activation_loops"] += 1
            # with one exponential each, as many are on their way at once as no branch parts
            row["rolled_loops"] += max(number(piece, "MUFU.EX2") for piece in straight(code, labels, begin, end)) < 4
            continue
        kind = next((kind for kind, least in MULTIPLICATIONS.items() if what[kind] >= least), None)
        if kind and what["LDS"] and (kind == "HMMA" or 8 * what[kind] >= len(loop)):
            per = max(per, len(loop) / what[kind])
            loads = max(loads, what["LDS"] / what[kind])
    row["per_multiplication"], row["loads_per_multiplication"] = f"{per:.2f}", f"{loads:.2f}"
    row["local"] = sum(instruction.startswith(("LDL", "STL")) for instruction in code)
    return row


def table(lines):
    return [counted(name, *found) for name, found in sorted(kernels(lines).items())]


def wrong(rows, allowed):
    """Sentences on what there is more of than allowed, and on what is there in one table alone."""
    allowed = {row["kernel"]: row for row in allowed}
    for name in sorted({row["kernel"] for row in rows} ^ allowed.keys()):
        yield f"kernel {name} is in one table and not in the other"
    for row in rows:
        for column in COLUMNS[1:]:
            found, most = float(row[column]), float(allowed.get(row["kernel"], row)[column])
            if found > most:
                yield f"kernel {row['kernel']}: {column} is {row[column]}; at most {most:g} allowed"
            # code that is not recognised any more would pass for better code
            elif found == 0 and most > 0 and column != "rolled_loops":
                yield f"kernel {row['kernel']}: {column} is 0, where there was {most:g}; if that is right, write the table anew"


def main():
    if len(sys.argv) != 1 and (len(sys.argv) != 3 or sys.argv[1] != "--check"):
        sys.exit("sass: expected no arguments, or --check TABLE")
    rows = table(sys.stdin)
    print(",".join(COLUMNS))
    for row in rows:
        print(",".join(str(row[column]) for column in COLUMNS))
    if not rows:
        sys.exit("sass: there is no kernel in what nvdisasm printed")
    if len(sys.argv) == 3:
        with open(sys.argv[2], encoding="utf-8") as file:
            header, *lines = file.read().splitlines()
        found = list(wrong(rows, [dict(zip(header.split(","), line.split(","))) for line in lines]))
        if found:
            sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
