"""Where SymPy 1.14 answers without complaint, and wrongly: its input, its answer, and gradc's for the same question.

In: nothing. Out: a table. `python -m tests.matrix_calculus.page` prints it, and a test runs both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.hadamard import HadamardProduct

import derive

VERSION = "1.14"
A, X = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("X", 3, 3)
x = sp.MatrixSymbol("x", 3, 1)
a, b = sp.MatrixSymbol("a", 3, 1), sp.MatrixSymbol("b", 3, 1)
y, p = sp.IndexedBase("y"), sp.Symbol("p", integer=True, positive=True)
i, k = sp.Symbol("i", integer=True), sp.Symbol("k")
E = x.applyfunc(sp.exp)


@dataclass(frozen=True)
class Case:
    """``asked`` as one types it into SymPy, ``run`` the same as a function, ``answer`` what SymPy 1.14 says.

    ``given``, ``of`` and ``by`` are the question in the language; ``right`` is gradc's answer.
    """

    asked: str
    run: Callable[[], Any]
    answer: str
    given: str
    of: str
    by: str
    right: str
    why: str

    def sympy(self) -> str:
        """What the installed SymPy says."""
        return str(self.run())

    def gradc(self) -> str:
        """gradc's answer behind the equals sign."""
        lines = "\n".join(f"input {line.strip()}" for line in self.given.split(";"))
        goal = f"Y = {self.of}" if self.of.startswith("softmax") else f"minimize {self.of}"
        model = derive.parse(f"dims n\n{lines}\n{goal}\n")
        if goal.startswith("Y"):
            return str(model.jacobian("Y", self.by).structure).partition(" = ")[2]
        return str(model.gradient(self.by)[self.by]).partition(" = ")[2]


