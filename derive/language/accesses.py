"""Accesses: brackets after a tensor, in index notation (a place on every axis) and in tensor notation (slices).

In: the syntax of the brackets and the letters in scope. Out: a `Value` that reads the operand at those places.
A place is affine in letters, extents and elements of integer tensors; a padded access is a choice by range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from derive.deltas import at_least_zero, bounds, is_place
from derive.errors import SourceError, Span
from derive.expr import ONE, ZERO, Expr, Letter, Num, add, mul, select
from derive.language import tree
from derive.language.indices import Affine, Scope, Site, check_affine, check_constant_place, check_count, check_inside
from derive.language.names import names_in
from derive.language.tensors import Hints, Places, Value
from derive.ranges import leaving
from derive.rewrite import factors, terms
from derive.shapes import never_negative, polynomial, show_axes, show_extent, size

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator

Place = Callable[[Hints], Expr]


def access(elab: Elaborator, node: tree.Index, scope: Scope) -> Value:
    """``X[i+p, t[j], 0]`` in index notation: one place on every axis; ``X[i-1 | 0]`` also outside of it."""
    if isinstance(node.operand, tree.Index):
        raise SourceError("an access has one pair of brackets", node.span, hint="write X[i, j], not X[i][j]")
    operand = elab.value(node.operand)
    check_count(operand, len(node.items), node.span)
    padding = node.padding
    inside = scope if padding is None else scope.conditional()
    places = [_place(elab, item, operand, axis, inside) for axis, item in enumerate(node.items)]
    if padding is None:
        return Value((), lambda _, hints: operand.build(tuple(p(hints) for p in places), hints), labels=operand.labels)
    outside = None if isinstance(padding, str) else elab.value(padding, scope)

    def build(_: Places, hints: Hints) -> Expr:
        return _padded(operand, tuple(p(hints) for p in places), outside, hints)

    return Value((), build, labels=operand.labels if outside is None else None)


def _padded(operand: Value, places: Places, outside: Value | None, hints: Hints, axis: int = 0) -> Expr:
    """The element at ``places``; where a place leaves its axis ``outside``, without which the border stands there.

    Either is a choice between plain accesses, so that nothing new has to be differentiated.
    """
    if axis == len(places):
        return operand.build(places, hints)

    def at(place: Expr) -> Expr:
        return _padded(operand, (*places[:axis], place, *places[axis + 1 :]), outside, hints, axis + 1)

    place, last = places[axis], add(operand.axes[axis], -1)
    out = at(place)
    low, high = bounds(place) if is_place(place) else (place, place)
    for distance, least, border in ((add(last, mul(-1, place)), add(last, mul(-1, high)), last), (place, low, ZERO)):
        if not never_negative(least) and is_place(place):
            out = select(at_least_zero(distance), out, at(border) if outside is None else outside.build((), hints))
    return out


def check_branches(chosen: Expr, sizes: Mapping[str, int], span: Span | None) -> None:
    """Refuse a conditional in which an access may leave its axis where its branch is taken."""
    for found, axis, _ in leaving(chosen, sizes):
        name, axes = found.tensor.name, show_axes(found.tensor.axes)
        read = f"{name}[{', '.join(map(show_extent, found.places))}]"
        raise SourceError(
            f"{read} may leave axis {axis} of {name} {axes} in a branch that is taken",
            span,
            hint="compare its letters with the bounds of the axis, or say what stands outside: "
            f"{read.removesuffix(']')} | 0]",
        )


def _place(elab: Elaborator, item: tree.Expr | tree.Slice, operand: Value, axis: int, scope: Scope) -> Place:
    if isinstance(item, tree.Slice):
        raise SourceError("a slice cannot stand in index notation", item.span, hint="write a letter")
    site = Site(operand, axis, scope.guarded, item.span)
    letter = scope.ranges.get(item.name) if isinstance(item, tree.Name) else None
    growing, reads = elab.growing.get(operand.tensor, (None, [])) if operand.tensor else (None, [])
    if growing == axis:
        if letter is None:
            name = operand.text
            raise SourceError(
                f"{name} is a recurrence, and is read at the place t of a round before {name}[t+1, …] is defined",
                item.span,
                hint="to look further back, carry what is needed in a recurrence of its own",
            )
        reads.append((letter, item.span))
        letter.used = True
        return lambda hints: letter.place()
    if letter is not None:
        found = letter
        found.used = True
        found.sites.append(site)
        return lambda hints: found.place()
    if isinstance(item, tree.Index) or _is_integer(elab, item):
        inner = _integer(elab, item, scope)
        assert inner.labels is not None
        why = f"{inner.text} counts to {show_extent(inner.labels)}-1"
        check_inside(operand, axis, inner.labels, why, elab.sizes, item.span)
        return lambda hints: inner.build((), hints)
    data: dict[str, Value] = {}
    plain = _without_data(elab, item, scope, data)
    if data or names_in(item) & set(scope):
        form = _affine(elab, plain, scope, data)
        for r, _ in form.terms:
            r.used = True
            r.affine.append((form, site))
        if not form.terms and not scope.guarded:
            check_affine(form, site, elab.sizes)
        return lambda hints: form.place(hints)
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


def _without_data(elab: Elaborator, node: tree.Expr, scope: Scope, data: dict[str, Value]) -> tree.Expr:
    """A place with names that no letter has for the elements of data in it; ``data`` receives what they stand for."""
    if isinstance(node, tree.Index) or _is_integer(elab, node):
        inner = _integer(elab, node, scope)
        name = f"{inner.text} "  # no name of the language has a space
        data.setdefault(name, inner)
        return tree.Name(name, span=node.span)
    match node:
        case tree.Unary(op, operand):
            return tree.Unary(op, _without_data(elab, operand, scope, data), span=node.span)
        case tree.Chain(first, rest):
            others = tuple((op, _without_data(elab, x, scope, data)) for op, x in rest)
            return tree.Chain(_without_data(elab, first, scope, data), others, span=node.span)
    return node


def _integer(elab: Elaborator, node: tree.Expr, scope: Scope) -> Value:
    """An element of an integer tensor."""
    inner = elab.value(node, scope)
    if inner.labels is None:
        raise SourceError(
            f"{inner.text} is not an integer, and a place is one",
            node.span,
            hint="declare its tensor with labels(c): integers from 0 to c-1",
        )
    return inner


def _affine(elab: Elaborator, item: tree.Expr, scope: Scope, data: Mapping[str, Value]) -> Affine:
    """A place in letters and elements of data: ``2*i+p-1``, ``t[i]+1``; a letter comes before a dim of its name."""
    stands = {name: Letter(ONE, k, name) for k, name in enumerate((*scope, *data))}
    e = polynomial(elab.extent(item, stands))
    found: dict[str, Expr] = {}
    rest: list[Expr] = []
    for t in terms(e):
        letters = [f for f in factors(t) if f.letters]
        if not letters:
            rest.append(t)
            continue
        coefficient = mul(*(f for f in factors(t) if f is not letters[0]))
        if len(letters) > 1 or not isinstance(letters[0], Letter):
            raise SourceError(
                f"{show_extent(e)} is no sum of letters with coefficients", item.span, hint="such as x[2*i+p-1]"
            )
        found[letters[0].hint] = add(found.get(letters[0].hint, ZERO), coefficient)
    return Affine(
        tuple((scope.ranges[name], c) for name, c in found.items() if name not in data),
        add(*rest),
        show_extent(e).replace(" ", ""),
        tuple((data[name], c) for name, c in found.items() if name in data),
    )


def cut(elab: Elaborator, node: tree.Index) -> Value:
    """``X[0, 1:n]`` in tensor notation: a number drops its axis, a slice keeps a part of it."""
    if node.padding is not None:
        raise SourceError("padding is for index notation", node.span, hint="name the indices: y[i:n] = x[i-1 | 0]")
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
