"""Accesses: brackets after a tensor, in index notation (a place on every axis) and in tensor notation (slices).

In: the syntax of the brackets and the letters in scope. Out: a `Value` that reads the operand at those places.
A place is a letter, an extent, or an element of an integer tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from derive.errors import NotSupportedYet, SourceError, Span
from derive.expr import ZERO, Expr, Num, add
from derive.language import tree
from derive.language.indices import Scope, check_constant_place, check_count, check_inside
from derive.language.names import names_in
from derive.language.tensors import Hints, Places, Value
from derive.shapes import never_negative, polynomial, show_extent, size

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator

Place = Callable[[Hints], Expr]


def access(elab: Elaborator, node: tree.Index, scope: Scope) -> Value:
    """``X[i, t[j], 0]`` in index notation: one place on every axis."""
    if node.padding is not None:
        raise NotSupportedYet("padding in an index", node.span)
    if isinstance(node.operand, tree.Index):
        raise SourceError("an access has one pair of brackets", node.span, hint="write X[i, j], not X[i][j]")
    operand = elab.value(node.operand)
    check_count(operand, len(node.items), node.span)
    places = [_place(elab, item, operand, axis, scope) for axis, item in enumerate(node.items)]
    return Value((), lambda _, hints: operand.build(tuple(p(hints) for p in places), hints), labels=operand.labels)


def _place(elab: Elaborator, item: tree.Expr | tree.Slice, operand: Value, axis: int, scope: Scope) -> Place:
    if isinstance(item, tree.Slice):
        raise SourceError("a slice cannot stand in index notation", item.span, hint="write a letter")
    letter = scope.ranges.get(item.name) if isinstance(item, tree.Name) else None
    if letter is not None:
        found = letter
        found.used = True
        found.sites.append((operand, axis, scope.guarded, item.span))
        return lambda hints: found.place()
    if isinstance(item, tree.Index) or _is_integer(elab, item):
        inner = elab.value(item, scope)
        if inner.labels is None:
            raise SourceError(
                f"{inner.text} is not an integer, and a place is one",
                item.span,
                hint="declare its tensor with labels(c): integers from 0 to c-1",
            )
        check_inside(
            operand,
            axis,
            inner.labels,
            f"{inner.text} counts to {show_extent(inner.labels)}-1",
            elab.sizes,
            item.span,
        )
        return lambda hints: inner.build((), hints)
    if names_in(item) & set(scope):
        raise NotSupportedYet("an affine index such as i+1", item.span)
    if isinstance(item, tree.Name) and elab.names.get(item.name) is None and item.name not in elab.names.later:
        raise SourceError(
            f"the letter {item.name} is free: it stands on no left side and under no reduction",
            item.span,
            hint=f"put it on the left, or write sum[{item.name}] …",
        )
    place = elab.extent(item)
    if not scope.guarded:
        check_constant_place(place, operand, axis, elab.sizes, item.span)
    return lambda hints: place


def cut(elab: Elaborator, node: tree.Index) -> Value:
    """``X[0, 1:n]`` in tensor notation: a number drops its axis, a slice keeps a part of it."""
    if node.padding is not None:
        raise NotSupportedYet("padding in an index", node.span)
    v = elab.value(node.operand)
    if len(node.items) > v.rank:
        check_count(v, len(node.items), node.span)
    axes: list[Expr] = []
    offsets: list[tuple[bool, Expr]] = []
    for axis, item in enumerate(node.items):
        if isinstance(item, tree.Slice):
            start = ZERO if item.start is None else elab.extent(item.start)
            stop = v.axes[axis] if item.stop is None else elab.extent(item.stop)
            _check_slice(elab, v, axis, start, stop, item.span or node.span)
            axes.append(polynomial(stop - start))
            offsets.append((True, start))
        else:
            if isinstance(item, tree.Name) and elab.names.get(item.name) is None:
                raise SourceError(
                    f"{item.name} is not known outside an index equation",
                    item.span,
                    hint=f"bind the letter: T[{item.name}] = …, or sum[{item.name}] …",
                )
            place = elab.extent(item)
            check_constant_place(place, v, axis, elab.sizes, item.span)
            offsets.append((False, place))
    given = len(axes)

    def build(places: Places, hints: Hints) -> Expr:
        rest = iter(places)
        return v.build(tuple(add(next(rest), e) if kept else e for kept, e in offsets) + places[given:], hints)

    return Value((*axes, *v.axes[len(offsets) :]), build)


def _check_slice(elab: Elaborator, v: Value, axis: int, start: Expr, stop: Expr, span: Span | None) -> None:
    known = size(stop - start, elab.sizes)
    if not never_negative(stop - start - 1) and (known is None or known < 1):
        raise SourceError(
            f"the slice {show_extent(start)}:{show_extent(stop)} is empty",
            span,
            hint="it is half-open: a:b holds a … b-1",
        )
    if isinstance(start, Num) and start.value < 0:
        check_constant_place(start, v, axis, elab.sizes, span)
    check_inside(v, axis, stop, f"the slice {show_extent(start)}:{show_extent(stop)} ends", elab.sizes, span)


def _is_integer(elab: Elaborator, item: tree.Expr) -> bool:
    """Whether the item is the name of a single integer of the data."""
    entry = elab.names.get(item.name) if isinstance(item, tree.Name) else None
    return isinstance(entry, Value) and not entry.rank and entry.labels is not None
