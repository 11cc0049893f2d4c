"""Matrix products among the parts: which reductions are one, and what must be prepared for it.

In: a part. Out: the part as a `Gemm` over whole tensors, after pointwise parts that make its operands
where they are not there yet; or nothing, and the part runs as a loop nest. Decided by axis sets alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.lower import scattered
from codegen.steps import Gemm, Operand, Part
from derive.expr import Access, Expr, Letter, Reduce, mul
from derive.program import Tensor
from derive.rewrite import factors


def contraction(part: Part) -> tuple[list[Part], Gemm] | None:
    """The parts that make the operands, and the product; None where the part is no matrix product."""
    body = part.body
    if not isinstance(body, Reduce) or body.op != "sum" or scattered(body, part.letters) is not None:
        return None
    sides = _sides(body, part.letters)
    if sides is None:
        return None
    left, right = sides
    rows = tuple(s for s in part.letters if s in left.letters)
    columns = tuple(s for s in part.letters if s in right.letters)
    inner = body.binders
    for side in (left, right):  # the order in which memory holds the summed axes
        if _whole(side):
            inner = tuple(p for p in side.places if p in body.binders)  # type: ignore[attr-defined]
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
        return _grouped(side.tensor, side.places, outer, inner)

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
        return before, Gemm(Operand(part.out, groups), a, b, part)
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
    """Whether ``e`` reads every element of a tensor once: distinct plain letters that run over whole axes."""
    return (
        isinstance(e, Access)
        and e.tensor.dtype == "real"
        and all(isinstance(p, Letter) and p.extent == a for p, a in zip(e.places, e.tensor.axes, strict=True))
        and len(set(e.places)) == len(e.places)
    )


def _grouped(
    tensor: Tensor, places: Sequence[Expr], outer: tuple[Letter, ...], inner: tuple[Letter, ...]
) -> Operand | None:
    if not outer:
        return Operand(tensor, (inner,)) if tuple(places) == inner else None
    for groups in ((outer, inner), (inner, outer)):
        if tuple(places) == groups[0] + groups[1]:
            return Operand(tensor, groups)
    return None


def _facing(operand: Operand, rows: tuple[Letter, ...], columns: tuple[Letter, ...]) -> Operand:
    """The operand as rows x columns (a vector stays one)."""
    if len(operand.groups) == 1 or operand.groups == (rows, columns):
        return operand
    return _flipped(operand)


def _flipped(operand: Operand) -> Operand:
    return Operand(operand.tensor, operand.groups, not operand.transposed)
