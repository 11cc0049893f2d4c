"""What a notebook shows of an object: its formulas in LaTeX, and as an HTML table with their shapes.

In: formulas. Out: the strings that Jupyter asks for through ``_repr_latex_`` and ``_repr_html_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_CELL = "text-align: left; padding: .15em 1.2em .15em 0; white-space: nowrap"


@dataclass(frozen=True)
class Shown:
    """One formula: in LaTeX, in Unicode, and the shape of what it defines."""

    latex: str
    text: str
    shape: str


class InNotebook:
    """An object that a notebook shows through its formulas."""

    def _shown(self) -> Iterable[Shown]:
        raise NotImplementedError

    def _repr_latex_(self) -> str:
        formulas = [s.latex for s in self._shown()]
        if len(formulas) == 1:
            return f"$${formulas[0]}$$"
        lines = " \\\\\n".join(f.replace(" = ", " &= ", 1) for f in formulas)
        return f"$$\\begin{{aligned}}\n{lines}\n\\end{{aligned}}$$"

    def _repr_html_(self) -> str:
        return html_table(("formula", "shape"), [(s.text, s.shape) for s in self._shown()])


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; every cell is escaped.

    >>> html_table(["a"], [["x < y"]]).count("x &lt; y")
    1
    """
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(c)}</{tag}>' for c in cells) + "</tr>"
