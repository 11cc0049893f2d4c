"""Eliminating bound letters from a product: inner products, matrix products, row and column sums, traces.

In: the factors of a sum and its binders. Out: factors without them, some already forms (`Lifted`). The letter
with the fewest factors goes first, so that a chain of matrices is read off pair by pair; a letter shared by
three matrices has no matrix notation.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol

from derive import forms
from derive.expr import Access, Compare, Expr, Letter, Num, Pow, num
from derive.rewrite import substitute

_numbers = itertools.count()


class NoFormError(Exception):
    """An expression without a matrix form."""


class Lifted(Expr):
    """A form that stands among the factors of a product: what eliminating a bound letter leaves."""

    __slots__ = ()
    rank = 99

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.args[1])

    def __repr__(self) -> str:
        return f"<{self.args[0]!r}>"

    def _find_letters(self) -> frozenset[Letter]:
        return self.args[0].axes  # type: ignore[no-any-return]

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return self


class Lifts(Protocol):
    """What lifts the parts: `derive.lift.Lifter`."""

    def product(self, parts: tuple[Expr, ...], row: Letter | None, col: Letter | None) -> forms.Form:
        """The form of a product without bound letters."""

    def fit(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """The form of an expression with exactly these axes."""


Groups = dict[frozenset[Letter], list[Expr]]


def lifted(form: forms.Form) -> Lifted:
    """``form`` as a factor."""
    return Lifted(form, next(_numbers))


def is_delta(e: Expr) -> bool:
    """Whether ``e`` is the mask of two equal letters over one range.

    >>> from derive.expr import Dim, compare, fresh
    >>> n = Dim("n"); is_delta(compare("==", fresh(n), fresh(n)))
    True
    """
    return (
        isinstance(e, Compare)
        and e.op == "=="
        and isinstance(e.left, Letter)
        and isinstance(e.right, Letter)
        and e.left.extent == e.right.extent
    )


def contract(lifter: Lifts, binders: tuple[Letter, ...], parts: list[Expr]) -> list[Expr]:
    """The factors that are left when the binders are summed out.

    Raises NoFormError where a binder cannot be eliminated.
    """
    bound = list(binders)
    parts = _without_deltas(bound, parts)
    while bound:
        groups: Groups = {}
        for p in parts:
            groups.setdefault(p.letters, []).append(p)
        bound.sort(key=lambda b: sum(b in letters for letters in groups))
        for b in bound:
            step = _eliminate(lifter, b, bound, groups)
            if step is not None:
                break
        else:
            raise NoFormError("a letter that more than two matrices share")
        made, gone, used = step
        bound = [a for a in bound if a not in gone]
        parts = [p for p in parts if p.letters not in used]
        parts.append(made)
    return parts


def _without_deltas(bound: list[Letter], parts: list[Expr]) -> list[Expr]:
    """Letters that a delta makes equal become one."""
    for p in parts:
        if not is_delta(p):
            continue
        a, b = p.children
        old, new = (a, b) if a in bound else (b, a)
        if isinstance(old, Letter) and old in bound:
            bound.remove(old)
            rest = list(parts)
            rest.remove(p)
            return _without_deltas(bound, [substitute(q, {old: new}) for q in rest])
    return parts


_Step = tuple[Expr, tuple[Letter, ...], tuple[frozenset[Letter], ...]]


def _eliminate(lifter: Lifts, b: Letter, bound: list[Letter], groups: Groups) -> _Step | None:
    """What summing over ``b`` makes of the groups that have it: a factor, the letters gone, the groups used."""
    own = frozenset((b,))
    matrices = [letters for letters in groups if b in letters and letters != own]
    vector = tuple(groups.get(own, ()))
    if any(len(letters) > 2 for letters in matrices) or len(matrices) > 2:
        return None
    used = (*matrices, *([own] if vector else []))
    if not matrices:
        made = _inner(lifter, vector, b) if vector else None
        return (lifted(made) if made else b.extent), (b,), used
    x = _other(matrices[0], b)
    if len(matrices) == 1:
        if not vector and x in bound and sum(x in letters for letters in groups) == 1:
            return lifted(_total(lifter, tuple(groups[matrices[0]]), b, x)), (b, x), used
        left = lifter.product(tuple(groups[matrices[0]]), x, b)
        right = lifter.product(vector, b, None) if vector else forms.ones(b)
        made = forms.product(left, right)
        return lifted(made if vector else _shortest_sum(lifter, groups[matrices[0]], x, b, made)), (b,), used
    y = _other(matrices[1], b)
    left, right = (
        lifter.product(tuple(groups[matrices[0]]), x, b),
        lifter.product(tuple(groups[matrices[1]]), b, y),
    )
    middle = [forms.Diag(b, b, (lifter.product(vector, b, None),))] if vector else []
    return lifted(forms.product(left, *middle, right)), (b,), used


def _other(letters: frozenset[Letter], b: Letter) -> Letter:
    return next(a for a in letters if a != b)


def _is_square(parts: tuple[Expr, ...]) -> bool:
    return len(parts) == 1 and isinstance(parts[0], Pow) and parts[0].exponent == num(2)


def _total(lifter: Lifts, parts: tuple[Expr, ...], b: Letter, x: Letter) -> forms.Form:
    """The sum of all entries of a matrix."""
    if _is_square(parts):
        base = parts[0].children[0]
        found = min(lifter.fit(base, b, x), lifter.fit(base, x, b), key=forms.effort)
        return forms.SquaredNorm(None, None, (found,))
    total = forms.Total(None, None, (min(lifter.product(parts, b, x), lifter.product(parts, x, b), key=forms.effort),))
    if len(parts) != 2:
        return total
    choices = []
    for one, two in (parts, parts[::-1]):
        for row, col in ((b, x), (x, b)):
            both = forms.product(lifter.fit(one, row, col), lifter.fit(two, col, row))
            choices.append(both if not isinstance(both, forms.Product) else forms.Trace(None, None, (both,)))
    trace = min(choices, key=forms.effort)
    chain = trace.parts[0].parts if isinstance(trace, forms.Trace) else ()
    matrices = bool(chain) and not any(isinstance(f, forms.ELEMENTWISE) for f in chain)
    products = matrices and any(isinstance(lifter.fit(p, b, x), forms.Product) for p in parts)
    shorter = matrices and forms.effort(trace) < forms.effort(total)
    return trace if products or shorter else total


def _shortest_sum(lifter: Lifts, parts: list[Expr], x: Letter, b: Letter, made: forms.Form) -> forms.Form:
    """The sum over b of a product of two matrices: ``(A ⊙ B) 1``, or ``diag(A Bᵀ)`` where that transposes less."""
    if len(parts) != 2:
        return made
    choices = (forms.product(lifter.fit(p, x, b), lifter.fit(q, b, x)) for p, q in (parts, parts[::-1]))
    diagonal = min((forms.Diagonal(x, None, (c,)) for c in choices), key=forms.effort)
    stands = min(forms.effort(f)[0] for f in (made, forms.transpose(made)))
    return diagonal if forms.effort(diagonal)[0] < stands else made


def _inner(lifter: Lifts, parts: tuple[Expr, ...], b: Letter) -> forms.Form:
    """The sum over ``b`` of a product of vectors."""
    if _is_square(parts):
        return forms.SquaredNorm(None, None, (lifter.fit(parts[0].children[0], b, None),))
    divided = any(isinstance(p, Pow) and isinstance(p.exponent, Num) and p.exponent.value < 0 for p in parts)
    if len(parts) == 1 or divided:
        first = parts[0]
        if isinstance(first, Access) and len(parts) == 1 and len(first.places) == 2 and len(set(first.places)) == 1:
            return forms.Trace(None, None, (forms.Leaf(b, b, (), first.tensor),))
        return forms.Total(
            None, None, (min(lifter.product(parts, b, None), lifter.product(parts, None, b), key=forms.effort),)
        )
    choices = []
    for k, p in enumerate(parts):
        rest = parts[:k] + parts[k + 1 :]
        choices.append(forms.product(lifter.fit(p, None, b), lifter.product(rest, b, None)))
    return min(choices, key=forms.effort)


def substitute_letter(e: Expr, old: Letter, new: Letter) -> Expr:
    """``e`` with a letter renamed; a lifted form is renamed only where it is a vector along that letter."""
    if isinstance(e, Lifted):
        raise NoFormError("a delta on what is already lifted")
    return substitute(e, {old: new})
