"""Conformance cases (tests/cases) as networks of reference.py: expectations from other people's programs, for the tests here."""

import json
from math import atanh
from pathlib import Path

from reference import Network

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "cases"
# Rule by rule, those whose networks can be written as layers with tanh inside.
NAMES = ["preco_amb-g0.5-T3", "jpc_spc-tanh-3layer-T20", "jpc_epc-tanh-T20", "torch2pc_mlp-mse-bp"]


def load(name):
    """The network, its rule and steps, the expected gradients of weights and biases, and the case's tolerance.

    A first layer without tanh is W x = (s W) tanh(atanh(x / s)) for any s larger than all of x, and the gradient of W is s times
    that of s W. For backpropagation it makes no difference whether tanh ends one layer or begins the next.
    """
    case = json.loads((FOLDER / f"{name}.json").read_text())
    tensors, expect, rule = case["tensors"], case["expect"], case["rule"]
    layers, depth = case["layers"], len(case["layers"])
    inside = [layer["act_in"] for layer in layers]
    if rule["name"] == "bp" and inside == ["identity"] * depth:
        outside = [layer["act_out"] for layer in layers]
        assert outside[-1] == "identity"
        inside = ["identity"] + outside[:-1]
    assert inside[0] in ("identity", "tanh") and all(act == "tanh" for act in inside[1:])
    assert all(layer["scale"] == 1.0 and not layer["skip"] for layer in layers)
    x, y = tensors["x"], tensors["y"]
    weights = [tensors[f"w.{l + 1}"] for l in range(depth)]
    biases = [tensors[f"b.{l + 1}"] for l in range(depth)] if layers[0]["bias"] else None
    grad_weights = [expect[f"grad.w.{l + 1}"] for l in range(depth)]
    grad_biases = [expect[f"grad.b.{l + 1}"] for l in range(depth)] if biases else None
    if inside[0] == "identity":
        s = 2.0 * max(abs(v) for sample in x for v in sample)
        x = [[atanh(v / s) for v in sample] for sample in x]
        weights[0] = [[s * w for w in row] for row in weights[0]]
        grad_weights[0] = [[g / s for g in row] for row in grad_weights[0]]
    loss = case["loss"]
    terms = {"sum": 1, "batch_mean": len(y), "element_mean": len(y) * len(y[0])}[loss["reduction"]]
    double = {"half_squared_error": 1, "squared_error": 2}[loss["kind"]]
    net = Network(weights, biases, x, y, double * loss["output_precision"] / terms, rule.get("step_size", 0.0))
    return net, rule["name"], rule.get("steps", 0), (grad_weights, grad_biases), case["tolerance"]


def padded(matrix, rows, columns):
    """With zeros after its elements: units that no other unit hears of, since tanh of 0 is 0."""
    wide = [list(row) + [0.0] * (columns - len(row)) for row in matrix]
    return wide + [[0.0] * columns for _ in range(rows - len(wide))]
