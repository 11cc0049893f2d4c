"""Products of two tensors that do not lie as matrices: what of them is copied, and windows that are read in place.

In: a part that is a sum of products of two elements, and sizes. Out: a `Gemm` with the parts before and after it.
Axes are grouped in the order that has the least copied. What moves along, as X[n, i+p, j+q] does, lies nowhere as a
matrix and is not laid out: where a row begins and how far from there its elements lie is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from codegen.contract import as_it_lies
from codegen.extents import LEAST, volume
from codegen.steps import Gemm, Operand, Part, Windows
from derive.deltas import is_polynomial
from derive.expr import ONE, ZERO, Access, Expr, Letter, Reduce, add, mul
from derive.hoist import ordered_letters
from derive.program import Tensor
from derive.rewrite import factors, substitute
from derive.scatter import landings
from derive.shapes import polynomial, size

Letters = tuple[Letter, ...]
FEW = 4  # columns that vector code is worth, and how many times an element that is copied is used at least


@dataclass(frozen=True)
class Product:
    """A product, the parts that make its operands, and the part that brings its result in order."""

    before: tuple[Part, ...]
    gemm: Gemm
    after: tuple[Part, ...]


def product_of(part: Part, sizes: Mapping[str, int], strided: Collection[Tensor] = ()) -> Product | None:
    """The product; None where the part is none, or where what has to be copied is too much."""
    body = part.body
    if not isinstance(body, Reduce) or body.op != "sum" or landings(body, part.letters):
        return None
    found = factors(body.body)
    if len(found) != 2 or not all(isinstance(f, Access) and f.tensor.dtype == "real" for f in found):
        return None
    first, second = sorted((f for f in found if isinstance(f, Access)), key=lambda f: as_it_lies(f) is not None)
    if as_it_lies(first) is not None and part.letters and part.letters[0] not in first.letters:
        first, second = second, first
    rows, columns = (tuple(x for x in part.letters if x in f.letters) for f in (first, second))
    inner = frozenset(body.binders)
    if not rows or not columns or set(rows) & set(columns) or len(rows) + len(columns) != len(part.letters):
        return None
    apart = first.letters == inner | set(rows) and second.letters == inner | set(columns)
    if not apart or as_it_lies(second) is None or {first.tensor, second.tensor} & set(strided):
        return None
    whole = volume((*part.letters, *body.binders), sizes)
    if whole < LEAST:
        return None
    if as_it_lies(first) is None:
        return _windows(part, first, second, rows, columns, sizes)
    return min(_ways(part, first, second, rows, columns, whole, sizes), key=lambda w: w[0], default=(0, None))[1]


def _ways(
    part: Part, first: Access, second: Access, rows: Letters, columns: Letters, whole: int, sizes: Mapping[str, int]
) -> Iterator[tuple[int, Product]]:
    """The product with its axes in each of the orders that something has, and how much is copied for that."""
    one, two = as_it_lies(first) or (), as_it_lies(second) or ()
    orders = [(_only(one, rows), rows), (_only(two, columns), columns), tuple(_without(x, part) for x in (one, two))]
    for r, c, k in product(*(dict.fromkeys(o) for o in orders)):
        copied = 0 if one in (r + k, k + r) else volume(one, sizes)
        copied += 0 if two in (k + c, c + k) else volume(two, sizes)
        copied += 0 if part.letters in (r + c, c + r) else volume(part.letters, sizes)
        if FEW * copied > whole:
            continue
        before: list[Part] = []
        left = _lying(first, one, r, k, f"{part.out.name}_left", part, before)
        right = _lying(second, two, k, c, f"{part.out.name}_right", part, before)
        if part.letters == c + r:
            yield copied, Product(tuple(before), Gemm(_rows(part.out, c, r), _turned(right), _turned(left), part), ())
        else:
            out, after = _result(part, r, c)
            yield copied, Product(tuple(before), Gemm(_rows(out, r, c), left, right, part), after)


def _lying(
    a: Access, order: Letters, rows: Letters, columns: Letters, name: str, part: Part, before: list[Part]
) -> Operand:
    """A factor as a matrix, copied if need be."""
    if order == columns + rows:
        return _turned(_rows(a.tensor, columns, rows))
    if order == rows + columns:
        return _rows(a.tensor, rows, columns)
    made = Tensor(name, tuple(x.extent for x in rows + columns))
    before.append(Part(made, rows + columns, a, part.origin))
    return _rows(made, rows, columns)


def _result(part: Part, rows: Letters, columns: Letters) -> tuple[Tensor, tuple[Part, ...]]:
    """Where the product goes, and what brings it from there to where the result lies."""
    letters = rows + columns
    if part.letters == letters:
        return part.out, ()
    made = Tensor(f"{part.out.name}_product", tuple(x.extent for x in letters))
    return made, (Part(part.out, part.letters, Access(made, letters), part.origin),)


def _windows(
    part: Part, first: Access, second: Access, rows: Letters, columns: Letters, sizes: Mapping[str, int]
) -> Product | None:
    """Windows on ``first`` times ``second``: for each sample, or summed over samples."""
    x, order = first.places[0], as_it_lies(second) or ()
    alone = isinstance(x, Letter) and all(x not in p.letters for p in first.places[1:])
    if not isinstance(x, Letter) or not alone or x.extent != first.tensor.axes[0] or volume(columns, sizes) < FEW:
        return None
    distance: Expr = ONE
    place: Expr = ZERO
    for p, extent in zip(first.places[:0:-1], first.tensor.axes[:0:-1], strict=True):
        if not is_polynomial(p):
            return None
        place, distance = add(place, mul(p, distance)), mul(distance, extent)
    place = polynomial(place)
    before: list[Part] = []
    after: tuple[Part, ...] = ()
    if x in rows:
        inner = tuple(y for p in first.places for y in ordered_letters(p) if y not in rows)
        if x != rows[0] or part.letters != rows + columns or len(inner) != len(set(inner)):
            return None
        out = part.out
        if order != inner + columns:
            if FEW * volume(order, sizes) > volume((*rows, *order), sizes):
                return None
            made = Tensor(f"{part.out.name}_right", tuple(y.extent for y in inner + columns))
            before.append(Part(made, inner + columns, second, part.origin))
            right = _rows(made, inner, columns)
        else:
            right = _rows(second.tensor, inner, columns)
    else:
        inner = tuple(y for y in order if y not in columns)
        if order != inner + columns or inner[0] != x:
            return None
        right = _rows(second.tensor, inner, columns)
        out, after = _result(part, rows, columns)
    lying = [_axes(place, [y for y in letters if y != x], sizes) for letters in (rows, inner)]
    origin = substitute(place, dict.fromkeys((*rows, *inner), ZERO))
    if origin != ZERO or not all(lying) or any(size(y.extent, sizes) is None for y in columns):
        return None
    left = Operand(first.tensor, (rows, inner), windows=Windows(lying[0], lying[1], x in inner))
    return Product(tuple(before), Gemm(_rows(out, rows, columns), left, right, part), after)


def _axes(place: Expr, letters: Collection[Letter], sizes: Mapping[str, int]) -> tuple[tuple[int, int], ...]:
    """How many places there are along each letter, and how far apart; nothing where that is not known."""
    found = []
    for y in letters:
        extent = size(y.extent, sizes)
        step = polynomial(add(substitute(place, {y: add(y, ONE)}), mul(-1, place)))
        apart = None if step.letters else size(step, sizes)
        if extent is None or apart is None:
            return ()
        found.append((int(extent), int(apart)))
    return tuple(found)


def _rows(t: Tensor, rows: Letters, columns: Letters) -> Operand:
    return Operand(t, (rows, columns))


def _turned(o: Operand) -> Operand:
    return Operand(o.tensor, o.groups, not o.transposed)


def _only(order: Letters, letters: Letters) -> Letters:
    return tuple(x for x in order if x in letters)


def _without(order: Letters, part: Part) -> Letters:
    return tuple(x for x in order if x not in part.letters)
