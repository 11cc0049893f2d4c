"""One problem of matrix calculus: what is given, what is asked, and what the literature answers.

In: a line of a table. Out: the model in the language, and the derivative as gradc finds it. The closed form is written
twice: as gradc prints it, and as a function of NumPy arrays that knows nothing of gradc.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import derive
from derive.differentiable import DerivedModel, ParsedModel
from derive.formulas import Gradient
from derive.program import Equation, Program, Tensor

GRADIENT, JACOBIAN, HESSIAN = "gradient", "Jacobian", "Hessian"
COOKBOOK = "Petersen & Pedersen, The Matrix Cookbook (2012)"
MAGNUS = "Magnus & Neudecker, Matrix Differential Calculus"
BOYD = "Boyd & Vandenberghe, Convex Optimization (2004)"
MINKA = "Minka, Old and New Matrix Algebra Useful for Statistics (2000)"


@dataclass(frozen=True, eq=False)
class Problem:
    """``given`` declares, as the language does, names with their shapes: ``A : [n, n] symmetric, x : [n]``.

    A gradient is that of the number ``of``; a Jacobian that of the tensor ``of``, its axes in front of those of ``by``;
    a Hessian that of the number ``of``. ``printed`` is gradc's formula behind the equals sign, ``textbook`` the
    source's in the same notation, ``closed`` the source's in NumPy, by the names it takes. ``longer`` says that ours
    takes more operations than the source's.
    """

    given: str
    of: str
    by: str
    printed: str
    closed: Callable[..., Any]
    source: str
    textbook: str = ""
    kind: str = GRADIENT
    longer: bool = False

    @property
    def name(self) -> str:
        """What is asked, in a line."""
        return f"{self.kind} of {self.of} by {self.by}"

    @property
    def text(self) -> str:
        """The model file."""
        lines = [f"input {part.strip()}" for part in re.split(r",(?![^\[(]*[\])])", self.given)]
        letters = dict.fromkeys(x for shape in re.findall(r"\[[^]]*\]", self.given) for x in re.findall("[a-z]", shape))
        asked = f"Y = {self.of}" if self.kind == JACOBIAN else f"minimize {self.of}"
        return "\n".join([f"dims {', '.join(letters)}", *lines, asked, ""])

    @cached_property
    def model(self) -> ParsedModel:
        """The model."""
        return derive.parse(self.text)

    @cached_property
    def answer(self) -> Gradient | DerivedModel:
        """gradc's answer."""
        if self.kind == GRADIENT:
            return self.model.gradient(self.by)
        return self.model.hessian(self.by) if self.kind == HESSIAN else self.model.jacobian("Y", self.by)

    @property
    def variable(self) -> Tensor:
        """What is differentiated by."""
        return self.model.program.tensor(self.by)

    @property
    def equation(self) -> Equation:
        """The derivative as it is printed."""
        return self.answer[self.by].equation if isinstance(self.answer, Gradient) else self.answer.formula.equation

    @property
    def computed(self) -> Program:
        """The program that code is made of."""
        return self.answer.derivation.stable

    @property
    def result(self) -> Tensor:
        """The derivative in `computed`."""
        return self.answer.derivation.results[0]

    @property
    def shown(self) -> str:
        """gradc's formula behind the equals sign."""
        if isinstance(self.answer, Gradient):
            return str(self.answer[self.by]).partition(" = ")[2]
        return str(self.answer.structure or self.answer).partition(" = ")[2]


def K(m: int, n: int) -> Any:
    """The commutation matrix: K vec X = vec Xᵀ for X of m rows and n columns."""
    found = np.zeros((m * n, m * n))
    for i, j in np.ndindex(m, n):
        found[i * n + j, j * m + i] = 1
    return found
