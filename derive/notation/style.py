"""What differs between notations: how a piece of mathematics is spelled.

In: finished pieces of text. Out: a larger piece. `MatrixPrinter` and `IndexPrinter` decide on structure and
parentheses; a style only spells. A piece carries how tightly it binds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

from derive.functions import ABS, ScalarFunction
from derive.notation.names import Names
from derive.program import Tensor

SUM, TIMES, CHAIN, TIGHT, ATOM = range(5)
"""How tightly a piece binds: sums and signs, ⊙ and /, products, powers and transposes, names."""

FLIPPED = {"<": ">", "<=": ">=", "==": "==", "!=": "!="}
"""A relation read from the other side."""


@dataclass(frozen=True)
class Piece:
    """A text and how tightly it binds."""

    text: str
    level: int = ATOM


class Style(ABC):
    """A way to spell mathematics."""

    minus: str
    plus: str = " + "
    dot: str
    odot: str
    oslash: str
    otimes: str
    ones: str
    prime: str
    bars: tuple[str, str] = ("|", "|")
    relations: dict[str, str]

    def __init__(self, names: Names) -> None:
        self.names = names

    @abstractmethod
    def tensor(self, tensor: Tensor) -> str:
        """The name of a tensor."""

    @abstractmethod
    def element(self, tensor: Tensor, places: list[str]) -> str:
        """An element of a tensor."""

    @abstractmethod
    def entry(self, matrix: Piece, places: list[str]) -> Piece:
        """An element of a matrix that has no name of its own."""

    @abstractmethod
    def word(self, name: str) -> str:
        """The name of an extent, a constant or an index letter."""

    @abstractmethod
    def function(self, function: ScalarFunction) -> str:
        """The name of a scalar function."""

    def call(self, function: ScalarFunction, inside: str) -> Piece:
        """A function of what its text says; |x| has bars, but for one in another."""
        if function == ABS and (self.bars[0] != self.bars[1] or self.bars[0] not in inside):
            return Piece(f"{self.bars[0]}{inside}{self.bars[1]}")
        return Piece(self.function(function) + self.parens(inside))

    @abstractmethod
    def operator(self, name: str, below: list[str]) -> str:
        """``diag``, ``tr``, ``max`` or ``sum``, with what stands below it."""

    @abstractmethod
    def parens(self, text: str) -> str:
        """The text in parentheses."""

    @abstractmethod
    def brackets(self, text: str) -> str:
        """The mask of a condition."""

    @abstractmethod
    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        """A division by a number."""

    @abstractmethod
    def above(self, base: Piece, text: str) -> Piece:
        """A base with a superscript."""

    @abstractmethod
    def transposed(self, base: Piece) -> Piece:
        """A transposed name."""

    @abstractmethod
    def inverse(self, base: Piece, *, transposed: bool = False) -> Piece:
        """The inverse of a matrix, or its transpose."""

    @abstractmethod
    def power(self, base: Piece, exponent: Piece, *, elementwise: bool) -> Piece:
        """A power."""

    @abstractmethod
    def root(self, base: Piece) -> Piece:
        """A square root."""

    @abstractmethod
    def norm(self, inner: str, *, matrix: bool) -> Piece:
        """The square root of the sum of squares."""

    @abstractmethod
    def squared_norm(self, inner: str, *, matrix: bool) -> Piece:
        """The sum of squares."""

    @abstractmethod
    def cases(self, condition: str, chosen: str, other: str) -> Piece:
        """One of two values."""

    @abstractmethod
    def sized_ones(self, letter: str) -> str:
        """The vector of ones of an extent."""

    def prose(self, text: str) -> str:
        """Words within a formula."""
        return text

    def wrap(self, piece: Piece, level: int) -> str:
        """The text, in parentheses where it binds less tightly than ``level``."""
        return piece.text if piece.level >= level else self.parens(piece.text)

    def number(self, value: Fraction) -> Piece:
        """An exact number, not negative."""
        if value.denominator == 1:
            return Piece(str(value.numerator))
        return self.fraction(Piece(str(value.numerator)), Piece(str(value.denominator)))

    def total(self, pieces: list[tuple[bool, Piece]]) -> Piece:
        """A sum of terms, each with whether it is negative."""
        text = ""
        for k, (negative, piece) in enumerate(pieces):
            sign = (self.minus if k == 0 else f" {self.minus} ") if negative else ("" if k == 0 else self.plus)
            text += sign + self.wrap(piece, TIMES)
        return Piece(text, SUM)

    def negative(self, piece: Piece) -> Piece:
        """Minus a piece."""
        return Piece(self.minus + self.wrap(piece, TIMES), SUM)
