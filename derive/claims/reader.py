"""Lines elaborated: both sides over the model's tensors, the cotangents, and what gradc or the line itself names.

In: a `Line`. Out: a `Claim`, two scalar expressions over common letters, or two shapes that differ. The elaborator is
the language's own; it is only given more names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from derive.claims.elaborate import MATRIX_POWER, Formulas
from derive.claims.line import Line, bound_in, nodes_of
from derive.claims.slopes import Slopes
from derive.errors import GradcError, PlaceError, SourceError, Span
from derive.expr import ONE, ZERO, Dim, Expr, Letter, Mask, Select, add
from derive.inner import derivative_of
from derive.language import tree
from derive.language.calls import TENSOR_FUNCTIONS
from derive.language.declarations import declare_const
from derive.language.indices import Range, Scope
from derive.language.names import Names, names_in
from derive.language.parse import parse
from derive.language.recurrences import ahead, step_letter
from derive.language.tensors import Hints, Value, of_tensor
from derive.language.vocabulary import Vocabulary
from derive.notation.names import identifier
from derive.program import Equation, Program, Tensor
from derive.ranges import leaving
from derive.repeat.members import base_and_offset, split_member
from derive.rewrite import walk


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
        """Whether both sides have one shape, or the right one expands to that of the left."""
        return self.letters == self.right_letters

    @property
    def expands(self) -> bool:
        """Whether the right side has to be repeated along an axis of the left one."""
        mine = [a for a in self.axes if a != ONE]
        return self.fits and bool(self.right_axes) and [a for a in self.right_axes if a != ONE] != mine


class Reader:
    """Elaborates lines over a program and cotangents; ``added`` holds the equations of derivatives ``d(u, x)``."""

    def __init__(self, program: Program, cotangents: Iterable[tuple[str, Tensor]]) -> None:
        self.program = program
        self.added: list[Equation] = []
        self.rounds = {t.ahead[0]: t for t in program.tensors if t.ahead is not None}
        self._derivatives: dict[tuple[Tensor, Tensor], Tensor] = {}
        vocabulary = Vocabulary(program.options)
        dims = list(program.dims)
        entries: dict[str, Value | Expr] = {d.name: d.derived or Dim(d.name) for d in dims}
        if program.batch is not None:
            entries[program.batch.name] = program.batch
        shown = tuple(dims)
        entries |= {t.name: of_tensor(t, dims=shown) for t in program.tensors if not t.hidden}
        entries |= {name: of_tensor(t, dims=shown) for name, t in cotangents}
        self.hidden = {t.name: of_tensor(t, dims=shown) for t in program.tensors if t.hidden and t.name not in entries}
        self.elab = Formulas(Names.of({"training": ONE, **entries}), Slopes(vocabulary, program.equations), dims)
        self.elab.fresh()
        for base in layers_named(program):
            self.elab.names.entries.setdefault(base, Dim(base))
        self.elab.names.widths |= {member[0] for d in dims if (member := split_member(d.name)) is not None}
        self.elab.batch = program.batch
        self.elab.differentiate = self._derivative
        for node in parse(program.text, program.name).statements if program.text else ():
            if isinstance(node, tree.ConstDecl) and node.name not in entries:
                declare_const(self.elab, node)
                self.elab.names.entries.setdefault(identifier(node.name), self.elab.names.entries[node.name])
            elif isinstance(node, tree.Function):
                known = {k: e for k, e in self.elab.names.entries.items() if isinstance(e, Expr)}
                vocabulary.declare(node, {k: e for k, e in known.items() if not _has_dim(e)})

    def knows(self, line: Line) -> bool:
        """Whether every name on both sides is a tensor, an extent, a letter or a function."""
        nodes = [*nodes_of(line.left), *nodes_of(line.right)]
        functions = {n.function for n in nodes if isinstance(n, tree.CallExpr)}
        known = all(
            f in TENSOR_FUNCTIONS or f == MATRIX_POWER or self.elab.functions.find(f) is not None for f in functions
        )
        with self._names_of(line):
            return known and all(n in bound_in(line) or self.elab.names.get(n) is not None for n in line.names)

    def meaning(self, line: Line) -> Value:
        """What a definition of the user's own stands for.

        Raises SourceError where it cannot be read.
        """
        with self._names_of(line):
            return self._meaning(line)

    def explained(self, line: Line) -> list[Tensor]:
        """The tensors that gradc named and that the line mentions."""
        own = {d.name for d in line.definitions} | bound_in(line)
        found = [v.tensor for k, v in self.hidden.items() if k in line.names - own]
        return [t for t in found if t is not None]

    @contextlib.contextmanager
    def _names_of(self, line: Line) -> Iterator[None]:
        """The names of gradc's that a line mentions, and those that it defines itself, for as long as it is read."""
        entries = dict(self.elab.names.entries)
        bound = bound_in(line)
        mentioned = names_in(line.left) | names_in(line.right)
        mentioned = mentioned.union(*(d.names for d in line.definitions))
        self.elab.names.entries.update({k: v for k, v in self.hidden.items() if k in mentioned and k not in bound})
        waiting = list(line.definitions)
        for d in waiting:
            if d.name in entries:
                raise SourceError(f"{d.name} is defined in the model", d.left.span, hint="choose another name")
            self.elab.names.entries.pop(d.name, None)
        try:
            while waiting:
                own = {d.name for d in waiting}
                ready = next((d for d in waiting if not names_in(d.right) & own), None)
                if ready is None:
                    raise SourceError(f"{waiting[0].name} is defined by way of itself", waiting[0].left.span)
                waiting.remove(ready)
                self.elab.fresh()
                self.elab.names.entries[ready.name] = self._meaning(ready)
            self.elab.fresh()
            yield
        finally:
            self.elab.names.entries = entries
            self.elab.fresh()

    def _meaning(self, line: Line) -> Value:
        """What a definition says, ``E = exp(x)`` or ``E[i] = exp(x[i])``."""
        named = self.hidden.get(line.name)
        if not isinstance(line.left, tree.Index):
            with self._about(None if named is None else named.rank):
                return replace(self.elab.value(line.right), text=line.name)
        items = line.left.items
        known = named.axes if named is not None and named.rank == len(items) else (None,) * len(items)
        stated = known if self.rounds or self.elab.formula else (None,) * len(items)
        if any(not isinstance(i, tree.Name) and not (isinstance(i, tree.Number) and not i.value) for i in items):
            hint = "0 is the place of an axis of extent 1"
            raise SourceError("a definition has letters in its brackets, or 0", line.left.span, hint=hint)
        ranges = [
            Range(i.name, line.left.span, axis) if isinstance(i, tree.Name) else None
            for i, axis in zip(items, stated, strict=True)
        ]
        right = self.elab.value(line.right, self._scope(r for r in ranges if r is not None))
        axes = tuple(
            ONE if r is None else axis if axis is not None and not r.sites else r.resolve(self.elab.sizes)
            for r, axis in zip(ranges, known, strict=True)
        )

        def build(places: tuple[Expr, ...], hints: Hints) -> Expr:
            for r, place in zip(ranges, places, strict=True):
                if r is not None:
                    r.letter = place
            return right.build((), hints)

        return Value(axes, build, text=line.name)

    def _scope(self, ranges: Iterable[Range]) -> Scope:
        return Scope({r.name: r for r in ranges}, guarded=self.elab.formula)

    def letters(self, line: Line) -> tuple[str, ...]:
        """The letters on the left: names in brackets that are no tensors (a letter may be called like its extent)."""
        items = line.left.items if isinstance(line.left, tree.Index) else ()
        names = dict.fromkeys(i.name for i in items if isinstance(i, tree.Name))
        later = [letter.name for i in items if (letter := step_letter(i)) is not None]
        return tuple(n for n in (*names, *later) if not isinstance(self.elab.names.get(n), Value))

    def claim(self, line: Line) -> Claim:
        """What the line says.

        Raises SourceError where it cannot be read.
        """
        try:
            return self._read(line)
        except SourceError as error:  # what is printed may read places under masks that keep them inside
            sizes = self.elab.sizes if isinstance(error, PlaceError) else {}
            self.elab.formula = True
            with contextlib.suppress(SourceError):
                claim = self._read(line)
                sides = (claim.left, claim.right)
                masked = any(isinstance(n, (Mask, Select)) for side in sides for n in walk(side))
                if masked and not any(True for side in sides for _ in leaving(side, sizes)):
                    return claim
            raise
        finally:
            self.elab.formula = False

    def _read(self, line: Line) -> Claim:
        with self._names_of(line):
            if isinstance(line.left, tree.Index):
                return self._indexed(line, list(self.letters(line)))
            return self._whole(line)

    def _whole(self, line: Line) -> Claim:
        left = self.elab.value(line.left)
        with self._about(left.rank):
            right = self._fitting(line.right, left.axes)
        used, self.elab.letters = self.elab.letters, set()
        hints = Hints(used, line.left.span)
        letters = tuple(hints.fresh(a) for a in left.axes)
        places = _places(letters, right)
        other = letters if places is not None else tuple(hints.fresh(a) for a in right.axes)
        sides = left.build(letters, hints), right.build(other if places is None else places, hints)
        built = (ahead(e, self.rounds) for e in sides)
        return Claim(line, left.axes, right.axes, letters, other, *built)

    @contextlib.contextmanager
    def _about(self, rank: int | None) -> Iterator[None]:
        """The right side of a line whose left side has this rank, for as long as it is read."""
        self.elab.vector = rank == 1
        try:
            yield
        finally:
            self.elab.vector = False

    def _fitting(self, node: tree.Expr, axes: tuple[Expr, ...]) -> Value:
        """The right side; with ``I`` of the first extent on the left with which it has a meaning."""
        for extent in dict.fromkeys(axes) if "I" in names_in(node) else ():
            self.elab.fresh()
            self.elab.identity = extent
            with contextlib.suppress(SourceError):
                value = self.elab.value(node)
                if value.axes == axes:
                    return value
        return self.elab.value(node)

    def _indexed(self, line: Line, names: list[str]) -> Claim:
        steps = self._steps(line)
        ranges = [Range(name, line.left.span, steps.get(name)) for name in names]
        scope = self._scope(ranges)
        left, right = self.elab.value(line.left, scope), self.elab.value(line.right, scope)
        axes = tuple(r.resolve(self.elab.sizes) for r in ranges)
        used, self.elab.letters = self.elab.letters, set()
        hints = Hints({*used, *names}, line.left.span)
        letters = tuple(hints.named(a, r.name) for a, r in zip(axes, ranges, strict=True))
        for r, letter in zip(ranges, letters, strict=True):
            r.letter = letter
        built = (ahead(v.build((), hints), self.rounds) for v in (left, right))
        return Claim(line, axes, axes, letters, letters, *built)

    def _steps(self, line: Line) -> dict[str, Expr]:
        """How far the letters on the left of a recurrence run, which reads one place less than there is."""
        left = line.left
        if not self.rounds or not isinstance(left, tree.Index) or not isinstance(left.operand, tree.Name):
            return {}
        whole = self.elab.names.get(left.operand.name)
        if not isinstance(whole, Value) or whole.rank != len(left.items):
            return {}
        found = {i.name: axis for i, axis in zip(left.items, whole.axes, strict=True) if isinstance(i, tree.Name)}
        steps = ((step_letter(i), axis) for i, axis in zip(left.items, whole.axes, strict=True))
        return found | {letter.name: add(axis, -1) for letter, axis in steps if letter is not None}

    def _derivative(self, u: Value, x: Tensor, _: Span | None) -> Tensor:
        if u.tensor is None:
            raise GradcError(f"give {u.text} a name in the model: d(u, x) differentiates a named tensor here")
        if (u.tensor, x) not in self._derivatives:
            so_far = replace(self.program, equations=(*self.program.equations, *self.added))
            self.added.extend(derivative_of(so_far, u.tensor, x))
            self._derivatives[u.tensor, x] = self.added[-1].out
        return self._derivatives[u.tensor, x]


def _places(letters: tuple[Letter, ...], right: Value) -> tuple[Expr, ...] | None:
    """Where the right side is read; None where it does not fit.

    A number may stand for a tensor, a vector for a matrix of one column; rows and columns expand as in the language.
    """
    axes = tuple(a.extent for a in letters)
    long = tuple(a for a in letters if a.extent != ONE)
    if right.axes in (axes, ()):
        return letters if right.rank else ()
    if right.axes == tuple(a.extent for a in long):
        return long
    last = letters[len(letters) - right.rank :]
    if right.rank > len(letters) or any(have not in (a.extent, ONE) for have, a in zip(right.axes, last, strict=True)):
        return None
    if right.rank < len(letters) and any(have != ONE and axes.count(have) > 1 for have in right.axes):
        return None  # along which of the two?
    return tuple(ZERO if have == ONE else a for have, a in zip(right.axes, last, strict=True))


def _has_dim(e: Expr) -> bool:
    return any(isinstance(x, Dim) for x in walk(e))


def layers_named(program: Program) -> list[str]:
    """The letters and dims by which a program counts layers."""
    indices = [base_and_offset(t.index) for t in program.tensors if t.index is not None]
    return list(dict.fromkeys(known[0] for known in indices if known is not None and known[0]))
