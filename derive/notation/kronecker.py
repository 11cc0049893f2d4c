r"""∂vec(Y)/∂vec(X) as Kronecker products, where the derivative by a matrix or of one falls apart into two factors.

In: the equation of ∂Y/∂X, the letters of Y in front. Out: its form, ``I ⊗ (Xᵀ X)``, or a sum of such products over
what both read, ``Σ_i (diag(P_{i:}) − P_{i:}ᵀ P_{i:}) ⊗ (X_{i:}ᵀ X_{i:})``. vec stacks columns, as Magnus and Neudecker
have it; K is the commutation matrix, for which K vec(X) = vec(Xᵀ).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from derive import forms
from derive.counted import connected
from derive.digits import digits, flat, span
from derive.expr import (
    ONE,
    Access,
    Add,
    Compare,
    Expr,
    Letter,
    Mul,
    Reduce,
    add,
    compare,
    fresh,
    mul,
    split_coefficient,
    sum_over,
)
from derive.grids import grids, on_grid
from derive.program import Equation, Tensor
from derive.rewrite import accesses, factors, map_children, substitute, terms

Lift = Callable[[Equation], forms.Form | None]
_Letters = tuple[Letter, ...]
_MOST = 2  # letters that a sum of Kronecker products runs over
_FACTORS = 4  # of a Kronecker product of vectors


@dataclass(frozen=True)
class _Side:
    """One factor: the letters of its rows and columns, and what it is."""

    rows: tuple[Letter, ...]
    columns: tuple[Letter, ...]
    body: Expr


@dataclass(frozen=True)
class _Split:
    """One term: ``scale · Σ_shared diag(vec(weights)) (outer ⊗ inner)``, or that times K where it is ``crossed``.

    The inner factor has the first letter of Y, the outer one the last; of X the other way round where crossed.
    """

    scale: Expr
    shared: tuple[Letter, ...]
    outer: _Side
    inner: _Side
    crossed: bool
    weights: Expr | None


def kronecker(equation: Equation, rank: int, lift: Lift) -> forms.Form | None:
    """∂vec(Y)/∂vec(X), for Y of that rank; None where it does not fall apart. ``lift`` gives forms of the factors."""
    y, x = equation.letters[:rank], equation.letters[rank:]
    row, col = _vectorized(y), _vectorized(x)
    many = _of_many(equation, lift) if len(y) == len(x) == 1 else None
    if many is not None:
        return many
    for body, rows, columns in _readings(equation.body, y, x):
        if all(len(side) in (1, 2) for side in (rows, columns)) and len(rows) + len(columns) > 2:
            found = _of_terms(with_letters_of(body, frozenset(rows)), _Written(lift, rows, columns, row, col))
            if found is not None:
                return found
    return _behind(equation, lift) if len(y) == 1 else None


def _of_many(equation: Equation, lift: Lift) -> forms.Form | None:
    """What reads the rows as a grid of three axes or more, a vector by a vector, term by term: x ⊗ I ⊗ z."""
    row, col = equation.letters
    body = add(*_spread(equation.body))
    for read, rows in _grids(body, row, _FACTORS):
        whole = terms(with_letters_of(read, frozenset(rows)))
        found = [p for p in (_chain(t, rows, row, col, lift) for t in whole) if p is not None]
        if len(found) == len(whole):
            made = [form for _, form in sorted(found, key=lambda p: p[0])]
            return made[0] if len(made) == 1 else forms.Sum(row, col, forms.in_order(made))
    return None


def _spread(e: Expr) -> list[Expr]:
    """The terms of an expression, multiplied out, each with one sum over all letters that it is summed over."""
    found = list[Expr]()
    for t in _multiplied_out(e):
        scale, parts, binders = _flat(t)
        found.append(mul(scale, sum_over(binders, mul(*parts))))
    return found


def _multiplied_out(e: Expr) -> list[Expr]:
    """The terms of an expression; a sum over one letter alone, as 1 − tanh(x)², stays one factor."""
    match e:
        case Add() if len(e.letters) > 1:
            return [t for x in e.args for t in _multiplied_out(x)]
        case Mul():
            return [mul(*chosen) for chosen in itertools.product(*map(_multiplied_out, e.args))]
        case Reduce() if e.op == "sum":
            return [sum_over(e.binders, t) for t in _multiplied_out(e.body)]
    return [e]


def _grids(e: Expr, letter: Letter, count: int) -> Iterator[tuple[Expr, _Letters]]:
    """``e`` with the letter as a place in a grid of that many axes or, before, of fewer, but three at least."""
    for outer, inner in grids(letter):
        one = on_grid(e, letter, outer, inner)
        for first, second in grids(outer):
            yield on_grid(one, outer, first, second), (first, second, inner)
            if count > 3:
                deeper = _grids(one, outer, count - 1)
                yield from ((read, (*rows, inner)) for read, rows in deeper)


def _chain(term: Expr, rows: _Letters, row: Letter, col: Letter, lift: Lift) -> tuple[int, forms.Form] | None:
    """A term as the Kronecker product of one factor for each letter of the rows, and which of them is a matrix."""
    scale, parts, binders = _flat(term)
    groups = connected(parts)
    if len(groups) != len(rows):
        return None
    made, place = [], 0
    for k, r in enumerate(rows):
        own = next(((letters, factors) for letters, factors in groups if r in letters), None)
        if own is None or own[0] - set(binders) not in ({r}, {r, col}):
            return None
        wanted, place = ((r, col), k) if col in own[0] else ((r,), place)
        body = sum_over([b for b in binders if b in own[0]], mul(*own[1]))
        form = lift(Equation(Tensor("factor", tuple(a.extent for a in wanted)), wanted, body))
        if form is None:
            return None
        made.append(form if form.row is not None else forms.transpose(form))
    number, rest = split_coefficient(scale)
    front = lift(Equation(Tensor("scale", ()), (), mul(abs(number), rest)))
    if front is None:
        return None
    whole = forms.product(front, forms.kron(row, col, *made))
    return place, forms.Negative(row, col, (whole,)) if number < 0 else whole


def _behind(equation: Equation, lift: Lift) -> forms.Form | None:
    """A (y ⊗ I) for Σ_k A[i, n·k + n′] y[k]: a matrix times a derivative of the vector that its columns meet."""
    i, *x = equation.letters
    rights: dict[Expr, list[Expr]] = {}
    column: Letter | None = None
    for t in _spread(equation.body):
        apart = _met(t, i, column)
        if apart is None:
            return None
        left, column, right = apart
        rights.setdefault(left, []).append(right)
    assert column is not None
    found = []
    for left, own in rights.items():
        front = lift(Equation(Tensor("left", (i.extent, column.extent)), (i, column), left))
        met = Equation(Tensor("right", (column.extent, *(a.extent for a in x))), (column, *x), add(*own))
        behind = (lift(met) if len(x) == 1 else None) or kronecker(met, 1, lift)
        if front is None or behind is None:
            return None
        found.append(front if isinstance(behind, forms.Identity) else forms.product(front, behind))
    return found[0] if len(found) == 1 else forms.Sum(found[0].row, found[0].col, tuple(found))


def _met(term: Expr, i: Letter, column: Letter | None) -> tuple[Expr, Letter, Expr] | None:
    """A term as a matrix over i and a letter for what its columns count, and what meets these."""
    scale, parts, binders = _flat(term)
    for place in dict.fromkeys(q for p in parts for a in accesses(p) for q in a.places if not isinstance(q, Letter)):
        counted = digits(place)
        if counted is None or i in counted or (column is not None and span(counted) != column.extent):
            continue
        letter = column or fresh(span(counted))
        left = [substitute(p, {place: letter}) for p in parts if i in p.letters]
        if all(p.letters <= {i, letter} for p in left):
            right = mul(compare("==", letter, place), *(p for p in parts if i not in p.letters))
            return mul(scale, *left), letter, sum_over(binders, right)
    return None


def _of_terms(body: Expr, written: _Written) -> forms.Form | None:
    """The sum of its terms' forms."""
    if any(a.extent == ONE for a in (*written.y, *written.x)):
        return None
    found: list[forms.Form] = []
    for t in terms(body):
        split = _split(t, written.y, written.x)
        form = None if split is None else written.form(split)
        if form is None:
            return None
        found.append(form)
    return found[0] if len(found) == 1 else forms.Sum(written.row, written.col, tuple(found))


