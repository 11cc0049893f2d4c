"""Statements about any layer, held against what is derived with the depth as a symbol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import derive
from derive import pipeline
from derive.evaluate import evaluate
from derive.expr import ZERO, Dim, Expr
from derive.facts import Facts
from derive.language.expressions import Elaborator
from derive.language.names import Names
from derive.language.parse import parse_expression
from derive.language.tensors import Hints, of_tensor
from derive.language.vocabulary import Vocabulary
from derive.normal import Normalizer
from derive.program import Equation, Tensor, reads
from derive.simplify import inline


class Layered:
    """A model with repetitions, its symbolic gradient, and that gradient at chosen depths."""

    def __init__(self, numeric: Any, text: str, *wrt: str) -> None:
        self.numeric = numeric
        self.model = derive.parse(text)
        self.wrt = wrt
        self.gradient = self.model.gradient(*wrt)
        assert self.gradient.symbolic is not None, self.model.repeated and self.model.repeated.why_not
        self.symbolic = self.gradient.symbolic
        self.program = self.symbolic.derivation.formulas

    def equation(self, name: str) -> Equation:
        """The derived equation of a cotangent such as ``dZ{l}``."""
        return next(e for e in self.program.equations if e.out.name == name)

    def states(self, name: str, right: str) -> None:
        """The cotangent of that name is ``right``, by the normal form, with other cotangents and models put in."""
        equation = self.equation(name)
        value = self._elaborator().value(parse_expression(right))
        assert value.axes == equation.out.axes
        stated = value.build(equation.letters, Hints())
        assert self.is_zero(equation.body - stated), (equation.body, stated)

    def refutes(self, name: str, right: str) -> None:
        """The same statement with something wrong in it is not proved."""
        with pytest.raises(AssertionError):
            self.states(name, right)

    def _elaborator(self) -> Elaborator:
        tensors = [*self.program.tensors, *(t for e in self.program.equations for t in reads(e.body))]
        named = {t.name: of_tensor(t) for t in tensors if not t.hidden}
        dims = {d.name: Dim(d.name) for d in self.program.dims}
        names = Names.of({**named, **dims, "l": Dim("l"), "m": Dim("m")})
        names.widths.add("n")
        return Elaborator(names, Vocabulary({}))

    def is_zero(self, difference: Expr) -> bool:
        """Whether it is 0 by the normal form, if need be after the equations are put in."""
        normal = Normalizer(Facts(self.symbolic.derivation.prepared))
        for equations in ((), self.derived, (*self.program.equations,)):
            e = difference
            for equation in reversed(equations):
                e = inline(e, equation)
            if normal(e) == ZERO:
                return True
        return False

    @property
    def derived(self) -> tuple[Equation, ...]:
        """The derived equations."""
        return tuple(e for e in self.program.equations if e.out.kind == "cotangent")

    def holds_at(self, **sizes: Any) -> None:
        """At this depth the gradients are those of complex steps, and those that are derived layer by layer."""
        model, _ = self.model.sized(sizes)
        gradient = model.gradient(*self.wrt)
        assert gradient.symbolic is not None
        program, direct = model.program, pipeline.gradient(model.program, gradient_variables(gradient))
        values = self.numeric.draw(program, seed=5)
        found, wanted = evaluate(gradient.derivation.formulas, values), evaluate(direct.formulas, values)
        assert program.objective is not None
        for (t, bar), (_, other) in zip(gradient.derivation.formulas.gradients, direct.formulas.gradients, strict=True):
            np.testing.assert_allclose(found[bar.name], wanted[other.name], rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(found[bar.name], self.slope(program, values, t), rtol=1e-9, atol=1e-11)

    @staticmethod
    def slope(program: Any, values: dict[str, Any], t: Tensor) -> np.ndarray:
        """The gradient by complex steps."""
        start = np.asarray(values[t.name])
        out = np.zeros(start.shape)
        for place in np.ndindex(start.shape):
            step = start.astype(complex)
            step[place] += 1e-30j
            out[place] = np.asarray(evaluate(program, {**values, t.name: step})[program.objective.name]).imag / 1e-30
        return out


def gradient_variables(gradient: Any) -> tuple[Tensor, ...]:
    return tuple(t for t, _ in gradient.derivation.formulas.gradients)
