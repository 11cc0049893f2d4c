"""Schemes: programs whose depth is a symbol.

A `Scheme` is a list of tensors, equations and repetitions in the order of the model. Within a `Repeat` tensors are
members of families at the letter of the repetition, ``Z{l}``, which may read members of other rounds, ``A{l-1}``. A
depth turns a scheme into a `Program` (`derive.repeat.unroll`); without one it is derived as it stands
(`derive.repeat.induction`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from derive.errors import Span
from derive.expr import Access, Dim, Expr, Letter, Reduce, fresh, reduce_
from derive.program import Equation, Program, Tensor


@dataclass(frozen=True, eq=False)
class Repeat:
    """``items`` for every value of ``letter`` from ``first`` to ``last``, both included.

    A descending repetition runs from the last to the first: that is how cotangents flow.
    """

    letter: str
    first: Expr
    last: Expr
    items: tuple[Tensor | Equation | Repeat, ...]
    descending: bool = False
    span: Span | None = field(default=None, repr=False)

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The equations of one round."""
        return tuple(i for i in self.items if isinstance(i, Equation))


Item = Tensor | Equation | Repeat


@dataclass(frozen=True, eq=False)
class DimFamily:
    """Widths of layers: ``n{0..L} = [784, 30, 10]``."""

    name: str
    first: Expr
    last: Expr
    sizes: tuple[int, ...]
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Scheme:
    """A model with repetitions: its ``frame`` (a program without tensors and equations) and its items in order.

    ``objective`` and ``outputs`` of the frame are tensors of the scheme. ``widths`` are the families of dims.
    """

    frame: Program
    items: tuple[Item, ...]
    widths: tuple[DimFamily, ...] = ()

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The repetitions of the outermost level."""
        return tuple(i for i in self.items if isinstance(i, Repeat))

    @property
    def outside(self) -> tuple[Tensor, ...]:
        """What is declared outside of every repetition."""
        return tuple(i for i in self.items if isinstance(i, Tensor))

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Every equation, those of a repetition once."""
        return tuple(i for i in flat(self.items) if isinstance(i, Equation))

    @property
    def declared(self) -> tuple[Tensor, ...]:
        """Every declared tensor, those of a repetition once."""
        return tuple(i for i in flat(self.items) if isinstance(i, Tensor))


def flat(items: Iterable[Item]) -> Iterator[Tensor | Equation]:
    """The items in order, those of a repetition once."""
    for item in items:
        if isinstance(item, Repeat):
            yield from flat(item.items)
        else:
            yield item


def transplanted(equation: Equation, tensor: Callable[[Tensor], Tensor], extent: Callable[[Expr], Expr]) -> Equation:
    """The same equation over other tensors and extents, with letters of its own."""
    letters: dict[Letter, Letter] = {}

    def letter(x: Letter) -> Letter:
        if x not in letters:
            letters[x] = fresh(extent(x.extent), x.hint)
        return letters[x]

    def visit(e: Expr) -> Expr:
        if isinstance(e, Letter):
            return letter(e)
        if isinstance(e, Dim):
            return extent(e)
        if isinstance(e, Access):
            return Access(tensor(e.tensor), tuple(map(visit, e.places)))
        if isinstance(e, Reduce):
            return reduce_(e.op, tuple(map(letter, e.binders)), visit(e.body))
        return e.rebuild(tuple(map(visit, e.children))) if e.children else e

    own = tuple(map(letter, equation.letters))
    return Equation(tensor(equation.out), own, visit(equation.body), equation.span, equation.note)


def over(equation: Equation, tensors: Mapping[Tensor, Tensor]) -> Equation:
    """The same equation over other tensors."""
    return transplanted(equation, lambda t: tensors.get(t, t), lambda e: e)
