"""Mathematics for a terminal: ``dW1 = Xᵀ dZ1``.

In and out: see `derive.notation.style`.
"""

from __future__ import annotations

from derive.functions import ScalarFunction
from derive.notation.style import ATOM, TIGHT, TIMES, Piece, Style
from derive.program import Tensor

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS_BELOW = dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SIGNS = {"pi": "π", "sum": "Σ"}


class UnicodeStyle(Style):
    """Plain text with Unicode signs; ``subscripts`` lowers the digits of names."""

    minus, dot, odot, oslash, ones, prime = "−", " ", " ⊙ ", " ⊘ ", "1", "′"
    relations = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}  # noqa: RUF012
    subscripts = False

    def tensor(self, tensor: Tensor) -> str:
        if tensor in self.names.deltas:
            return "δ" + str(self.names.deltas[tensor]).translate(_SUPERSCRIPTS)
        name = self.names[tensor]
        if not self.subscripts:
            return name
        stem = name.rstrip("0123456789")
        return stem + name[len(stem) :].translate(_SUBSCRIPTS)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        return f"{self.tensor(tensor)}[{','.join(places)}]" if places else self.tensor(tensor)

    def word(self, name: str) -> str:
        return _SIGNS.get(name, name)

    def function(self, function: ScalarFunction) -> str:
        return function.name

    def operator(self, name: str, below: list[str]) -> str:
        sign = _SIGNS.get(name, name)
        if not below:
            return sign
        return f"{sign}_{below[0]}" if len(below) == 1 else f"{sign}_{{{','.join(below)}}}"

    def parens(self, text: str) -> str:
        return f"({text})"

    def brackets(self, text: str) -> str:
        return f"1[{text}]"

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        return Piece(f"{self.wrap(top, TIGHT)}/{self.wrap(bottom, TIGHT)}", TIMES)

    def above(self, base: Piece, text: str) -> Piece:
        return Piece(self.wrap(base, ATOM) + text.translate(_SUPERSCRIPTS), TIGHT)

    def transposed(self, base: Piece) -> Piece:
        return Piece(self.wrap(base, ATOM) + "ᵀ", TIGHT)

    def power(self, base: Piece, exponent: Piece, *, elementwise: bool) -> Piece:
        ring = "∘" if elementwise else ""
        text = exponent.text.replace("−", "-")
        if text.lstrip("-").isdigit():
            return self.above(base, ring + text)
        return Piece(f"{self.wrap(base, ATOM)}^{ring}{self.wrap(exponent, ATOM)}", TIGHT)

    def root(self, base: Piece) -> Piece:
        return Piece("√" + self.wrap(base, ATOM), TIGHT)

    def squared_norm(self, inner: str, *, matrix: bool) -> Piece:
        return Piece(f"‖{inner}‖{'_F' if matrix else ''}²", TIGHT)

    def cases(self, condition: str, chosen: str, other: str) -> Piece:
        return Piece(f"where({condition}, {chosen}, {other})")

    def sized_ones(self, letter: str) -> str:
        return "1" + (_LETTERS_BELOW.get(letter) or f"_{letter}")
