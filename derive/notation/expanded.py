"""Jacobians written out as matrices with dots.

In: a Jacobian, and which sizes are given. Out: a matrix of expressions that prints. Every entry is the element with
numbers put for its letters; a zero off the diagonal is the value of a Kronecker delta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from derive.errors import GradcError
from derive.evaluate import extent
from derive.expr import ONE, ZERO, Compare, Dim, Expr, Letter, Num, add, fresh, num
from derive.notation.elements import with_elements
from derive.notation.entries import EntryLatex, EntryPrinter, EntryStyle, EntryUnicode
from derive.notation.partial import Partial
from derive.program import reads
from derive.rewrite import map_children, substitute, walk

LAYOUTS = ("numerator", "shape")
FULL = 12  # a given size up to this is written out without dots
_LARGE = 10**6  # what stands for an extent that is not given: larger than any place that is written out

Line = tuple[Expr | None, ...]
"""Places along one axis, counted from 0; None stands for dots."""


@dataclass(frozen=True, eq=False)
class Expanded:
    """A matrix written out: where its rows and columns stand (None for dots), and its entries (None in dots)."""

    rows: Line
    columns: Line
    entries: tuple[tuple[Expr | None, ...], ...]
    derivative: Partial
    fixed: tuple[str | None, ...]

    def cells(self, style: EntryStyle) -> list[list[str]]:
        """The text of every entry."""
        latex = isinstance(style, EntryLatex)
        across, down, both = (r"\cdots", r"\vdots", r"\ddots") if latex else ("⋯", "⋮", "⋱")
        found = []
        for row, line in zip(self.rows, self.entries, strict=True):
            texts = []
            for column, e in zip(self.columns, line, strict=True):
                if e is not None:
                    texts.append(self._printer(style, e).piece(e).text)
                else:
                    texts.append(across if row is not None else down if column is not None else both)
            found.append(texts)
        return found

    def _printer(self, style: EntryStyle, e: Expr) -> EntryPrinter:
        places = (*self.rows, *self.columns, *e.letters)
        given = {a: a.hint for a in places if isinstance(a, Letter)}
        return EntryPrinter(style, self.derivative.equation.with_body(e), given)

    def title(self, style: EntryStyle) -> str:
        """``∂z/∂w``, what is fixed standing below the names."""
        return self.derivative.title(style, self.fixed)

    def __str__(self) -> str:
        style = EntryUnicode(self.derivative.names)
        cells = self.cells(style)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(f"{c:^{w}}" for c, w in zip(row, widths, strict=True)) for row in cells]
        title = f"{self.title(style)} = "
        middle = (len(lines) - 1) // 2
        framed = []
        for k, line in enumerate(lines):
            ends = "()" if len(lines) == 1 else "⎛⎞" if k == 0 else "⎝⎠" if k == len(lines) - 1 else "⎜⎟"
            framed.append(f"{title if k == middle else ' ' * len(title)}{ends[0]} {line} {ends[1]}")
        return "\n".join(framed)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    def latex(self) -> str:
        r"""The equation with a ``pmatrix``."""
        style = EntryLatex(self.derivative.names)
        body = r" \\ ".join(" & ".join(row) for row in self.cells(style))
        return rf"{self.title(style)} = \begin{{pmatrix}} {body} \end{{pmatrix}}"


def expanded(
    derivative: Partial,
    layout: str = "numerator",
    size: Mapping[str, int] | None = None,
    at: Sequence[int | str | None] | None = None,
) -> Expanded:
    """The matrix ∂y/∂x written out.

    ``layout`` matters where y is a number: ``numerator`` makes its gradient a row (that by a matrix has the shape of
    its transpose), ``shape`` gives it the variable's own shape. ``size`` gives extents; what is small then is written
    in full. ``at`` fixes places, one entry an axis of y and then of x: a number from 1, a letter (a place somewhere
    in the middle), the extent's name (the last place), or None for an axis that is written out. One row of weights
    is ``at=(None, "i", None)``.

    Raises GradcError where more than two axes are left, or a name is not known.
    """
    if layout not in LAYOUTS:
        raise GradcError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    letters = derivative.equation.letters
    places: Sequence[int | str | None] = at if at is not None else (None,) * len(letters)
    if len(places) != len(letters):
        raise GradcError(f"at={tuple(places)} has {len(places)} places, the Jacobian has {len(letters)} axes")
    sizes = dict(size or {})
    middle: dict[str, Letter] = {}
    table: dict[Letter, Expr] = {a: ZERO for a in letters if a.extent == ONE}
    for a, place in zip(letters, places, strict=True):
        if place is not None:
            table[a] = _fixed(a, place, sizes, middle)
    free = [a for a in letters if a not in table]
    if len(free) > 2:
        axes = ", ".join(map(repr, (a.extent for a in letters)))
        raise GradcError(f"the Jacobian has the axes [{axes}]; a matrix has two: fix others with at=(…)")
    for a in free:
        if (_known(a.extent, sizes) or FULL + 1) <= FULL and any(m.extent == a.extent for m in middle.values()):
            raise GradcError(f"all places along {a.extent!r} are written out: give a number instead of a letter")
    row, column = _sides(free, derivative, layout)
    chosen = [(a.extent, table[a]) for a in letters if a in table and a.extent != ONE]
    rows, columns = _line(row, chosen, sizes), _line(column, chosen, sizes)
    body = substitute(with_elements(derivative.equation.body), table)
    between = frozenset(middle.values())

    def entry(p: Expr | None, q: Expr | None) -> Expr | None:
        if p is None or q is None:
            return None
        here = {a: place for a, place in ((row, p), (column, q)) if a is not None}
        return _decided(substitute(body, here), sizes, between)

    entries = tuple(tuple(entry(p, q) for q in columns) for p in rows)
    fixed = tuple(None if p is None else str(p) for p in places)
    return Expanded(rows, columns, entries, derivative, fixed)


def _sides(free: list[Letter], derivative: Partial, layout: str) -> tuple[Letter | None, Letter | None]:
    """Which letter runs down the rows and which along the columns."""
    own = derivative.equation.letters[: derivative.y.rank]
    first, second = (*free, None, None)[:2]
    if any(a in own for a in free):
        return first, second
    return (second, first) if layout == "numerator" else (first, second)


def _fixed(letter: Letter, place: int | str, sizes: Mapping[str, int], middle: dict[str, Letter]) -> Expr:
    if isinstance(place, int):
        known = _known(letter.extent, sizes)
        if place < 1 or (known is not None and place > known):
            raise GradcError(f"there is no place {place} along {letter.extent!r}; places count from 1")
        return num(place - 1)
    if place == repr(letter.extent):
        known = _known(letter.extent, sizes)
        return add(letter.extent, -1) if known is None else num(known - 1)
    if not (place.isalpha() and len(place) == 1):
        raise GradcError(f"{place!r} is neither a place nor a letter")
    return middle.setdefault(place, fresh(letter.extent, place))


def _known(e: Expr, sizes: Mapping[str, int]) -> int | None:
    names = {n.name for n in walk(e) if isinstance(n, Dim)}
    return extent(e, sizes) if names <= set(sizes) else None


def _line(letter: Letter | None, chosen: list[tuple[Expr, Expr]], sizes: Mapping[str, int]) -> Line:
    """The places that are written along an axis: all, or the first two, those that are fixed, and the last."""
    if letter is None:
        return (ZERO,)
    known = _known(letter.extent, sizes)
    if known is not None and known <= FULL:
        return tuple(map(num, range(known)))
    fixed = [p for e, p in chosen if e == letter.extent]
    general = [p for p in dict.fromkeys(fixed) if isinstance(p, Letter)]
    front = {0} if general else {0, 1}
    numbers = sorted(front | {int(p.value) for p in fixed if isinstance(p, Num)})
    out: list[Expr | None] = []
    for k, n in enumerate(numbers):
        out += [None, num(n)] if k and n > numbers[k - 1] + 1 else [num(n)]
    for p in general:
        out += [None, p]
    last = add(letter.extent, -1) if known is None else num(known - 1)
    return (*out, None, last) if last not in out else tuple(out)


def _decided(e: Expr, sizes: Mapping[str, int], middle: Set[Letter]) -> Expr:
    """``e`` with conditions on places decided; extents that are not given count as large, ``middle`` as in between.

    A condition on a letter that a sum binds stays.
    """
    if isinstance(e, Compare) and not reads(e):
        if not e.letters <= middle:
            return e
        table: dict[Expr, Expr] = {n: num(sizes.get(n.name, _LARGE)) for n in walk(e) if isinstance(n, Dim)}
        between = sorted(e.letters, key=lambda a: a.key)
        return substitute(e, table | {a: num(_LARGE // 2 + k) for k, a in enumerate(between)})
    return map_children(e, lambda c: _decided(c, sizes, middle))
