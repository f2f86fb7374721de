"""sPC, ePC and BP in plain Python and f64: what the programs beside it are held against.

A network has layers l = 0..L-1. Layer l predicts mu_l = W_l tanh(v_{l-1}) + b_l, where v_{-1} is the input x; the states
v_0..v_{L-2} are free. With c the weight of the loss and o = mu_{L-1} the output,

    eps_l = v_l - mu_l  for l < L-1,    eps_{L-1} = c (y - o),    F = sum of |eps_l|^2 / 2 over l < L-1 + c |y - o|^2 / 2.

With `classes` the last layer gives logits instead: eps_{L-1} = c (y - softmax(o)), and c times the cross-entropy stands for the last
term of F. With `linear_input` the first layer reads x itself, not tanh(x).

Every rule starts at the forward pass and ends with directions of descent -dF/dW_l = eps_l^T tanh(v_{l-1}) and
-dF/db_l = sum of eps_l, both summed over the batch. A matrix is a list of rows.
"""

from dataclasses import dataclass
from math import exp, tanh


@dataclass
class Network:
    weights: list  # per layer [outputs][inputs]
    biases: list  # per layer [outputs], or None in place of the whole list
    x: list  # [batch][inputs]
    y: list  # [batch][outputs]
    loss: float  # c
    step: float  # g
    linear_input: bool = False
    classes: bool = False

    @property
    def depth(self):
        return len(self.weights)


def times(a, b):
    columns = list(zip(*b))
    return [[sum(p * q for p, q in zip(row, column)) for column in columns] for row in a]


def zipped(function, *matrices):
    """`function` of the elements at the same place."""
    return [[function(*elements) for elements in zip(*rows)] for rows in zip(*matrices)]


def predict(net, l, below):
    """What layer l reads, tanh of what is below it, and the layer's prediction."""
    h = below if l == 0 and net.linear_input else zipped(tanh, below)
    mu = times(h, list(zip(*net.weights[l])))
    if net.biases is not None:
        mu = [[m + b for m, b in zip(row, net.biases[l])] for row in mu]
    return h, mu


def softmax(row):
    largest = max(row)
    shares = [exp(o - largest) for o in row]
    return [share / sum(shares) for share in shares]


def output_error(net, output):
    output = [softmax(row) for row in output] if net.classes else output
    return zipped(lambda y, o: net.loss * (y - o), net.y, output)


def pulled(net, l, error, h):
    """J_l^T error: what the error of layer l does to the state below it, whose tanh is h."""
    return zipped(lambda p, t: p * (1 - t * t), times(error, net.weights[l]), h)


def climb(net, errors=None):
    """Inputs h of all layers and their values v, each the prediction from below plus the error, if there are errors."""
    inputs, values, below = [], [], net.x
    for l in range(net.depth):
        h, below = predict(net, l, below)
        if errors is not None and l < net.depth - 1:
            below = zipped(lambda m, e: m + e, below, errors[l])
        inputs.append(h)
        values.append(below)
    return inputs, values


def errors_at(net, states):
    """Inputs and errors of all layers with these states of the hidden ones."""
    inputs, errors = [], []
    for l in range(net.depth):
        h, mu = predict(net, l, states[l - 1] if l else net.x)
        inputs.append(h)
        errors.append(zipped(lambda v, m: v - m, states[l], mu) if l < net.depth - 1 else output_error(net, mu))
    return inputs, errors


def spc_states(net, steps):
    """All hidden states at once, from the same old ones: v_l <- v_l + g (J_{l+1}^T eps_{l+1} - eps_l)."""
    states = climb(net)[1][:-1]
    for _ in range(steps):
        inputs, errors = errors_at(net, states)
        states = [
            zipped(
                lambda v, p, e: v + net.step * (p - e),
                states[l],
                pulled(net, l + 1, errors[l + 1], inputs[l + 1]),
                errors[l],
            )
            for l in range(net.depth - 1)
        ]
    return states


def spc(net, steps):
    return errors_at(net, spc_states(net, steps))


def adjoints(net, inputs, output):
    """-dloss/dv_l of all layers, by the chain rule from the output down."""
    deltas = [output_error(net, output)]
    for l in range(net.depth - 1, 0, -1):
        deltas.insert(0, pulled(net, l, deltas[0], inputs[l]))
    return deltas


def epc_errors(net, steps):
    """Errors are the variables: values are v_l = mu_l + e_l, and e_l <- e_l + g (-dloss/dv_l - e_l), all at once."""
    errors = [[[0.0] * len(w) for _ in net.x] for w in net.weights[:-1]]
    for _ in range(steps):
        inputs, values = climb(net, errors)
        deltas = adjoints(net, inputs, values[-1])
        errors = [zipped(lambda e, d: e + net.step * (d - e), e, d) for e, d in zip(errors, deltas)]
    return errors


def epc(net, steps):
    errors = epc_errors(net, steps)
    inputs, values = climb(net, errors)
    return inputs, errors + [output_error(net, values[-1])]


def bp(net, _steps):
    inputs, values = climb(net)
    return inputs, adjoints(net, inputs, values[-1])


RULES = {"spc": spc, "epc": epc, "bp": bp}


def directions(net, rule, steps):
    """Directions of descent of weights and biases, layer by layer."""
    inputs, errors = RULES[rule](net, steps)
    weights = [times(list(zip(*error)), h) for h, error in zip(inputs, errors)]
    return weights, [[sum(column) for column in zip(*error)] for error in errors]
