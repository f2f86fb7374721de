"""Ratios of made-up times whose quotients are known."""

import contextlib
import csv
import io
import tempfile
import unittest
from pathlib import Path

import ratios

LADDER = """strategy,operands,rule,width,batch,depth,steps,device_ns,refused
graph,f32,spc,128,64,8,8,400,
persistent,f32,spc,128,64,8,8,300,
persistent,3xtf32,spc,128,64,8,8,200,
persistent,tf32,spc,128,64,8,8,100,
persistent,f32,spc,128,64,16,16,,"does not fit"
cublas,f32,spc,4096,1024,8,4,10,
"""
CLAIMS = """claim,what,value,low,high,bound,holds,samples,calls,sm_mhz,refused
depth,ns per step at depth 8 in f32,30.0000,,,,,,,,
depth,ns per step at depth 8 in 3xtf32,20.0000,,,,,,,,
depth,ns per step at depth 32 in f32,,,,,,,,,"no room"
depth,ns per step at depth 8; the quicker,1.0000,,,,,,,,
depth,ns per step at depth 8 and batch 1024 in f32,1.0000,,,,,,,,
wide,,,,,,,,,,"no room"
"""
CONTENDERS = """library,variant,tf32,rule,what,width,batch,depth,steps,device_ns,device_ns_q1,device_ns_q3,refused
torch,stacked-captured,0,spc,step,128,64,8,128..384,300,200,400,
torch,stacked-captured,0,spc,step,128,64,32,128..384,300,200,400,
torch,stacked-captured,0,spc,update,128,64,8,8,1000,900,1200,
jax,stacked-jit,0,spc,update,128,64,8,8,600,600,600,
torch,stacked-captured,1,spc,update,128,64,8,8,1000,1000,1000,
torch,looped-captured,0,spc,update,128,64,8,8,,,,wrong
torch,stacked-captured,0,spc,update,128,64,16,16,7,7,7,
torch,stacked-captured,0,spc,update,128,64,8,9,7,7,7,
"""


class Ratios(unittest.TestCase):
    def start(self, ladder=LADDER, claims=CLAIMS, contenders=CONTENDERS):
        out, err = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(err):
            paths = []
            for name, text in (("ladder", ladder), ("claims", claims), ("contenders", contenders)):
                paths.append(str(Path(folder) / f"{name}.csv"))
                Path(paths[-1]).write_text(text)
            code = ratios.main(["--ladder", paths[0], "--claims", paths[1], paths[2]], out)
        return code, list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()

    def test_like_is_held_against_like(self):
        code, rows, _ = self.start()
        self.assertEqual(code, 0)
        found = [
            tuple(row[c] for c in ("what", "tf32", "engine", "contender", "ratio", "low", "high", "fastest")) for row in rows
        ]
        self.assertEqual(
            found,
            [
                ("step", "0", "3xtf32", "torch stacked-captured", "15.00", "10.00", "20.00", "yes"),
                ("update", "0", "persistent 3xtf32", "jax stacked-jit", "3.00", "3.00", "3.00", "yes"),
                ("update", "0", "persistent 3xtf32", "torch stacked-captured", "5.00", "4.50", "6.00", ""),
                ("update", "1", "persistent tf32", "torch stacked-captured", "10.00", "10.00", "10.00", "yes"),
            ],
        )

    def test_what_cannot_be_read_is_said(self):
        head = CONTENDERS.splitlines()[0]
        for broken, words in (
            ({"contenders": head}, "no row of the contenders"),
            ({"ladder": "rule\nspc\n"}, "without column `strategy`"),
            ({"contenders": CONTENDERS.replace("1000,900", "fast,900")}, "`fast` in column `device_ns`"),
            ({"claims": CLAIMS.replace("20.0000", "0")}, "`0` in column `value`"),
        ):
            code, rows, err = self.start(**broken)
            self.assertEqual((code, rows), (1, []))
            self.assertRegex(err, r"^error: .*\n$")
            self.assertIn(words, err)


if __name__ == "__main__":
    unittest.main()
