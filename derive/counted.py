"""Kronecker products, and columns below each other, read from indices: x ⊗ y for [i = n·k + l] x[k] y[l].

In: a sum over letters that together count through rows or columns, which a comparison says. Out: its form, or None
where it is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from derive import forms
from derive.assemble import scaled, split_quotient
from derive.contract import Lifts
from derive.digits import digits, flat, span
from derive.expr import Compare, Expr, Letter, Reduce, fresh, mul, sum_over
from derive.rewrite import accesses, factors, substitute
from derive.shapes import polynomial


def counted(lifts: Lifts, e: Reduce, row: Letter | None, col: Letter | None) -> forms.Form | None:
    """The form of a sum with exactly these axes: ``A ⊗ B``, or vec(X) for [i = m·k + l] X[l,k]."""
    rest, rows = _read(list(factors(e.body)), row, e.binders)
    rest, columns = _read(rest, col, e.binders)
    if max(len(rows), len(columns)) < 2:
        return None
    scale = [p for p in rest if not p.letters]
    free = {*rows, *columns}
    bound = [b for b in e.binders if b not in free]
    groups = connected(p for p in rest if p.letters)
    sides, axes = (rows, columns), (row, col)
    made = _kron(lifts, groups, bound, sides, axes) or _vec(lifts, groups, bound, sides, axes)
    if made is None:
        return None
    top, bottom = split_quotient(tuple(scale))
    return scaled(made, [lifts.fit(p, None, None) for p in top], [lifts.fit(p, None, None) for p in bottom])


def _read(parts: list[Expr], letter: Letter | None, bound: Sequence[Letter]) -> tuple[list[Expr], tuple[Letter, ...]]:
    """The factors without the one that says how ``letter`` is counted, and the letters that count."""
    if letter is None:
        return parts, ()
    for p in parts:
        if isinstance(p, Compare) and p.op == "==" and letter in p.children:
            place = p.right if p.left == letter else p.left
            found = None if isinstance(place, Letter) else digits(place)
            if found is not None and set(found) <= set(bound) and span(found) == polynomial(letter.extent):
                return [q for q in parts if q is not p], found
    return parts, (letter,)


def connected(parts: Iterable[Expr], shared: frozenset[Letter] = frozenset()) -> list[tuple[set[Letter], list[Expr]]]:
    """The factors in groups that have no letter in common but those that are ``shared``."""
    groups: list[tuple[set[Letter], list[Expr]]] = []
    for p in parts:
        own = p.letters - shared
        near = [g for g in groups if g[0] & own]
        groups = [g for g in groups if g not in near]
        groups.append((set(own).union(*(g[0] for g in near)), [*(q for g in near for q in g[1]), p]))
    return groups


_Sides = tuple[tuple[Letter, ...], tuple[Letter, ...]]
_Axes = tuple[Letter | None, Letter | None]
_Groups = list[tuple[set[Letter], list[Expr]]]


def _kron(lifts: Lifts, groups: _Groups, bound: list[Letter], sides: _Sides, axes: _Axes) -> forms.Form | None:
    """The k-th group over the k-th letter of the rows, of the columns, or of both."""
    rows, columns = sides
    if len(groups) < 2 or (rows and columns and len(rows) != len(columns)):
        return None
    parts = []
    for k in range(max(len(rows), len(columns))):
        own = (rows[k] if rows else None, columns[k] if columns else None)
        wanted = {a for a in own if a is not None}
        here = [g for g in groups if g[0] & wanted]
        if len(here) != 1 or here[0][0] - set(bound) != wanted:
            return None
        letters, made = here[0]
        parts.append(lifts.fit(sum_over([b for b in bound if b in letters], mul(*made)), *own))
    return forms.kron(*axes, *parts) if len(parts) == len(groups) else None


def _vec(lifts: Lifts, groups: _Groups, bound: list[Letter], sides: _Sides, axes: _Axes) -> forms.Form | None:
    """The columns of a matrix, below each other; the letter of the columns counts in front of that of the rows."""
    rows, columns = sides
    if (rows and columns) or len(rows or columns) != 2 or len(groups) != 1:
        return None
    outer, inner = rows or columns
    letter = axes[0] if rows else axes[1]
    inside = lifts.fit(sum_over(bound, mul(*groups[0][1])), inner, outer)
    found = forms.Vec(letter, None, (inside,))
    return found if rows else forms.transpose(found)


def below_each_other(lifts: Lifts, e: Expr, row: Letter, col: Letter) -> forms.Form | None:
    """vec⁻¹(v) for what reads rows and columns only at the place that they have together in a vector v."""
    if not any(row in p.letters and col in p.letters for a in accesses(e) for p in a.places):
        return None
    for outer, inner in ((col, row), (row, col)):
        place = flat((outer, inner), (outer.extent, inner.extent))
        letter = fresh(span((outer, inner)))
        one = substitute(e, {place: letter})
        if one.letters == {letter}:
            whole = forms.Unvec(inner, outer, (lifts.fit(one, letter, None),))
            return whole if inner == row else forms.transpose(whole)
    return None
