"""Index letters: what they run over, found from where they stand; and accesses with a place on every axis.

In: letters as an equation or a reduction introduces them, and the axes on which they stand, alone or in an affine
place such as 2*i+p. Out: letters with extents, or an error that names the two axes that disagree, the letter that
stands on none, or the place that leaves its axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from derive.deltas import bounds
from derive.errors import PlaceError, SourceError, Span
from derive.expr import ONE, Expr, Letter, Num, add, mul
from derive.language.tensors import Hints, Value
from derive.ranges import holds
from derive.shapes import never_negative, polynomial, show_axes, show_extent, size, whole_steps


@dataclass(frozen=True)
class Affine:
    """A place: letters and integers of the data with coefficients, and a polynomial in dims; ``text`` is as written."""

    terms: tuple[tuple[Range, Expr], ...]
    rest: Expr
    text: str
    data: tuple[tuple[Value, Expr], ...] = ()

    def place(self, hints: Hints) -> Expr:
        """The place, once its letters are known."""
        read = (mul(c, v.build((), hints)) for v, c in self.data)
        return add(self.rest, *(mul(c, r.place()) for r, c in self.terms), *read)

    def bounds(self, sizes: Mapping[str, int], but: Range | None = None) -> tuple[Expr, Expr]:
        """The least and the largest place; the letter ``but`` stands at 0."""
        known = [(ONE if r is but else r.find(sizes), c) for r, c in self.terms]
        known += [(v.labels or ONE, c) for v, c in self.data]
        return bounds(add(self.rest, *(mul(c, Letter(e, k)) for k, (e, c) in enumerate(known) if e != ONE)))


@dataclass(frozen=True)
class Site:
    """An axis on which a letter stands, alone or in an affine place; ``free`` where it need not be in range."""

    value: Value
    axis: int
    free: bool
    span: Span | None

    @property
    def extent(self) -> Expr:
        """How long the axis is."""
        return self.value.axes[self.axis]

    @property
    def shown(self) -> str:
        """The axis in words."""
        return f"axis {self.axis} of {self.value.show()}"


@dataclass(eq=False)
class Range:
    """One letter: its extent where it is known, and every axis on which it stands."""

    name: str
    span: Span | None
    extent: Expr | None = None
    sites: list[Site] = field(default_factory=list)
    affine: list[tuple[Affine, Site]] = field(default_factory=list)
    used: bool = False
    letter: Expr | None = None
    asked: bool = False
    explicit: bool = field(init=False)

    def __post_init__(self) -> None:
        self.explicit = self.extent is not None

    def place(self) -> Expr:
        """The letter, once the equation or the reduction is being written out."""
        assert self.letter is not None, self.name
        return self.letter

    def find(self, sizes: Mapping[str, int]) -> Expr:
        """The extent: as given, else that of the axis it stands on alone, else the longest that stays inside."""
        if self.extent is None:
            if self.asked:
                self._unknown(f"how far {self.name} runs follows from a letter that follows from {self.name}")
            self.asked = True
            alone = sorted(self.sites, key=lambda s: s.free)  # stable: the first that must be in range
            self.extent = alone[0].extent if alone else self._longest(sizes)
        return self.extent

    def _longest(self, sizes: Mapping[str, int]) -> Expr:
        options: list[Expr] = []
        for form, site in self.affine:
            if site.free:
                continue
            low, high = form.bounds(sizes, but=self)
            coefficient = next(c for r, c in form.terms if r is self)
            if never_negative(coefficient):
                room = add(site.extent, -1, mul(-1, high))
            else:
                room, coefficient = low, mul(-1, coefficient)
            steps = whole_steps(room, coefficient)
            if steps is None:
                self._unknown(f"how far {self.name} runs in {form.text} on {site.shown} is no polynomial in dims")
            else:
                options.append(polynomial(steps + 1))
        shortest = [o for o in options if all(never_negative(other - o) for other in options)]
        if not options:
            self._unknown(f"nothing says how far {self.name} runs: it stands alone on no axis")
        if not shortest:
            shown = " or ".join(dict.fromkeys(map(show_extent, options)))
            self._unknown(f"{self.name} may run over {shown}, which depends on sizes")
        found = size(shortest[0], sizes)
        if found is not None and found < 1:
            form, site = next(f for f in self.affine if not f[1].free)
            raise SourceError(f"no {self.name} keeps {form.text} on {site.shown}", site.span)
        return shortest[0]

    def _unknown(self, why: str) -> NoReturn:
        raise PlaceError(why, self.span, hint=f"give its extent: {self.name}:n")

    def resolve(self, sizes: Mapping[str, int]) -> Expr:
        """The extent; every site must agree with it."""
        extent = self.find(sizes)
        for site in self.sites:
            if site.extent == extent or site.free:
                continue
            if not self.explicit:
                first = min(self.sites, key=lambda s: s.free)
                raise SourceError(
                    f"{self.name} runs over {show_extent(extent, first.value.dims)} ({first.shown}) "
                    f"and over {show_extent(site.extent, site.value.dims)} ({site.shown})",
                    site.span,
                    hint=f"use two letters, or fix the extent: {self.name}:{show_extent(extent, first.value.dims)}",
                )
            why = f"{self.name} runs to {show_extent(extent)}-1"
            check_inside(site.value, site.axis, extent, why, sizes, site.span)
        for form, site in self.affine:
            if not site.free:
                check_affine(form, site, sizes)
        return extent


def check_affine(form: Affine, site: Site, sizes: Mapping[str, int]) -> None:
    """Refuse an affine place that may leave its axis."""
    low, high = form.bounds(sizes)
    dims = site.value.dims
    pad = "say what stands outside: [… | 0], [… | edge], or a conditional"
    if not holds(low, sizes):
        raise PlaceError(
            f"the place {form.text} goes down to {show_extent(low, dims)}, before the start of {site.shown}",
            site.span,
            hint=pad,
        )
    if not holds(add(site.extent, -1, mul(-1, high)), sizes):
        letter = form.terms[0][0].name if form.terms else None
        raise PlaceError(
            f"the place {form.text} goes up to {show_extent(high, dims)}, past {site.shown}",
            site.span,
            hint=f"places on it run from 0 to {show_extent(site.extent - 1, dims)}: "
            f"{f'give {letter} a range, or ' if letter else ''}{pad}",
        )


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
