"""Formulas as NumPy writes them, as text of the language: ``np.where(Z > 0, dA, 0)``, ``dZ.sum(axis=0)``.

In: a line. Out: the same with calls of NumPy, methods and new axes put in the language's words; a line without any is
unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_METHODS = re.compile(r"\.(sum|mean|max|min|prod|transpose|T|reshape|ravel)\b")
_MARK = re.compile(rf"\b(?:np|numpy|scipy)\.|{_METHODS.pattern}|\[[^\]]*\bNone\b[^\]]*\]")
_MODULES = re.compile(r"\b(?:(?:np|numpy|scipy)\.linalg|np|numpy|scipy\.special)\.")
_WORD = re.compile(r"[A-Za-z_]\w*")
_RENAMED = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "maximum": "max", "minimum": "min", "dot": "matmul"}
_RENAMED |= {"slogdet": "logdet"}
_CLOSING = {"(": ")", "[": "]"}


def from_numpy(text: str) -> str:
    """The line without NumPy.

    >>> from_numpy("dZ = np.where(Z > 0, dA, 0)"), from_numpy("db = dZ.sum(axis=0)"), from_numpy("P = E / S[:, None]")
    ('dZ = ((dA) if Z > 0 else (0))', 'db = sum(dZ, axis=0)', 'P = E / col(S)')
    """
    if not _MARK.search(text):
        return text
    return _Reader(re.sub(r"\bnp\.e\b", "exp(1)", text)).text()


class _Reader:
    """Goes through a line once; what stands before a method or an index is what it applies to."""

    def __init__(self, line: str) -> None:
        self.line, self.at = _MODULES.sub("np.", line), 0

    def text(self, closing: str = "") -> str:
        """The text up to one of the closing signs, which is left standing."""
        out = ""
        while self.at < len(self.line) and self.line[self.at] not in closing:
            out += self.operand() or self.sign()
        return out

    def sign(self) -> str:
        self.at += 1
        return self.line[self.at - 1]

    def operand(self) -> str | None:
        """A name, a call or brackets, with what is attached to it; None where there is none."""
        start = self.at
        numpy = self.line.startswith("np.", start)
        word = _WORD.match(self.line, start + 3 * numpy)
        if word is not None:
            self.at = word.end()
            out = word[0]
            if self.next("("):
                out = _call(_RENAMED.get(out, out) if numpy else out, self.arguments())
        elif self.next("("):
            out = f"({', '.join(self.arguments())})"
        else:
            return None
        while True:
            method = _METHODS.match(self.line, self.at)
            if method is not None:
                self.at = method.end()
                given = self.arguments() if self.next("(") else []
                out = f"{out}'" if method[1] in ("T", "transpose") else _call(method[1], [out, *given])
            elif self.next("["):
                out = _indexed(out, self.arguments("["))
            else:
                return out

    def next(self, sign: str) -> bool:
        """Whether the sign stands here."""
        return self.line.startswith(sign, self.at)

    def arguments(self, opening: str = "(") -> list[str]:
        """What stands in brackets, by commas."""
        found, closing = [], _CLOSING[opening]
        self.at += 1
        while self.at < len(self.line):
            found.append(self.text("," + closing).strip())
            if self.sign() == closing:
                break
        return [f for k, f in enumerate(found) if f or k < len(found) - 1]


def _call(name: str, given: list[str]) -> str:
    written = _CALLS.get(name)
    if written is not None and len(given) >= 2:
        return written(*given[:3])
    return f"{name}({', '.join(a for a in given if not a.startswith('keepdims'))})"


_CALLS: dict[str, Callable[..., str]] = {
    "where": lambda condition, chosen, other="0": f"(({chosen}) if {condition} else ({other}))",
    "outer": lambda a, b: f"(({a}) @ ({b})')",
    "matmul": lambda a, b: f"(({a}) @ ({b}))",
    "reshape": lambda a, shape, *order: f"unvec({a}, [{shape[1:-1]}])" if order == ('order="F"',) else f"({a})",
    "ravel": lambda a, order: f"vec({a})",
    "broadcast_to": lambda a, *shape: f"({a})",
}


def _indexed(operand: str, items: list[str]) -> str:
    """``v[:, None]`` is a column, ``v[None, :]`` a row; a full slice at the end is nothing."""
    if operand.startswith("logdet(") and items == ["1"]:  # slogdet gives a sign and the logarithm
        return operand
    if "::-1" in items:  # turned round before sums of the first entries and after: sums of the last
        sums = re.fullmatch(r"cumsum\(turned\((.*)\)(, axis=\d)?\)", operand)
        return f"turned({operand})" if sums is None else f"cumsum({sums[1]}, reverse{sums[2] or ''})"
    if items == [":", "None"] or items == ["None"]:
        return f"col({operand})" if len(items) == 2 else operand
    if items == ["None", ":"]:
        return f"{operand}'"
    return f"{operand}[{', '.join(items)}]"
