"""Shapes of a block's inputs: what the letters of ``x : [.., d]`` are at one use.

In: the shapes that a block declares, and the tensors it is given. Out: an extent for each letter, as syntax, and the
axes that `..` leaves open, which are the same for all inputs; or an error that shows both shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from derive.errors import SourceError, Span
from derive.expr import Dim, Expr
from derive.language import tree
from derive.language.parse import parse_expression
from derive.language.renaming import placed
from derive.language.tensors import Value
from derive.language.text import expression_text
from derive.rewrite import walk
from derive.shapes import show_axes, show_extent

SPARE = "nstuvwabcdefghijklmopqrxyz"


def pattern_letters(block: tree.Block) -> dict[str, Span | None]:
    r"""The letters that the shapes of the inputs bind: names that stand alone on an axis and are no sizes.

    >>> from derive.language.parse import parse
    >>> found = parse("block f(x : [.., d, 2*h]; h)\n  y = x\n  return y\nend").statements[0]
    >>> list(pattern_letters(found))
    ['d']
    """
    alone = (a for shape in block.shapes for a in shape or () if isinstance(a, tree.Name) and a.index is None)
    return {a.name: a.span for a in alone if a.name not in block.sizes}


@dataclass
class Match:
    """What the inputs of one use say: extents of letters, and the axes of `..` where an input has it."""

    block: tree.Block
    span: Span | None
    extent: Callable[[tree.Expr], Expr]  # of an axis that is written in sizes and letters
    extents: dict[str, Expr] = field(default_factory=dict)
    rest: tuple[Expr, ...] | None = None

    def take(self, name: str, shape: tuple[tree.Expr, ...], given: Value) -> None:
        """Hold one input against its shape."""
        opened = next((k for k, a in enumerate(shape) if isinstance(a, tree.Dots)), None)
        count = len(shape) - (opened is not None)
        if given.rank < count or (opened is None and given.rank > count):
            raise self.mismatch(name, shape, given, "")
        own = list(shape)
        if opened is not None:
            rest = given.axes[opened : opened + given.rank - count]
            if self.rest is not None and self.rest != rest:
                before, dims = show_axes(self.rest, given.dims), given.dims
                raise self.mismatch(name, shape, given, f": `..` is {before} before, and {show_axes(rest, dims)} here")
            self.rest = rest
            own[opened : opened + 1] = [tree.Dots()] * len(rest)
        letters = pattern_letters(self.block)
        for axis, have in zip(own, given.axes, strict=True):
            if isinstance(axis, tree.Dots):
                continue
            if isinstance(axis, tree.Name) and axis.name in letters and axis.name not in self.extents:
                self.extents[axis.name] = have
                continue
            wanted = self.extents[axis.name] if isinstance(axis, tree.Name) and axis.name in letters else None
            wanted = self.extent(axis) if wanted is None else wanted
            if wanted != have:
                shown, is_ = show_extent(wanted, given.dims), show_extent(have, given.dims)
                raise self.mismatch(name, shape, given, f": {expression_text(axis)} is {shown}, and this axis is {is_}")

    def mismatch(self, name: str, shape: tuple[tree.Expr, ...], given: Value, why: str) -> SourceError:
        """The error for an input that does not have its shape."""
        wanted = ", ".join(expression_text(a) for a in shape)
        shown = given.show() if given.axes else f"{given.text}, a number"
        return SourceError(
            f"{self.block.name} takes {name} : [{wanted}], and is given {shown}{why}", given.span or self.span
        )


def extent_syntax(e: Expr, span: Span | None) -> tree.Expr:
    """An extent as the syntax that denotes it.

    >>> from derive.language.text import expression_text
    >>> expression_text(extent_syntax(2 * Dim("n") - 1, None))
    '2 * n - 1'
    """
    return placed(parse_expression(show_extent(e)), span)


def letters_of(axes: Iterable[Expr], taken: Mapping[str, object]) -> tuple[str, ...]:
    """A letter for each axis, named after the dim that it runs over where that is free.

    >>> letters_of((Dim("m"), Dim("m")), {})
    ('m', 'n')
    """
    found: list[str] = []
    for axis in axes:
        wish = next((n.name[0].lower() for n in walk(axis) if isinstance(n, Dim)), SPARE[0])
        free = (c for c in wish + SPARE if c not in taken and c not in found)
        found.append(next(free, f"i{len(found)}"))
    return tuple(found)
