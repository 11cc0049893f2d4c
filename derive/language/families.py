"""Families: ``Z{l}`` within `repeat`, and the members that a model reads of other rounds and outside.

In: the definitions of one round, read once with the letter of the repetition as a symbol. Out: a tensor for each member
that is mentioned. What a round reads of the round before has the axes of the member before the first round, moved on;
that the round gives back the same axes is checked when it ends, so that shapes are right at every depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from derive.errors import SourceError, Span
from derive.expr import Dim, Expr, Num, add, mul, num
from derive.language import tree
from derive.language.extents import extent
from derive.language.names import Names
from derive.language.tensors import Value, of_tensor
from derive.program import DimDecl, Tensor
from derive.repeat.members import base_and_offset, member, moved, split_member
from derive.shapes import show_axes, show_extent


def full_name(names: Names, node: tree.Name) -> str:
    """The name as it is known: a family's member with its index in one spelling.

    Raises SourceError for an index that is not a letter or a dim plus a number.
    """
    return node.name if node.index is None else member(node.name, index_of(names, node))


def index_of(names: Names, node: tree.Name) -> Expr:
    """The index of a member."""
    assert node.index is not None
    index = extent(names, node.index)
    known = base_and_offset(index)
    if known is None:
        raise SourceError(
            f"{show_extent(index)} is no layer",
            node.index.span or node.span,
            hint="the index of a family is a letter or a dim plus a number, as in W{l+1}",
        )
    if not known[0] and known[1] < 0:
        raise SourceError(f"the layer {known[1]}: layers count from 0", node.index.span or node.span)
    return index


@dataclass
class Loop:
    """One repetition while its round is read, and afterwards."""

    letter: str
    first: Expr
    last: Expr
    families: frozenset[str]
    span: Span | None
    defined: dict[str, tuple[int, Tensor]] = field(default_factory=dict)
    assumed: dict[str, tuple[Tensor, Span | None]] = field(default_factory=dict)
    early: dict[str, Tensor] = field(default_factory=dict)


class Families:
    """The families of a model: finds members where `Names` knows of none."""

    def __init__(self, names: Names, dims: list[DimDecl]) -> None:
        self.names, self.dims = names, dims
        self.open: list[Loop] = []
        self.closed: list[Loop] = []
        self._kept: list[dict[str, Value | Expr]] = []

    def begin(self, loop: Loop) -> None:
        """A round begins: its letter is known from here on."""
        self.names.check_new(loop.letter, loop.span)
        self._kept.append(dict(self.names.entries))
        self.names.entries[loop.letter] = Dim(loop.letter)
        self.open.append(loop)
        for family in sorted(loop.families):  # what comes in is older than what the round declares, in every product
            index = add(Dim(loop.letter), num(-1))
            entry = self.names.entries.get(member(family, add(loop.first, num(-1))))
            if isinstance(entry, Value) and entry.tensor is not None:
                loop.early[member(family, index)] = self._moved_on(loop, entry.tensor, family, index)

    def end(self) -> None:
        """The round is over: what it assumed of the round before must be what it gives."""
        loop = self.open.pop()
        for family, (tensor, span) in loop.assumed.items():
            if family not in loop.defined:
                continue
            offset, given = loop.defined[family]
            assert tensor.index is not None
            behind = base_and_offset(tensor.index)
            assert behind is not None
            axes = moved_axes(given.axes, loop.letter, behind[1] - offset)
            if axes != tensor.axes:
                raise SourceError(
                    f"{tensor.name} is {show_axes(tensor.axes, self.dims)} by the first round and "
                    f"{show_axes(axes, self.dims)} by the rounds after it",
                    span,
                    hint=f"the axes of {family} must go on as they begin; widths that differ are dims n{{0..L}} = […]",
                )
        self.names.forget(self._kept.pop())
        self.closed.append(loop)

    def define(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor as a member, if its name is one; within a round it must be one of that round."""
        known = split_member(name)
        if known is None:
            if self.open:
                letter = self.open[-1].letter
                raise SourceError(
                    f"{name} would be defined in every round", tensor.span, hint=f"write {name}{{{letter}}}"
                )
            return tensor
        family, index = known
        if self.open:
            loop = self.open[-1]
            base, offset = base_and_offset(index) or ("", 0)
            if base != loop.letter:
                raise SourceError(
                    f"{name} would be defined in every round of {loop.letter}",
                    tensor.span,
                    hint=f"write {family}{{{loop.letter}}}",
                )
            if family in loop.defined:
                raise SourceError(f"a round defines {family} twice", tensor.span, hint="take another name")
            loop.defined[family] = (offset, tensor)
        tensor.family, tensor.index = family, index
        return tensor

    # --- members of other rounds ---------------------------------------------------------------------------

    def find(self, name: str, span: Span | None) -> Value | None:
        """The member of that name, as a value; None where it is none."""
        known = split_member(name)
        if known is None:
            return None
        family, index = known
        tensor = self._of_this_loop(family, index, span) or self._of_loops_before(family, index)
        if tensor is None:
            raise SourceError(
                f"nothing defines {name} before it is read",
                span,
                hint=self._hint(family),
            )
        value = replace(of_tensor(tensor), dims=tuple(self.dims))
        self.names.entries[name] = value
        return value

    def _hint(self, family: str) -> str | None:
        there = sorted(n for n in self.names.entries if (split_member(n) or ("",))[0] == family)
        return f"of {family} there are {', '.join(there)}" if there else None

    def _of_this_loop(self, family: str, index: Expr, span: Span | None) -> Tensor | None:
        known = base_and_offset(index)
        if not self.open or known is None or known[0] != self.open[-1].letter:
            return None
        loop, offset = self.open[-1], known[1]
        if family not in loop.families:
            return None
        if family in loop.defined:
            own, given = loop.defined[family]
            if offset > own:
                raise SourceError(f"{member(family, index)} is of a round to come", span)
            self._start(loop, family, range(offset, own), span)
            return given.like(
                name=member(family, index),
                axes=moved_axes(given.axes, loop.letter, offset - own),
                index=index,
                family=family,
            )
        start = self._start(loop, family, range(offset, offset + 1), span)
        tensor = loop.early.get(member(family, index)) or self._moved_on(loop, start, family, index)
        loop.assumed[family] = (tensor, span)
        return tensor

    @staticmethod
    def _moved_on(loop: Loop, start: Tensor, family: str, index: Expr) -> Tensor:
        """What a round reads of the round before, by what the first one reads."""
        by = add(Dim(loop.letter), mul(-1, loop.first))
        return start.like(
            name=member(family, index),
            axes=tuple(_moved_on(a, by) for a in start.axes),
            index=index,
            family=family,
            kind="param" if start.kind == "param" else "value",
            properties=(),
            values=None,
        )

    def _start(self, loop: Loop, family: str, offsets: range, span: Span | None) -> Tensor:
        """The member that the first round reads, which must be there before it."""
        found: Tensor | None = None
        for offset in offsets:
            name = member(family, add(loop.first, num(offset)))
            entry = self._kept[-1].get(name)
            if not isinstance(entry, Value) or entry.tensor is None:
                raise SourceError(
                    f"the first round ({loop.letter} = {show_extent(loop.first)}) reads {name}, and nothing defines it",
                    span,
                    hint=f"write it before the repetition: {name} = …",
                )
            found = found or entry.tensor
        assert found is not None
        return found

    def _of_loops_before(self, family: str, index: Expr) -> Tensor | None:
        for loop in reversed(self.closed):
            if family in loop.defined:
                own, given = loop.defined[family]
                here = add(index, num(-own))
                if any(isinstance(gap, Num) and gap.value < 0 for gap in (here - loop.first, loop.last - here)):
                    continue
                axes = tuple(moved(a, {loop.letter: here}) for a in given.axes)
                return given.like(name=member(family, index), axes=axes, index=index, family=family)
        return None


def moved_axes(axes: tuple[Expr, ...], letter: str, by: int) -> tuple[Expr, ...]:
    """Axes of another round."""
    return tuple(moved(a, {letter: add(Dim(letter), num(by))}) for a in axes)


def _moved_on(e: Expr, by: Expr) -> Expr:
    """An extent with the indices of its families moved on: n{0} becomes n{l-1} when the first round is round 1."""
    if isinstance(e, Dim):
        known = split_member(e.name)
        return e if known is None else Dim(member(known[0], add(known[1], by)))
    return e if not e.children else e.rebuild(tuple(_moved_on(c, by) for c in e.children))
