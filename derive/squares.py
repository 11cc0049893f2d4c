"""What is known of square matrices: which are symmetric or diagonal, which products of them are the identity.

In: declared properties, and equations of inverses. Out: places in canonical order, elements written otherwise, and
factors of a sum that together are a Kronecker delta. A⁻¹A = I is what a definition of A⁻¹ says; Q Qᵀ = I is a promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from derive.expr import ONE, Access, Expr, Letter, MatrixCall, Reduce, compare, fresh, mul, power
from derive.hoist import reads_letters, split_scale
from derive.program import Equation, Tensor, letters_for
from derive.rewrite import factors, rename_binders, substitute


@dataclass(frozen=True)
class Cancelling:
    """``Σ over bound of the factors = value``: the factors are accesses at letters."""

    factors: tuple[Access, ...]
    bound: tuple[Letter, ...]
    value: Expr
    name: str


class Squares:
    """Knowledge of square matrices; ``normal`` decides equality by what is known so far."""

    def __init__(self, normal: Callable[[Expr], Expr]) -> None:
        self.normal = normal
        self.symmetric: set[Tensor] = set()
        self.diagonal: dict[Tensor, str] = {}
        self.elements: dict[Tensor, tuple[tuple[Letter, ...], Expr, str]] = {}
        self.cancelling: list[Cancelling] = []
        self.inverse: dict[Tensor, Access] = {}

    def declare(self, t: Tensor) -> None:
        """Take in what is promised of a tensor."""
        if t.is_symmetric:
            self.symmetric.add(t)
        if t.property("diagonal") is not None:
            self.diagonal[t] = f"{t.name} is diagonal"
        if t.property("orthogonal") is not None:
            i, j = letters_for(t.axes)
            k = fresh(t.axes[0], "k")
            for pair in ((t[i, k], t[j, k]), (t[k, i], t[k, j])):
                self.cancelling.append(Cancelling(pair, (k,), compare("==", i, j), f"{t.name} is orthogonal"))

    def learn(self, equation: Equation, defined: Mapping[Tensor, Equation]) -> None:
        """Take in an equation: whether its matrix is symmetric, and what it is the inverse of."""
        if equation.out.rank != 2 or equation.out.axes[0] != equation.out.axes[1]:
            return
        body = equation.body
        if not isinstance(body, MatrixCall):
            if self.is_symmetric(body, equation.letters):
                self.symmetric.add(equation.out)
        elif body.op == "inv" and body.places == equation.letters:
            if self.is_symmetric(body.body, body.binders):
                self.symmetric.add(equation.out)
            self._inverse(equation.out, body, defined)

    def is_symmetric(self, e: Expr, letters: tuple[Letter, ...]) -> bool:
        """Whether a matrix over two letters is known to equal its transpose."""
        i, j = letters
        return self.normal(e) == self.normal(substitute(e, {i: j, j: i}))

    def _inverse(self, v: Tensor, body: MatrixCall, defined: Mapping[Tensor, Equation]) -> None:
        """V V⁻¹ = I, with V⁻¹ as it is named and as it is defined; the inverse of an inverse is the matrix."""
        i, j = letters_for(v.axes)
        inside = body.body
        if isinstance(inside, Access) and reads_letters(inside) is not None and inside.tensor.rank == 2:
            a = inside.tensor
            turned = inside.places != body.binders
            if a in self.inverse:
                self.elements[v] = (i, j), self.inverse[a].tensor.at((j, i) if turned else (i, j)), f"({a.name}⁻¹)⁻¹"
                return
            if a in self.diagonal:
                self.elements[v] = (i, j), mul(compare("==", i, j), power(a[i, i], -1)), self.diagonal[a]
                return
            if a.property("orthogonal") is not None:
                self.elements[v] = (i, j), a.at((i, j) if turned else (j, i)), f"{a.name} is orthogonal"
                return
            if not turned:
                self.inverse[v] = inside
        for matrix in _as_products(inside, defined):
            for row, column in ((i, None), (None, j)):
                self._cancel(v, matrix, body.binders, row, column, (i, j))

    def _cancel(
        self,
        v: Tensor,
        matrix: tuple[Expr, tuple[Letter, ...], tuple[Access, ...]],
        binders: tuple[Letter, ...],
        row: Letter | None,
        column: Letter | None,
        ends: tuple[Letter, Letter],
    ) -> None:
        """Σ_m V[i,m] A[m,j], or Σ_m A[i,m] V[m,j], is [i == j]."""
        scale, bound, parts = matrix
        i, j = ends
        m = fresh(v.axes[0], "m")
        first, second = (v[i, m], (m, j)) if row is not None else (v[m, j], (i, m))
        own: dict[Expr, Expr] = dict(zip(binders, second, strict=True))
        new = [substitute(p, own) for p in parts]
        assert all(isinstance(p, Access) for p in new)
        value = mul(power(scale, -1), compare("==", i, j))
        accesses = (first, *(p for p in new if isinstance(p, Access)))
        self.cancelling.append(Cancelling(accesses, (m, *bound), value, f"{v.name} is an inverse"))

    def places(self, e: Access) -> tuple[Expr, ...]:
        """The places, of a symmetric matrix in canonical order."""
        return tuple(sorted(e.places, key=lambda p: p.key)) if e.tensor in self.symmetric else e.places

    def access(self, e: Access) -> tuple[Expr, str] | None:
        """Another expression for an element."""
        if e.tensor in self.diagonal and e.places[0] != e.places[1]:
            here = e.tensor[e.places[0], e.places[0]]
            return mul(compare("==", *e.places), here), self.diagonal[e.tensor]
        if e.tensor in self.elements:
            letters, value, name = self.elements[e.tensor]
            return substitute(value, dict(zip(letters, e.places, strict=True))), name
        return None

    def contracted(self, parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter], str] | None:
        """The factors of a sum with some of them, which cancel, replaced; and the letters that are left."""
        for rule in self.cancelling:
            for table, used in self._matches(rule, parts, 0, {}, ()):
                gone = {table[b] for b in rule.bound}
                rest = [p for k, p in enumerate(parts) if k not in used]
                if len(gone) == len(rule.bound) and gone <= set(bound) and not any(p.letters & gone for p in rest):
                    value = substitute(rule.value, table)
                    if not value.letters & gone:
                        return [*rest, value], [b for b in bound if b not in gone], rule.name
        return None

    def _matches(
        self, rule: Cancelling, parts: list[Expr], at: int, table: dict[Expr, Expr], used: tuple[int, ...]
    ) -> Iterator[tuple[dict[Expr, Expr], tuple[int, ...]]]:
        """The ways to find the factors of a rule among ``parts``: what its letters are there, and which parts."""
        if at == len(rule.factors):
            yield table, used
            return
        wanted = rule.factors[at]
        for k, p in enumerate(parts):
            if k in used or not isinstance(p, Access) or p.tensor is not wanted.tensor:
                continue
            orders = [p.places, p.places[::-1]] if p.tensor in self.symmetric else [p.places]
            for places in orders:
                more = dict(table)
                if all(more.setdefault(a, b) == b for a, b in zip(wanted.places, places, strict=True)):
                    yield from self._matches(rule, parts, at + 1, more, (*used, k))


def _as_products(
    e: Expr, defined: Mapping[Tensor, Equation]
) -> Iterator[tuple[Expr, tuple[Letter, ...], tuple[Access, ...]]]:
    """A matrix as scale, bound letters and accesses at letters: as it stands, and with a name in it unfolded."""
    scale, rest = split_scale(e)
    if isinstance(rest, Reduce) and not isinstance(rest, MatrixCall) and rest.op == "sum":
        whole = rename_binders(rest)
        assert isinstance(whole, Reduce)
        parts, bound = factors(whole.body), whole.binders
    else:
        parts, bound = factors(rest), ()
    found = [p for p in parts if isinstance(p, Access) and reads_letters(p) is not None]
    if len(found) != len(parts) or rest == ONE:
        return
    yield scale, bound, tuple(found)
    for k, p in enumerate(found):
        definition = defined.get(p.tensor)
        if definition is None or not p.tensor.hidden:
            continue
        inner = substitute(rename_binders(definition.body), dict(zip(definition.letters, p.places, strict=True)))
        for more, letters, accesses in _as_products(inner, {}):
            yield mul(scale, more), (*bound, *letters), (*found[:k], *accesses, *found[k + 1 :])
