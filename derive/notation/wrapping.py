"""Breaking long formulas into lines, at signs outside of all brackets.

In: a formula in Unicode or LaTeX. Out: its lines; one that has no place to break stays as long as it is.
"""

from __future__ import annotations

SIGNS = (" + ", " − ", " - ", " ⊙ ", " ⊘ ", r" \odot ", r" \oslash ")

_OPENING, _CLOSING = (r"\left", r"\begin"), (r"\right", r"\end")


def wrapped(text: str, width: int) -> list[str]:
    r"""The lines, each beginning with a sign but for the first.

    >>> wrapped("a = b + (c + d) + e", 12)
    ['a = b', '+ (c + d)', '+ e']
    >>> wrapped(r"\left\lVert a - b\right\rVert - c", 1)
    ['\\left\\lVert a - b\\right\\rVert', '- c']
    """
    pieces, start, depth = [], 0, 0
    for k, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if c == "\\":
            depth += text.startswith(_OPENING, k) - text.startswith(_CLOSING, k)
        if depth == 0 and c == " " and any(text.startswith(s, k) for s in SIGNS):
            pieces.append(text[start:k])
            start = k + 1
    pieces.append(text[start:])
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
    return lines
