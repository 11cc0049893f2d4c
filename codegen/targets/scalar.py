"""Scalar expressions as Python text: what the printers of all targets share.

In: a pointwise expression. Out: text with as few parentheses as its meaning allows. A target says how a
number, an access, a conditional and a condition look; arithmetic is the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import ClassVar

from codegen.steps import RoundParts, View
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
    Not,
    Num,
    Pow,
    Select,
    add,
    mul,
    negate,
    split_coefficient,
)
from derive.functions import Parameter
from derive.numeric import numeric

# how tightly the outermost operator of a text binds
CHOICE, OR, AND, NOT, RELATION, SUM, PRODUCT, MINUS, POWER, ATOM = range(10)
Text = tuple[str, int]
_MIRROR = {"<": ">", "<=": ">=", "==": "==", "!=": "!="}


def is_integer(e: Expr) -> bool:
    """Whether ``e`` is an integer by construction: places, counts and labels."""
    match e:
        case Num():
            return e.value.denominator == 1
        case Letter() | Dim():
            return True
        case Access():
            return e.tensor.dtype == "int"
        case Add() | Mul():
            return all(is_integer(c) for c in e.children)
    return False


def wrapped(text: str, level: int, needed: int) -> str:
    """``text`` in parentheses if it binds less tightly than needed."""
    return f"({text})" if level < needed else text


class ScalarPrinter:
    """Printing by precedence. Subclasses override what their target writes differently."""

    functions: ClassVar[dict[str, str]] = {}

    def __init__(self, extents: dict[str, str]) -> None:
        self.extents = extents
        self.letters: dict[Letter, str] = {}
        self.parameters: dict[str, str] = {}
        self.known: dict[Expr, str] = {}

    # what a target decides
    def number(self, value: Fraction) -> str:
        return repr(float(value))

    def converted(self, text: str) -> str:
        """An integer as a real number."""
        return text

    def access(self, e: Access) -> str:
        raise NotImplementedError

    def choice(self, condition: Expr, chosen: Expr, other: Expr) -> Text:
        text = f"{self.real(chosen, OR)} if {self.condition(condition, OR)} else {self.real(other, CHOICE)}"
        return text, CHOICE

    def connected(self, word: str, items: list[str], level: int) -> Text:
        return f" {word} ".join(items), level

    # the rest is Python's arithmetic
    def real(self, e: Expr, needed: int = CHOICE) -> str:
        """A real-valued expression."""
        text, level = self._real(e)
        return wrapped(text, level, needed)

    def integer(self, e: Expr, needed: int = CHOICE) -> str:
        """An integer-valued expression: a place, an extent, a count."""
        text, level = self._integer(e)
        return wrapped(text, level, needed)

    def counted(self, loop: RoundParts) -> str:
        """The rounds of a recurrence, in their order."""
        first, last = loop.range
        if loop.step < 0:
            return f"range({self.integer(add(last, -1))}, {self.integer(add(first, -1))}, -1)"
        return (
            f"range({self.integer(last)})" if first == ZERO else f"range({self.integer(first)}, {self.integer(last)})"
        )

    def cut(self, view: View) -> str:
        """The brackets that take a slice; a vector keeps its axis, so that the slice can be written to."""
        place = view.place
        if not isinstance(place, tuple) and view.source.rank == 1:
            place = (place, add(place, 1))
        if isinstance(place, tuple):
            text = ":".join("" if end is None else self.integer(end, ATOM) for end in place)
        else:
            text = self.integer(place)
        return f"[{':, ' * view.axis}{text}]"

    def condition(self, e: Expr, needed: int = CHOICE) -> str:
        """A mask as a condition."""
        text, level = self._condition(e)
        return wrapped(text, level, needed)

    def _real(self, e: Expr) -> Text:
        if e in self.known:
            return self.known[e], ATOM
        if isinstance(e, (Const, Pow, Call)) and (value := numeric(e)) is not None:
            return self.number(Fraction(abs(value))), ATOM if value >= 0 else MINUS
        match e:
            case Num():
                return self.number(abs(e.value)) if e.value >= 0 else f"-{self.number(-e.value)}", _sign(e.value)
            case Access() if e.tensor.dtype != "int":
                return self.access(e), ATOM
            case Letter() | Dim() | Access():
                return self.converted(self.integer(e)), ATOM
            case Parameter():
                return self.parameters[e.name], ATOM
            case Call():
                arguments = ", ".join(self.real(a) for a in e.arguments)
                return f"{self.functions[e.function.name]}({arguments})", ATOM
            case Pow():
                return self._power(e)
            case Mul():
                return self._product(e, self._real, self.number)
            case Add():
                return self._sum(e, self.real)
            case Select():
                return self.choice(e.mask, e.chosen, e.other)
            case Mask():
                return self.choice(e, Num(Fraction(1)), Num(Fraction(0)))
        raise TypeError(f"cannot print {type(e).__name__}: {e!r}")

    def _integer(self, e: Expr) -> Text:
        match e:
            case Num():
                return str(e.value), _sign(e.value)
            case Letter():
                return self.letters[e], ATOM
            case Dim():
                return self.extents[e.name], ATOM
            case Access():
                return self.access(e), ATOM
            case Mul():
                return self._product(e, self._integer, str)
            case Add():
                return self._sum(e, self.integer)
            case Pow():
                return f"{self.integer(e.base, ATOM)} ** {self.integer(e.exponent, POWER)}", POWER
            case Select():
                return self._integer_choice(e)
        raise TypeError(f"cannot print {type(e).__name__} as an integer: {e!r}")

    def _integer_choice(self, e: Select) -> Text:
        text = f"{self.integer(e.chosen, OR)} if {self.condition(e.mask, OR)} else {self.integer(e.other)}"
        return text, CHOICE

    def _condition(self, e: Expr) -> Text:
        match e:
            case Compare():
                show = self.integer if is_integer(e.left) and is_integer(e.right) else self.real
                if isinstance(e.left, Num):
                    return f"{show(e.right, SUM)} {_MIRROR[e.op]} {show(e.left, SUM)}", RELATION
                return f"{show(e.left, SUM)} {e.op} {show(e.right, SUM)}", RELATION
            case Not() if isinstance(e.args[0], Mul):
                return self.connected("or", [self.condition(negate(f), AND) for f in e.args[0].args], OR)
            case Not():
                return self.negated(e.args[0])
            case Mul() if all(isinstance(f, Mask) for f in e.args):
                return self.connected("and", [self.condition(f, NOT) for f in e.args], AND)
        return f"{self.real(e, SUM)} != {self.number(Fraction(0))}", RELATION

    def negated(self, e: Expr) -> Text:
        return f"not {self.condition(e, NOT)}", NOT

    def _sum(self, e: Add, show: Callable[[Expr, int], str]) -> Text:
        # what has the most axes first, and nothing negative in front where that can be helped
        items = sorted(e.args, key=lambda t: (split_coefficient(t)[0] < 0, -len(t.letters)))
        text = show(items[0], SUM)
        for t in items[1:]:
            negative = split_coefficient(t)[0] < 0
            text += f" - {show(mul(-1, t), PRODUCT)}" if negative else f" + {show(t, PRODUCT)}"
        return text, SUM

    def _product(self, e: Mul, show: Callable[[Expr], Text], number: Callable[[Fraction], str]) -> Text:
        coefficient, _ = split_coefficient(e)
        rest = e.args[1:] if isinstance(e.args[0], Num) else e.args
        fixed = [v for f in rest if (v := numeric(f)) is not None]
        if fixed:  # roots and the like join the number in front
            coefficient *= Fraction(math.prod(fixed))
            rest = tuple(f for f in rest if numeric(f) is None)
        above: list[str] = []
        below: list[str] = []
        for f in rest:
            inverse = isinstance(f, Pow) and isinstance(f.exponent, Num) and f.exponent.value < 0
            text, level = show(f.base**-f.exponent if isinstance(f, Pow) and inverse else f)
            (below if inverse else above).append(wrapped(text, level, MINUS if not inverse else POWER))
        size = abs(coefficient)
        if size.numerator == 1 and size.denominator != 1 and above:
            below.insert(0, number(Fraction(size.denominator)))
        elif size != 1 or not above:
            above.insert(0, number(size))
        text = " * ".join(above)
        if below:
            text += f" / ({' * '.join(below)})" if len(below) > 1 else f" / {below[0]}"
        return (f"-{text}", PRODUCT) if coefficient < 0 else (text, PRODUCT if len(above) + len(below) > 1 else ATOM)

    def _power(self, e: Pow) -> Text:
        if isinstance(e.exponent, Num):
            x = e.exponent.value
            if x < 0:
                return f"{self.number(Fraction(1))} / {self.real(e.base**-e.exponent, POWER)}", PRODUCT
            if x == Fraction(1, 2):
                return f"{self.functions['sqrt']}({self.real(e.base)})", ATOM
            if x.denominator == 1:
                return f"{self.real(e.base, ATOM)} ** {x}", POWER
        return f"{self.real(e.base, ATOM)} ** {self.real(e.exponent, POWER)}", POWER


def _sign(value: Fraction) -> int:
    return ATOM if value >= 0 else MINUS
