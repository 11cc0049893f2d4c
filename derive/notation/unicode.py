"""Mathematics for a terminal: ``dW1 = Xᵀ dZ1``.

In and out: see `derive.notation.style`.
"""

from __future__ import annotations

from derive.functions import ScalarFunction
from derive.notation.names import MEMBER
from derive.notation.style import ATOM, TIGHT, TIMES, Piece, Style
from derive.program import Tensor

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS_BELOW = dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_BELOW = {**_LETTERS_BELOW, **dict(zip("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋", strict=True))}
# ᵀ is left out: it means something else.
_ABOVE = dict(
    zip(
        "0123456789+-abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRUVW",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵁⱽᵂ",
        strict=True,
    )
)
_SIGNS = {"pi": "π", "sum": "Σ"}


class UnicodeStyle(Style):
    """Plain text with Unicode signs; ``subscripts`` lowers the digits of names."""

    minus, dot, odot, oslash, otimes, ones, prime = "−", " ", " ⊙ ", " ⊘ ", " ⊗ ", "1", "′"
    relations = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}  # noqa: RUF012
    subscripts = False

    def tensor(self, tensor: Tensor) -> str:
        if tensor in self.names.deltas:
            return "δ" + _shifted(self.names.deltas[tensor], _ABOVE, "^")
        name = self.names[tensor]
        member = MEMBER.fullmatch(name)
        if member is not None:
            return member[1] + _shifted(member[2], _ABOVE, "^") + member[3]
        if not self.subscripts:
            return name
        stem = name.rstrip("0123456789")
        return stem + name[len(stem) :].translate(_SUBSCRIPTS)

    def element(self, tensor: Tensor, places: list[str]) -> str:
        return f"{self.tensor(tensor)}[{','.join(places)}]" if places else self.tensor(tensor)

    def entry(self, matrix: Piece, places: list[str]) -> Piece:
        return Piece(f"{self.wrap(matrix, TIGHT)}[{','.join(places)}]")

    def word(self, name: str) -> str:
        member = MEMBER.fullmatch(name)
        return _SIGNS.get(name, name) if member is None else member[1] + _shifted(member[2], _BELOW, "_")

    def function(self, function: ScalarFunction) -> str:
        return function.name

    def operator(self, name: str, below: list[str]) -> str:
        sign = _SIGNS.get(name, name)
        if not below:
            return sign
        return f"{sign}_{below[0]}" if len(below) == 1 and "<" not in below[0] else f"{sign}_{{{','.join(below)}}}"

    def parens(self, text: str) -> str:
        return f"({text})"

    def brackets(self, text: str) -> str:
        return f"1[{text}]"

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        return Piece(f"{self.wrap(top, TIGHT)}/{self.wrap(bottom, TIGHT)}", TIMES)

    def above(self, base: Piece, text: str) -> Piece:
        return Piece(self._bare(base) + text.translate(_SUPERSCRIPTS), TIGHT)

    def transposed(self, base: Piece) -> Piece:
        return Piece(self._bare(base) + "ᵀ", TIGHT)

    def inverse(self, base: Piece, *, transposed: bool = False) -> Piece:
        return Piece(self._bare(base) + ("⁻ᵀ" if transposed else "⁻¹"), TIGHT)

    def _bare(self, base: Piece) -> str:
        """A base that can take a superscript: one that has a layer there already stands in parentheses."""
        raised = base.level == ATOM and base.text[-1] in _ABOVE.values()
        return self.parens(base.text) if raised else self.wrap(base, ATOM)

    def power(self, base: Piece, exponent: Piece, *, elementwise: bool) -> Piece:
        ring = "∘" if elementwise else ""
        text = exponent.text.replace("−", "-")
        if text.lstrip("-").isdigit():
            return self.above(base, ring + text)
        return Piece(f"{self.wrap(base, ATOM)}^{ring}{self.wrap(exponent, ATOM)}", TIGHT)

    def root(self, base: Piece) -> Piece:
        return Piece("√" + self.wrap(base, ATOM), TIGHT)

    def norm(self, inner: str, *, matrix: bool) -> Piece:
        return Piece(f"‖{inner}‖{'_F' if matrix else ''}", TIGHT)

    def squared_norm(self, inner: str, *, matrix: bool) -> Piece:
        return Piece(f"‖{inner}‖{'_F' if matrix else ''}²", TIGHT)

    def cases(self, condition: str, chosen: str, other: str) -> Piece:
        return Piece(f"where({condition}, {chosen}, {other})")

    def sized_ones(self, letter: str) -> str:
        return "1" + (_LETTERS_BELOW.get(letter) or f"_{letter}")


def _shifted(text: str, table: dict[str, str], mark: str) -> str:
    """The text raised or lowered where every character can be, else behind the mark."""
    if all(c in table for c in text):
        return "".join(table[c] for c in text)
    return f"{mark}{text}" if len(text) == 1 else f"{mark}({text})"