def _readings(body: Expr, y: _Letters, x: _Letters) -> Iterator[tuple[Expr, _Letters, _Letters]]:
    """The body over the letters of Y and of X; then those with a vector as a matrix whose columns it is, one below
    the other: what y ⊗ x has in row i is what it has at i = n·p + q.
    """
    yield body, y, x
    if len(y) == 1:
        for outer, inner in grids(y[0]):
            yield on_grid(body, y[0], outer, inner), (inner, outer), x
    if len(x) == 1:
        for outer, inner in grids(x[0]):
            yield from _readings(on_grid(body, x[0], outer, inner), y, (inner, outer))


def _vectorized(letters: tuple[Letter, ...]) -> Letter:
    """A letter for the entries of a matrix below each other."""
    return letters[0] if len(letters) == 1 else fresh(mul(*(a.extent for a in letters)))


def _split(term: Expr, y: tuple[Letter, ...], x: tuple[Letter, ...]) -> _Split | None:
    """The term as a product; with as few letters under a sum in front of it as possible."""
    scale, parts, binders = _flat(term)
    own_entry = [p for p in parts if len(y) == 2 and p.letters == set(y)]
    weights = mul(*own_entry) if own_entry else None
    parts = [p for p in parts if p not in own_entry]
    for count in range(min(len(binders), _MOST) + 1):
        for shared in itertools.combinations(binders, count):
            found = _apart(scale, parts, binders, shared, weights, y, x)
            if found is not None:
                return found
    return None


