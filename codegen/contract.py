"""Matrix products among the parts: which reductions are one, and what must be prepared for it.

In: a part. Out: the part as a `Gemm` over whole tensors, after pointwise parts that make its operands
where they are not there yet; or nothing, and the part runs as a loop nest. Decided by axis sets alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from codegen.steps import Gemm, Operand, Part
from codegen.symmetry import is_symmetric
from derive.digits import digits, span
from derive.expr import ZERO, Access, Expr, Letter, Reduce, mul
from derive.program import Tensor
from derive.rewrite import factors
from derive.scatter import landings
from derive.shapes import size


def contraction(part: Part) -> tuple[list[Part], Gemm] | None:
    """The parts that make the operands, and the product; None where the part is no matrix product."""
    body = part.body
    if not isinstance(body, Reduce) or body.op != "sum" or landings(body, part.letters):
        return None
    sides = _sides(body, part.letters)
    if sides is None:
        return None
    left, right = sides
    rows = tuple(s for s in part.letters if s in left.letters)
    columns = tuple(s for s in part.letters if s in right.letters)
    inner = body.binders
    for side in (left, right):  # the order in which memory holds the summed axes
        order = spread(side)
        if order is not None:
            inner = tuple(p for p in order if p in body.binders)
            break
    before: list[Part] = []

    def operand(side: Expr, outer: tuple[Letter, ...], name: str) -> Operand | None:
        if not _whole(side):
            if not outer:
                letters: tuple[Letter, ...] = inner
            else:
                letters = (*outer, *inner) if side is left else (*inner, *outer)
            made = Tensor(name, tuple(s.extent for s in letters))
            before.append(Part(made, letters, side, part.origin))
            side = Access(made, letters)
        assert isinstance(side, Access)
        return _grouped(side.tensor, spread(side) or (), outer, inner)

    if not rows and not columns:
        return None
    if (not rows and not _whole(right)) or (not columns and not _whole(left)):
        return None  # making the matrix would cost as much as the product
    a = operand(left, rows, f"{part.out.name}_left")
    b = operand(right, columns, f"{part.out.name}_right")
    if a is None or b is None:
        return None
    # a stands as rows x inner, b as inner x columns
    a = _facing(a, rows, inner)
    b = _facing(b, inner, columns)
    if part.letters == (*rows, *columns):
        groups = tuple(g for g in (rows, columns) if g)
        symmetric = len(rows) == len(columns) == 1 and is_symmetric(body, rows[0], columns[0])
        return before, Gemm(Operand(part.out, groups), a, b, part, symmetric)
    if part.letters == (*columns, *rows):
        return before, Gemm(Operand(part.out, (columns, rows)), _flipped(b), _flipped(a), part)
    return None


def _sides(body: Reduce, free: tuple[Letter, ...]) -> tuple[Expr, Expr] | None:
    """The summed product as two factors: one with some free letters and one with the others."""
    parts = factors(body.body)
    if any(not f.letters for f in parts) or len(parts) < 2:
        return None
    inner = frozenset(body.binders)
    outer = frozenset(free)
    seeds = [f for f in parts if f.letters & outer]
    if not seeds:
        return None
    own = seeds[0].letters & outer
    grown = True
    while grown:  # factors that share a free letter stand on one side
        more = own.union(*(f.letters & outer for f in seeds if f.letters & own))
        grown, own = more != own, more
    first = [f for f in seeds if f.letters & own]
    second = [f for f in seeds if not f.letters & own]
    for f in parts:  # weights over the summed letters go where a temporary is needed anyway
        if not f.letters & outer:
            target = first if second and (len(first) > 1 or not _whole(first[0])) else second
            target.append(f)
    if not second:
        return None
    left, right = mul(*first), mul(*second)
    if not (inner <= left.letters and inner <= right.letters):
        return None
    if not left.letters & outer or (right.letters & outer and min(map(free.index, right.letters & outer)) == 0):
        left, right = right, left
    return left, right


def _whole(e: Expr) -> bool:
    """Whether ``e`` reads every element of a tensor once."""
    return spread(e) is not None


def spread(e: Expr) -> tuple[Letter, ...] | None:
    """The letters of an access that reads every element once, in the order of memory.

    They are distinct and run over whole axes; several of them may count through one, as in W[i·b + j, h].
    """
    if not isinstance(e, Access) or e.tensor.dtype != "real":
        return None
    counted = [digits(p) for p in e.places]
    if any(d is None or span(d) != a for d, a in zip(counted, e.tensor.axes, strict=True)):
        return None
    letters = tuple(x for d in counted for x in d or ())
    return letters if len(set(letters)) == len(letters) else None


def as_it_lies(a: Access, sizes: Mapping[str, int] | None = None) -> tuple[Letter, ...] | None:
    """The letters of an access to all of a tensor, as they lie; an axis that is known to have one place has none."""
    places = zip(a.tensor.axes, a.places, strict=True)
    kept = [(axis, p) for axis, p in places if p != ZERO or size(axis, sizes or {}) != 1]
    short = Tensor(a.tensor.name, tuple(axis for axis, _ in kept), dtype=a.tensor.dtype)
    return spread(short.at(p for _, p in kept))


def _grouped(
    tensor: Tensor, letters: tuple[Letter, ...], outer: tuple[Letter, ...], inner: tuple[Letter, ...]
) -> Operand | None:
    if not outer:
        return Operand(tensor, (inner,)) if letters == inner else None
    for groups in ((outer, inner), (inner, outer)):
        if letters == groups[0] + groups[1]:
            return Operand(tensor, groups)
    return None


def _facing(operand: Operand, rows: tuple[Letter, ...], columns: tuple[Letter, ...]) -> Operand:
    """The operand as rows x columns (a vector stays one)."""
    if len(operand.groups) == 1 or operand.groups == (rows, columns):
        return operand
    return _flipped(operand)


def _flipped(operand: Operand) -> Operand:
    return Operand(operand.tensor, operand.groups, not operand.transposed)
