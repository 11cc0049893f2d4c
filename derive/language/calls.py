"""Calls: scalar functions, reductions over axes, composites along an axis, losses, and matrix functions.

In: the syntax of a call and the elaborator for its arguments. Out: a `Value`. What a name means is declared
in `derive.library`; here arguments are bound, axes are found, and the declared text is read in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from derive.errors import NotSupportedYet, SourceError, Span
from derive.expr import Expr, Num, compare, mul, select, sum_over
from derive.expr import call as call_node
from derive.functions import ScalarFunction
from derive.language import tree
from derive.language.indices import Range, Scope
from derive.language.names import suggest
from derive.language.parse import parse_expression
from derive.language.tensors import Hints, Places, Value, column, constant, elementwise, reduced
from derive.library.functions import INLINE
from derive.library.losses import COMPOSITES, LOSSES, NORMS, LossDecl
from derive.shapes import show_axes, show_extent

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
NOT_YET = frozenset(("inv", "det", "logdet", "solve", "eye", "ones", "zeros", "vec", "kron", "outer", "tril", "triu"))
NOT_YET |= {"cumsum", "concat", "d", "dense", "conv", "conv2d", "embedding", "layer_norm", "batch_norm", "rms_norm"}
NOT_YET |= {"dropout", "attention", "rnn", "lstm", "gru", "max_pool", "avg_pool", "flatten"}


def call(elab: Elaborator, node: tree.CallExpr, scope: Scope | None) -> Value:
    """The value of ``f(arguments)``."""
    name = node.function
    if name in ("max", "min") and sum(a.name is None for a in node.arguments) > 1:
        return _extremum(elab, node, scope)
    signature = elab.functions.find(name)
    if signature is not None:
        return _scalar(elab, node, signature, scope)
    handler = TENSOR_FUNCTIONS.get(name)
    if handler is None and name in NOT_YET:
        raise NotSupportedYet(f"{name}(…)", node.span)
    if handler is None:
        known = [*elab.functions.known(), *TENSOR_FUNCTIONS, *NOT_YET]
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


def bind(
    node: tree.CallExpr, required: tuple[str, ...], optional: tuple[str, ...] = (), keyword_only: tuple[str, ...] = ()
) -> dict[str, tree.Expr]:
    """The arguments by parameter name; an error for a missing, an extra, a repeated or an unknown one."""
    name, bound = node.function, dict[str, tree.Expr]()
    places = [*required, *optional]
    signature = f"{name}({', '.join([*places, *(k + '=…' for k in keyword_only)])})"
    for k, argument in enumerate(node.arguments):
        span = argument.span or argument.value.span or node.span
        if argument.name is None:
            if k >= len(places):
                hint = f"write {keyword_only[0]}=…" if keyword_only else f"it is {signature}"
                raise SourceError(f"{name} takes {_arguments(len(places))}, not {_positional(node)}", span, hint=hint)
            bound[places[k]] = argument.value
        elif argument.name not in places and argument.name not in keyword_only:
            hint = suggest(argument.name, [*places, *keyword_only]) or f"it is {signature}"
            raise SourceError(f"{name} has no argument {argument.name}", span, hint=hint)
        elif argument.name in bound:
            raise SourceError(f"{name} gets {argument.name} twice", span)
        else:
            bound[argument.name] = argument.value
    missing = [r for r in required if r not in bound]
    if missing:
        raise SourceError(f"{name} needs {' and '.join(missing)}", node.span, hint=f"it is {signature}")
    return bound


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"


def _positional(node: tree.CallExpr) -> int:
    return sum(a.name is None for a in node.arguments)


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


# --- axes ------------------------------------------------------------------------------------------------


def find_axis(elab: Elaborator, node: tree.Expr, v: Value) -> int:
    """The axis that ``axis=`` speaks of: counted (from either end) or named by its extent."""
    return axis_of(elab.extent(node), v, node.span)


def axis_of(e: Expr, v: Value, span: Span | None) -> int:
    """The number of an axis that is given by number or by extent."""
    if isinstance(e, Num):
        k = int(e.value)
        if not -v.rank <= k < v.rank:
            raise SourceError(
                f"there is no axis {k} in {v.show()}", span, hint=f"its axes are 0 to {v.rank - 1}" if v.rank else None
            )
        return k % v.rank
    places = [k for k, a in enumerate(v.axes) if a == e]
    if not places:
        raise SourceError(f"{v.show()} has no axis {show_extent(e, v.dims)}", span)
    if len(places) > 1:
        counted = " or ".join(f"axis={k}" for k in places)
        raise SourceError(
            f"{v.show()} has the axis {show_extent(e, v.dims)} more than once", span, hint=f"write {counted}"
        )
    return places[0]


def _reduction(elab: Elaborator, node: tree.CallExpr) -> Value:
    bound = bind(node, ("x",), keyword_only=("axis",))
    v = elab.value(bound["x"])
    return reduced(node.function, v, find_axis(elab, bound["axis"], v) if "axis" in bound else None, node.span)


# --- declared along an axis, and losses ------------------------------------------------------------------


def _line(v: Value, axis: int, rest: Places) -> Value:
    """``v`` along one axis, at given places of the others."""
    return Value((v.axes[axis],), lambda p, h: v.build((*rest[:axis], p[0], *rest[axis:]), h), text=v.text, dims=v.dims)


def _along(elab: Elaborator, text: str, names: Mapping[str, Value], place: Expr | None, hints: Hints) -> Expr:
    """The declared text for these vectors, ``k`` being the place."""
    scope = Scope({} if place is None else {"k": Range("k", None, letter=place)})
    return elab.among(names).value(parse_expression(text), scope).build((), hints)


def _composite(elab: Elaborator, node: tree.CallExpr) -> Value:
    bound = bind(node, ("x",), keyword_only=("axis",))
    v = elab.value(bound["x"])
    if v.rank == 0:
        raise SourceError(f"{node.function} takes a vector or more, {v.show()} is a number", node.span)
    if "axis" not in bound and v.rank > 1:
        raise SourceError(f"{node.function} of {v.show()} needs axis=", node.span, hint=f"write axis={_last(v)}")
    axis = find_axis(elab, bound["axis"], v) if "axis" in bound else 0
    text = COMPOSITES[node.function].text

    def build(places: Places, hints: Hints) -> Expr:
        line = _line(v, axis, (*places[:axis], *places[axis + 1 :]))
        return _along(elab, text, {"x": line}, places[axis], hints)

    return Value(v.axes, build, row=v.row)


def _last(v: Value) -> str:
    """How to name the last axis: by its dim where that is plain."""
    name = show_extent(v.axes[-1], v.dims)
    return name if name.isidentifier() and v.axes.count(v.axes[-1]) == 1 else str(v.rank - 1)


def _loss(elab: Elaborator, node: tree.CallExpr) -> Value:
    declared = LOSSES[node.function]
    bound = bind(node, ("y", "p"))
    y, p = elab.value(bound["y"]), elab.value(bound["p"])
    if y.labels is not None and declared.labels is not None:
        axis = _label_axis(node, y, p, y.labels)
        return _class_loss(elab, declared.labels, y, p, None, axis)
    if y.axes != p.axes or y.row != p.row:
        hint = "the target comes first; both have the same axes"
        if y.rank == p.rank == 2 and y.axes[::-1] == p.axes:
            hint = f"transpose one of them: {node.function}({y.text}, {p.text}')"
        elif y.rank + 1 == p.rank and p.axes[:-1] == y.axes and p.axes[-1] == Num(1):
            hint = f"index the last axis away: {p.text}[:, 0]"
        elif declared.labels is not None and y.rank + 1 == p.rank:
            hint = f"if {y.text} holds class numbers, declare it: labels({show_extent(p.axes[-1], p.dims)})"
        raise SourceError(f"{node.function} compares {y.show()} with {p.show()}: the axes differ", node.span, hint=hint)
    if not declared.along:
        return elab.among({"y": y, "p": p}).value(parse_expression(declared.text))
    return _class_loss(elab, declared.text, y, p, *_class_axis(elab, node, y, declared))


def _class_axis(elab: Elaborator, node: tree.CallExpr, y: Value, declared: LossDecl) -> tuple[int, int]:
    if y.classes is not None:
        return y.classes, y.classes
    others = [k for k, a in enumerate(y.axes) if a != elab.batch]
    if not others:
        raise SourceError(
            f"{declared.name} sums over a class axis, and {y.show()} has none",
            node.span,
            hint="declare integer targets as labels(c), or use bce for two classes",
        )
    return others[-1], others[-1]


def _label_axis(node: tree.CallExpr, y: Value, p: Value, classes: Expr) -> int:
    """The axis of ``p`` that ``y`` lacks."""
    for k in range(p.rank - 1, -1, -1):
        if p.axes[k] == classes and (*p.axes[:k], *p.axes[k + 1 :]) == y.axes:
            return k
    raise SourceError(
        f"{node.function} of labels {y.show()} against {p.show()}: the second needs the axes of the first, "
        f"and one more, {show_extent(classes, y.dims)}",
        node.span,
    )


def _class_loss(elab: Elaborator, text: str, y: Value, p: Value, y_axis: int | None, p_axis: int) -> Value:
    """The declared text along the class axis, averaged over the others."""

    def build(rest: Places, hints: Hints) -> Expr:
        target = Value((), lambda _, h: y.build(rest, h), text=y.text) if y_axis is None else _line(y, y_axis, rest)
        return _along(elab, text, {"y": target, "p": _line(p, p_axis, rest)}, None, hints)

    rest = (*p.axes[:p_axis], *p.axes[p_axis + 1 :])
    return reduced("mean", Value(rest, build, dims=p.dims), None, None)


# --- matrix functions ------------------------------------------------------------------------------------


def _trace(elab: Elaborator, node: tree.CallExpr) -> Value:
    v = _square(elab, node)

    def build(places: Places, hints: Hints) -> Expr:
        i = hints.fresh(v.axes[0])
        return sum_over((i,), v.build((i, i), hints))

    return Value((), build)


def _diag(elab: Elaborator, node: tree.CallExpr) -> Value:
    """The diagonal of a matrix, or the matrix with this diagonal."""
    v = elab.value(bind(node, ("x",))["x"])
    if v.rank == 1:
        return Value((v.axes[0],) * 2, lambda p, h: mul(compare("==", p[0], p[1]), v.build(p[:1], h)))
    v = _square(elab, node)
    return Value(v.axes[:1], lambda p, h: v.build((p[0], p[0]), h))


def _square(elab: Elaborator, node: tree.CallExpr) -> Value:
    v = elab.value(bind(node, ("x",))["x"])
    if v.rank != 2 or v.axes[0] != v.axes[1]:
        raise SourceError(
            f"{node.function} takes a square matrix: the same axis twice; {v.text} is {show_axes(v.axes, v.dims)}",
            node.span,
        )
    return v


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


TENSOR_FUNCTIONS: dict[str, Callable[[Elaborator, tree.CallExpr], Value]] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(COMPOSITES, _composite),
    **dict.fromkeys(LOSSES, _loss),
    "trace": _trace,
    "diag": _diag,
    "norm": _norm,
    "col": _column,
}
