#!/usr/bin/env python3
"""What scripts/sass.py counts in machine code that is short enough to count by hand: python3 -m unittest discover -s scripts."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import sass

SCRIPT = Path(__file__).with_name("sass.py")

# Two kernels as nvdisasm -c prints them; one ends with a jump to itself and padding.
LISTING = """\
\t.headerflags\t@"EF_CUDA_TEXMODE_UNIFIED EF_CUDA_64BIT_ADDRESS EF_CUDA_SM90 EF_CUDA_VIRTUAL_SM(EF_CUDA_SM90)"
\t.elftype\t@"ET_EXEC"

//--------------------- .text.second --------------------------
\t.section\t.text.second,"ax",@progbits
\t.sectioninfo\t@"SHI_REGISTERS=16"
\t.align\t128
        .global         second
        .type           second,@function
        .size           second,(.L_x_9 - second)
second:
.text.second:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   FFMA R0, R1, R2, R3 ;
        /*0020*/              @!P0 LDL.64 R4, [R1] ;
        /*0030*/              @UP1 STL [R1], R4 ;
        /*0040*/               @P0 BRA `(.L_x_1) ;
        /*0050*/                   EXIT ;
.L_x_2:
        /*0060*/                   BRA `(.L_x_2);
        /*0070*/                   NOP;
.L_x_9:

