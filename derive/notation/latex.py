r"""LaTeX: ``\bar{W}_{1} = X^{\top}\,\bar{Z}_{1}``.

In and out: see `derive.notation.style`. Needs amsmath and amssymb, nothing else.
"""

from __future__ import annotations

import re

from derive.functions import ScalarFunction
from derive.notation.names import MEMBER, Names, latex_name
from derive.notation.style import ATOM, TIGHT, Piece, Style
from derive.notation.wrapping import wrapped
from derive.program import Tensor

_WIDTH = 140  # characters of source, about one line of print
_OPERATORS = {"sum": r"\sum", "max": r"\max", "min": r"\min", "prod": r"\prod", "det": r"\det"}
_OPERATORS |= {"logdet": r"\log\left|\det\right|"}


class LatexStyle(Style):
    r"""LaTeX mathematics; cotangents are ``bar`` (:math:`\bar{x}`) or ``partial`` derivatives of the objective."""

    minus, dot, ones, prime = "-", r"\,", r"\mathbf{1}", "'"
    bars = (r"\left|", r"\right|")
    odot, oslash, otimes = r" \odot ", r" \oslash ", r" \otimes "
    relations = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}  # noqa: RUF012

    def __init__(self, names: Names, cotangents: str = "bar") -> None:
        super().__init__(names)
        self.cotangents = cotangents

    def tensor(self, tensor: Tensor) -> str:
        if tensor in self.names.deltas:
            return rf"\delta^{{{self.names.deltas[tensor]}}}"
        if tensor.latex is not None:
            return tensor.latex
        if tensor.along is not None:
            of, directions = tensor.along
            return rf"\partial_{{{' '.join(self.tensor(x) for x in directions)}}}{self.tensor(of)}"
        if tensor.kind != "cotangent" or tensor.primal is None:
            return latex_name(self.names[tensor])
        primal = self.tensor(tensor.primal)
        if self.cotangents == "partial":
            objective = self.names.program.objective
            return rf"\frac{{\partial {self.tensor(objective) if objective else 'J'}}}{{\partial {primal}}}"
        # A name of one sign gets its bar in front of the subscript, anything else as a whole.
        base = re.match(r"\\?[A-Za-z]+(?=[_^]|$)", primal)
        if base is None or tensor.primal.along is not None or (base[0][0] != "\\" and len(base[0]) > 1):
            return rf"\overline{{{primal}}}"
        return rf"\bar{{{base[0]}}}{primal[base.end() :]}"

    def element(self, tensor: Tensor, places: list[str]) -> str:
        name = self.tensor(tensor)
        if not places:
            return name
        plain = name.isalpha() or ("^" in name and "_" not in name)
        return f"{name if plain else f'[{name}]'}_{{{','.join(places)}}}"

    def entry(self, matrix: Piece, places: list[str]) -> Piece:
        return Piece(rf"\left[{matrix.text}\right]_{{{','.join(places)}}}")

    def word(self, name: str) -> str:
        stem = name.rstrip("′″")
        primes = name[len(stem) :].replace("″", "''").replace("′", "'")
        member = MEMBER.fullmatch(stem)
        if member is not None:
            return f"{latex_name(member[1])}_{{{member[2]}}}"
        return latex_name(stem) + primes

    def function(self, function: ScalarFunction) -> str:
        if function.latex is not None:
            return function.latex
        return rf"\operatorname{{{_escaped(function.name)}}}"

    def operator(self, name: str, below: list[str]) -> str:
        sign = _OPERATORS.get(name, rf"\operatorname{{{name}}}")
        return sign + (f"_{{{','.join(below)}}}" if below else "")

    def prose(self, text: str) -> str:
        return rf"\text{{{text}}}" if text else ""

    def parens(self, text: str) -> str:
        return rf"\left({text}\right)"

    def brackets(self, text: str) -> str:
        return rf"\mathbf{{1}}\left[{text}\right]"

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        return Piece(rf"\frac{{{top.text}}}{{{bottom.text}}}")

    def above(self, base: Piece, text: str) -> Piece:
        inner = self.wrap(base, ATOM)
        derived = inner.startswith(r"\partial")
        if base.level == ATOM and ("^" in inner or derived) and not inner.startswith(r"\left("):
            inner = self.parens(inner)
        elif any(mark in inner for mark in "^'"):
            inner = f"{{{inner}}}"
        return Piece(f"{inner}^{{{text}}}", TIGHT)

    def transposed(self, base: Piece) -> Piece:
        return self.above(base, r"\top")

    def inverse(self, base: Piece, *, transposed: bool = False) -> Piece:
        return self.above(base, r"-\top" if transposed else "-1")

    def power(self, base: Piece, exponent: Piece, *, elementwise: bool) -> Piece:
        return self.above(base, (r"\circ " if elementwise else "") + exponent.text)

    def root(self, base: Piece) -> Piece:
        return Piece(rf"\sqrt{{{base.text}}}")

    def norm(self, inner: str, *, matrix: bool) -> Piece:
        return Piece(rf"\left\lVert {inner}\right\rVert{'_{F}' if matrix else ''}", TIGHT)

    def squared_norm(self, inner: str, *, matrix: bool) -> Piece:
        return Piece(rf"\left\lVert {inner}\right\rVert{'_{F}' if matrix else ''}^{{2}}", TIGHT)

    def cases(self, condition: str, chosen: str, other: str) -> Piece:
        # A bracket at the start of a cell or of a line is taken for an option.
        chosen, other = (f"{{}}{s}" if s.startswith("[") else s for s in (chosen, other))
        return Piece(rf"\begin{{cases}}{chosen} & \text{{if }} {condition}\\ {other} & \text{{otherwise}}\end{{cases}}")

    def sized_ones(self, letter: str) -> str:
        return rf"\mathbf{{1}}_{{{letter}}}"


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def aligned(formulas: list[str]) -> str:
    r"""A displayed group of formulas, aligned at their equals signs.

    >>> print(aligned(["a = b", "c = d"]))
    \begin{align*}
    a &= b \\
    c &= d
    \end{align*}
    """
    lines = [line for f in formulas for line in _lines(f)]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _lines(formula: str) -> list[str]:
    first, *rest = wrapped(formula, _WIDTH)
    return [first.replace(" = ", " &= ", 1), *(rf"&\quad {line}" for line in rest)]
