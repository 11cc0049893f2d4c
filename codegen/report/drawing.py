r"""Formulas as pictures: LaTeX in, inline SVG out, so that a page needs no script and no font to show them.

In: LaTeX and the same formula as text. Out: markup whose label is that text. The outlines of letters are kept once for
a whole page: `Drawings.outlines` is to stand in front of the formulas.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from xml.etree import ElementTree

from markupsafe import Markup, escape

from derive.errors import GradcError
from derive.notation.wrapping import wrapped

try:
    from ziamath.nodes.mrow import Mrow
    from ziamath.tex import tex2mml
    from ziamath.zmath import Math
except ImportError:  # an extra: said when a formula is to be drawn
    Math = None  # type: ignore[assignment, misc]
else:

    class Row(Mrow, tag="mrow"):
        """A row that is measured once: the library measures it anew for each row around it, 2ᵈ times at depth d."""

        measured: ClassVar[dict[Any, tuple[float, float]]] = {}

        def _get_height_nostretch(self, line: list[ElementTree.Element], **kwargs: Any) -> tuple[float, float]:
            around = sorted((k, v) for k, v in kwargs.items() if k not in ("rowymin", "rowymax", "nostretch"))
            key = (*map(ElementTree.tostring, line), repr(self.style), self.size, str(around))
            if key not in self.measured:
                self.measured[key] = super()._get_height_nostretch(line, **kwargs)
            return self.measured[key]


SIZE = 19
WIDEST = 860  # of a line of the page
_WIDTH = re.compile(r'width="([\d.]+)"')
_LARGE = re.compile(r"<mo>(&#x02211;|&#x0220F;)</mo>")
_SYMBOL = re.compile(r'<symbol id="([^"]*)"([^>]*/>|.*?</symbol>)', re.DOTALL)
_LINK = re.compile(r'href="#([^"]*)"')
_BOLD_DIGIT = re.compile(r"\\mathbf\{(\d)\}")
_CIRCLED = re.compile(r" ?(\\odot|\\oslash) ")


class Drawings:
    """Draws the formulas of one page."""

    def __init__(self) -> None:
        if Math is None:
            raise GradcError("formulas are drawn by the package ziamath: pip install 'gradc[report]'")
        self._known: dict[str, str] = {}

    def formula(self, tex: str, text: str) -> Markup:
        """The formula in as many lines as it needs; as text where it cannot be drawn."""
        try:
            lines = [picture(tex)]
            if (width := float(_WIDTH.findall(lines[0])[0])) > WIDEST:
                lines = [picture(t) for t in wrapped(tex, int(len(tex) * WIDEST / width))]
        except Exception:  # whatever the library has against it, the text says the same
            return Markup("<code>{}</code>").format(text)
        lines = [self._shared(line, text if k == 0 else None) for k, line in enumerate(lines)]
        return Markup("<br>").join(map(Markup, lines))

    @property
    def outlines(self) -> Markup:
        """The letters of all formulas drawn so far."""
        symbols = "".join(f'<symbol id="{name}"{rest}' for rest, name in self._known.items())
        return Markup(f'<svg class="outlines" width="0" height="0" aria-hidden="true">{symbols}</svg>')

    def _shared(self, drawn: str, label: str | None) -> str:
        """A picture that takes its letters from the outlines; the label names it, and only the first of its lines."""
        about = 'aria-hidden="true"' if label is None else f'role="img" aria-label="{escape(label)}"'
        drawn = drawn.replace('xmlns="http://www.w3.org/2000/svg"', about, 1)
        names = {own: self._known.setdefault(rest, f"g{len(self._known)}") for own, rest in _SYMBOL.findall(drawn)}
        return _LINK.sub(lambda m: f'href="#{names[m[1]]}"', _SYMBOL.sub("", drawn))


def picture(tex: str) -> str:
    """The SVG of one line of LaTeX."""
    # A sign of a sum or product takes its own size: told to stretch it would have its parentheses grow without end.
    markup = ElementTree.fromstring(_LARGE.sub(r'<mo stretchy="false">\1</mo>', tex2mml(drawable(tex))))
    markup.set("mathcolor", "currentColor")
    Row.measured.clear()
    return str(Math(markup, size=SIZE).svg())


def drawable(tex: str) -> str:
    r"""LaTeX as the library draws it best: bold digits as signs of their own, air around circled operators.

    >>> drawable(r"\mathbf{1} \odot x")
    '𝟏\\;\\odot\\;x'
    """
    tex = _BOLD_DIGIT.sub(lambda m: chr(ord("𝟎") + int(m[1])), tex)
    return _CIRCLED.sub(r"\;\1\;", tex)
