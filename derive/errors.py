"""Errors that speak to the person who wrote the model: what, where, why, and what to do.

`SourceError` carries a `Span`; printed, it shows file, line, column and a caret. `GradcError` is the
base of all errors a user can cause; anything else that escapes is a defect of gradc itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Source:
    """One model text and the name it is reported under (a file name, or ``<text>``); ``part`` if it was included."""

    text: str
    name: str = "<text>"
    part: bool = False

    def line(self, number: int) -> str:
        """The text of line ``number`` (counted from 1), empty where there is none."""
        lines = re.split(r"\r\n|\r|\n", self.text)  # as the lexer counts; `splitlines` knows more line ends
        return lines[number - 1] if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Span:
    """A place in a source: lines and columns are counted from 1, the end column is exclusive.

    A place within a block knows the use of the block for which it was written out.
    """

    source: Source = field(repr=False)
    line: int
    column: int
    end_line: int
    end_column: int
    used: Use | None = field(default=None, repr=False)

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of ``other``."""
        return replace(self, end_line=other.end_line, end_column=other.end_column)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(eq=False)
class Use:
    """Where a block is used, and one of its lines as it is written there, under the names of this use.

    A use of the catalogue is ``silent``: its lines have no place but that of the use, which is shown already.
    """

    span: Span
    line: str = ""
    silent: bool = False


class GradcError(Exception):
    """A mistake that a user can make and mend; the command line prints it without a traceback."""


class SourceError(GradcError):
    """A mistake at a place of a model text.

    >>> src = Source("Z = X @ W", "net.gc")
    >>> print(SourceError("inner axes differ", Span(src, 1, 5, 1, 10), hint="transpose W: X @ W'"))
    net.gc:1:5: error: inner axes differ
        1 | Z = X @ W
          |     ^^^^^
      hint: transpose W: X @ W'
    """

    def __init__(self, message: str, span: Span | None, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.span, self.hint = message, span, hint

    def __str__(self) -> str:
        parts = []
        if self.span is None:
            parts.append(f"error: {self.message}")
        else:
            text = self.span.source.line(self.span.line)
            stop = self.span.end_column if self.span.end_line == self.span.line else len(text) + 1
            width = max(1, min(stop, len(text) + 1) - self.span.column)
            margin = "".join("\t" if c == "\t" else " " for c in text[: self.span.column - 1])
            parts.append(f"{self.span}: error: {self.message}")
            parts.append(f"{self.span.line:5} | {text}")
            parts.append(f"      | {margin}{'^' * width}")
            use = self.span.used
            while use is not None:
                if not use.silent:
                    parts.append(f"  used at {use.span}: {use.span.source.line(use.span.line).strip()}")
                use = use.span.used
        if self.hint:
            parts.append(f"  hint: {self.hint}")
        return "\n".join(parts)


class PlaceError(SourceError):
    """A place of which it is not known that it stays inside of its axis, or how far its letter runs."""


class NotSupportedYet(SourceError):  # noqa: N818
    """A construct of the language that is defined but not built yet."""

    def __init__(self, construct: str, span: Span | None, *, hint: str | None = None) -> None:
        super().__init__(f"{construct}: not supported yet", span, hint=hint)
