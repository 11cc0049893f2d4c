"""Structural tensor functions: reshape, vec, kron, diag, tril, eye … as index equations.

In: the syntax of a call and the elaborator for its arguments. Out: a `Value`. None of them has a derivative of its
own. What was several axes and becomes one is summed where its place is, [k == i·b + j]; what was one and becomes
several is read there, x[i·b + j]; so each direction is the other's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from derive.digits import flat
from derive.errors import SourceError, Span
from derive.expr import ONE, ZERO, Expr, Letter, add, compare, mul, sum_over
from derive.language import tree
from derive.language.arguments import bind, find_axis
from derive.language.tensors import Hints, Places, Value, constant
from derive.shapes import polynomial, show_axes, show_extent

if TYPE_CHECKING:
    from derive.language.expressions import Elaborator

Group = tuple[tuple[int, ...], tuple[int, ...]]


# --- other axes --------------------------------------------------------------------------------------------


def reshaped(elab: Elaborator, v: Value, axes: tuple[Expr, ...], span: Span | None) -> Value:
    """The entries of ``v`` in the same row-major order, over other axes."""
    groups = _groups(v.axes, axes)
    if groups is None:
        raise SourceError(
            f"{v.show()} has {show_extent(_product(v.axes), v.dims)} entries, and "
            f"{show_axes(axes, v.dims)} has {show_extent(_product(axes), v.dims)}",
            span,
            hint="the extents of both have the same product, as polynomials in dims",
        )
    if any(len(old) > 1 and len(new) > 1 for old, new in groups):  # such as [a, b] to [b, a]
        if elab.named is None:
            raise SourceError(
                f"reshape of {v.show()} to {show_axes(axes, v.dims)} joins axes and splits them otherwise",
                span,
                hint="write two lines: one that joins them, and one that splits the result",
            )
        one = tuple(_product([v.axes[k] for k in old]) for old, _ in groups)
        return reshaped(elab, elab.named(reshaped(elab, v, one, span)), axes, span)

    def build(places: Places, hints: Hints) -> Expr:
        at: list[Expr] = []
        binders: list[Letter] = []
        masks: list[Expr] = []
        for old, new in groups:
            if not old:
                continue
            place = flat([ZERO if axes[k] == ONE else places[k] for k in new], [axes[k] for k in new])
            if len(old) == 1:
                at.append(place)
                continue
            own = [ZERO if v.axes[k] == ONE else hints.fresh(v.axes[k]) for k in old]
            at += own
            binders += [x for x in own if isinstance(x, Letter)]
            masks.append(compare("==", place, flat(own, [v.axes[k] for k in old])))
        return sum_over(binders, mul(*masks, v.build(tuple(at), hints)))

    return Value(axes, build, dims=v.dims)


def _groups(old: tuple[Expr, ...], new: tuple[Expr, ...]) -> list[Group] | None:
    """Runs of axes with the same number of entries, as short as possible: which old ones make which new ones."""
    found: list[Group] = []
    i = j = 0
    while i < len(old) or j < len(new):
        stop = next(
            (
                (p, q)
                for total in range(1, len(old) + len(new) - i - j + 1)
                for p in range(i, min(len(old), i + total) + 1)
                if (q := j + total - (p - i)) <= len(new) and _product(old[i:p]) == _product(new[j:q])
            ),
            None,
        )
        if stop is None:
            return None
        found.append((tuple(range(i, stop[0])), tuple(range(j, stop[1]))))
        i, j = stop
    return found


def _product(extents: Sequence[Expr]) -> Expr:
    return polynomial(mul(*extents))


def reshape(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``reshape(x, [n, a*b])``: row by row, the last axis fastest."""
    bound = bind(node, ("x", "shape"))
    return reshaped(elab, elab.value(bound["x"]), _shape(elab, bound["shape"]), node.span)


def _shape(elab: Elaborator, node: tree.Expr) -> tuple[Expr, ...]:
    if not isinstance(node, tree.ListExpr):
        raise SourceError("a shape is a list of extents", node.span, hint="such as [n, 2*d]")
    return tuple(elab.extent(x) for x in node.items)


