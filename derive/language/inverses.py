"""Functions of a whole square matrix: ``inv det logdet cholesky``, and ``solve``, which is a product with an inverse.

In: the syntax of a call and the elaborator for its arguments. Out: a `Value`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derive.errors import SourceError
from derive.expr import Expr, MatrixCall, Reduce
from derive.language import tree
from derive.language.arguments import bind
from derive.language.matrices import matmul
from derive.language.structure import square
from derive.language.tensors import Hints, Places, Value
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.shapes import show_axes

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator


def of_matrix(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``inv(A)``, ``det(A)``, ``logdet(A)``, ``cholesky(A)``."""
    v = square(elab, node)
    return _applied(node.function, v)


def _applied(op: str, v: Value) -> Value:
    def build(places: Places, hints: Hints) -> Expr:
        k, m = hints.fresh(v.axes[0]), hints.fresh(v.axes[1])
        body = v.build((k, m), hints)
        return MatrixCall(op, (k, m), body, places) if places else Reduce(op, (k, m), body)

    return Value(v.axes if MATRIX_FUNCTIONS[op].rank else (), build, text=f"{op}({v.text})", span=v.span, dims=v.dims)


def solve(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``solve(A, B)``: the X with A X = B."""
    bound = bind(node, ("a", "b"))
    a, b = elab.value(bound["a"]), elab.value(bound["b"])
    if a.rank != 2 or a.axes[0] != a.axes[1]:
        raise SourceError(
            f"solve takes a square matrix first: the same axis twice; {a.text} is {show_axes(a.axes, a.dims)}",
            bound["a"].span or node.span,
        )
    return matmul(_applied("inv", a), b, node.span)
