"""What a notebook shows of an object: its formulas in LaTeX, and as an HTML table with their shapes.

In: formulas. Out: the strings that Jupyter asks for through ``_repr_latex_`` and ``_repr_html_``. Where an object gives
both, notebooks show the table, which reads alike everywhere; `typeset` gives the LaTeX alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_CELL = "text-align: left; padding: .15em 1.2em .15em 0; white-space: nowrap"
_SPECIAL = {c: rf"\{c}" for c in "#$%&_{}"} | {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "}


@dataclass(frozen=True)
class Shown:
    """One formula: in LaTeX, in Unicode, and the shape of what it defines.

    ``source`` is the author's line where it has one, ``rounds`` for which layers it holds: as text and in LaTeX.
    """

    latex: str
    text: str
    shape: str
    source: str = ""
    rounds: tuple[str, str] = ("", "")


@dataclass(frozen=True, repr=False)
class Typeset:
    """What a notebook typesets: LaTeX, and the same as text for a terminal."""

    latex: str
    text: str

    def _repr_latex_(self) -> str:
        return self.latex

    def __repr__(self) -> str:
        return self.text


class InNotebook:
    """An object that a notebook shows through its formulas."""

    def _shown(self) -> Iterable[Shown]:
        raise NotImplementedError

    def typeset(self) -> Typeset:
        """The formulas for a notebook to typeset."""
        return Typeset(self._repr_latex_(), str(self))

    def __str__(self) -> str:
        return "\n".join(s.text for s in self._shown())

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        formulas = list(self._shown())
        if len(formulas) == 1:
            return f"$${formulas[0].latex}$$"
        lines = [
            s.latex.replace(" = ", " &= ", 1) + (rf" && \text{{{s.rounds[1]}}}" if s.rounds[1] else "")
            for s in formulas
        ]
        return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"

    def _repr_html_(self) -> str:
        columns = {
            "formula": [s.text for s in self._shown()],
            "layers": [s.rounds[0] for s in self._shown()],
            "shape": [s.shape for s in self._shown()],
            "model line": [s.source for s in self._shown()],
        }
        given = {head: cells for head, cells in columns.items() if head in ("formula", "shape") or any(cells)}
        return html_table(list(given), zip(*given.values(), strict=True))


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; every cell is escaped.

    >>> html_table(["a"], [["x < y"]]).count("x &lt; y")
    1
    """
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def latex_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""The same table in LaTeX; every cell is words.

    >>> print(latex_table(["a", "b"], [["x_1", "50%"]]))
    $$\begin{array}{ll}
    \text{a} & \text{b} \\
    \hline
    \text{x\_1} & \text{50\%}
    \end{array}$$
    """
    lines = [" & ".join(rf"\text{{{_words(c)}}}" for c in row) for row in (head, *rows)]
    body = " \\\\\n".join([lines[0] + " \\\\\n\\hline\n" + lines[1], *lines[2:]]) if len(lines) > 1 else lines[0]
    return f"$$\\begin{{array}}{{{'l' * len(head)}}}\n{body}\n\\end{{array}}$$"


def _words(text: str) -> str:
    return "".join(f"${_SPECIAL[c]}$" if c in "\\^~" else _SPECIAL.get(c, c) for c in text)


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(c)}</{tag}>' for c in cells) + "</tr>"