//--------------------- .text.first --------------------------
\t.section\t.text.first,"ax",@progbits
first:
.text.first:
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/                   EXIT ;
"""

FMA = ["FFMA R0, R1, R2, R0"]
DFMA = ["DFMA R0, R2, R4, R0"]
HMMA = ["HMMA.1688.F32.TF32 R4, R8, R2, R4"]
LOAD = ["LDS R1, [R20]"]
WIDE = ["LDS.128 R8, [R20]"]
OTHER = ["IADD3 R20, R20, 0x4, RZ"]
EXP = ["MUFU.EX2 R1, R1"]
INVERSE = ["MUFU.RCP R1, R1"]
AWAY = ["@P1 BRA `(.L_away)"]
# One operand rounded to tf32 by a card that has the instruction, and by one that has not.
CONVERT = ["F2F.TF32.F32 R2, R2"]
EMULATED = ["LOP3.LUT R3, R2, 0x7f800000, RZ, 0xc0, !PT", "ISETP.NE.AND P2, PT, R3, 0x7f800000, PT"]
EMULATED += ["@P2 IADD3 R2, R2, 0x1000, RZ"]


def loop(name, *body):
    """A label, these instructions, and the jump back to it."""
    return [f".L_{name}:", *sum(body, []), f"@P0 BRA `(.L_{name})"]


def listing(**kernels):
    """Text of nvdisasm with these kernels, each of labels and instructions one after another."""
    lines = []
    for name, parts in kernels.items():
        lines += [f'\t.section\t.text.{name},"ax",@progbits', f"{name}:", f".text.{name}:"]
        at = 0
        for part in [*parts, "EXIT", ".L_away:", "RET.REL.NODEC R2"]:
            if part.endswith(":"):
                lines.append(part)
            else:
                lines.append(f"        /*{at:04x}*/                   {part} ;")
                at += 16
    return "\n".join(lines) + "\n"


def row(parts):
    """The line of the table for one kernel."""
    (found,) = sass.table(listing(kernel=parts).splitlines())
    return found


def products(parts):
    found = row(parts)
    return found["per_multiplication"], found["loads_per_multiplication"]


def activations(parts):
    found = row(parts)
    return found["activation_loops"], found["rolled_loops"]


class Reading(unittest.TestCase):
    def test_kernels_are_found_with_their_instructions_and_labels(self):
        found = sass.kernels(LISTING.splitlines())
        self.assertEqual(list(found), ["second", "first"])
        code, labels = found["second"]
        names = ["LDC", "FFMA", "LDL.64", "STL", "BRA", "EXIT", "BRA", "NOP"]
        self.assertEqual([instruction.split()[0] for instruction in code], names, "without predicates")
        self.assertEqual(labels, {".L_x_1": 1, ".L_x_2": 6, ".L_x_9": 8})
        self.assertEqual(sass.loops(code, labels), [(1, 4), (6, 6)])

    def test_pieces_end_where_a_branch_leaves_or_enters(self):
        for leaves in ("BRA `(.L_x_1)", "BRX R2 -0x10", "CALL.REL.NOINC `(f)", "RET.REL.NODEC R2", "EXIT"):
            code = ["NOP", "MOV R0, R1", leaves, "S2R R0, SR_TID.X", "IADD3 R0, R0, 0x1, RZ", "FADD R0, R0, R1"]
            pieces = list(sass.straight(code, {".L_x_1": 4}, 1, 5))
            self.assertEqual(pieces, [code[1:3], code[3:4], code[4:6]], leaves)

    def test_a_line_of_the_table_has_every_column(self):
        first, second = sass.table(LISTING.splitlines())
        self.assertEqual(list(map(first.get, sass.COLUMNS)), ["first", 2, "0.00", "0.00", "0.0", 0, 0, 0])
        # one load and one store of local memory, of which one has a predicate that is uniform
        self.assertEqual(list(map(second.get, sass.COLUMNS)), ["second", 8, "0.00", "0.00", "0.0", 0, 0, 2])

    def test_spills_are_local_memory_and_nothing_else(self):
        code = ["STL [R1+0x4], R2", "@P0 LDL R2, [R1]", "STL.128 [R1], R4", "LDG.E R2, [R4]", "STG.E [R4], R2", *LOAD]
        self.assertEqual(row(code)["local"], 3)

    def test_a_kernel_that_is_there_twice_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "kernel second is there twice"):
            sass.kernels((LISTING + LISTING).splitlines())


class Products(unittest.TestCase):
    def test_a_loop_of_multiply_adds(self):
        # 16 + 4 + 3 and the jump are 24 instructions
        self.assertEqual(products(loop("a", 16 * FMA, 4 * LOAD, 3 * OTHER)), ("1.50", "0.25"))
        self.assertEqual(products(loop("a", 16 * DFMA, 8 * WIDE, 7 * OTHER)), ("2.00", "0.50"))

    def test_a_loop_with_few_multiply_adds_is_no_product(self):
        for few in (15 * FMA + 4 * LOAD, 15 * DFMA + 4 * LOAD, 16 * FMA + 4 * OTHER):
            self.assertEqual(products(loop("a", few)), ("0.00", "0.00"))
        # one in eight is enough: 16 of 128
        self.assertEqual(products(loop("a", 16 * FMA, LOAD, 110 * OTHER)), ("8.00", "0.06"))
        self.assertEqual(products(loop("a", 16 * FMA, LOAD, 111 * OTHER)), ("0.00", "0.00"))

    def test_one_product_of_a_tensor_core_makes_a_loop_of_products(self):
        self.assertEqual(products(loop("a", HMMA, 2 * LOAD, 20 * OTHER)), ("24.00", "2.00"))
        # the multiply-adds beside it are not what is counted
        self.assertEqual(products(loop("a", 4 * HMMA, 16 * FMA, 2 * LOAD, OTHER)), ("6.00", "0.50"))

    def test_the_worst_loop_counts_for_each_number(self):
        slow = loop("slow", 16 * FMA, LOAD, 30 * OTHER)
        loading = loop("loading", 16 * FMA, 12 * LOAD, 3 * OTHER)
        for parts in (slow + loading, loading + slow):
            self.assertEqual(products(parts), ("3.00", "0.75"))

    def test_only_the_innermost_loop_counts(self):
        inner = loop("inner", 16 * FMA, 4 * LOAD, 3 * OTHER)
        self.assertEqual(products(loop("outer", 50 * LOAD, inner, 50 * OTHER)), ("1.50", "0.25"))

    def test_a_jump_forwards_makes_no_loop(self):
        self.assertEqual(products([*AWAY, *(16 * FMA), *(4 * LOAD)]), ("0.00", "0.00"))

    def test_what_names_a_label_without_jumping_there_makes_no_loop(self):
        self.assertEqual(products([".L_a:", *(16 * FMA), *(4 * LOAD), "BSSY B0, `(.L_a)"]), ("0.00", "0.00"))

    def test_an_emulated_conversion_shows_per_multiplication(self):
        # per product one operand: 1 + 1 and the conversion; the jump makes a quarter more
        self.assertEqual(products(loop("a", 4 * (HMMA + LOAD + CONVERT))), ("3.25", "1.00"))
        self.assertEqual(products(loop("a", 4 * (HMMA + LOAD + EMULATED))), ("5.25", "1.00"))


class Activations(unittest.TestCase):
    def test_a_rolled_loop_has_one_exponential_on_its_way(self):
        self.assertEqual(activations(loop("a", EXP, INVERSE, 3 * OTHER)), (1, 1))
        self.assertEqual(activations(loop("a", 4 * EXP, 4 * INVERSE)), (1, 0))
        self.assertEqual(activations(loop("a", 3 * EXP, 4 * INVERSE)), (1, 1))
        self.assertEqual(activations(4 * (EXP + INVERSE)), (0, 0))

    def test_exponentials_that_a_branch_parts_are_not_together(self):
        self.assertEqual(activations(loop("a", 2 * EXP, AWAY, 2 * EXP)), (1, 1))
        self.assertEqual(activations(loop("a", 2 * EXP, [".L_entry:"], 2 * EXP)), (1, 1))
        self.assertEqual(activations(loop("a", 4 * EXP, AWAY, EXP)), (1, 0))

    def test_loops_are_counted_one_by_one(self):
        three = loop("a", EXP) + loop("b", 4 * EXP) + loop("c", 2 * EXP) + loop("d", FMA)
        self.assertEqual(activations(three), (3, 2))

    def test_a_loop_with_exponentials_is_no_product(self):
        self.assertEqual(products(loop("a", 4 * EXP, HMMA, LOAD)), ("0.00", "0.00"))

    def test_instructions_per_tanh_are_those_of_the_longest_piece(self):
        def per(*parts):
            return row(sum(parts, []))["per_activation"]

        piece = 4 * EXP + 4 * INVERSE
        # 8 and 31, and the EXIT that ends the piece
        self.assertEqual(per(piece, 31 * OTHER), "10.0")
        self.assertEqual(per(3 * EXP, 3 * INVERSE), "0.0", "too few")
        self.assertEqual(per(4 * EXP, 3 * INVERSE), "0.0", "no tanh")
        # of eight exponentials, though with fewer instructions each
        long = 8 * EXP + 8 * INVERSE + 15 * OTHER + AWAY
        self.assertEqual(per(piece, 31 * OTHER, AWAY, long), "4.0")
        # the worse of two of one length
        self.assertEqual(per(piece, 3 * OTHER, AWAY, piece, 7 * OTHER, AWAY), "4.0")


class Checking(unittest.TestCase):
    """The program as .ci/run calls it, against a table of what was there before."""

    PRODUCT = loop("a", 16 * FMA, 4 * LOAD, 3 * OTHER)
    TANH = loop("b", 4 * EXP, 4 * INVERSE)

    def run_on(self, text, *arguments):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments], input=text, capture_output=True, text=True, check=False
        )
        self.assertNotIn("Traceback", done.stderr)
        return done

    def check(self, before, now):
        """Exit code and complaints, one a line."""
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "table.csv"
            table.write_text(self.run_on(before).stdout, encoding="utf-8")
            done = self.run_on(now, "--check", str(table))
        return done.returncode, done.stderr.splitlines()

    def test_the_table(self):
        done = self.run_on(listing(b=self.TANH, a=self.PRODUCT + self.TANH))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [
            "kernel,instructions,per_multiplication,loads_per_multiplication,per_activation,activation_loops,rolled_loops,local",
            # 24, 9 and the two at the end; 9 per four tanh
            "a,35,1.50,0.25,2.2,1,0,0",
            "b,11,0.00,0.00,2.2,1,0,0",
        ]
        self.assertEqual(done.stdout.splitlines(), lines)

    def test_what_is_as_it_was_or_better_passes(self):
        before = listing(kernel=self.PRODUCT + self.TANH)
        fewer = listing(kernel=loop("a", 16 * FMA, 3 * LOAD, 3 * OTHER) + self.TANH)
        for now in (before, fewer):
            self.assertEqual(self.check(before, now), (0, []))

    def test_more_of_anything_is_an_error(self):
        before = listing(kernel=self.PRODUCT + self.TANH)
        rolled = loop("c", EXP, INVERSE)
        spills = ["STL [R1], R2"]
        for column, found, most, now in (
            ("instructions", "36", "35", self.PRODUCT + self.TANH + OTHER),
            ("per_multiplication", "1.56", "1.5", loop("a", 16 * FMA, 4 * LOAD, 4 * OTHER) + self.TANH),
            ("loads_per_multiplication", "0.31", "0.25", loop("a", 16 * FMA, 5 * LOAD, 2 * OTHER) + self.TANH),
            ("per_activation", "2.5", "2.2", self.PRODUCT + loop("b", 4 * EXP, 4 * INVERSE, OTHER)),
            ("activation_loops", "2", "1", self.PRODUCT + self.TANH + rolled),
            ("rolled_loops", "1", "0", self.PRODUCT + self.TANH + rolled),
            ("local", "1", "0", self.PRODUCT + self.TANH + spills),
        ):
            code, complaints = self.check(before, listing(kernel=now))
            self.assertEqual(code, 1, column)
            self.assertIn(f"kernel kernel: {column} is {found}; at most {most} allowed", complaints)

    def test_an_emulated_conversion_is_an_error(self):
        before = listing(kernel=loop("a", 4 * (HMMA + LOAD + CONVERT)))
        code, complaints = self.check(before, listing(kernel=loop("a", 4 * (HMMA + LOAD + EMULATED))))
        self.assertEqual(code, 1)
        self.assertIn("kernel kernel: per_multiplication is 5.25; at most 3.25 allowed", complaints)

    def test_what_is_no_longer_recognised_is_an_error(self):
        # with as many instructions, so that nothing is more than it was
        before = listing(kernel=self.PRODUCT + self.TANH)
        unknown = listing(kernel=loop("a", 16 * OTHER, 4 * LOAD, 3 * OTHER) + loop("b", 8 * OTHER))
        lost = {"per_multiplication": 1.5, "loads_per_multiplication": 0.25, "per_activation": 2.2, "activation_loops": 1}
        end = "if that is right, write the table anew"
        expected = [f"kernel kernel: {column} is 0, where there was {most}; {end}" for column, most in lost.items()]
        self.assertEqual(self.check(before, unknown), (1, expected))

    def test_a_loop_that_is_unrolled_is_none(self):
        before = listing(kernel=loop("a", EXP, 2 * INVERSE, 5 * OTHER, AWAY, 3 * EXP))
        unrolled = listing(kernel=loop("a", 4 * EXP, 2 * INVERSE, 5 * OTHER, AWAY))
        self.assertEqual(self.check(before, unrolled), (0, []))

    def test_kernels_of_one_table_alone_are_errors(self):
        one, two = listing(a=self.PRODUCT), listing(a=self.PRODUCT, b=self.TANH)
        for before, now in ((one, two), (two, one)):
            self.assertEqual(self.check(before, now), (1, ["kernel b is in one table and not in the other"]))

    def test_no_kernel_is_an_error(self):
        for text in ("", "nothing that nvdisasm would print\n"):
            done = self.run_on(text)
            self.assertEqual((done.returncode, done.stderr), (1, "sass: there is no kernel in what nvdisasm printed\n"))

    def test_other_arguments_are_refused(self):
        for arguments in (["--check"], ["--other", "table"], ["--check", "table", "more"]):
            done = self.run_on(LISTING, *arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, "sass: expected no arguments, or --check TABLE\n")


if __name__ == "__main__":
    unittest.main()