def _apart(
    scale: Expr,
    parts: list[Expr],
    binders: list[Letter],
    shared: tuple[Letter, ...],
    weights: Expr | None,
    y: tuple[Letter, ...],
    x: tuple[Letter, ...],
) -> _Split | None:
    groups = connected(parts, frozenset(shared))
    free = set(y) | set(x)
    # (rows, columns) of the outer and of the inner factor; a vector has only one of the two
    ways = [((y[1:], x[1:]), (y[:1], x[:1]), False)]
    if len(y) == 1:  # the one letter of Y may be called the first or the last
        ways.append(((y, x[1:]), ((), x[:1]), False))
    else:
        ways.append(((y[1:], x[:1]), (y[:1], x[1:]), len(x) == 2))
    for outer, inner, crossed in ways:
        sides = []
        for rows, columns in (outer, inner):
            wanted = {*rows, *columns}
            own_groups = [g for g in groups if g[0] & wanted]
            if not wanted or set[Letter]().union(*(g[0] & free for g in own_groups)) != wanted:
                break
            bound = [b for b in binders if b not in shared and any(b in g[0] for g in own_groups)]
            sides.append(_Side(rows, columns, sum_over(bound, mul(*(f for g in own_groups for f in g[1])))))
        if len(sides) == 2:
            sums = [sum_over([b for b in binders if b in g[0]], mul(*g[1])) for g in groups if not g[0] & free]
            first = replace(sides[0], body=mul(sides[0].body, *(s for s in sums if s.letters)))
            before = mul(scale, *(s for s in sums if not s.letters))
            return _Split(before, shared, first, sides[1], crossed, weights)
    return None


def _flat(term: Expr) -> tuple[Expr, list[Expr], list[Letter]]:
    """A term as a scale, factors with letters, and what they are summed over."""
    scale, parts, binders = [], list[Expr](), list[Letter]()
    stack = list(factors(term))
    while stack:
        f = stack.pop(0)
        if isinstance(f, Reduce) and f.op == "sum" and not set(f.binders) & set(binders):
            binders += f.binders
            stack = [*factors(f.body), *stack]
        elif f.letters:
            parts.append(f)
        else:
            scale.append(f)
    return mul(*scale), parts, binders


