"""Composites and losses: declared text read along an axis of whole tensors.

In: a call of softmax, cross_entropy and the like. Out: a `Value`, the declared mathematics with the arguments
in its place. Which axis holds the classes follows from the target's promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from derive.errors import SourceError
from derive.expr import Expr, Num, add, compare
from derive.language import tree
from derive.language.arguments import bind, find_axis
from derive.language.indices import Range, Scope
from derive.language.matrices import transpose
from derive.language.parse import parse_expression
from derive.language.tensors import Hints, Places, Value, constant, elementwise, reduced
from derive.library.losses import COMPOSITES, LOSSES, LossDecl
from derive.shapes import show_extent

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator


def _line(v: Value, axis: int, rest: Places) -> Value:
    """``v`` along one axis, at given places of the others."""
    return Value((v.axes[axis],), lambda p, h: v.build((*rest[:axis], p[0], *rest[axis:]), h), text=v.text, dims=v.dims)


def _along(elab: Elaborator, text: str, names: Mapping[str, Value], place: Expr | None, hints: Hints) -> Expr:
    """The declared text for these vectors, ``k`` being the place if there is one."""
    scope = None if place is None else Scope({"k": Range("k", None, letter=place)})
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
    """``mse(y, p)``, ``cross_entropy(y, p)`` and the like: the target comes first, settings last."""
    declared = LOSSES[node.function]
    bound = bind(node, tuple(p for p in declared.parameters if p not in declared.defaults), tuple(declared.defaults))
    given = {p: elab.value(bound[p]) for p in declared.parameters if p in bound}
    tensors = {p: v for p, v in given.items() if p in declared.letters}
    for p, text in declared.defaults.items():
        given.setdefault(p, elab.among({}).value(parse_expression(text)))
    settings = {p: v for p, v in given.items() if p not in tensors}
    axis = _class_axis(elab, node, tensors, declared) if declared.rank else None
    _check_tensors(node, tensors, declared, axis)
    for v in settings.values():
        _check_setting(node, v, next(iter(tensors.values())) if axis is None else None)
    if axis is None:
        out = elab.among({**tensors, **settings}).value(parse_expression(declared.text))
        return _number(node, out, settings)
    if declared.rank == 1:
        return _class_loss(elab, tensors, settings, declared, axis)
    matrices = {p: v if axis == 1 else transpose(v, node.span) for p, v in tensors.items()}
    return elab.among({**matrices, **settings}).value(parse_expression(declared.text))


def _class_axis(elab: Elaborator, node: tree.CallExpr, tensors: dict[str, Value], declared: LossDecl) -> int:
    """The class axis of those tensors that have one; integer labels in ``tensors`` are written as masks along it."""
    names = [p for p, letters in declared.letters.items() if letters]
    y = tensors[names[0]]
    if y.labels is not None and len(names) > 1:
        axis = _label_axis(node, y, tensors[names[1]], y.labels)
        tensors[names[0]] = _mask(y, axis, y.labels)
        return axis
    if y.classes is not None:
        return y.classes
    others = [k for k, a in enumerate(y.axes) if a != elab.batch]
    if not others:
        raise SourceError(
            f"{declared.name} sums over a class axis, and {y.show()} has none",
            node.span,
            hint="declare integer targets as labels(c), or use bce for two classes",
        )
    return others[-1]


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


def _mask(y: Value, axis: int, classes: Expr) -> Value:
    """1 at the place on a new axis that the label counts, else 0."""
    axes = (*y.axes[:axis], classes, *y.axes[axis:])

    def build(places: Places, hints: Hints) -> Expr:
        return compare("==", y.build((*places[:axis], *places[axis + 1 :]), hints), places[axis])

    return Value(axes, build, text=y.text, dims=y.dims)


def _check_tensors(node: tree.CallExpr, tensors: dict[str, Value], declared: LossDecl, axis: int | None) -> None:
    """All have the axes of the first with a class axis; those without one have the others."""
    name = next(p for p, letters in declared.letters.items() if letters == declared.rank)
    y = tensors[name]
    if declared.rank == 2 and y.rank != 2:
        raise SourceError(f"{node.function} takes matrices; {y.show()} is none", node.span)
    for p, v in tensors.items():
        same = declared.letters[p] == declared.rank
        if same and (y.axes != v.axes or y.row != v.row):
            raise SourceError(
                f"{node.function} compares {y.show()} with {v.show()}: the axes differ",
                node.span,
                hint=_differ(node, y, v, declared),
            )
        if not same and axis is not None and v.axes != (*y.axes[:axis], *y.axes[axis + 1 :]):
            raise SourceError(
                f"{node.function} takes a number for each vector of {y.show()}, and {v.show()} has other axes",
                node.span,
                hint=f"the vectors lie along {show_extent(y.axes[axis], y.dims)}; {v.text} has the other axes",
            )


def _differ(node: tree.CallExpr, y: Value, p: Value, declared: LossDecl) -> str:
    """What would make the axes of two tensors the same."""
    if y.rank == p.rank == 2 and y.axes[::-1] == p.axes:
        return f"transpose one of them: {node.function}({y.text}, {p.text}')"
    if y.rank + 1 == p.rank and p.axes[:-1] == y.axes and p.axes[-1] == Num(1):
        return f"index the last axis away: {p.text}[:, 0]"
    if declared.rank and y.rank + 1 == p.rank:
        return f"if {y.text} holds class numbers, declare it: labels({show_extent(p.axes[-1], p.dims)})"
    return "the target comes first; both have the same axes"


def _check_setting(node: tree.CallExpr, v: Value, of: Value | None) -> None:
    """A setting is a number; where the loss is element-wise, it may stretch to the axes of the target."""
    if v.rank and (of is None or elementwise([of, v], add, ",", node.span).axes != of.axes):
        raise SourceError(
            f"{node.function} takes a number, and {v.show()} is none"
            if of is None
            else f"{v.show()} has more axes than {of.show()}, which {node.function} speaks of",
            v.span or node.span,
        )


def _number(node: tree.CallExpr, out: Value, settings: dict[str, Value]) -> Value:
    """``out``, which is a number unless a setting stands outside of the sums and is none."""
    for v in settings.values():
        if out.rank and v.rank:
            raise SourceError(f"{node.function} takes a number, and {v.show()} is none", v.span or node.span)
    return out


def _class_loss(
    elab: Elaborator, tensors: dict[str, Value], settings: dict[str, Value], declared: LossDecl, axis: int
) -> Value:
    """The declared text along the class axis, averaged over the others."""
    full = next(v for p, v in reversed(tensors.items()) if declared.letters[p])

    def build(rest: Places, hints: Hints) -> Expr:
        names = {
            p: _line(v, axis, rest) if declared.letters[p] else constant(v.build(rest, hints))
            for p, v in tensors.items()
        }
        names |= {**settings, "K": constant(full.axes[axis])}
        return _along(elab, declared.text, names, None, hints)

    rest = (*full.axes[:axis], *full.axes[axis + 1 :])
    return reduced("mean", Value(rest, build, dims=full.dims), None, None)
