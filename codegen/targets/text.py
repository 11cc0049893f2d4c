"""Lines of emitted Python: breaking the long ones, spacing, quotes.

In: lines of source text. Out: lines of at most 120 columns, a statement broken inside brackets only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

WIDTH = 120


def quoted(value: Any) -> str:
    """``repr`` with double quotes.

    >>> print(quoted(["a", None, 2]))
    ["a", None, 2]
    """
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(quoted, value))}]" if isinstance(value, (list, tuple)) else repr(value)


def tidy(text: str) -> str:
    """The module with long statements broken and blank lines as Python writes them."""
    head, mark, body = text.partition('\n"""\n')
    lines = "\n".join(wrap(body.split("\n")))
    lines = re.sub(r"\n{3,}(?=\S)", "\n\n\n", lines)
    lines = re.sub(r"\n{3,}(?=[ ])", "\n\n", lines)
    lines = re.sub(r"(\):|\"\"\")\n\n(?=[ ])", r"\1\n", lines)
    return head + mark + lines.rstrip("\n") + "\n"


def wrap(lines: Iterable[str]) -> Iterator[str]:
    """The lines, the long ones broken."""
    for line in lines:
        yield from [line.rstrip()] if len(line) <= WIDTH else _broken(line)


def _broken(line: str) -> Iterator[str]:
    indent = line[: len(line) - len(line.lstrip())]
    inside = indent + "    "
    call = re.match(r"^(\s*(?:def |return |[\w.]+ = )?(?:float\()?[\w.]+[\[(])(.*)(\)?[\])][:,]?)$", line)
    plain = re.match(r"^(\s*(?:[^=()]* [-+*]?= |return ))(.*)$", line)
    if line.lstrip().startswith("#"):
        yield from _filled(line.lstrip()[2:].split(" "), indent + "# ", indent + "#   ")
    elif call and _balanced(call[2]):
        yield call[1]
        yield from _filled(re.split(r"(?<=,) ", call[2]), inside, inside)
        yield indent + call[3]
    elif plain:
        yield f"{plain[1]}("
        yield from _filled(plain[2].split(" "), inside, inside)
        yield f"{indent})"
    else:
        yield line


def _balanced(text: str) -> bool:
    """Whether every bracket that closes in ``text`` was opened there."""
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _filled(words: list[str], first: str, later: str) -> Iterator[str]:
    line = first + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = later + word
        else:
            line += " " + word
    yield line
