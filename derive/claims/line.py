"""A line of the user's as syntax: ``dW1 = X' @ dZ1``, ``dW1[i,j] = …``, ``d(P, Z)[i,j] = …``, ``dx = E/S, with S = …``.

In: text, as a person or gradc writes it. Out: a `Line`: two sides, and definitions of the line's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from derive.claims.plain import POSITION, plain
from derive.errors import Source, SourceError, Span
from derive.language import tree
from derive.language.names import name_text, names_in
from derive.language.parse import parse_expression
from derive.program import Program, Tensor, needed


@dataclass(frozen=True)
class Stated:
    """A formula as it was written, and where: the line of a source."""

    text: str
    source: Source
    number: int = 1

    def error(self, error: SourceError) -> SourceError:
        """The error at its place in the source; what was read may be a translation of what was written."""
        whole = self.source.line(self.number)
        span = error.span
        found = ""
        if span is not None and span.line == span.end_line:
            found = span.source.line(span.line)[span.column - 1 : span.end_column - 1]
        text = found if found and whole.count(found) == 1 else self.text if self.text in whole else whole
        start = whole.find(text) + 1
        place = Span(self.source, self.number, start, self.number, start + len(text))
        error.span = place
        return error


def formulas_in(text: str, name: str) -> list[Stated]:
    r"""The formulas in a text, a line each: ``#`` begins a comment; headings and shapes of a print are no part.

    >>> [f.text for f in formulas_in("backward\n  dw = Xᵀ dz    [d]\n    with S = X w  # hidden\n", "f")]
    ['dw = Xᵀ dz', 'S = X w']
    """
    source = Source(text, name)
    found = []
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = re.sub(r"\s{2,}\[[^\[\]]*\]$", "", raw.partition("#")[0].strip()).removeprefix("with ").strip()
        if line and line not in ("forward", "backward"):
            found.append(Stated(line, source, number))
    return found


@dataclass(frozen=True)
class Line:
    """The syntax of a line."""

    text: str
    left: tree.Expr
    right: tree.Expr
    definitions: tuple[Line, ...] = ()

    @property
    def names(self) -> set[str]:
        """Every name that it mentions and does not define itself."""
        inner = set[str]().union(*(d.names for d in self.definitions))
        return (names_in(self.left) | names_in(self.right) | inner) - self.defined

    @property
    def defined(self) -> set[str]:
        """Every name that it defines itself."""
        return {d.name for d in self.definitions}

    @property
    def name(self) -> str:
        """The tensor on the left, as it is written."""
        node = self.left.operand if isinstance(self.left, tree.Index) else self.left
        return name_text(node) if isinstance(node, tree.Name) else self.text.partition("=")[0].strip()


def read_line(written: str, scalars: frozenset[str] = frozenset()) -> Line:
    """The syntax of one line; ``scalars`` are the names of numbers, no matrices where factors stand side by side.

    >>> read_line("db = sum(dZ, axis=0)").name, read_line("dx = E/S, with E = exp(x), S = sum(E)").definitions[1].name
    ('db', 'S')

    Raises SourceError where it is no equation.
    """
    claimed, *meant = re.split(r",?\s+with\s+", written)
    definitions = tuple(read_line(part, scalars) for text in meant for part in _parts(text))
    text = plain(claimed, scalars)
    at = _equals(text)
    if at is None:
        raise SourceError(f"{text.strip()!r} is no equation", None, hint="write dW = …")
    left = parse_expression(text[:at].rstrip(), "<formula>")
    right = _positions(parse_expression(" " * (at + 1) + text[at + 1 :], "<formula>"))
    return Line(written.strip(), left, right, definitions)


def _parts(text: str) -> list[str]:
    """Definitions after ``with``, by the commas outside of brackets."""
    depth, found = 0, [""]
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return [f for f in found if f.strip()]


def _positions(node: Any) -> Any:
    """The tree with reductions to a position where `plain` marked them."""
    if isinstance(node, tuple):
        return tuple(_positions(part) for part in node)
    if not isinstance(node, tree.Node):
        return node
    new = replace(node, **{f.name: _positions(getattr(node, f.name)) for f in fields(node) if f.name != "span"})
    if not isinstance(new, tree.Reduction):
        return new
    marks = [m for b in new.binders if (m := POSITION.fullmatch(b.name))]
    if len(marks) < len(new.binders):
        return new
    return tree.Reduction(
        marks[0][1],
        tuple(tree.Binder(m[2], b.extent) for m, b in zip(marks, new.binders, strict=True)),
        new.body,
        span=new.span,
    )


def _equals(text: str) -> int | None:
    """Where the sign stands that parts the sides: outside brackets, and no part of a comparison."""
    depth = 0
    for k, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "=" and not depth and text[k - 1 : k] not in ("<", ">", "!", "=") and text[k + 1 : k + 2] != "=":
            return k
    return None


def scalars_of(program: Program) -> frozenset[str]:
    """The names of numbers: extents, tensors without axes and their cotangents."""
    numbers = [t.name for t in program.tensors if not t.rank]
    batch = [program.batch.name] if program.batch is not None else []
    return frozenset((*(d.name for d in program.dims), *batch, *numbers, *(f"d{n}" for n in numbers)))


def cotangents_named(program: Program, lines: Iterable[Line], *, all_of_them: bool = False) -> tuple[Tensor, ...]:
    """The tensors whose cotangents may be spoken of as ``d<name>``, in the program's order.

    These are the parameters and the values between them and the objective, and whatever else a line mentions so; none
    where no line mentions any, unless ``all_of_them`` are wanted and there is an objective.
    """
    mentioned = set[str]().union(*(line.names for line in lines))
    own = {t.name for t in program.tensors}
    free = [t for t in program.tensors if t.dtype == "real" and t.kind != "const" and f"d{t.name}" not in own]
    if not any(f"d{t.name}" in mentioned for t in free) and not (all_of_them and program.objective is not None):
        return ()
    path = set[Tensor]()
    if program.objective is not None:
        path = {e.out for e in needed(program, (program.objective,))} - {program.objective}
    return tuple(t for t in free if f"d{t.name}" in mentioned or (t in path and not t.hidden) or t.kind == "param")


def nodes_of(node: tree.Node) -> Iterator[tree.Node]:
    """Every node of a piece of syntax."""
    yield node
    for child in tree.children(node):
        yield from nodes_of(child)


def bound_in(line: Line) -> set[str]:
    """The names that a line uses for letters: those of its sums, and those in brackets on the left."""
    nodes = [n for side in (line.left, line.right) for n in nodes_of(side)]
    bound = {b.name for n in nodes if isinstance(n, tree.Reduction) for b in n.binders}
    items = line.left.items if isinstance(line.left, tree.Index) else ()
    return bound | {i.name for i in items if isinstance(i, tree.Name)}
