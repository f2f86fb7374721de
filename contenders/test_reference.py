"""The reference against finite differences and other people's programs, and what else needs neither PyTorch nor JAX.

python3 -m unittest discover -s contenders
"""

import unittest
from math import exp, log, tanh

import cases
import common
import reference

H = 1e-5  # of central differences: their own error is about H * H


def small(bias=True, step=0.3, classes=False):
    """Unequal widths, so that no transpose goes unnoticed; with `classes` targets are distributions, and the first layer is linear."""
    sizes, batch = [3, 4, 2, 5, 3], 3

    def matrix(rows, columns, seed):
        return [[common.draw(seed, r * columns + c, 0.9) for c in range(columns)] for r in range(rows)]

    weights = [matrix(rows, columns, 10 + at) for at, (columns, rows) in enumerate(zip(sizes, sizes[1:]))]
    biases = [matrix(1, rows, 20 + at)[0] for at, rows in enumerate(sizes[1:])] if bias else None
    targets = [[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 0.1, 0.9]] if classes else matrix(batch, 3, 31)
    return reference.Network(weights, biases, matrix(batch, 3, 30), targets, 0.4, step, classes, classes)


def half_squares(matrix):
    return 0.5 * sum(e * e for row in matrix for e in row)


def loss_of(net, output):
    if net.classes:
        return net.loss * sum(t * (log(sum(map(exp, o))) - v) for o, y in zip(output, net.y) for v, t in zip(o, y))
    return net.loss * half_squares(reference.zipped(lambda o, y: o - y, output, net.y))


def values(net, states=None, errors=None):
    """Predictions of all layers, written apart from the reference: from given states, or from below, plus given errors."""
    found, below = [], net.x
    for l, w in enumerate(net.weights):
        b = net.biases[l] if net.biases else [0.0] * len(w)
        read = (lambda v: v) if l == 0 and net.linear_input else tanh
        mu = [[sum(wk * read(v) for wk, v in zip(row, sample)) + bk for row, bk in zip(w, b)] for sample in below]
        found.append(mu)
        if l < net.depth - 1:
            below = states[l] if states else [[m + e for m, e in zip(*rows)] for rows in zip(mu, errors[l])]
    return found


def energy(net, states):
    """F of states."""
    mu = values(net, states=states)
    hidden = sum(half_squares(reference.zipped(lambda v, m: v - m, v, m)) for v, m in zip(states, mu))
    return hidden + loss_of(net, mu[-1])


def energy_of_errors(net, errors):
    return sum(map(half_squares, errors)) + loss_of(net, values(net, errors=errors)[-1])


def slope(function, row, at):
    """By a central difference in one element, which is put back."""
    own = row[at]
    row[at] = own + H
    above = function()
    row[at] = own - H
    below = function()
    row[at] = own
    return (above - below) / (2 * H)


class Rules(unittest.TestCase):
    def descends(self, function, rows, expected, factor):
        """`expected` is -factor times the derivative of `function` in every element of `rows`."""
        for row, wanted in zip(rows, expected):
            for at, value in enumerate(wanted):
                self.assertAlmostEqual(value, -factor * slope(function, row, at), delta=1e-8)

    def directions_descend(self, net, rule, steps, function):
        weights, biases = reference.directions(net, rule, steps)
        for l in range(net.depth):
            self.descends(function, net.weights[l], weights[l], 1.0)
            if net.biases:
                self.descends(function, [net.biases[l]], [biases[l]], 1.0)

    def test_bp_descends_the_loss(self):
        for net in (small(), small(bias=False), small(classes=True)):
            zero = reference.epc_errors(net, 0)
            self.directions_descend(net, "bp", 0, lambda: loss_of(net, values(net, errors=zero)[-1]))

    def test_a_step_of_spc_descends_the_energy_of_all_states_at_once(self):
        for net in (small(), small(classes=True)):
            for steps in range(4):
                states = reference.spc_states(net, steps)
                moved = reference.spc_states(net, steps + 1)
                for old, new in zip(states, moved):
                    change = reference.zipped(lambda n, o: n - o, new, old)
                    self.descends(lambda: energy(net, states), old, change, net.step)
                self.directions_descend(net, "spc", steps, lambda: energy(net, states))

    def test_a_step_of_epc_descends_the_energy_of_all_errors_at_once(self):
        net = small()
        for steps in range(3):
            errors = reference.epc_errors(net, steps)
            moved = reference.epc_errors(net, steps + 1)
            for old, new in zip(errors, moved):
                change = reference.zipped(lambda n, o: n - o, new, old)
                self.descends(lambda: energy_of_errors(net, errors), old, change, net.step)
            # its directions are the local ones, of the energy of its states
            states = reference.climb(net, errors)[1][:-1]
            self.directions_descend(net, "epc", steps, lambda: energy(net, states))

    def test_numbers_of_other_programs(self):
        for name in cases.NAMES:
            with self.subTest(name):
                net, rule, steps, expected, tolerance = cases.load(name)
                for kind, found, wanted in zip(("w", "b"), reference.directions(net, rule, steps), expected):
                    for l, grad in enumerate(wanted or []):
                        rows = (found[l], grad) if kind == "w" else ([found[l]], [grad])
                        most = max(abs(e) for row in rows[1] for e in row)
                        for e in (e for row in reference.zipped(lambda d, g: d + g, *rows) for e in row):
                            self.assertLessEqual(abs(e), tolerance["relative"] * most + tolerance["absolute"])


