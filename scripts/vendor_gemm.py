#!/usr/bin/env python3
"""Rate of a vendor library's matrix product at given sizes, as CSV: what the fused CPU engine's rate is held against.

    scripts/vendor_gemm.py [--threads 1 2] [--seconds 0.5] [--library torch|mkl] [BxNxK ...]

A size is C[B, N] = X[B, K] W[K, N] in f32, 64x128x128 unless given, which is one layer of width 128 on a batch of 64. Every
size is measured in the forms that a layer uses: the forward product X Wᵀ, the backward product D W and the gradient Dᵀ X,
and the first two also with samples as columns, W H and Wᵀ D. The operands are the same in each call, so that they are in
the nearest cache that holds them. FLOPs are 2·B·N·K.

The library is PyTorch (its CPU wheel multiplies by oneDNN or MKL) if it is installed, else Intel's MKL from the package `mkl`
(pip install mkl). What a call costs besides the product (some microseconds of Python) is measured as the time of a 1x1x1 product
and taken off.

Rows: library, version, threads, form, size, GFLOP/s (median over slices of 20 ms), and that of the fastest slice.
"""

import argparse
import ctypes
import glob
import os
import random
import statistics
import sys
import sysconfig
import time

SLICE = 0.02
# name, and (rows, columns, inner, whether the first operand is transposed, whether the second is) of a size
FORMS = {
    "X Wt": lambda b, n, k: (b, n, k, False, True),
    "D W": lambda b, n, k: (b, k, n, False, False),
    "Dt X": lambda b, n, k: (n, k, b, True, False),
    "W H": lambda b, n, k: (n, b, k, False, False),
    "Wt D": lambda b, n, k: (k, b, n, True, False),
}


class Torch:
    """Products of PyTorch on the CPU."""

    name = "torch"

    def __init__(self):
        import torch

        self.torch = torch
        self.version = torch.__version__

    def threads(self, count):
        self.torch.set_num_threads(count)

    def product(self, rows, columns, inner, first, second):
        a = self.torch.randn((inner, rows) if first else (rows, inner))
        b = self.torch.randn((columns, inner) if second else (inner, columns))
        a, b = (a.T if first else a), (b.T if second else b)
        out = self.torch.empty(rows, columns)
        return lambda: self.torch.mm(a, b, out=out)


class Mkl:
    """Products of MKL through `cblas_sgemm`."""

    name = "mkl"

    def __init__(self):
        folders = {os.path.dirname(os.path.dirname(sysconfig.get_path("stdlib"))), sys.prefix, sys.base_prefix}
        found = sorted(path for folder in folders for path in glob.glob(f"{folder}/lib/libmkl_rt.so*"))
        if not found:
            raise ImportError("no libmkl_rt.so beside this Python")
        self.library = ctypes.CDLL(found[-1], mode=ctypes.RTLD_GLOBAL)
        text = ctypes.create_string_buffer(256)
        self.library.MKL_Get_Version_String(text, len(text))
        self.version = text.value.decode().split("Version")[-1].split("Product")[0].strip()

    def threads(self, count):
        self.library.MKL_Set_Num_Threads(count)

    def product(self, rows, columns, inner, first, second):
        def operand(elements):
            return (ctypes.c_float * elements)(*(random.gauss(0.0, 1.0) for _ in range(elements)))

        a, b, out = operand(rows * inner), operand(inner * columns), operand(rows * columns)
        row_major, plain, transposed = 101, 111, 112
        arguments = (
            row_major,
            transposed if first else plain,
            transposed if second else plain,
            rows,
            columns,
            inner,
            ctypes.c_float(1.0),
            a,
            rows if first else inner,
            b,
            inner if second else columns,
            ctypes.c_float(0.0),
            out,
            columns,
        )
        return lambda: self.library.cblas_sgemm(*arguments)


def seconds_per_call(call, seconds):
    """Of slices of SLICE seconds, after one of them to warm up."""
    found = []
    began = time.perf_counter()
    while len(found) < 4 or time.perf_counter() - began < seconds:
        calls, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < SLICE:
            for _ in range(20):
                call()
            calls += 20
        found.append(passed / calls)
    return found[1:]


def open_library(name):
    reasons = []
    for library in (Torch, Mkl):
        if name in (None, library.name):
            try:
                return library()
            except (ImportError, OSError) as error:
                reasons.append(f"{library.name}: {error}")
    sys.exit(f"error: no vendor library found ({'; '.join(reasons)}); pip install mkl, or PyTorch's CPU wheel")


def size(text):
    try:
        numbers = tuple(int(part) for part in text.split("x"))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; three numbers of at least 1 were expected, as in 64x128x128")
    return numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=size, default=[(64, 128, 128)], metavar="BxNxK")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--seconds", type=float, default=0.5, help="per form, size and number of threads")
    parser.add_argument("--library", choices=["torch", "mkl"])
    chosen = parser.parse_args()
    library = open_library(chosen.library)
    print("library,version,threads,form,size,gflops,fastest")
    for threads in chosen.threads:
        library.threads(threads)
        empty = min(seconds_per_call(library.product(1, 1, 1, False, False), chosen.seconds))
        for b, n, k in chosen.sizes:
            for form, of in FORMS.items():
                times = seconds_per_call(library.product(*of(b, n, k)), chosen.seconds)
                found = [2 * b * n * k / (time - empty) / 1e9 for time in times]
                numbers = f"{statistics.median(found):.1f},{max(found):.1f}"
                print(f"{library.name},{library.version},{threads},{form},{b}x{n}x{k},{numbers}", flush=True)


if __name__ == "__main__":
    main()
