"""Proof by cases: every condition in terms of two basic ones, so that equal expressions get equal forms.

In: an expression with conditions and choices. Out: an equal one, a sum of products in which a real number x meets a
number c only as [x < c] and [x = c], and in which a choice inside a function has been drawn out of it. What a mask
says of the rest of its term is used there: under [z = 0] the number 0 stands for z.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from derive.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Dim,
    Expr,
    Letter,
    Mul,
    Not,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    compare,
    mul,
    num,
    power,
    split_coefficient,
)
from derive.functions import expand_calls
from derive.normal import Normalizer, TooLargeError
from derive.rewrite import factors, map_children, rename_binders, substitute, terms, walk
from derive.scalar import Symbols

MAX_SPLITS = 200
MAX_STEPS = 6  # how far apart two places may be that are told from each other one by one


class Cases:
    """Splits expressions by their conditions; what is known of a program is that of the normal form."""

    def __init__(self, normal: Normalizer) -> None:
        self.normal = normal
        self.splits = 0

    def __call__(self, e: Expr) -> Expr:
        """The expression by cases, in normal form.

        Raises TooLargeError where there are too many cases.
        """
        self.splits = 0
        found = self.normal(self.split(rename_binders(e)))
        for _ in range(4):
            tidy = self.normal(told(found))
            if tidy == found:
                break
            found = tidy
        return found

    def at(self, mask: Compare, e: Expr) -> Expr:
        """What ``e`` is where a basic mask holds, in normal form."""
        found = self(mul(mask, e))
        return self.normal(add(*(mul(*(f for f in factors(t) if f != mask)) for t in terms(found))))

    def where(self, mask: Expr, e: Expr) -> Expr:
        """What ``e`` is where a condition holds, in normal form: as short as its basic masks make it.

        Raises TooLargeError where there are too many cases.
        """
        basic = self(mask)
        if isinstance(basic, Compare):
            return self.at(basic, e)
        single = [f for t in terms(add(1, mul(-1, basic))) for f in [t] if isinstance(f, Compare)]
        found = self.split(expand_calls(rename_binders(e)))
        for m in single if add(basic, *single) == ONE else ():
            found = assume(found, m, False)
        return self.normal(told(self.normal(found)))

    def split(self, e: Expr) -> Expr:
        """The expression over basic masks, choices drawn out of functions."""
        match e:
            case Select():
                mask = self.split(e.mask)
                return add(mul(mask, self.split(e.chosen)), mul(add(1, mul(-1, mask)), self.split(e.other)))
            case Not():
                return add(1, mul(-1, self.split(e.args[0])))
            case Call() | Pow() | Compare():
                return self._drawn_out(map_children(e, self.split))
        return map_children(e, self.split)

    def _drawn_out(self, e: Expr) -> Expr:
        """f(…[c]…) is [c] f(…1…) + (1 − [c]) f(…0…)."""
        mask = next(_masks(e.children), None)
        if mask is None:
            return self.basic(e) if isinstance(e, Compare) else valued(e)
        self.splits += 1
        if self.splits > MAX_SPLITS:
            raise TooLargeError
        yes, no = (self._drawn_out(map_children(e, lambda c, v=v: assume(c, mask, v))) for v in (True, False))  # type: ignore[misc]
        return add(mul(mask, yes), mul(add(1, mul(-1, mask)), no))

    def basic(self, e: Compare) -> Expr:
        """A comparison by the two basic masks of its line."""
        apart = self.normal(add(e.left, mul(-1, e.right)))
        whole = all(isinstance(n, (Add, Mul, Num, Letter, Dim)) or _is_index(n) for n in walk(apart))
        x = add(*(t for t in terms(apart) if not isinstance(t, Num)))
        scale = next((split_coefficient(t)[0] for t in reversed(terms(x)) if t != ZERO), None)
        if scale is None:
            return compare(e.op, apart, ZERO)
        x = add(*(mul(num(1 / scale), t) for t in terms(x)))
        at = num(-_constant(apart) / scale)
        below, here = (_whole_number if whole else self._real)(x, at)
        match e.op, scale > 0:
            case "==", _:
                return here
            case "!=", _:
                return add(1, mul(-1, here))
            case ("<", True) | ("<=", True):
                return below if e.op == "<" else add(below, here)
        return add(1, mul(-1, below), mul(-1, here)) if e.op == "<" else add(1, mul(-1, below))

    def _real(self, x: Expr, at: Num) -> tuple[Expr, Expr]:
        """[x < at] and [x = at]; of data that are 0 or 1 they are linear."""
        if isinstance(x, Access) and self.normal.knowledge.exponent(x, 2) == 1:
            below, here = (
                add(mul(compare(op, ZERO, at), add(1, mul(-1, x))), mul(compare(op, ONE, at), x)) for op in ("<", "==")
            )
            return below, here
        return Compare("<", x, at), compare("==", x, at)


def _whole_number(x: Expr, at: Num) -> tuple[Expr, Expr]:
    """[x < at] and [x = at] of a whole number: the first through [x < 0] and the places between."""
    if at.value.denominator != 1 or abs(at.value) > MAX_STEPS:
        return Compare("<", x, at), compare("==", x, at)
    above = add(*(t for t in terms(x) if split_coefficient(t)[0] > 0))
    below = add(*(mul(-1, t) for t in terms(x) if split_coefficient(t)[0] < 0))
    c = int(at.value)
    between = [compare("==", above, add(below, k)) for k in (range(c) if c > 0 else range(c, 0))]
    return add(compare("<", above, below), mul(1 if c > 0 else -1, add(*between))), compare("==", above, add(below, c))


def told(e: Expr) -> Expr:
    """Each term with what its masks say put in; a term under two conditions that exclude each other is gone.

    >>> from derive.program import Tensor
    >>> z = Tensor("z", ()).at(()); told(Compare("<", z, ZERO) * Compare("==", ZERO, z) + Compare("==", ZERO, z) * z)
    0
    """
    return add(*(_told_term(t) for t in terms(e)))


def _told_term(term: Expr) -> Expr:
    parts = [reduced(f) for f in factors(term)]
    masks = [f for f in parts if isinstance(f, Compare)]
    for mask in masks:
        others = [assume(f, mask, True) if f in masks else f for f in parts if f != mask]
        if any(f == ZERO for f in others):
            return ZERO
        if others != [f for f in parts if f != mask]:
            return _told_term(mul(mask, *others))
        known = solved(mask)
        if known is not None:
            rest = mul(*others)
            put = substitute(rest, known)
            if put != rest:
                return told(mul(mask, valued(put)))
    return mul(*parts)


def reduced(f: Expr) -> Expr:
    """A factor with the terms of its sums told."""
    if isinstance(f, Reduce) and f.op == "sum":
        return f.rebuild((told(f.body),))
    if isinstance(f, Pow):
        return power(reduced(f.base), f.exponent)
    return f


def valued(e: Expr) -> Expr:
    """Functions of numbers by their value, where that is a fraction: exp(0) is 1."""
    e = map_children(e, valued)
    if isinstance(e, (Call, Pow)) and all(isinstance(c, Num) for c in e.children):
        found = Symbols().to_sympy(e)
        if found.is_Rational:
            return num(Fraction(int(found.p), int(found.q)))
    return e


def solved(mask: Expr) -> dict[Expr, Expr] | None:
    """What [x = c] says of one element or letter in x, if it says it without that one on the other side."""
    if not isinstance(mask, Compare) or mask.op != "==":
        return None
    left, right = mask.left, mask.right
    if isinstance(left, Letter) or isinstance(right, Letter):
        old, new = (right, left) if isinstance(right, Letter) else (left, right)
        return {old: new} if old not in new.letters else None
    apart = add(left, mul(-1, right))
    for t in reversed(terms(apart)):
        coefficient, x = split_coefficient(t)
        rest = add(*(o for o in terms(apart) if o is not t))
        if isinstance(x, Access) and x.tensor.dtype == "real" and all(n != x for n in walk(rest)):
            return {x: mul(num(-1 / coefficient), rest)}
    return None


def assume(e: Expr, mask: Expr, holds: bool) -> Expr:
    """``e`` where a basic mask is known to be 1, or 0; others on the same line are decided where that decides them.

    >>> from derive.program import Tensor
    >>> z = Tensor("z", ()).at(()); assume(Compare("<", z, num(3)), Compare("<", z, num(2)), True)
    1
    """
    known = {m: v for m in dict.fromkeys(_masks((e,))) if (v := _follows(m, mask, holds)) is not None}
    return substitute(e, known)


def _follows(other: Expr, mask: Expr, holds: bool) -> Expr | None:
    if other == mask:
        return ONE if holds else ZERO
    if not (isinstance(other, Compare) and isinstance(mask, Compare)):
        return None
    (x, a), (y, b) = _line(mask), _line(other)
    if a is None or b is None or x != y:
        return None
    if not holds:  # x ≥ a, or x ≠ a
        return ZERO if mask.op == "<" and b.value <= a.value and (other.op == "<" or b.value < a.value) else None
    if mask.op == "<":  # x < a
        return (ONE if other.op == "<" else ZERO) if b.value >= a.value else None
    return compare(other.op, a, b)


def _line(mask: Compare) -> tuple[Expr, Num | None]:
    """The x and the c of [x < c], [x = c]."""
    if isinstance(mask.left, Num):
        return mask.right, mask.left
    return mask.left, mask.right if isinstance(mask.right, Num) else None


def _masks(nodes: tuple[Expr, ...], bound: frozenset[Letter] = frozenset()) -> Iterator[Compare]:
    """The comparisons that stand free in the nodes: none of their letters is bound within."""
    for e in nodes:
        if isinstance(e, Compare) and not e.letters & bound:
            yield e
        inner = bound | frozenset(e.binders) if isinstance(e, Reduce) else bound
        yield from _masks(e.children, inner)


def _is_index(e: Expr) -> bool:
    return isinstance(e, Access) and e.tensor.dtype == "int"


def _constant(e: Expr) -> Fraction:
    return sum((t.value for t in terms(e) if isinstance(t, Num)), start=Fraction(0))


def at_kinks(e: Expr) -> list[Compare] | None:
    """Where alone an expression by cases is not 0, if all of that are equalities of numbers; None otherwise."""
    found: dict[Compare, None] = {}
    for t in terms(e):
        own = [f for f in factors(t) if isinstance(f, Compare) and f.op == "==" and not _is_whole_mask(f)]
        inner = [at_kinks(f.body) for f in factors(t) if isinstance(f, Reduce) and f.op == "sum"]
        inside = next((k for k in inner if k), None)
        if not own and inside is None:
            return None
        found.update(dict.fromkeys(own[:1] or inside or []))
    return list(found)


def _is_whole_mask(e: Compare) -> bool:
    leaves = [n for n in walk(e) if isinstance(n, (Access, Letter))]
    return bool(leaves) and all(isinstance(n, Letter) or _is_index(n) for n in leaves)
