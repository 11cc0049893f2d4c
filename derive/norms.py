"""Norms as one writes them: x/‖x‖, where 1/‖x‖ is 0 at x = 0, since norm′(0) = 0.

In: an expression and the equations of the names in it. Out: as it is printed, without the masks [‖x‖ ≠ 0] beside powers
of ‖x‖, and which norms that is said of; and as it is meant when it is read, with such a mask at each of those powers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from derive.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Dim,
    Expr,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    compare,
    mul,
    num,
    power,
    split_coefficient,
    split_power,
)
from derive.hoist import canonical_binders
from derive.program import Equation, Tensor
from derive.rewrite import factors, map_children, substitute, terms, walk


class Norms:
    """The norms in expressions over these definitions; a norm is known by the sum of squares that it is the root of."""

    def __init__(self, defined: Mapping[Tensor, Equation]) -> None:
        self.defined = defined
        self._roots: dict[Expr, tuple[Expr, Fraction] | None] = {}

    def printed(self, e: Expr, own: bool = True) -> Expr:
        """``e`` without the masks that a norm's derivative has, where a power of the norm stands beside them.

        A norm itself, 0 where its square is 0 and else the root of it, is that root. Where ``e`` is not one's ``own``,
        but as its author wrote it, that is all.

        >>> from derive.expr import fresh, sum_over
        >>> x = Tensor("x", (Dim("n"),)); i = fresh(Dim("n"), "i"); s = sum_over([i], x[i] ** 2)
        >>> Norms({}).printed(compare("!=", s, 0) * s ** -1)
        (sum[i] (x[i]^2))^-1
        """
        if not any(isinstance(n, (Compare, Select)) for n in walk(e)):
            return e
        e = map_children(e, lambda c: self.printed(c, own))
        if isinstance(e, Select) and e.chosen == ZERO and (root := self._masked(e.mask, "==")) is not None:
            whole = self.root(e.other)
            if whole is not None and whole[0] == root:
                return power(root, num(whole[1]))
            return e.other if own and self._powers(e.other, root) else e
        if isinstance(e, Mul) and own:
            kept = [f for f in e.args if not self._is_idle(f, e)]
            return mul(*kept) if len(kept) < len(e.args) else e
        return e

    def said(self, e: Expr) -> list[Expr]:
        """The squares of the norms whose reciprocals are 0 where they are 0, in ``e`` as it is printed."""
        found: dict[Expr, None] = {}
        for node in walk(e):
            root, rest = None, [node]
            if isinstance(node, Select) and node.chosen == ZERO:
                root, rest = self._masked(node.mask, "=="), [node.other]
                found |= dict.fromkeys([root] if root and -1 in self._powers(node.other, root) else [])
            elif isinstance(node, Mul):
                for f in node.args:
                    root, rest = self._masked(f, "!="), [g for g in node.args if g is not f]
                    found |= dict.fromkeys([root] if root and any(-1 in self._powers(g, root) for g in rest) else [])
        return list(found)

    def meant(self, e: Expr) -> Expr:
        """``e`` with every power of a norm 0 where the norm is, all norms over the same names.

        >>> from derive.expr import fresh, sum_over
        >>> x = Tensor("x", (Dim("n"),)); i = fresh(Dim("n"), "i"); s = sum_over([i], x[i] ** 2)
        >>> Norms({}).meant(x[i] / s ** num(Fraction(1, 2))) == x[i] * Norms({}).meant(s ** num(Fraction(-1, 2)))
        True
        """
        if isinstance(e, Pow) and isinstance(e.exponent, Num) and not _is_whole(e.exponent.value):
            found = self.root(e.base)
            if found is not None:
                root = self.meant(found[0])
                return mul(power(root, num(found[1] * e.exponent.value)), compare("!=", ZERO, root))
        for op in ("==", "!=") if isinstance(e, Compare) else ():
            if (square := self._masked(e, op)) is not None:
                return compare(op, ZERO, self.meant(square))
        return map_children(e, self.meant)

    def root(self, e: Expr) -> tuple[Expr, Fraction] | None:
        """The sum of squares that ``e`` is a power of, and which power; None where it is none."""
        if e not in self._roots:
            self._roots[e] = None  # what is defined by way of itself is none
            found = self._root(e)
            self._roots[e] = None if found is None else (canonical_binders(found[0]), found[1])
        return self._roots[e]

    def _root(self, e: Expr) -> tuple[Expr, Fraction] | None:
        match e:
            case _ if _is_sum_of_squares(e):
                return e, Fraction(1)
            case Pow() if isinstance(e.exponent, Num) and e.exponent.value > 0:
                found = self.root(e.base)
                return None if found is None else (found[0], found[1] * e.exponent.value)
            case Access() if e.tensor in self.defined:
                own = self.defined[e.tensor]
                return self.root(substitute(own.body, dict(zip(own.letters, e.places, strict=True))))
            case Select() if e.chosen == ZERO:
                found = self.root(e.other)
                return found if found is not None and self._masked(e.mask, "==") == found[0] else None
        return None

    def _masked(self, e: Expr, op: str) -> Expr | None:
        """The sum of squares of which a mask says that it is, or is not, 0."""
        if not isinstance(e, Compare) or e.op != op or ZERO not in (e.left, e.right):
            return None
        found = self.root(e.right if e.left == ZERO else e.left)
        return None if found is None else found[0]

    def _is_idle(self, mask: Expr, product: Mul) -> bool:
        """Whether it is the mask of a norm, and another factor has a power of that norm in each of its terms."""
        root = self._masked(mask, "!=")
        return root is not None and any(self._powers(f, root) for f in product.args if f is not mask)

    def _powers(self, e: Expr, root: Expr) -> list[int]:
        """The signs of the powers of a norm by which the terms of ``e`` are multiplied; [] where one has none."""
        if isinstance(e, Add):
            each = [self._powers(t, root) for t in e.args]
            return [s for signs in each for s in signs] if all(each) else []
        if isinstance(e, Mul):
            return [s for f in e.args for s in self._powers(f, root)]
        base, exponent = split_power(e)
        found = self.root(base)
        if found is None or found[0] != root or not isinstance(exponent, Num):
            return []
        return [1 if exponent.value > 0 else -1]


def _is_whole(exponent: Fraction) -> bool:
    return exponent.denominator == 1 and exponent > 0


def _is_sum_of_squares(e: Expr) -> bool:
    """Whether it is 0 only where all that is squared in it is, and can be."""
    if isinstance(e, Reduce):
        return e.op == "sum" and _is_sum_of_squares(e.body)
    return all(_is_square(t) for t in terms(e))


def _is_square(term: Expr) -> bool:
    coefficient, rest = split_coefficient(term)
    if isinstance(rest, Reduce):
        return coefficient > 0 and _is_sum_of_squares(rest)
    parts = list(_not_extents(factors(rest)))
    return coefficient > 0 and bool(parts) and all(map(_is_even_power, parts))


def _not_extents(parts: tuple[Expr, ...]) -> Iterator[Expr]:
    return (p for p in parts if not isinstance(split_power(p)[0], Dim))


def _is_even_power(e: Expr) -> bool:
    return isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value > 0 and e.exponent.value % 2 == 0
