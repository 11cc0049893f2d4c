"""Lines of emitted Python: breaking the long ones.

In: logical lines. Out: lines of at most 120 columns. A statement is broken inside parentheses only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

WIDTH = 112  # an emitted body is indented by four columns more


def wrap(lines: Iterable[str]) -> Iterator[str]:
    """The lines, the long ones broken."""
    for line in lines:
        yield from [line] if len(line) <= WIDTH else _broken(line)


def _broken(line: str) -> Iterator[str]:
    indent = line[: len(line) - len(line.lstrip())]
    assigned = re.match(r"^(\s*[^=]*?(?:[-+*]?=|return) )(.*)$", line)
    if line.lstrip().startswith("#"):
        yield from _filled(line.lstrip()[2:].split(" "), indent + "# ", indent + "#   ")
    elif assigned is None or line.rstrip().endswith(":"):
        yield line
    else:
        yield f"{assigned[1]}("
        yield from _filled(assigned[2].split(" "), indent + "    ", indent + "    ")
        yield f"{indent})"


def _filled(words: list[str], first: str, later: str) -> Iterator[str]:
    line = first + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = later + word
        else:
            line += " " + word
    yield line