def flatten(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``flatten(x)``: one axis of all axes, row by row; the batch axis stays, in front or last."""
    v = elab.value(bind(node, ("x",))["x"])
    kept = [k for k, a in enumerate(v.axes) if a == elab.batch]
    if not kept:
        return reshaped(elab, v, (_product(v.axes),), node.span)
    if len(kept) > 1 or kept[0] not in (0, v.rank - 1):
        raise SourceError(
            f"flatten of {v.show()}: the batch axis stands in the middle",
            node.span,
            hint="bring it to the front with an index equation, or use reshape(x, […])",
        )
    rest = _product([a for k, a in enumerate(v.axes) if k not in kept])
    batch = v.axes[kept[0]]
    return reshaped(elab, v, (batch, rest) if kept[0] == 0 else (rest, batch), node.span)


def vec(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``vec(A)``: the columns of a matrix, one below the other."""
    v = _of_rank(elab, node, 2)
    swapped = replace(v, axes=v.axes[::-1], build=lambda p, h: v.build(p[::-1], h), tensor=None)
    return reshaped(elab, swapped, (_product(v.axes),), node.span)


def unvec(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``unvec(v, [a, b])``: the a x b matrix whose columns, one below the other, are v."""
    bound = bind(node, ("x", "shape"))
    rows = reshaped(elab, elab.value(bound["x"]), _shape(elab, bound["shape"])[::-1], node.span)
    if rows.rank != 2:
        raise SourceError("unvec gives a matrix: its shape has two extents", node.span, hint="such as unvec(v, [n, d])")
    return replace(rows, axes=rows.axes[::-1], build=lambda p, h: rows.build(p[::-1], h), tensor=None)


# --- products ----------------------------------------------------------------------------------------------


def outer(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``outer(x, y)``: all products, with the axes of x in front of those of y."""
    bound = bind(node, ("x", "y"))
    x, y = elab.value(bound["x"]), elab.value(bound["y"])
    return Value((*x.axes, *y.axes), lambda p, h: mul(x.build(p[: x.rank], h), y.build(p[x.rank :], h)), dims=x.dims)


def kron(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``kron(A, B)``: the blocks A[i,j] B, of matrices or of vectors."""
    bound = bind(node, ("a", "b"))
    a, b = elab.value(bound["a"]), elab.value(bound["b"])
    if a.rank != b.rank or a.rank not in (1, 2):
        raise SourceError(f"kron takes two matrices or two vectors: {a.show()} and {b.show()}", node.span)
    # with the axes of both side by side it is an outer product, reshaped
    side = Value(
        tuple(x for pair in zip(a.axes, b.axes, strict=True) for x in pair),
        lambda p, h: mul(a.build(p[::2], h), b.build(p[1::2], h)),
        dims=a.dims,
    )
    axes = tuple(_product(pair) for pair in zip(a.axes, b.axes, strict=True))
    return reshaped(elab, side, axes, node.span)


# --- diagonals and triangles -------------------------------------------------------------------------------


def trace(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``trace(A)``: the sum of the diagonal."""
    v = square(elab, node)

    def build(places: Places, hints: Hints) -> Expr:
        i = hints.fresh(v.axes[0])
        return sum_over((i,), v.build((i, i), hints))

    return Value((), build)


def diag(elab: Elaborator, node: tree.CallExpr) -> Value:
    """The diagonal of a matrix, or the matrix with this diagonal."""
    v = elab.value(bind(node, ("x",))["x"])
    if v.rank == 1:
        return Value((v.axes[0],) * 2, lambda p, h: mul(compare("==", p[0], p[1]), v.build(p[:1], h)))
    v = square(elab, node)
    return Value(v.axes[:1], lambda p, h: v.build((p[0], p[0]), h))


def triangle(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``tril(A)``, ``triu(A)``: what stands on and below (above) the diagonal, else 0; ``tril(A, k)`` on the k-th."""
    bound = bind(node, ("x",), ("k",))
    v = _matrix(elab, node, bound["x"])
    k = elab.extent(bound["k"]) if "k" in bound else ZERO
    op = ">=" if node.function == "tril" else "<="
    return Value(v.axes, lambda p, h: mul(compare(op, add(p[0], k), p[1]), v.build(p, h)), dims=v.dims)


def cumsum(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``cumsum(x, axis=a)``: the sums of the first entries along an axis; ``cumsum(x, reverse)`` of the last ones."""
    bound = bind(node, ("x",), ("reverse",), keyword_only=("axis",))
    word = bound.get("reverse")
    if word is not None and not (isinstance(word, tree.Name) and word.name == "reverse"):
        raise SourceError("sums of the last entries are written cumsum(x, reverse)", node.span)
    v = elab.value(bound["x"])
    if not v.rank or ("axis" not in bound and v.rank > 1):
        raise SourceError(
            f"cumsum of {v.show()} needs {'axis=' if v.rank else 'a vector or more'}",
            node.span,
            hint="write axis=0" if v.rank else None,
        )
    axis = find_axis(elab.names, bound["axis"], v) if "axis" in bound else 0

    def build(places: Places, hints: Hints) -> Expr:
        k = hints.fresh(v.axes[axis])
        counted = compare("<=", k, places[axis]) if word is None else compare("<=", places[axis], k)
        return sum_over((k,), mul(counted, v.build((*places[:axis], k, *places[axis + 1 :]), hints)))

    return Value(v.axes, build, row=v.row, dims=v.dims)


# --- constants ---------------------------------------------------------------------------------------------


def eye(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``eye(n)``: the identity matrix."""
    n = elab.extent(bind(node, ("n",))["n"])
    return Value((n, n), lambda p, h: compare("==", p[0], p[1]))


def filled(elab: Elaborator, node: tree.CallExpr) -> Value:
    """``ones(n, d)``, ``zeros(n, d)``, also with a list of extents."""
    named = next((a for a in node.arguments if a.name is not None), None)
    if named is not None or not node.arguments:
        raise SourceError(f"{node.function} takes extents", node.span, hint=f"such as {node.function}(n, d)")
    first = node.arguments[0].value
    given = first.items if isinstance(first, tree.ListExpr) and len(node.arguments) == 1 else None
    axes = tuple(elab.extent(x) for x in given or [a.value for a in node.arguments])
    return replace(constant(1 if node.function == "ones" else 0), axes=axes)


# --- arguments ---------------------------------------------------------------------------------------------


def _of_rank(elab: Elaborator, node: tree.CallExpr, rank: int) -> Value:
    return _matrix(elab, node, bind(node, ("x",))["x"], rank)


def _matrix(elab: Elaborator, node: tree.CallExpr, given: tree.Expr, rank: int = 2) -> Value:
    v = elab.value(given)
    if v.rank != rank:
        raise SourceError(f"{node.function} takes a matrix, and {v.show()} is none", node.span)
    return v


def square(elab: Elaborator, node: tree.CallExpr) -> Value:
    """The one argument of a function of square matrices."""
    v = elab.value(bind(node, ("x",))["x"])
    if v.rank != 2 or v.axes[0] != v.axes[1]:
        raise SourceError(
            f"{node.function} takes a square matrix: the same axis twice; {v.text} is {show_axes(v.axes, v.dims)}",
            node.span,
        )
    return v