@dataclass(frozen=True)
class _Written:
    """How a split becomes a form, whose rows and columns are counted by ``row`` and ``col``."""

    lift: Lift
    y: tuple[Letter, ...]
    x: tuple[Letter, ...]
    row: Letter
    col: Letter

    def form(self, split: _Split) -> forms.Form | None:
        slices: dict[Expr, forms.Slice] = {}
        sides = [self.side(s, split.shared, slices) for s in (split.outer, split.inner)]
        number, scale = split_coefficient(split.scale)
        front = self.lift(Equation(Tensor("scale", ()), (), mul(abs(number), scale)))
        outer, inner = sides
        if outer is None or inner is None or front is None:
            return None
        across = fresh(self.col.extent) if split.crossed else self.col
        plain = isinstance(outer, forms.Identity) and isinstance(inner, forms.Identity)
        chain: list[forms.Form] = [] if plain else [forms.kron(self.row, across, outer, inner)]
        if split.crossed:
            chain.append(forms.Commutation(self.col, self.col, (), *(a.extent for a in self.x)))
        if plain and not split.crossed:
            chain.append(forms.Identity(self.row, self.col))
        if split.weights is not None:
            column = self.column(split.weights)
            if column is None:
                return None
            diagonal = forms.Diag(self.row, self.row, (column,))
            chain = [diagonal] if plain and not split.crossed else [diagonal, *chain]
        whole = forms.product(*chain)
        if split.shared:
            whole = forms.SumOver(self.row, self.col, (whole,), split.shared, tuple(slices.values()))
        made = forms.product(front, whole)
        return forms.Negative(made.row, made.col, (made,)) if number < 0 else made

    def column(self, e: Expr) -> forms.Form | None:
        """What depends on the entry of Y, for the entries below each other."""
        inner, outer = self.y
        one = substitute(e, {flat((outer, inner), (outer.extent, inner.extent)): self.row})
        if one.letters == {self.row}:  # Y is such a column
            return self.lift(Equation(Tensor("weights", (self.row.extent,)), (self.row,), one))
        matrix = self.lift(Equation(Tensor("weights", (inner.extent, outer.extent)), self.y, e))
        return None if matrix is None else forms.Vec(self.row, None, (matrix,))

    def side(self, side: _Side, shared: tuple[Letter, ...], slices: dict[Expr, forms.Slice]) -> forms.Form | None:
        """The form of a factor: with a vector as a column where its letter is of Y, and as a row where it is of X."""
        wanted = (*side.rows, *side.columns)
        body = sliced(side.body, frozenset(shared), slices)
        if body is None:
            return None
        factor = Equation(Tensor("factor", tuple(a.extent for a in wanted)), wanted, body)
        form = self.lift(factor)
        if form is None and len(side.rows) == len(side.columns) == 1:  # of three factors two stand in this one
            form = kronecker(factor, 1, self.lift)
        if form is not None and len(wanted) == 1 and (form.row is not None) != bool(side.rows):
            form = forms.transpose(form)
        return form


def sliced(e: Expr, fixed: frozenset[Letter], slices: dict[Expr, forms.Slice]) -> Expr | None:
    """``e`` with a tensor for each slice that it reads at the fixed letters; None where they stand anywhere else."""

    def at(e: Expr) -> Expr:
        if not isinstance(e, Access) or not any(p in fixed for p in e.places):
            return map_children(e, at)
        places = tuple(p if isinstance(p, Letter) and p in fixed else None for p in e.places)
        kept = [k for k, p in enumerate(places) if p is None]
        known = e.tensor.at(ONE if p is None else p for p in places)
        if known not in slices:
            slices[known] = forms.Slice(Tensor(e.tensor.name, tuple(e.tensor.axes[k] for k in kept)), e.tensor, places)
        return Access(slices[known].tensor, tuple(e.places[k] for k in kept))

    found = at(e)
    return None if found.letters & fixed or any(a.letters & fixed for a in accesses(found)) else found


def with_letters_of(e: Expr, wanted: frozenset[Letter]) -> Expr:
    """``e`` with a letter that a delta makes equal to one of ``wanted`` written as that.

    >>> from derive.expr import Dim, compare, fresh
    >>> i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> z = Tensor("z", (Dim("n"),)); with_letters_of(compare("==", i, j) * z[j], frozenset({i}))
    z[i]·[i == j]
    """
    e = map_children(e, lambda c: with_letters_of(c, wanted))
    if not isinstance(e, Mul):
        return e
    for delta in e.args:
        if isinstance(delta, Compare) and delta.op == "==" and isinstance(delta.left, Letter):
            kept = [a for a in (delta.left, delta.right) if a in wanted]
            gone = [a for a in (delta.left, delta.right) if a not in wanted and isinstance(a, Letter)]
            if len(kept) == len(gone) == 1:
                others = (substitute(f, {gone[0]: kept[0]}) for f in factors(e) if f is not delta)
                e = mul(delta, *others)
    return e
