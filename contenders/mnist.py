#!/usr/bin/env python3
"""MNIST's four IDX files, as pcnbench reads them, and a copy of their first rows.

    contenders/mnist.py DIR ROWS OUT    # the first ROWS images of both halves, as a new folder OUT
"""

import gzip
import struct
import sys
from pathlib import Path

CLASSES = 10
# Unsigned bytes in three dimensions or in one.
IMAGES, LABELS = 0x0803, 0x0801


class Unusable(Exception):
    """An input that no run can use; its text is one sentence."""


def located(folder, half, what):
    """The file of a half, plain or gzip, under either of its usual names."""
    dimensions = 3 if what == "images" else 1
    for dot in "-.":
        for ending in ("", ".gz"):
            path = Path(folder) / f"{half}-{what}{dot}idx{dimensions}-ubyte{ending}"
            if path.is_file():
                return path
    name = f"{half}-{what}-idx{dimensions}-ubyte"
    raise Unusable(f"`{folder}` holds no {name}, plain or gzip; name the folder with MNIST's four files")


def contents(path, magic):
    """Sizes and bytes of an IDX file: a magic number whose last byte is the number of sizes, the sizes, a byte per element."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise Unusable(f"`{path}` cannot be read: {error}") from error
    dimensions = magic & 0xFF
    head = 4 * (1 + dimensions)
    found, *sizes = struct.unpack_from(f">{1 + dimensions}I", data) if len(data) >= head else [None]
    count = 1
    for size in sizes:
        count *= size
    if found != magic or count != len(data) - head:
        raise Unusable(f"`{path}` is no IDX file of unsigned bytes in {dimensions} dimensions; fetch it again")
    return sizes, data[head:]


def half(folder, name):
    """Sizes, pixels and labels of `train` or `t10k`."""
    (rows, *image), pixels = contents(located(folder, name, "images"), IMAGES)
    (labelled,), labels = contents(located(folder, name, "labels"), LABELS)
    if rows != labelled or max(labels, default=CLASSES) >= CLASSES:
        found = f"{rows} {name} images and {labelled} labels up to {max(labels, default=0)}"
        raise Unusable(f"`{folder}` has {found}; expected as many labels as images, up to {CLASSES - 1}")
    return image, pixels, labels


def read(folder, name):
    """x [rows, inputs] with (p / 255 - 1/2) / (1/2), and labels [rows], as arrays of numpy."""
    import numpy

    image, pixels, labels = half(folder, name)
    x = numpy.frombuffer(pixels, numpy.uint8).reshape(len(labels), -1).astype(numpy.float32)
    half_ = numpy.float32(0.5)
    return (x / numpy.float32(255) - half_) / half_, numpy.frombuffer(labels, numpy.uint8).astype(numpy.int64)


def cut(folder, rows, out):
    """Writes the first rows of both halves."""
    out = Path(out)
    for name in ("train", "t10k"):
        image, pixels, labels = half(folder, name)
        if not 0 < rows <= len(labels):
            raise Unusable(f"{rows} rows were asked for and {name} has {len(labels)}; give a number from 1 to {len(labels)}")
        size = len(pixels) // len(labels)
        out.mkdir(parents=True, exist_ok=True)
        head = struct.pack(f">{2 + len(image)}I", IMAGES, rows, *image)
        (out / f"{name}-images-idx3-ubyte").write_bytes(head + pixels[: rows * size])
        (out / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", LABELS, rows) + labels[:rows])


def main(arguments):
    if len(arguments) != 3 or not arguments[1].isdigit():
        print(__doc__, file=sys.stderr)
        return 1
    try:
        cut(arguments[0], int(arguments[1]), arguments[2])
    except (Unusable, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