LOST = "the derivative of a number that is no bare matrix expression is taken for 0"
ADDED = "a number added to a trace makes the whole derivative 0"
SQUARE = "A : [n, n]"
CASES = (
    Case(
        "log(Determinant(A)).diff(A)",
        lambda: sp.log(sp.Determinant(A)).diff(A),
        "0",
        SQUARE,
        "logdet(A)",
        "A",
        "A⁻ᵀ",
        LOST,
    ),
    Case(
        "(Determinant(A)**2).diff(A)",
        lambda: (sp.Determinant(A) ** 2).diff(A),
        "0",
        SQUARE,
        "det(A)^2",
        "A",
        "2 (det(A))² A⁻ᵀ",
        LOST,
    ),
    Case(
        "(k*Determinant(A)).diff(A)",
        lambda: (k * sp.Determinant(A)).diff(A),
        "0",
        "A : [n, n]; k",
        "k * det(A)",
        "A",
        "k det(A) A⁻ᵀ",
        LOST,
    ),
    Case(
        "log(Determinant(X.T*X)).diff(X)",
        lambda: sp.log(sp.Determinant(X.T * X)).diff(X),
        "0",
        "X : [n, n]",
        "logdet(X' @ X)",
        "X",
        "2 X⁻ᵀ",
        LOST,
    ),
    Case("(Trace(A) + 1).diff(A)", lambda: (sp.Trace(A) + 1).diff(A), "0", SQUARE, "trace(A) + 1", "A", "I", ADDED),
    Case(
        "(Trace(A.T*A) - 3).diff(A)",
        lambda: (sp.Trace(A.T * A) - 3).diff(A),
        "0",
        SQUARE,
        "trace(A' @ A) - 3",
        "A",
        "2 A",
        ADDED,
    ),
    Case(
        "(Trace(A)**2 + 1).diff(A)",
        lambda: (sp.Trace(A) ** 2 + 1).diff(A),
        "0",
        SQUARE,
        "trace(A)^2 + 1",
        "A",
        "2 tr(A) I",
        ADDED,
    ),
    Case(
        "(Trace(Identity(3) - A)**2).diff(A)",
        lambda: (sp.trace(sp.Identity(3) - A) ** 2).diff(A),
        "0",
        SQUARE,
        "trace(eye(n) - A)^2",
        "A",
        "2 (tr(A) − n) I",
        ADDED,
    ),
    Case(
        "exp(Trace(A)).diff(A)",
        lambda: sp.exp(sp.Trace(A)).diff(A),
        "0",
        SQUARE,
        "exp(trace(A))",
        "A",
        "exp(tr(A)) I",
        LOST,
    ),
    Case(
        "log(Trace(A)).diff(A)", lambda: sp.log(sp.Trace(A)).diff(A), "0", SQUARE, "log(trace(A))", "A", "I/tr(A)", LOST
    ),
    Case(
        "(1/Trace(A)).diff(A)", lambda: (1 / sp.Trace(A)).diff(A), "0", SQUARE, "1 / trace(A)", "A", "−I/(tr(A))²", LOST
    ),
    Case(
        "cos(Trace(A)).diff(A)",
        lambda: sp.cos(sp.Trace(A)).diff(A),
        "0",
        SQUARE,
        "cos(trace(A))",
        "A",
        "−sin(tr(A)) I",
        LOST,
    ),
    Case(
        "Abs(Trace(A)).diff(A)",
        lambda: sp.Abs(sp.Trace(A)).diff(A),
        "0",
        SQUARE,
        "abs(trace(A))",
        "A",
        "sign(tr(A)) I",
        LOST,
    ),
    Case(
        "(Trace(X)/Trace(A*X)).diff(X)",
        lambda: (sp.Trace(X) / sp.Trace(A * X)).diff(X),
        "1/Trace(A*X)*I",
        "A : [n, n]; X : [n, n]",
        "trace(X) / trace(A @ X)",
        "X",
        "(I − (tr(X)/tr(A X)) Aᵀ)/tr(A X)",
        "the divisor is taken for a constant",
    ),
    Case("((x.T*x)[0]).diff(x)", lambda: (x.T * x)[0].diff(x), "0", "x : [n]", "x' @ x", "x", "2 x", LOST),
    Case(
        "exp(-(x.T*A*x)[0]/2).diff(x)",
        lambda: sp.exp(-(x.T * A * x)[0] / 2).diff(x),
        "0",
        "A : [n, n]; x : [n]",
        "exp(-(x' @ A @ x) / 2)",
        "x",
        "−(exp(−(1/2) xᵀ A x)/2) (A + Aᵀ) x",
        LOST,
    ),
    Case(
        "((a.T*x)[0]*(b.T*x)[0]).diff(x)",
        lambda: ((a.T * x)[0] * (b.T * x)[0]).diff(x),
        "0",
        "a : [n]; b : [n]; x : [n]",
        "(a' @ x) * (b' @ x)",
        "x",
        "(bᵀ x) a + (aᵀ x) b",
        LOST,
    ),
    Case(
        "log((OneMatrix(1, 3)*x.applyfunc(exp))[0]).diff(x)",
        lambda: sp.log((sp.OneMatrix(1, 3) * E)[0]).diff(x),
        "0",
        "x : [n]",
        "log(sum(exp(x)))",
        "x",
        "softmax(x)",
        LOST,
    ),
    Case(
        "(x.applyfunc(exp)/(OneMatrix(1, 3)*x.applyfunc(exp))[0]).diff(x)",
        lambda: (E / (sp.OneMatrix(1, 3) * E)[0]).diff(x),
        "1/(exp(x[0, 0]) + exp(x[1, 0]) + exp(x[2, 0]))*DiagMatrix(Lambda(_d, exp(_d)).(x))",
        "x : [n]",
        "softmax(x)",
        "x",
        "diag(Y) − Y Yᵀ",
        "softmax: the divisor is taken for a constant, and −Y Yᵀ is lost",
    ),
    Case(
        "Sum(y[i]**2, (i, 1, 3)).diff(y[i])",
        lambda: sp.Sum(y[i] ** 2, (i, 1, 3)).diff(y[i]),
        "Sum(2*y[i], (i, 1, 3))",
        "y : [n]",
        "sum(y^2)",
        "y",
        "2 y",
        "the free index is caught by the sum",
    ),
    Case(
        "Sum(x[i, 0]**2, (i, 0, 2)).diff(x)",
        lambda: sp.Sum(x[i, 0] ** 2, (i, 0, 2)).diff(x),
        "0",
        "x : [n]",
        "sum[i] x[i]^2",
        "x",
        "2 x",
        LOST,
    ),
    Case(
        "Sum(A[i, i], (i, 0, 2)).diff(A)",
        lambda: sp.Sum(A[i, i], (i, 0, 2)).diff(A),
        "0",
        SQUARE,
        "sum[i] A[i, i]",
        "A",
        "I",
        LOST,
    ),
    Case(
        "Trace(A.applyfunc(sin)).diff(A)",
        lambda: sp.Trace(A.applyfunc(sp.sin)).diff(A),
        "ArrayDiagonal(Lambda(_d, cos(_d)).(A), (0, 1))",
        SQUARE,
        "trace(sin(A))",
        "A",
        "diag(cos(diag(A)))",
        "three numbers where nine are asked for: the diagonal alone",
    ),
    Case(
        "Trace(HadamardProduct(A, X)).diff(A)",
        lambda: sp.Trace(HadamardProduct(A, X)).diff(A),
        "ArrayDiagonal(X, (0, 1))",
        "A : [n, n]; X : [n, n]",
        "trace(A * X)",
        "A",
        "diag(diag(X))",
        "three numbers where nine are asked for: the diagonal alone",
    ),
    Case(
        "Trace(A**p).diff(A), at p = 3",
        lambda: sp.Trace(A**p).diff(A),
        "ArrayDiagonal(p*HadamardPower(A, p - 1), (0, 1))",
        SQUARE,
        "trace(A @ A @ A)",
        "A",
        "3 (Aᵀ)²",
        "powers of entries in the place of matrix powers",
    ),
)
