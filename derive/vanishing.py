"""Conditions that make no difference: [x ≠ 0]·x is x, and so is [Σ x² ≠ 0]·x.

In: the factors of a product, and the equations of what they read. Out: the factors without the masks that are 0 only
where another factor is 0 anyway. All that is left has to be finite there: x/‖x‖ keeps its mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from derive.expr import (
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Const,
    Dim,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    compare,
    mul,
    split_coefficient,
    split_power,
)
from derive.program import Equation, Tensor
from derive.rewrite import accesses, factors, rename_binders, substitute, terms

_FINITE = frozenset({"exp", "sin", "cos", "sinh", "cosh", "tanh", "atan", "erf"})  # wherever their argument is
_POSITIVE = frozenset({"exp", "cosh"})
Squared = list[tuple[Expr, tuple[Letter, ...]]]


class Signs:
    """What is known of the sign and the size of values, from the equations of the names in them."""

    def __init__(self, defined: Mapping[Tensor, Equation]) -> None:
        self.defined = defined
        self._positive: dict[Tensor, bool] = {}
        self._finite: dict[Tensor, bool] = {}

    def without_idle_masks(self, parts: list[Expr]) -> list[Expr]:
        """The factors without masks that are 0 only where the product is anyway; [0 ≤ x]·x becomes [0 < x]·x.

        >>> x = Tensor("x", (), kind="input").at(()); Signs({}).without_idle_masks([x, compare("!=", x, 0)])
        [x]
        """
        for m in parts:
            if isinstance(m, Compare) and m.op in ("!=", "<="):
                rest = [p for p in parts if p is not m]
                if any(self._vanishes(p, m) for p in rest) and all(map(self.is_finite, rest)):
                    strict = [compare("<", m.left, m.right)] if m.op == "<=" else []
                    return self.without_idle_masks([*rest, *strict])
        return parts

    def _vanishes(self, e: Expr, mask: Compare) -> bool:
        """Whether a factor is 0 wherever both sides of the mask are equal."""
        base, exponent = split_power(e)
        if isinstance(e, (Num, Mask)) or not isinstance(exponent, Num) or exponent.value <= 0:
            return False
        if _primitive(base) == _primitive(add(mask.left, mul(-1, mask.right))):
            return True
        if mask.op != "!=" or ZERO not in (mask.left, mask.right):
            return False
        other = mask.right if mask.left == ZERO else mask.left
        return any(_matches(s, binders, base) for s, binders in self._squared(other) or ())

    def _squared(self, e: Expr) -> Squared | None:
        """What is 0 wherever a sum of squares is, each with the letters that are summed; None for any other sum."""
        found: Squared = []
        for t in terms(self._written_out(e)):
            coefficient, rest = split_coefficient(t)
            inner, binders = t, tuple[Letter, ...]()
            if isinstance(rest, Reduce) and rest.op == "sum":
                renamed = rename_binders(rest)
                assert isinstance(renamed, Reduce)
                inner, binders = mul(coefficient, renamed.body), renamed.binders
            for part in terms(inner):
                even = [f for f in factors(part) if _is_even_power(f)]
                if not all(self.is_positive(f) for f in factors(part) if f not in even):
                    return None
                found += [(split_power(even[0])[0], binders)] if len(even) == 1 else []
        return found

    def _written_out(self, e: Expr) -> Expr:
        """The definition of a name; √v is 0 where v is."""
        for _ in range(len(self.defined) + 1):
            if isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value == Fraction(1, 2):
                e = e.base
            elif isinstance(e, Access) and e.tensor in self.defined:
                own = self.defined[e.tensor]
                e = substitute(own.body, dict(zip(own.letters, e.places, strict=True)))
            else:
                break
        return e

    def is_positive(self, e: Expr) -> bool:
        """Whether ``e`` is known to be above 0 wherever it has a value."""
        match e:
            case Num():
                return e.value > 0
            case Dim() | Const():
                return True
            case Access():
                if e.tensor not in self._positive:
                    self._positive[e.tensor] = e.tensor.property("positive") is not None  # of a recurrence: not known
                    if e.tensor in self.defined:
                        self._positive[e.tensor] = self.is_positive(self.defined[e.tensor].body)
                return self._positive[e.tensor]
            case Call():
                return e.function.name in _POSITIVE
            case Pow():
                return self.is_positive(e.base)
            case Mul():
                return all(map(self.is_positive, e.args))
            case Add():
                rest = [t for t in e.args if not self.is_positive(t)]
                return len(rest) < len(e.args) and all(map(_is_even_power, rest))
            case Reduce() if e.op in ("sum", "max", "min", "prod"):
                return self.is_positive(e.body)
        return False

    def is_finite(self, e: Expr) -> bool:
        """Whether ``e`` is known to be a number whatever numbers the data and the parameters are."""
        match e:
            case Num() | Const() | Dim() | Letter() | Mask():
                return True
            case Access():
                if e.tensor not in self._finite:
                    self._finite[e.tensor] = e.tensor.kind in ("input", "param", "target", "const")
                    if e.tensor in self.defined:
                        self._finite[e.tensor] = self.is_finite(self.defined[e.tensor].body)
                return self._finite[e.tensor]
            case Call():
                own = e.function.name in _FINITE
                definition = None if own or e.function.definition is None else e.function.expand(*e.arguments)
                return self.is_finite(definition) if definition is not None else own and self.is_finite(e.arguments[0])
            case Pow() if isinstance(e.exponent, Num):
                power_of_sum = e.exponent.value > 0 and self._squared(e.base) is not None
                whole = e.exponent.value > 0 and e.exponent.value.denominator == 1
                return (whole or power_of_sum or self.is_positive(e.base)) and self.is_finite(e.base)
            case Add() | Mul() | Select():
                return all(map(self.is_finite, e.children))
            case Reduce() if e.op in ("sum", "max", "min", "prod"):
                return self.is_finite(e.body)
        return False


def _matches(square: Expr, binders: tuple[Letter, ...], e: Expr) -> bool:
    """Whether ``e`` is, but for a number, what is squared there, for some values of the letters summed over."""
    return any(_primitive(substitute(square, table)) == _primitive(e) for table in _tables(square, binders, e))


def _tables(square: Expr, binders: tuple[Letter, ...], e: Expr) -> Iterator[dict[Expr, Expr]]:
    first = next((a for a in accesses(square) if a.letters >= set(binders)), None)
    for a in accesses(e) if first is not None else ():
        if first is not None and a.tensor is first.tensor:
            sites = zip(first.places, a.places, a.tensor.axes, strict=True)
            pairs = [(b, p) for b, p, n in sites if isinstance(b, Letter) and b in binders and b.extent == n]
            table: dict[Expr, Expr] = dict(pairs)
            if set(table) == set(binders):
                yield table


def _primitive(e: Expr) -> Expr:
    """``e`` without the number that its first term has in front."""
    coefficient, _ = split_coefficient(terms(e)[0])
    return add(*(mul(t, 1 / coefficient) for t in terms(e))) if coefficient else e


def _is_even_power(e: Expr) -> bool:
    return isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value > 0 and e.exponent.value % 2 == 0
