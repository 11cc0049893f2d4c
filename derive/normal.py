"""The normal form: sums of products under bound axes, by which equality is decided.

In: an expression, and tables of what is known of the program (see `facts`). Out: an equal expression, expanded,
with Kronecker deltas eliminated, independent factors outside their sums, sums split into connected parts, and
bound letters numbered canonically. Two expressions of the sum-product fragment are equal if and only if their
normal forms are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Protocol

from derive.deltas import decided, eliminate
from derive.expr import (
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Dim,
    Expr,
    Letter,
    Mask,
    MatrixCall,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    compare,
    fresh_like,
    mul,
    negate,
    power,
    split_power,
)
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.rational import cancel, has_sum_below
from derive.rewrite import factors, map_children, rename_binders, substitute, terms, walk
from derive.scalar import exact
from derive.shapes import polynomial
from derive.vanishing import Signs

MAX_TERMS = 60


class TooLargeError(Exception):
    """An expansion went past the limit; the caller keeps what it had."""


class Knowledge(Protocol):
    """What the normal form may use of a program."""

    def access(self, e: Access) -> Expr | None:
        """Another expression for an element, or None."""

    def total(self, e: Reduce) -> Expr | None:
        """The value of a sum over one product, or None."""

    def exponent(self, e: Access, n: int) -> int:
        """The least m > 0, or 0, with x^m = x^n: of what is 0 or 1, of what is −1 or 1."""

    def places(self, e: Access) -> tuple[Expr, ...]:
        """The places in canonical order (symmetric tensors)."""

    def contracted(self, parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]] | None:
        """The factors of a sum without those that cancel, and the letters left; None where none do."""

    def unmasked(self, parts: list[Expr]) -> list[Expr]:
        """The factors of a product without masks that are 0 only where it is 0 without them."""


class Nothing:
    """No knowledge: only what holds for all numbers."""

    signs = Signs({})

    def access(self, e: Access) -> Expr | None:
        return None

    def total(self, e: Reduce) -> Expr | None:
        return None

    def exponent(self, e: Access, n: int) -> int:
        return n

    def places(self, e: Access) -> tuple[Expr, ...]:
        return e.places

    def contracted(self, parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]] | None:
        return None

    def unmasked(self, parts: list[Expr]) -> list[Expr]:
        return self.signs.without_idle_masks(parts)


class Normalizer:
    """``normalizer(e)`` is the normal form of ``e`` under the given knowledge; results are memoized.

    ``keep_whole`` leaves terms without a sum below their fraction line out of the common denominator: for
    formulas to print. It is no longer the same form for all equal expressions, but 0 is still found to be 0.
    """

    def __init__(self, knowledge: Knowledge | None = None, *, keep_whole: bool = False) -> None:
        self.keep_whole = keep_whole
        self.knowledge: Knowledge = knowledge if knowledge is not None else Nothing()
        self.memo: dict[Expr, Expr] = {}

    def __call__(self, e: Expr) -> Expr:
        done = self.memo.get(e)
        if done is None:
            done = self.memo[e] = self._normal(e)
        return done

    def _normal(self, e: Expr) -> Expr:
        match e:
            case Access():
                own = Access(e.tensor, tuple(polynomial(p) for p in self.knowledge.places(e)))
                other = self.knowledge.access(own)
                return own if other is None else self(other)
            case Add():
                return self._rational(_limited(add(*(self(t) for t in e.args))))
            case Mul():
                return self._rational(self._product([self(f) for f in e.args]))
            case Pow():
                return self._power(e)
            case Call():
                return self._call(e)
            case Select():
                mask = self(e.mask)
                return self(add(mul(mask, e.chosen), mul(negate(mask), e.other)))
            case Reduce() if e.op == "sum":
                return self._sum(e)
            case MatrixCall():
                fresh = {b: fresh_like(b) for b in e.binders}
                body = self(substitute(e.body, fresh))
                return canonical_matrix(e.op, tuple(fresh.values()), body, tuple(map(self, e.places)))
            case Reduce() if e.op in MATRIX_FUNCTIONS:
                fresh = {b: fresh_like(b) for b in e.binders}
                return self._canonical(e.op, tuple(fresh.values()), self(substitute(e.body, fresh)))
            case Reduce():
                # canonical numbers belong to finished sums only: free letters must not be taken for them
                fresh = {b: fresh_like(b) for b in e.binders}
                return self._canonical(e.op, tuple(fresh.values()), substitute(e.body, fresh))
            case Compare():
                return self._compare(e)
        return map_children(e, self)

    def _compare(self, e: Compare) -> Expr:
        """A comparison with a conditional is decided in each branch."""
        for k, side in enumerate((e.left, e.right)):
            if isinstance(side, Select):
                sides = [(x, e.right) if k == 0 else (e.left, x) for x in (side.chosen, side.other)]
                yes, no = (compare(e.op, *s) for s in sides)
                return self(add(mul(side.mask, yes), mul(negate(side.mask), no)))
        done = map_children(e, self)
        return decided(done) if isinstance(done, Compare) else done

    def _canonical(self, op: str, binders: tuple[Letter, ...], body: Expr) -> Expr:
        return canonical_reduce(op, binders, body, lambda c: sort_places(c, self.knowledge))

    def _call(self, e: Call) -> Expr:
        arguments = [self(a) for a in e.arguments]
        if e.function.name == "exp" and _leading_sign(arguments[0]) < 0:
            return power(Call(e.function, self(-arguments[0])), -1)
        found = Call(e.function, *arguments)
        return exact(found) or found

    def _power(self, e: Pow) -> Expr:
        base, exponent = self(e.base), self(e.exponent)
        if (
            isinstance(exponent, Num) and exponent.value < 0
        ):  # a mask below a fraction line is 1 wherever there is a value
            base = mul(*(f for f in factors(base) if not isinstance(f, Mask)))
        if base == ZERO and isinstance(exponent, Num) and exponent.value > 0:
            return ZERO
        if isinstance(exponent, Num) and exponent.value.denominator == 1:
            n = int(exponent.value)
            if n > 0 and isinstance(base, Add):
                if len(base.args) ** n > MAX_TERMS * 4:
                    raise TooLargeError
                return self._rational(self._product([base] * n))
            if n > 0:
                return self._product([base] * n)
            if isinstance(base, Add):
                return self._rational(power(base, exponent))
        return power(base, exponent)

    def _product(self, parts: Iterable[Expr]) -> Expr:
        """Multiply out normal expressions."""
        whole = mul(*parts)  # equal sums above and below a fraction line cancel before they are expanded
        whole = mul(*self.knowledge.unmasked(list(factors(whole))))
        sums = [f for f in factors(whole) if isinstance(f, Add)]
        powers = [f for f in factors(whole) if isinstance(f, Pow) and isinstance(f.base, Add) and _is_whole(f)]
        for p in powers:
            base, exponent = split_power(p)
            assert isinstance(base, Add)
            assert isinstance(exponent, Num)
            sums.extend([base] * int(exponent.value))
        monomial = mul(*(f for f in factors(whole) if f not in sums and f not in powers))
        products = [monomial]
        for s in sums:
            products = [mul(p, t) for p in products for t in terms(s)]
            products = list(terms(_limited(add(*products))))
        return add(*(self._monomial(p) for p in products))

    def _monomial(self, e: Expr) -> Expr:
        """Idempotents, and masks on the same two sides as one."""
        out: list[Expr] = []
        for f in factors(e):
            base, exponent = split_power(f)
            squared = isinstance(exponent, Num) and exponent.value > 1 and exponent.value.denominator == 1
            if squared and isinstance(exponent, Num) and isinstance(base, Access):
                out.append(power(base, self.knowledge.exponent(base, int(exponent.value))))
            else:
                out.append(f)
        return mul(*self.knowledge.unmasked(join_masks(out)))

    def _rational(self, e: Expr) -> Expr:
        e = _join_masks(e)
        below = [t for t in terms(e) if has_sum_below(t)]
        if not below:
            return e
        if not self.keep_whole:
            return _join_masks(cancel(e))
        return _join_masks(add(*(t for t in terms(e) if t not in below), cancel(add(*below))))

    def _sum(self, e: Reduce) -> Expr:
        # canonical numbers belong to finished sums only: free letters must not be taken for them
        own = {b: fresh_like(b) for b in e.binders}
        body = self(substitute(e.body, own))
        return self._rational(add(*(self._sum_of_product(list(own.values()), t) for t in terms(body))))

    def _sum_of_product(self, bound: list[Letter], term: Expr) -> Expr:
        parts, bound = _flatten(list(factors(term)), bound)
        parts, bound, changed = eliminate(parts, bound)
        cancelled = None if changed else self.knowledge.contracted(parts, bound)
        if cancelled is not None:
            (parts, bound), changed = cancelled, True
        if changed:
            return self(Reduce("sum", tuple(bound), mul(*parts))) if bound else self(mul(*parts))
        return self._split(parts, bound)

    def _split(self, parts: list[Expr], bound: list[Letter]) -> Expr:
        """Σ over connected groups of factors: the product of their sums."""
        outside = [p for p in parts if not p.letters & set(bound)]
        inside = [p for p in parts if p.letters & set(bound)]
        used = frozenset[Letter]().union(*(p.letters for p in inside)) if inside else frozenset[Letter]()
        results = [*outside, *(b.extent for b in bound if b not in used)]
        waiting = [b for b in bound if b in used]
        again = False
        while waiting:
            group, members = {waiting[0]}, list[Expr]()
            while True:
                members = [p for p in inside if p.letters & group]
                grown = {b for b in waiting if any(b in p.letters for p in members)}
                if grown == group:
                    break
                group = grown
            letters = tuple(b for b in waiting if b in group)
            waiting = [b for b in waiting if b not in group]
            component = self._canonical("sum", letters, mul(*members))
            assert isinstance(component, Reduce)
            known = self.knowledge.total(component)
            again = again or known is not None
            results.append(component if known is None else known)
        whole = self._product([self(r) if isinstance(r, Dim) else r for r in results])
        return self(whole) if again else whole


def sort_places(e: Expr, knowledge: Knowledge) -> Expr:
    """Places of symmetric tensors in canonical order; needed again whenever letters have got other names."""
    if not e.tensors:
        return e
    e = map_children(e, lambda c: sort_places(c, knowledge))
    if not isinstance(e, Access):
        return e
    places = knowledge.places(e)
    return e if places == e.places else Access(e.tensor, places)


def _is_whole(f: Pow) -> bool:
    return isinstance(f.exponent, Num) and f.exponent.value > 0 and f.exponent.value.denominator == 1


def _limited(e: Expr) -> Expr:
    if len(terms(e)) > MAX_TERMS:
        raise TooLargeError
    return e


def _leading_sign(e: Expr) -> int:
    first = terms(e)[-1]
    coefficient = factors(first)[0]
    return -1 if isinstance(coefficient, Num) and coefficient.value < 0 else 1


_SIGNS = {"<": frozenset("-"), "<=": frozenset("-0"), "==": frozenset("0"), "!=": frozenset("-+")}
_MIRROR = {"-": "+", "+": "-", "0": "0"}


def join_masks(parts: list[Expr]) -> list[Expr]:
    """The factors of a product with the masks on one pair of sides joined: [a ≤ b]·[a ≠ b] is [a < b]."""
    signs: dict[tuple[Expr, Expr], frozenset[str]] = {}
    out: list[Expr] = []
    for f in parts:
        if not isinstance(f, Compare):
            out.append(f)
            continue
        left, right, allowed = f.left, f.right, _SIGNS[f.op]
        if (right, left) in signs:
            left, right, allowed = right, left, frozenset(_MIRROR[x] for x in allowed)
        signs[left, right] = signs.get((left, right), frozenset("-0+")) & allowed
    for (left, right), allowed in signs.items():
        if not allowed:
            return [ZERO]
        mirrored = frozenset(_MIRROR[x] for x in allowed)
        found = next((op for op, x in _SIGNS.items() if x == allowed), None)
        if found is not None:
            out.append(compare(found, left, right))
        else:
            out.append(compare(next(op for op, x in _SIGNS.items() if x == mirrored), right, left))
    return out


def _join_masks(e: Expr) -> Expr:
    """[c]·x + [not c]·x is x."""
    parts = list(terms(e))
    for k, t in enumerate(parts):
        for m in factors(t):
            if isinstance(m, Mask):
                other = mul(*(negate(m) if f is m else f for f in factors(t)))
                if other in parts[k + 1 :]:
                    rest = [p for p in parts if p is not t and p != other]
                    return _join_masks(add(*rest, *(mul(*(f for f in factors(t) if f is not m)),)))
    return e


def _flatten(parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]]:
    """Σ_a f Σ_b g is Σ_{a,b} f g, where g depends on a."""
    out: list[Expr] = []
    for p in parts:
        if isinstance(p, Reduce) and p.op == "sum" and p.letters & set(bound):
            inner = rename_binders(p)
            assert isinstance(inner, Reduce)
            more, bound = _flatten(list(factors(inner.body)), [*bound, *inner.binders])
            out.extend(more)
        else:
            out.append(p)
    return out, bound


def canonical_reduce(
    op: str, binders: tuple[Letter, ...], body: Expr, tidy: Callable[[Expr], Expr] = lambda e: e
) -> Expr:
    """The reduction with its binders numbered by height, in the order that gives the least key.

    The order of the binders has no meaning but for a flat position (argmax, argmin), which keeps it.
    """
    height = 1 + max((-b.number for n in walk(body) if isinstance(n, Reduce) for b in n.binders), default=0)
    height = max(height, 1)
    groups: dict[Expr, list[Letter]] = {}
    for b in sorted(binders, key=lambda b: b.extent.key):
        groups.setdefault(b.extent, []).append(b)
    orders: Iterable[tuple[Letter, ...]] = [binders]
    if not op.startswith("arg") and all(len(g) <= 5 for g in groups.values()):
        choices = [list(itertools.permutations(g)) for g in groups.values()]
        orders = [tuple(itertools.chain(*c)) for c in itertools.product(*choices)]
    candidates = []
    for order in orders:
        table = {b: Letter(b.extent, -(height + k), b.hint) for k, b in enumerate(order)}
        candidates.append(Reduce(op, tuple(table.values()), tidy(substitute(body, table))))
    return min(candidates, key=lambda c: c.key)


def canonical_matrix(op: str, binders: tuple[Letter, ...], body: Expr, places: tuple[Expr, ...]) -> Expr:
    """A function of a matrix, its binders numbered by height; (Aᵀ)⁻¹ is (A⁻¹)ᵀ."""
    height = 1 + max((-b.number for n in walk(body) if isinstance(n, Reduce) for b in n.binders), default=0)
    numbered = tuple(Letter(b.extent, -(max(height, 1) + k), b.hint) for k, b in enumerate(binders))
    found = []
    for order in (binders, binders[::-1]) if op == "inv" else (binders,):
        at = places if order == binders else places[::-1]
        found.append(MatrixCall(op, numbered, substitute(body, dict(zip(order, numbered, strict=True))), at))
    return min(found, key=lambda c: c.key)


def equal(a: Expr, b: Expr, normalizer: Normalizer | None = None) -> bool:
    """Whether two expressions have the same normal form.

    >>> n = Dim("n"); equal((n + 1) ** 2, n * n + 2 * n + 1)
    True
    """
    normal = normalizer if normalizer is not None else Normalizer()
    try:
        return normal(add(a, mul(-1, b))) == ZERO
    except TooLargeError:
        return False
