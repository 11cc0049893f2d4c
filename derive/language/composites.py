"""Composites and losses: declared text read along an axis of whole tensors.

In: a call of softmax, cross_entropy and the like. Out: a `Value`, the declared mathematics with the arguments
in its place. Which axis holds the classes follows from the target's promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from derive.errors import SourceError
from derive.expr import Expr, Num
from derive.language import tree
from derive.language.arguments import bind, find_axis
from derive.language.indices import Range, Scope
from derive.language.parse import parse_expression
from derive.language.tensors import Hints, Places, Value, reduced
from derive.library.losses import COMPOSITES, LOSSES, LossDecl
from derive.shapes import show_extent

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator


def _line(v: Value, axis: int, rest: Places) -> Value:
    """``v`` along one axis, at given places of the others."""
    return Value((v.axes[axis],), lambda p, h: v.build((*rest[:axis], p[0], *rest[axis:]), h), text=v.text, dims=v.dims)


def _along(elab: Elaborator, text: str, names: Mapping[str, Value], place: Expr | None, hints: Hints) -> Expr:
    """The declared text for these vectors, ``k`` being the place."""
    scope = Scope({} if place is None else {"k": Range("k", None, letter=place)})
    return elab.among(names).value(parse_expression(text), scope).build((), hints)


def composite(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``softmax(x, axis=a)`` and the like: the declared text at every place of the other axes."""
    bound = bind(node, ("x",), keyword_only=("axis",))
    v = elab.value(bound["x"])
    if v.rank == 0:
        raise SourceError(f"{node.function} takes a vector or more, {v.show()} is a number", node.span)
    if "axis" not in bound and v.rank > 1:
        raise SourceError(f"{node.function} of {v.show()} needs axis=", node.span, hint=f"write axis={_last(v)}")
    axis = find_axis(elab.names, bound["axis"], v) if "axis" in bound else 0
    text = COMPOSITES[node.function].text

    def build(places: Places, hints: Hints) -> Expr:
        line = _line(v, axis, (*places[:axis], *places[axis + 1 :]))
        return _along(elab, text, {"x": line}, places[axis], hints)

    return Value(v.axes, build, row=v.row)


def _last(v: Value) -> str:
    """How to name the last axis: by its dim where that is plain."""
    name = show_extent(v.axes[-1], v.dims)
    return name if name.isidentifier() and v.axes.count(v.axes[-1]) == 1 else str(v.rank - 1)


def loss(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``mse(y, p)``, ``cross_entropy(y, p)`` and the like: the target comes first."""
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
