"""Shapes under the factors: those of the arrays that the factors are, and fitting wherever matrices multiply."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from derive.evaluate import evaluate, find_sizes
from derive.form_values import _Values
from derive.notation import Notation
from derive.notation.shape_line import ShapePrinter

MODELS = ["rows", "columns", "one_sample", "layer_norm", "quadratic", "norms", "general_target", "attention", "gate"]


class Recorder(ShapePrinter):
    """Remembers what gets which shape."""

    def __init__(self, style, equation):
        super().__init__(style, equation)
        self.seen = []

    def marked(self, text, form):
        self.seen.append((form, self.extent(form.row), self.extent(form.col)))
        return super().marked(text, form)


@pytest.mark.parametrize("name", MODELS)
def test_a_printed_shape_is_the_shape_of_the_array(name, numeric):
    program = numeric.derived(numeric.zoo[name]).program
    values = numeric.draw(program)
    known = evaluate(program, values)
    arrays = {t: known[t.name] for t in program.tensors if t.name in known}
    sizes = find_sizes(program, arrays)
    notation = Notation(program, shapes=True)
    count = 0
    for e in program.equations:
        form = notation.form(e)
        if form is None:
            continue
        printer = Recorder(notation.unicode, e)
        printer.text(form)
        for part, *printed in printer.seen:
            shape = tuple(sizes.get(p) or int(p) for p in printed)
            assert np.shape(_Values(arrays, sizes).at(part)) == shape
            count += shape != (1, 1)
    assert count > 4


def products(lower: str) -> list[list[tuple[str, str]]]:
    """The chains of shapes that ``·`` joins, each shape as rows and columns."""
    chains = re.findall(r"[\w]+×[\w]+(?:\s*·\s*[\w]+×[\w]+)+", lower)
    return [[tuple(s.strip().split("×")) for s in chain.split("·")] for chain in chains]


@pytest.mark.parametrize("name", MODELS)
def test_inner_extents_of_products_are_equal(name, numeric):
    program = numeric.derived(numeric.zoo[name]).program
    notation = Notation(program, shapes=True)
    found = [notation.matrix(e) for e in program.equations]
    chains = [c for text in found if text is not None for c in products(text.splitlines()[1])]
    assert chains
    for chain in chains:
        for left, right in itertools.pairwise(chain):
            assert left[1] == right[0]


def shown(text, name, numeric):
    gradient = numeric.derived(text)
    return Notation(gradient.program, shapes=True).matrix(gradient[name].equation)


def test_two_lines(numeric):
    assert shown(numeric.zoo["rows"], "W1", numeric) == "dW1 = Xᵀ    dZ1\nd×h = d×n · n×h"
    assert shown(numeric.zoo["columns"], "b1", numeric) == "db1 = dZ1   1ₙ\nh×1 = h×n · n×1"


def test_numbers_have_no_shape(numeric):
    text = "batch n\ninput x : [n]\nparam w\nminimize sum((w * x)^2) / n\n"
    above, below = shown(text, "w", numeric).splitlines()
    assert above.startswith("dw = ((2 w)/n) ‖ x ‖²")
    assert below.split() == ["=", "n×1"]


def test_latex(numeric):
    gradient = numeric.derived(numeric.zoo["rows"])
    text = Notation(gradient.program, shapes=True).latex(gradient["W1"].equation)
    left, right = (
        r"\underset{d\times h}{\bar{W}_{1}}",
        r"\underset{d\times n}{X^{\top}}\,\underset{n\times h}{\bar{Z}_{1}}",
    )
    assert text == f"{left} = {right}"


def test_every_line_is_as_wide_as_what_stands_under_it(numeric):
    program = numeric.derived(numeric.zoo["rows"]).program
    for e in program.equations:
        above, below = Notation(program, shapes=True).matrix(e).splitlines()
        for match in re.finditer(r"\w+×\w+", below):
            assert above[match.start() : match.end()].strip()
