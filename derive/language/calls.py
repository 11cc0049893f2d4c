"""Calls: scalar functions, reductions over axes, composites along an axis, losses, and matrix functions.

In: the syntax of a call and the elaborator for its arguments. Out: a `Value`. What a name means is declared
in `derive.library`; here arguments are bound, axes are found, and the declared text is read in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from derive.errors import GradcError, SourceError
from derive.expr import Expr, compare, select
from derive.expr import call as call_node
from derive.functions import ScalarFunction
from derive.language import inverses, structure, tree
from derive.language.arguments import bind, find_axis
from derive.language.composites import composite, loss
from derive.language.indices import Scope
from derive.language.matrices import column, concat
from derive.language.names import suggest
from derive.language.parse import parse_expression
from derive.language.tensors import Value, constant, elementwise, of_tensor, reduced
from derive.library.functions import INLINE
from derive.library.losses import COMPOSITES, LOSSES, NORMS
from derive.matrix_functions import MATRIX_FUNCTIONS

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator


@dataclass(frozen=True)
class Signature:
    """A scalar function and the defaults of its last parameters."""

    function: ScalarFunction
    defaults: Mapping[str, Expr]


class Functions(Protocol):
    """The functions that a model may call."""

    def find(self, name: str) -> Signature | None:
        """The scalar function of that name."""

    def known(self) -> list[str]:
        """The names of all scalar functions."""

    def builtin(self) -> Functions:
        """Those of the catalogue alone."""


REDUCTIONS = ("sum", "mean", "max", "min", "prod")


def call(elab: Elaborator, node: tree.CallExpr, scope: Scope | None) -> Value:
    """The value of ``f(arguments)``."""
    name = node.function
    if name in ("max", "min") and sum(a.name is None for a in node.arguments) > 1:
        return _extremum(elab, node, scope)
    functions = elab.functions.builtin() if node.builtin else elab.functions
    signature = functions.find(name)
    if signature is not None:
        return _scalar(elab, node, signature, scope)
    handler = TENSOR_FUNCTIONS.get(name)
    if handler is None:
        known = [*elab.functions.known(), *TENSOR_FUNCTIONS]
        hint = suggest(name, known)
        if elab.names.get(name) is not None:
            hint = f"{name} is not a function; for a product write {name} * (…)"
        raise SourceError(f"unknown function {name}", node.span, hint=hint)
    if scope is not None:
        raise SourceError(
            f"{name} takes whole tensors, and index notation is about their elements",
            node.span,
            hint=f"give {name}(…) a line of its own, or index it: {name}(…)[i]",
        )
    return handler(elab, node)


# --- scalar functions ------------------------------------------------------------------------------------


def _scalar(elab: Elaborator, node: tree.CallExpr, signature: Signature, scope: Scope | None) -> Value:
    function, defaults = signature.function, signature.defaults
    required = tuple(p for p in function.parameters if p not in defaults)
    bound = bind(node, required, tuple(p for p in function.parameters if p in defaults))
    values = [elab.value(bound[p], scope) if p in bound else constant(defaults[p]) for p in function.parameters]
    if function.name in INLINE and elab.functions.builtin().find(function.name) == signature:
        return elementwise(values, function.expand, ",", node.span)
    return elementwise(values, lambda *xs: call_node(function, *xs), ",", node.span)


def _extremum(elab: Elaborator, node: tree.CallExpr, scope: Scope | None) -> Value:
    """``max(x, y)``: the first argument where they tie."""
    if any(a.name == "axis" for a in node.arguments):
        raise SourceError(f"{node.function} takes one tensor and axis=, or two tensors", node.span)
    bound = bind(node, ("x", "y"))
    op = ">=" if node.function == "max" else "<="
    values = [elab.value(bound["x"], scope), elab.value(bound["y"], scope)]
    return elementwise(values, lambda x, y: select(compare(op, x, y), x, y), ",", node.span)


# --- reductions and matrix functions ------------------------------------------------------------------


def _reduction(elab: Elaborator, node: tree.CallExpr) -> Value:
    bound = bind(node, ("x",), keyword_only=("axis",))
    v = elab.value(bound["x"])
    return reduced(node.function, v, find_axis(elab.names, bound["axis"], v) if "axis" in bound else None, node.span)


def _norm(elab: Elaborator, node: tree.CallExpr) -> Value:
    bound = bind(node, ("v",), ("p",))
    v = elab.value(bound["v"])
    p = bound.get("p")
    order = str(p.value) if isinstance(p, tree.Number) else "2" if p is None else "?"
    if order not in NORMS:
        raise SourceError("norm(v, p) is built for p = 1 and p = 2", node.span)
    return elab.among({"v": v}).value(parse_expression(NORMS[order]))


def _column(elab: Elaborator, node: tree.CallExpr) -> Value:
    return column(elab.value(bind(node, ("v",))["v"]), node.span)


def _concat(elab: Elaborator, node: tree.CallExpr) -> Value:
    parts = [elab.value(a.value) for a in node.arguments if a.name is None]
    bound = bind(replace(node, arguments=tuple(a for a in node.arguments if a.name)), (), keyword_only=("axis",))
    if len(parts) < 2:
        raise SourceError("concat takes two tensors or more", node.span, hint="it is concat(a, b, axis=…)")
    if any(v.rank == 0 for v in parts):
        raise SourceError("concat takes vectors and more, not numbers", node.span, hint="[a, b] stacks numbers")
    if "axis" not in bound and parts[0].rank > 1:
        raise SourceError(f"concat of {parts[0].show()} needs axis=", node.span, hint="write axis=0")
    return concat(parts, find_axis(elab.names, bound["axis"], parts[0]) if "axis" in bound else 0, node.span)


def _derivative(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``d(u, x)``: equations of the model that end with ∂u/∂x."""
    bound = bind(node, ("u", "x"))
    u, x = elab.value(bound["u"]), elab.value(bound["x"])
    if x.tensor is None:
        raise SourceError(f"d(u, x) differentiates by a named tensor, and {x.text} is none", x.span or node.span)
    if x.tensor.dtype == "int" or x.tensor.kind == "const":
        raise SourceError(f"{x.tensor.name} is not a real variable: there is no derivative by it", x.span or node.span)
    if elab.differentiate is None:
        raise SourceError("d(u, x) stands in equations only", node.span)
    try:
        return of_tensor(elab.differentiate(u, x.tensor, node.span))
    except SourceError:
        raise
    except GradcError as error:
        raise SourceError(str(error), node.span) from None


TENSOR_FUNCTIONS: dict[str, Callable[[Elaborator, tree.CallExpr], Value]] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(COMPOSITES, composite),
    **dict.fromkeys(LOSSES, loss),
    "reshape": structure.reshape,
    "flatten": structure.flatten,
    "vec": structure.vec,
    "unvec": structure.unvec,
    "outer": structure.outer,
    "kron": structure.kron,
    "trace": structure.trace,
    **dict.fromkeys(MATRIX_FUNCTIONS, inverses.of_matrix),
    "solve": inverses.solve,
    "diag": structure.diag,
    "tril": structure.triangle,
    "triu": structure.triangle,
    "cumsum": structure.cumsum,
    "eye": structure.eye,
    "ones": structure.filled,
    "zeros": structure.filled,
    "norm": _norm,
    "col": _column,
    "concat": _concat,
    "d": _derivative,
}
