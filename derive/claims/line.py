"""A line of the user's, read: both sides over the model's tensors and the cotangents that it names.

In: ``dW1 = X' @ dZ1``, ``dW1[i,j] = …`` or ``d(P, Z)[i,j] = …``. Out: a `Claim`, two scalar expressions over common
letters, or two shapes that differ. The elaborator is the language's own; it is only given more names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from derive.claims.plain import plain
from derive.claims.slopes import Slopes
from derive.errors import GradcError, SourceError
from derive.expr import ONE, Dim, Expr, Letter
from derive.inner import derivative_of
from derive.language import tree
from derive.language.calls import TENSOR_FUNCTIONS
from derive.language.declarations import declare_const
from derive.language.expressions import Elaborator
from derive.language.indices import Range, Scope
from derive.language.names import Names, names_in
from derive.language.parse import parse, parse_expression
from derive.language.tensors import Hints, Value, of_tensor
from derive.language.vocabulary import Vocabulary
from derive.program import Equation, Program, Tensor, needed
from derive.rewrite import walk


@dataclass(frozen=True)
class Line:
    """The syntax of a line."""

    text: str
    left: tree.Expr
    right: tree.Expr

    @property
    def names(self) -> set[str]:
        """Every name that it mentions."""
        return names_in(self.left) | names_in(self.right)

    @property
    def name(self) -> str:
        """The tensor on the left, as it is written."""
        node = self.left.operand if isinstance(self.left, tree.Index) else self.left
        return node.name if isinstance(node, tree.Name) else self.text.partition("=")[0].strip()


@dataclass(frozen=True, eq=False)
class Claim:
    """``left = right`` at the letters. Where ``axes`` and ``right_axes`` differ, each side has letters of its own."""

    line: Line
    axes: tuple[Expr, ...]
    right_axes: tuple[Expr, ...]
    letters: tuple[Letter, ...]
    right_letters: tuple[Letter, ...]
    left: Expr
    right: Expr

    @property
    def fits(self) -> bool:
        """Whether both sides have one shape."""
        return self.letters == self.right_letters


def read_line(written: str, scalars: frozenset[str] = frozenset()) -> Line:
    """The syntax of one line; ``scalars`` are the names of numbers, no matrices where factors stand side by side.

    >>> read_line("db = sum(dZ, axis=0)").name
    'db'

    Raises SourceError where it is no equation.
    """
    text = plain(written, scalars)
    at = _equals(text)
    if at is None:
        raise SourceError(f"{text.strip()!r} is no equation", None, hint="write dW = …")
    left = parse_expression(text[:at].rstrip(), "<formula>")
    return Line(written.strip(), left, parse_expression(" " * (at + 1) + text[at + 1 :], "<formula>"))


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


def cotangents_named(program: Program, lines: Iterable[Line]) -> tuple[Tensor, ...]:
    """The tensors whose cotangents may be spoken of as ``d<name>``, in the program's order.

    These are the parameters and the values between them and the objective, and whatever else a line mentions so; none
    where no line mentions any.
    """
    mentioned = set[str]().union(*(line.names for line in lines))
    own = {t.name for t in program.tensors}
    free = [t for t in program.tensors if t.dtype == "real" and t.kind != "const" and not t.hidden]
    free = [t for t in free if f"d{t.name}" not in own]
    if not any(f"d{t.name}" in mentioned for t in free):
        return ()
    path = set[Tensor]()
    if program.objective is not None:
        path = {e.out for e in needed(program, (program.objective,))} - {program.objective}
    return tuple(t for t in free if f"d{t.name}" in mentioned or t in path or t.kind == "param")


class Reader:
    """Elaborates lines over a program and cotangents; ``added`` holds the equations of derivatives ``d(u, x)``."""

    def __init__(self, program: Program, cotangents: Iterable[tuple[str, Tensor]]) -> None:
        self.program = program
        self.added: list[Equation] = []
        self._derivatives: dict[tuple[Tensor, Tensor], Tensor] = {}
        vocabulary = Vocabulary(program.options)
        dims = list(program.dims)
        entries: dict[str, Value | Expr] = {d.name: d.derived or Dim(d.name) for d in dims}
        if program.batch is not None:
            entries[program.batch.name] = program.batch
        shown = tuple(dims)
        entries |= {t.name: of_tensor(t, dims=shown) for t in program.tensors if not t.hidden}
        entries |= {name: of_tensor(t, dims=shown) for name, t in cotangents}
        self.elab = Elaborator(Names.of(entries), Slopes(vocabulary), dims)
        self.elab.batch = program.batch
        self.elab.differentiate = self._derivative
        for node in parse(program.text, program.name).statements if program.text else ():
            if isinstance(node, tree.ConstDecl) and node.name not in entries:
                declare_const(self.elab, node)
            elif isinstance(node, tree.Function):
                known = {k: e for k, e in self.elab.names.entries.items() if isinstance(e, Expr)}
                vocabulary.declare(node, {k: e for k, e in known.items() if not _has_dim(e)})

    def knows(self, line: Line) -> bool:
        """Whether every name on both sides is a tensor, an extent, a letter or a function."""
        nodes = [*nodes_of(line.left), *nodes_of(line.right)]
        letters = {b.name for n in nodes if isinstance(n, tree.Reduction) for b in n.binders}
        letters |= set(self.letters(line))
        functions = {n.function for n in nodes if isinstance(n, tree.CallExpr)}
        known = all(f in TENSOR_FUNCTIONS or self.elab.functions.find(f) is not None for f in functions)
        return known and all(n in letters or self.elab.names.get(n) is not None for n in line.names)

    def letters(self, line: Line) -> tuple[str, ...]:
        """The letters on the left: names in brackets that are no tensors (a letter may be called like its extent)."""
        items = line.left.items if isinstance(line.left, tree.Index) else ()
        names = dict.fromkeys(i.name for i in items if isinstance(i, tree.Name))
        return tuple(n for n in names if not isinstance(self.elab.names.get(n), Value))

    def claim(self, line: Line) -> Claim:
        """What the line says.

        Raises SourceError where it cannot be read.
        """
        if isinstance(line.left, tree.Index):
            return self._indexed(line, list(self.letters(line)))
        left, right = self.elab.value(line.left), self.elab.value(line.right)
        used, self.elab.letters = self.elab.letters, set()
        hints = Hints(used, line.left.span)
        letters = tuple(hints.fresh(a) for a in left.axes)
        # A number may stand for a tensor, and a vector for a matrix of one column.
        long = tuple(a for a in letters if a.extent != ONE)
        fits = right.axes in (left.axes, (), tuple(a.extent for a in long))
        other = letters if fits else tuple(hints.fresh(a) for a in right.axes)
        places: tuple[Letter, ...] = () if not right.rank else long if right.axes != left.axes and fits else other
        return Claim(
            line, left.axes, right.axes, letters, other, left.build(letters, hints), right.build(places, hints)
        )

    def _indexed(self, line: Line, names: list[str]) -> Claim:
        ranges = [Range(name, line.left.span) for name in names]
        scope = Scope({r.name: r for r in ranges})
        left, right = self.elab.value(line.left, scope), self.elab.value(line.right, scope)
        axes = tuple(r.resolve(self.elab.sizes) for r in ranges)
        used, self.elab.letters = self.elab.letters, set()
        hints = Hints({*used, *names}, line.left.span)
        letters = tuple(hints.named(a, r.name) for a, r in zip(axes, ranges, strict=True))
        for r, letter in zip(ranges, letters, strict=True):
            r.letter = letter
        return Claim(line, axes, axes, letters, letters, left.build((), hints), right.build((), hints))

    def _derivative(self, u: Value, x: Tensor) -> Tensor:
        if u.tensor is None:
            raise GradcError(f"give {u.text} a name in the model: d(u, x) differentiates a named tensor here")
        if (u.tensor, x) not in self._derivatives:
            so_far = replace(self.program, equations=(*self.program.equations, *self.added))
            self.added.extend(derivative_of(so_far, u.tensor, x))
            self._derivatives[u.tensor, x] = self.added[-1].out
        return self._derivatives[u.tensor, x]


def nodes_of(node: tree.Node) -> Iterator[tree.Node]:
    """Every node of a piece of syntax."""
    yield node
    for child in tree.children(node):
        yield from nodes_of(child)


def _has_dim(e: Expr) -> bool:
    return any(isinstance(x, Dim) for x in walk(e))
