"""Matrix products, transposes and columns of tensor values.

In: the operands. Out: the result, or an error that names them with their axes and proposes the likely fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derive.errors import SourceError, Span
from derive.expr import ONE, ZERO, Expr, add, compare, mul, num, select, sum_over
from derive.language.tensors import Hints, Places, Value


def transpose(v: Value, span: Span | None) -> Value:
    """``v'``: a matrix with its axes swapped, a vector as a row, a row as a vector."""
    text = v.transposed
    if v.rank == 1:
        return replace(v, row=not v.row, text=text, span=span, tensor=None)
    if v.rank != 2:
        what = "a number" if v.rank == 0 else f"of rank {v.rank}"
        hint = "drop the '" if v.rank == 0 else "use index notation: T[i,j,k] = …"
        raise SourceError(f"{v.show()} is {what}; ' swaps the axes of a matrix", span, hint=hint)
    classes = None if v.classes is None else 1 - v.classes
    return replace(
        v, axes=v.axes[::-1], build=lambda p, h: v.build(p[::-1], h), text=text, span=span, classes=classes, tensor=None
    )


def matmul(a: Value, b: Value, span: Span | None) -> Value:
    """``a @ b``."""
    for v in (a, b):
        if v.rank == 0:
            raise SourceError(f"{v.text} is a number; @ multiplies matrices and vectors", span, hint="write *")
        if v.rank > 2:
            raise SourceError(
                f"{v.show()} has rank {v.rank}; @ takes ranks 1 and 2",
                span,
                hint="write an index equation: C[i,…] = sum[k] A[i,k]*B[k,…]",
            )
    dims = a.dims or b.dims
    outer = b.row and (a.is_vector or (a.rank == 2 and a.axes[1] == ONE))
    if outer:  # a column times a row
        axes = (a.axes[0], b.axes[0])
        return Value(
            axes, lambda p, h: mul(a.build(p[:1] if a.rank == 1 else (p[0], ZERO), h), b.build(p[1:], h)), dims=dims
        )
    if b.row:
        raise SourceError(
            f"{a.show()} @ {b.show()}: a row stands on the right of a vector only",
            span,
            hint=f"drop the ': {a.operand} @ {b.transposed}",
        )
    if a.axes[-1] != b.axes[0]:
        raise SourceError(f"inner axes differ: {a.show()} @ {b.show()}", span, hint=_matmul_fix(a, b))
    left, right = a.axes[:-1], b.axes[1:]

    def build(places: Places, hints: Hints) -> Expr:
        k = hints.fresh(a.axes[-1])
        i, j = places[: len(left)], places[len(left) :]
        return sum_over((k,), mul(a.build((*i, k), hints), b.build((k, *j), hints)))

    return Value((*left, *right), build, row=a.row and b.rank == 2, dims=dims)


def _matmul_fix(a: Value, b: Value) -> str | None:
    if a.rank == 1 and b.rank == 1:
        return f"for the outer product write {a.operand} @ {b.transposed}"
    if b.rank == 2 and a.axes[-1] == b.axes[1]:
        return f"transpose {b.operand}: {a.operand} @ {b.transposed}"
    if a.rank == 2 and a.axes[0] == b.axes[0]:
        return f"transpose {a.operand}: {a.transposed} @ {b.operand}"
    if b.axes[-1] == a.axes[0]:
        return f"swap them: {b.operand} @ {a.operand}"
    if a.axes == b.axes:
        return "for the element-wise product write *"
    return None


def column(v: Value, span: Span | None) -> Value:
    """``col(v)``: a vector as a matrix of one column."""
    if v.rank != 1:
        raise SourceError(f"col takes a vector, {v.show()} is not one", span)
    return Value((v.axes[0], ONE), lambda p, h: v.build(p[:1], h), text=f"col({v.text})", dims=v.dims)


def concat(parts: Sequence[Value], axis: int, span: Span | None) -> Value:
    """``concat(a, b, axis=k)``: one behind the other along an axis; the other axes are equal."""
    first = parts[0]
    for v in parts[1:]:
        if v.rank != first.rank or any(
            a != b for k, (a, b) in enumerate(zip(v.axes, first.axes, strict=True)) if k != axis
        ):
            raise SourceError(
                f"concat along axis {axis} needs the other axes equal: {first.show()} and {v.show()} differ", span
            )
    ends = [add(*(v.axes[axis] for v in parts[: k + 1])) for k in range(len(parts))]

    def build(places: Places, hints: Hints) -> Expr:
        place = places[axis]
        out: Expr | None = None
        for k in range(len(parts) - 1, -1, -1):
            start = ends[k - 1] if k else num(0)
            inside = parts[k].build((*places[:axis], add(place, mul(-1, start)), *places[axis + 1 :]), hints)
            out = inside if out is None else select(compare("<", place, ends[k]), inside, out)
        assert out is not None
        return out

    axes = (*first.axes[:axis], ends[-1], *first.axes[axis + 1 :])
    return Value(axes, build, text="concat(…)", span=span, dims=first.dims)