class Shared(unittest.TestCase):
    def test_numbers_are_those_of_splitmix64(self):
        # the first outputs of the published generator for this seed
        published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
        for at, z in enumerate(published):
            self.assertAlmostEqual(common.draw(1234567, at, 3.0), 3.0 * ((z >> 11) / 2**52 - 1.0), delta=3.0 * 2**-24)
        self.assertEqual(
            [common.draw(1234567, 2 + i, 1.0) for i in range(3)], list(map(float, common.numbers(1234567, 3, 1.0, skip=2)))
        )

    def test_a_network_and_its_batch_are_drawn_in_the_order_of_the_benches(self):
        for bias in (True, False):
            problem = common.problem(3, bias, width=4, batch=2)
            net = problem.network()
            per_layer = []
            for l in range(3):
                per_layer += [v for row in net.weights[l] for v in row] + (net.biases[l] if bias else [])
            drawn = [common.draw(7, at, 0.5) for at in range(len(per_layer))]
            self.assertEqual(per_layer, drawn)
            batch = [v for row in net.x + net.y for v in row]
            self.assertEqual(batch, [common.draw(7, len(drawn) + at, 1.0) for at in range(16)])

    def test_shapes(self):
        self.assertEqual(common.shaped(list(range(12)), 2, 3, 2), [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]])

    def test_the_light_cone_holds_every_state_that_moves_and_no_other(self):
        for depth, steps in ((4, 6), (4, 2), (4, 1), (1, 3)):
            net = small()
            net.weights, net.biases = net.weights[-depth:], net.biases[-depth:]
            net.x = [[0.1 * (i + j) - 0.2 for j in range(len(net.weights[0][0]))] for i in range(3)]
            runs = common.cone(depth, steps)
            self.assertEqual(sum(count for _, count in runs), steps)
            for t in range(steps):
                before, after = reference.spc_states(net, t), reference.spc_states(net, t + 1)
                moved = [old != new for old, new in zip(before, after)]
                self.assertEqual(moved, [l >= runs[t][0] for l in range(depth - 1)], f"depth {depth}, step {t}")

    def test_groups_of_the_cone_cover_it(self):
        for depth, steps, groups in ((5, 7, 4), (128, 128, 4), (8, 384, 4), (3, 1, 4), (2, 0, 4), (6, 6, 1)):
            runs = common.cone(depth, steps, groups)
            spread = [lowest for lowest, count in runs for _ in range(count)]
            self.assertLessEqual(len(runs), groups)
            exact = [lowest for lowest, _ in common.cone(depth, steps)]
            self.assertEqual(len(spread), steps)
            self.assertTrue(all(wide <= narrow for wide, narrow in zip(spread, exact)))
            self.assertEqual(spread[-1:], exact[-1:])

    def test_a_wrong_direction_is_found(self):
        for rule in reference.RULES:
            for bias in (True, False):
                problem = common.reduced(bias)
                net = problem.network()
                weights, biases = reference.directions(net, rule, common.REDUCED_STEPS)
                after = [reference.zipped(lambda w, d: w + d, *pair) for pair in zip(net.weights, weights)]
                moved = [[b + d for b, d in zip(*pair)] for pair in zip(net.biases, biases)] if bias else None
                for tf32 in (False, True):
                    self.assertLess(common.worst(problem, rule, common.REDUCED_STEPS, (after, moved), tf32)[0], 1e-6)
                # one element of a layer that the output's error reaches last, off by a tenth
                after[0][3][2] += 0.1 * weights[0][3][2]
                share, words = common.worst(problem, rule, common.REDUCED_STEPS, (after, moved), False)
                self.assertGreater(share, 1.0, f"{rule}: {words}")
                self.assertIn("weights of layer 1", words)
                after[0][3][2] = float("nan")
                self.assertEqual(common.worst(problem, rule, common.REDUCED_STEPS, (after, moved), True)[0], float("inf"))


if __name__ == "__main__":
    unittest.main()
