"""Tensor values: axes and a function from places to a scalar expression; NumPy's broadcasting over named axes.

In: the operands of an operator. Out: the result, or an error that names both operands with their axes and
proposes the likely fix. Where the alignment could be read in two ways, it is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from derive.errors import SourceError, Span
from derive.expr import (
    ONE,
    ZERO,
    Dim,
    Expr,
    ExprLike,
    Letter,
    Mask,
    Mul,
    Num,
    as_expr,
    compare,
    fresh,
    mul,
    power,
    reduce_,
    select,
)
from derive.numeric import with_values
from derive.program import DimDecl, Tensor
from derive.rewrite import walk
from derive.shapes import show_axes

Places = tuple[Expr, ...]
_ATOM = re.compile(r"\w+(\{[^{}]*\})?(\([^()]*\)|\[[^\[\]]*\])?'*|…")
_MOST_LETTERS = 5000
_LARGEST = Fraction(sys.float_info.max)
_SPARE = "kjilmpqrstuvwabcdefghnoxyz"


class Hints:
    """Gives the letters of one equation hints that differ from each other."""

    def __init__(self, used: Iterable[str] = (), span: Span | None = None) -> None:
        self.used, self.span, self.count = set(used), span, 0

    def fresh(self, extent: Expr) -> Letter:
        """A new letter, named after the dim that it runs over where that is free."""
        dims = [n.name for n in walk(extent) if isinstance(n, Dim)]
        wish = dims[0][0].lower() if dims else "i"
        return self.named(extent, next((c for c in wish + _SPARE if c not in self.used), None) or f"i{len(self.used)}")

    def named(self, extent: Expr, hint: str) -> Letter:
        """A new letter with this very hint."""
        self.count += 1
        if self.count > _MOST_LETTERS:  # softmax(softmax(…)) doubles with each level
            raise SourceError("this line is too large when written in indices", self.span, hint="name its inner parts")
        self.used.add(hint)
        return fresh(extent, hint)


Build = Callable[[Places, Hints], Expr]


@dataclass(frozen=True)
class Value:
    """A tensor expression: its axes, and how to write its element at given places.

    ``text`` and ``span`` are for messages. ``row`` marks a transposed vector. ``classes`` is the axis that a
    ``one_hot`` or ``simplex`` promise speaks of, ``labels`` the number of classes of integer labels.
    """

    axes: tuple[Expr, ...]
    build: Build
    text: str = "this"
    span: Span | None = None
    row: bool = False
    classes: int | None = None
    labels: Expr | None = None
    tensor: Tensor | None = None
    dims: tuple[DimDecl, ...] = field(default=(), repr=False)

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.axes)

    @property
    def is_vector(self) -> bool:
        """Rank 1, not transposed."""
        return self.rank == 1 and not self.row

    @property
    def operand(self) -> str:
        """The text, in brackets where an operator beside it would reach inside."""
        return self.text if _ATOM.fullmatch(self.text) else f"({self.text})"

    @property
    def transposed(self) -> str:
        """The text of its transpose."""
        return self.text[:-1] if self.text.endswith("'") else f"{self.operand}'"

    def show(self) -> str:
        """Text and axes, ``X [n, d]``."""
        if not self.axes:
            return self.text
        return f"{self.operand} {show_axes(self.axes, self.dims)}" + (" (a row)" if self.row else "")


def constant(e: ExprLike) -> Value:
    """A number."""
    body = as_expr(e)
    return Value((), lambda places, hints: body, text=repr(body) if isinstance(body, (Num, Dim)) else "this")


def element(v: Value) -> Expr:
    """The number that a value of rank 0 is."""
    return v.build((), Hints())


def of_tensor(t: Tensor, row: bool = False, dims: tuple[DimDecl, ...] = ()) -> Value:
    """A named tensor, element by element."""
    promise = t.property("one_hot") or t.property("simplex")
    labels = t.property("labels")
    return Value(
        t.axes,
        lambda places, hints: t.at(places),
        text=t.name,
        span=t.span,
        row=row,
        classes=promise.axis if promise else None,
        labels=labels.extent if labels else None,
        tensor=t,
        dims=dims,
    )


def letters(v: Value, hints: Hints) -> tuple[Letter, ...]:
    """One new letter for each axis."""
    return tuple(hints.fresh(a) for a in v.axes)


# --- element-wise ----------------------------------------------------------------------------------------


def elementwise(values: Sequence[Value], combine: Callable[..., Expr], symbol: str, span: Span | None) -> Value:
    """``combine`` of the elements, the operands aligned from the right."""
    shape = values[0]
    for v in values[1:]:
        shape = replace(
            shape, axes=_aligned(shape, v, symbol, span), row=_row(shape, v), text=f"{shape.text} {symbol} …"
        )
    axes, parts = shape.axes, tuple(values)

    def build(places: Places, hints: Hints) -> Expr:
        return combine(*[v.build(_places(v, axes, places), hints) for v in parts])

    dims = next((v.dims for v in parts if v.dims), ())
    return Value(axes, build, row=shape.row, dims=dims)


def _row(a: Value, b: Value) -> bool:
    return (a.row or b.row) and max(a.rank, b.rank) == 1


def _places(v: Value, axes: tuple[Expr, ...], places: Places) -> Places:
    start = len(axes) - v.rank
    return tuple(ZERO if own == ONE and axes[start + k] != ONE else places[start + k] for k, own in enumerate(v.axes))


def _aligned(a: Value, b: Value, symbol: str, span: Span | None) -> tuple[Expr, ...]:
    rank = max(a.rank, b.rank)
    if rank == 1 and a.rank == b.rank and a.row != b.row:
        vector, row = (b, a) if a.row else (a, b)
        raise SourceError(
            f"{vector.show()} {symbol} {row.show()}: a vector against a row may mean a vector or a matrix",
            span,
            hint=f"for the matrix write col({vector.text}) {symbol} {row.text}; for the vector drop the '",
        )
    out: list[Expr] = []
    for k in range(rank, 0, -1):
        x = a.axes[a.rank - k] if k <= a.rank else ONE
        y = b.axes[b.rank - k] if k <= b.rank else ONE
        if x != y and ONE not in (x, y):
            raise SourceError(f"the axes of {a.show()} {symbol} {b.show()} do not match", span, hint=_fix(a, b, symbol))
        out.append(y if x == ONE else x)
    for v, other in ((a, b), (b, a)):
        expanded = out[: rank - v.rank] if v.rank and not v.row else []
        twice = next((x for x in expanded if x != ONE and x in v.axes), None)
        if twice is not None:
            name = v.text if v.text.isidentifier() else "v"
            proposal = (
                f"col({name}), one number a row, or {name}', one number a column" if v.rank == 1 else "index notation"
            )
            raise SourceError(
                f"{a.show()} {symbol} {b.show()} is ambiguous: {v.show()} may lie along either axis "
                f"{show_axes([twice], v.dims or other.dims)[1:-1]}",
                span,
                hint=f"write {proposal}",
            )
    return tuple(out)


def _fix(a: Value, b: Value, symbol: str) -> str | None:
    """What would make the axes of an element-wise operation match."""
    if a.rank == b.rank == 1:
        return (
            f"for the matrix of all pairs write {a.operand} @ {b.transposed}"
            if symbol == "*"
            else "for all pairs use col(…)"
        )
    if a.rank == b.rank == 2 and a.axes[::-1] == b.axes:
        return f"transpose one of them: {a.operand} {symbol} {b.transposed}"
    for v, other in ((a, b), (b, a)):
        if v.rank == 1 and other.rank == 2 and v.axes[0] == other.axes[0]:
            left, right = (f"col({x.text})" if x is v else x.operand for x in (a, b))
            return f"for one number a row write {left} {symbol} {right}"
        if v.rank == 1 and v.axes[0] in other.axes:
            return f"axes are aligned from the right; use index notation to lay {v.text} along another axis"
    return None


# --- reductions ------------------------------------------------------------------------------------------


def reduced(op: str, v: Value, axis: int | None, span: Span | None) -> Value:
    """``op`` over one axis, which disappears, or over all; ``mean`` is a sum divided by the extents."""
    gone = tuple(range(v.rank)) if axis is None else (axis,)
    kept = tuple(a for k, a in enumerate(v.axes) if k not in gone)
    scale = mul(*(v.axes[k] ** -1 for k in gone)) if op == "mean" else ONE

    def build(places: Places, hints: Hints) -> Expr:
        bound = tuple(hints.fresh(v.axes[k]) for k in gone)
        rest = iter(places)
        inner = tuple(bound[gone.index(k)] if k in gone else next(rest) for k in range(v.rank))
        return mul(scale, reduce_("sum" if op == "mean" else op, bound, v.build(inner, hints)))

    return Value(kept, build, text=f"{op}({v.text})", span=span, dims=v.dims)


def stack(items: Sequence[Value], span: Span | None) -> Value:
    """``[a, b]``: equal shapes along a new first axis."""
    for v in items[1:]:
        if v.axes != items[0].axes:
            raise SourceError(f"[…] stacks equal shapes: {items[0].show()} and {v.show()} differ", span)
    parts = tuple(items)

    def build(places: Places, hints: Hints) -> Expr:
        return pick(places[0], [v.build(places[1:], hints) for v in parts])

    return Value((as_expr(len(items)), *items[0].axes), build, text="[…]", span=span, dims=items[0].dims)


def pick(place: Expr, options: Sequence[Expr]) -> Expr:
    """The option that ``place`` counts."""
    out = options[-1]
    for k in range(len(options) - 2, -1, -1):
        out = select(compare("==", place, k), options[k], out)
    return out


def check_numbers(e: Expr, span: Span | None) -> None:
    """Refuse exact numbers that no float64 holds (a product of literals may be one)."""
    seen: set[Expr] = set()
    stack = [e]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack.extend(node.children)
        if isinstance(node, Num) and abs(node.value) > _LARGEST:
            raise SourceError("a number of this line is beyond float64", span)


def bounded_power(span: Span | None) -> Callable[[Expr, Expr], Expr]:
    """``power``, refusing to write out an exact number that no float64 holds; a constant above is its value."""

    def bounded(base: Expr, exponent: Expr) -> Expr:
        exponent = with_values(exponent)
        if isinstance(base, Num) and isinstance(exponent, Num):
            digits = max(abs(base.value.numerator), base.value.denominator).bit_length()
            if digits > 1 and digits * abs(exponent.value) > 2100:
                raise SourceError(f"{base}^{exponent} is beyond float64", span)
        return power(base, exponent)

    return bounded


def as_mask(e: Expr) -> Expr:
    """A condition as a mask: what is not one already holds where it is not 0."""
    if isinstance(e, Mask) or (isinstance(e, Mul) and all(isinstance(f, Mask) for f in e.args)):
        return e
    return compare("!=", e, 0)
