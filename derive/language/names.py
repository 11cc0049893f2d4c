"""The names of a model: checked where they enter, defined once, found again, or explained.

In: definitions as they are read. Out: what a name stands for, or an error that names the nearest known
name, both lines of a clash, or the cycle that a use before its definition closes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from derive.errors import SourceError, Span
from derive.expr import TRAINING, Const, Expr
from derive.language import tree
from derive.language.lexer import RESERVED
from derive.language.tensors import Value
from derive.language.text import expression_text

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def check_name(name: str, span: Span | None) -> None:
    """Refuse what is not a name of the language (a tree may be built by hand)."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        why = "is a reserved word" if name in RESERVED else "is not a name (ASCII letters, digits and _, at most 64)"
        raise SourceError(f"{name!r} {why}", span)


def suggest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the nearest known name.

    >>> suggest("sofmax", ["softmax", "relu"])
    'did you mean softmax?'
    """
    options = sorted(known)
    lowered = {o.lower(): o for o in reversed(options)}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"did you mean {lowered[close[0]]}?" if close else None


def line_of(span: Span | None) -> str:
    """`` on line 3``, or nothing; of a line in an included file also which file."""
    if span is None:
        return ""
    return f" on line {span.line}" + (f" of {span.source.name}" if span.source.part else "")


def names_in(node: Any) -> set[str]:
    """Every name that a piece of syntax mentions; a member of a family with its index."""
    if isinstance(node, tree.Name):
        return {name_text(node)}
    if isinstance(node, tuple):
        return set().union(*(names_in(n) for n in node))
    if isinstance(node, tree.Node):
        return set().union(*(names_in(getattr(node, f.name)) for f in fields(node) if f.name != "span"))
    return set()


def name_text(node: tree.Name) -> str:
    """The name as it is written, ``W{l+1}`` for a member of a family."""
    return node.name if node.index is None else expression_text(node)


class Names:
    """The namespace of tensors, dims and constants: a value, or an extent (an expression in dims)."""

    def __init__(self, statements: Iterable[tree.Statement] = ()) -> None:
        self.entries: dict[str, Value | Expr] = {"pi": Const("pi"), "training": TRAINING}
        self._spans: dict[str, Span | None] = {}
        self.later: dict[str, tree.Statement] = {}
        self.elsewhere: Callable[[str, Span | None], Value | None] | None = None  # where members of families are found
        self.widths: set[str] = set()
        self._families: dict[str, Span | None] = {}
        for s in statements:
            for name in defined_names(s):
                self.later.setdefault(name, s)

    @classmethod
    def of(cls, entries: Mapping[str, Value | Expr]) -> Names:
        """Just these names (and ``pi``)."""
        out = cls()
        del out.entries["training"]  # functions and the catalogue are the same in both forms
        out.entries.update(entries)
        return out

    def define(self, name: str, entry: Value | Expr, span: Span | None) -> None:
        """Give ``name`` its one meaning."""
        stem, member, _ = name.partition("{")
        check_name(stem, span)
        self.check_new(name, span)
        if member:
            self._families.setdefault(stem, span)
        self.entries[name] = entry
        self._spans[name] = span
        self.later.pop(name, None)

    def forget(self, entries: Mapping[str, Value | Expr]) -> None:
        """Go back to what was known before; what was defined since is gone."""
        self._spans = {name: span for name, span in self._spans.items() if name in entries or name in self.widths}
        self.entries = dict(entries)

    def check_new(self, name: str, span: Span | None) -> None:
        """Refuse a second definition, and a family that is called like something else."""
        stem, member, _ = name.partition("{")
        if member and stem in self._spans:
            raise SourceError(f"{stem} is defined{line_of(self._spans[stem])}, and {name} would be of a family", span)
        if not member and name in self._families:
            raise SourceError(f"{name} is the name of a family{line_of(self._families[name])}", span)
        if name in self._spans:
            first, again = line_of(self._spans[name]), line_of(span)
            raise SourceError(
                f"{name} is defined twice" + (f": first{first} and again{again}" if first and again else ""),
                span,
                hint="every name has one definition; choose another name here",
            )

    def get(self, name: str) -> Value | Expr | None:
        """What the name stands for, if it is known here."""
        if name in self.later and name not in self._spans:
            return None  # `pi` or `training`, declared further down
        return self.entries.get(name)

    def find(self, name: str, span: Span | None, letters: Iterable[str] = ()) -> Value | Expr:
        """What the name stands for; an error that explains why there is nothing."""
        entry = self.get(name)
        if entry is not None:
            return entry
        if "{" in name and self.elsewhere is not None:
            member = self.elsewhere(name, span)
            if member is not None:
                return member
        if name in self.later:
            cycle = self._cycle(name)
            where = line_of(self.later[name].span)
            if cycle:
                raise SourceError(
                    f"{name} is defined by way of itself: {' -> '.join(cycle)}",
                    span,
                    hint="an equation reads only what stands before it",
                )
            raise SourceError(f"{name} is used before its definition{where}", span, hint="move the definition up")
        raise SourceError(f"unknown name {name}", span, hint=suggest(name, [*self.entries, *self.later, *letters]))

    def _cycle(self, start: str) -> list[str]:
        """The way from ``start`` back to itself through definitions still to come, if there is one."""
        stack: list[list[str]] = [[start]]
        seen: set[str] = set()
        while stack:
            path = stack.pop()
            statement = self.later[path[-1]]
            value = statement.value if isinstance(statement, tree.Assignment | tree.ConstDecl) else None
            for name in sorted(names_in(value)):
                if name == start:
                    return [*path, start]
                if name in self.later and name not in seen:
                    seen.add(name)
                    stack.append([*path, name])
        return []


def defined_names(statement: tree.Statement) -> list[str]:
    """The names of tensors, dims and constants that a statement defines."""
    match statement:
        case tree.Dims(items):
            return [i.name.name for i in items]
        case tree.Batch(name) | tree.ConstDecl(name):
            return [name]
        case tree.Declaration(_, name) | tree.Assignment(name) if name.index is None:
            return [name.name]
    return []
