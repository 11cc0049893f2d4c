"""Index letters: what they run over, found from where they stand; and accesses with a place on every axis.

In: letters as an equation or a reduction introduces them, and the axes on which they stand. Out: letters
with extents, or an error that names the two axes that disagree, or the letter that stands on none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from derive.errors import SourceError, Span
from derive.expr import Expr, Num
from derive.language.tensors import Value
from derive.shapes import never_negative, show_axes, show_extent, size


@dataclass
class Range:
    """One letter: its extent where it is known, and every axis on which it stands alone."""

    name: str
    span: Span | None
    extent: Expr | None = None
    sites: list[tuple[Value, int, bool, Span | None]] = field(default_factory=list)
    used: bool = False
    letter: Expr | None = None

    def place(self) -> Expr:
        """The letter, once the equation or the reduction is being written out."""
        assert self.letter is not None, self.name
        return self.letter

    def resolve(self, sizes: Mapping[str, int]) -> Expr:
        """The extent; every site must agree with it."""
        explicit = self.extent is not None
        if self.extent is None:
            if not self.sites:
                raise SourceError(
                    f"nothing says how far {self.name} runs: it stands alone on no axis",
                    self.span,
                    hint=f"give its extent: {self.name}:n",
                )
            value, axis, _, _ = self.sites[0]
            self.extent = value.axes[axis]
        for value, axis, guarded, span in self.sites:
            have = value.axes[axis]
            if have == self.extent or guarded:
                continue
            if not explicit:
                first, at, _, _ = self.sites[0]
                raise SourceError(
                    f"{self.name} runs over {show_extent(self.extent, first.dims)} (axis {at} of {first.show()}) "
                    f"and over {show_extent(have, value.dims)} (axis {axis} of {value.show()})",
                    span,
                    hint=f"use two letters, or fix the extent: {self.name}:{show_extent(self.extent, first.dims)}",
                )
            check_inside(value, axis, self.extent, f"{self.name} runs to {show_extent(self.extent)}-1", sizes, span)
        return self.extent


def check_inside(value: Value, axis: int, extent: Expr, why: str, sizes: Mapping[str, int], span: Span | None) -> None:
    """Refuse to read ``value`` at places up to ``extent - 1`` along ``axis`` unless they are known to be there."""
    have = value.axes[axis]
    if never_negative(have - extent):
        return
    a, b = size(extent, sizes), size(have, sizes)
    if a is None or b is None or a > b:
        raise SourceError(
            f"{why}, past axis {axis} of {value.show()}",
            span,
            hint=f"places on it run from 0 to {show_extent(have - 1, value.dims)}",
        )


@dataclass(frozen=True)
class Scope:
    """The letters of an index equation; ``guarded`` inside a conditional, where an access need not be in range."""

    ranges: Mapping[str, Range]
    guarded: bool = False

    def inside(self, *new: Range) -> Scope:
        """The scope with more letters, which must not hide one that is there."""
        for k, r in enumerate(new):
            if r.name in self.ranges:
                raise SourceError(
                    f"the letter {r.name} is in use around this reduction", r.span, hint="take another letter here"
                )
            if any(r.name == o.name for o in new[:k]):
                raise SourceError(f"the letter {r.name} stands twice here", r.span)
        return Scope({**self.ranges, **{r.name: r for r in new}}, self.guarded)

    def conditional(self) -> Scope:
        """The same letters, inside a branch."""
        return Scope(self.ranges, guarded=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ranges)


def check_used(r: Range) -> None:
    """Refuse a bound letter that the body does not mention: the reduction would only multiply."""
    if not r.used and r.extent is None:
        raise SourceError(
            f"the letter {r.name} is bound but not used", r.span, hint=f"drop it, or give its extent: {r.name}:n"
        )


def check_constant_place(place: Expr, value: Value, axis: int, sizes: Mapping[str, int], span: Span | None) -> None:
    """Refuse a constant place outside its axis."""
    if isinstance(place, Num) and place.value < 0:
        raise SourceError(
            f"the place {place} is before the start of axis {axis} of {value.show()}",
            span,
            hint=f"places count from 0; the last is {show_extent(value.axes[axis] - 1, value.dims)}",
        )
    check_inside(value, axis, place + 1, f"the place {show_extent(place)} lies", sizes, span)


def check_count(value: Value, count: int, span: Span | None) -> None:
    """Refuse an access whose places are not one for each axis."""
    if count == value.rank:
        return
    if not value.rank:
        raise SourceError(f"{value.text} is a number and has no axes to index", span)
    axes = show_axes(value.axes, value.dims)
    raise SourceError(f"{value.text} {axes} has {value.rank} axes, and {count} places are given", span)
