"""Expressions: syntax to tensor values, in tensor notation and in index notation alike.

In: a syntax node and the letters in scope (none in tensor notation). Out: a `Value`. Index notation is tensor
notation of rank 0: inside it every tensor carries its indices, and a letter is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from derive.errors import NotSupportedYet, SourceError, Span
from derive.expr import ONE, ZERO, Dim, Expr, Num, add, compare, mul, negate, num, power, reduce_, select
from derive.language import calls, tree
from derive.language.indices import Range, Scope, check_constant_place, check_count, check_inside, check_used
from derive.language.names import Names, names_in
from derive.language.tensors import (
    Hints,
    Places,
    Value,
    as_mask,
    constant,
    element,
    elementwise,
    matmul,
    stack,
    transpose,
)
from derive.program import DimDecl
from derive.shapes import never_negative, polynomial, show_extent, size

Place = Callable[[Hints], Expr]


def written(node: tree.Node, default: str) -> str:
    """The node as it stands in the text, where it stands on one line."""
    if isinstance(node, tree.Name):
        return node.name
    span = node.span
    if span is None or span.line != span.end_line:
        return default
    return span.source.line(span.line)[span.column - 1 : span.end_column - 1] or default


def between(a: Value, b: Value, default: Span | None) -> Span | None:
    """The span from one operand to another."""
    return a.span.to(b.span) if a.span is not None and b.span is not None else default


class Elaborator:
    """Elaborates expressions over given names and functions; ``letters`` collects the letters that the user wrote."""

    def __init__(
        self,
        names: Names,
        functions: calls.Functions,
        dims: list[DimDecl] | None = None,
        notices: list[str] | None = None,
        *,
        catalogue: bool = False,
    ) -> None:
        self.names, self.functions = names, functions
        self.dims: list[DimDecl] = [] if dims is None else dims
        self.notices: list[str] = [] if notices is None else notices
        self.letters: set[str] = set()
        self.batch: Dim | None = None
        self.catalogue = catalogue

    def among(self, names: Mapping[str, Value | Expr]) -> Elaborator:
        """An elaborator of catalogue text, which sees these names only."""
        return Elaborator(Names.of(names), self.functions.builtin(), self.dims, catalogue=True)

    @property
    def sizes(self) -> dict[str, int]:
        """The default sizes."""
        return {d.name: d.default for d in self.dims if d.default is not None}

    def value(self, node: tree.Expr, scope: Scope | None = None) -> Value:
        """What the expression denotes."""
        out = self._value(node, scope)
        return replace(out, text=written(node, out.text), span=node.span, dims=tuple(self.dims))

    def _value(self, node: tree.Expr, scope: Scope | None) -> Value:
        match node:
            case tree.Number(value):
                return constant(num(value))
            case tree.Name():
                return self._name(node, scope)
            case tree.Unary(op, operand):
                one = (lambda x: mul(-1, x)) if op == "-" else (lambda x: negate(as_mask(x)))
                return elementwise([self.value(operand, scope)], one, op, node.span)
            case tree.Chain(_, rest) if rest[0][0] in "+-":
                return self._sum(node, scope)
            case tree.Chain(_, rest) if rest[0][0] in ("and", "or"):
                return self._logic(node, scope)
            case tree.Chain():
                return self._product(node, scope)
            case tree.Power():
                return self._power(node, scope)
            case tree.Transpose(operand):
                if scope is not None:
                    raise SourceError("' has no meaning in index notation", node.span, hint="swap the letters instead")
                return transpose(self.value(operand), node.span)
            case tree.Index():
                return self._slice(node) if scope is None else self._access(node, scope)
            case tree.Comparison(op, left, right):
                operands = [self.value(left, scope), self.value(right, scope)]
                return elementwise(operands, lambda a, b: compare(op, a, b), op, node.span)
            case tree.Conditional(chosen, condition, other):
                inner = None if scope is None else scope.conditional()
                operands = [self.value(condition, scope), self.value(chosen, inner), self.value(other, inner)]
                return elementwise(operands, lambda c, a, b: select(as_mask(c), a, b), "if", node.span)
            case tree.Reduction():
                return self._reduction(node, scope)
            case tree.CallExpr():
                return calls.call(self, node, scope)
            case tree.ListExpr(items):
                if scope is not None:
                    raise SourceError(
                        "a list cannot stand in index notation", node.span, hint="give it a line of its own"
                    )
                return stack([self.value(i) for i in items], node.span)

    # --- names and operators -----------------------------------------------------------------------------

    def _name(self, node: tree.Name, scope: Scope | None) -> Value:
        if node.index is not None:
            raise NotSupportedYet(f"a family ({node.name}{{…}})", node.span)
        letter = scope.ranges.get(node.name) if scope is not None else None
        if letter is not None and self.names.get(node.name) is None:
            letter.used = True
            found = letter
            return Value((), lambda places, hints: found.place())
        entry = self.names.find(node.name, node.span, scope or ())
        if not isinstance(entry, Value):
            return constant(entry)
        if scope is not None and entry.rank:
            places = ", ".join("ijklpq"[k % 6] for k in range(entry.rank))
            raise SourceError(
                f"in index notation {entry.show()} carries all its indices",
                node.span,
                hint=f"write {node.name}[{places}]",
            )
        return entry

    def _sum(self, node: tree.Chain, scope: Scope | None) -> Value:
        values = [self.value(node.first, scope), *(self.value(x, scope) for _, x in node.rest)]
        signs = [1, *(1 if op == "+" else -1 for op, _ in node.rest)]
        return elementwise(
            values, lambda *xs: add(*(mul(s, x) for s, x in zip(signs, xs, strict=True))), node.rest[0][0], node.span
        )

    def _logic(self, node: tree.Chain, scope: Scope | None) -> Value:
        values = [self.value(node.first, scope), *(self.value(x, scope) for _, x in node.rest)]
        if node.rest[0][0] == "and":
            return elementwise(values, lambda *xs: mul(*map(as_mask, xs)), "and", node.span)
        return elementwise(values, lambda *xs: negate(mul(*(negate(as_mask(x)) for x in xs))), "or", node.span)

    def _product(self, node: tree.Chain, scope: Scope | None) -> Value:
        pending = [("*", self.value(node.first, scope))]
        mixed = False  # a product of two non-scalars stands directly to the left
        for op, operand in node.rest:
            v = self.value(operand, scope)
            span = between(pending[0][1], v, node.span)
            if op == "@":
                if scope is not None:
                    raise SourceError("@ has no meaning in index notation", span, hint="write sum[k] A[i,k]*B[k,j]")
                if mixed:
                    raise SourceError(
                        "an element-wise product directly left of @ can be read in two ways",
                        span,
                        hint="write parentheses: (A * B) @ C or A * (B @ C)",
                    )
                left = self._flush(pending, span)
                pending = [
                    ("*", replace(matmul(left, v, span), span=span, text=_text(span, f"{left.text} @ {v.text}")))
                ]
            else:
                if op == "/" and isinstance(operand, tree.Number) and not operand.value:
                    raise SourceError("division by zero", operand.span)
                mixed = mixed or (v.rank > 0 and any(p.rank for _, p in pending))
                pending.append((op, v))
                continue
            mixed = False
        return self._flush(pending, node.span)

    @staticmethod
    def _flush(pending: list[tuple[str, Value]], span: Span | None) -> Value:
        if len(pending) == 1:
            return pending[0][1]
        ops = [op for op, _ in pending]
        return elementwise(
            [v for _, v in pending],
            lambda *xs: mul(*(x if op == "*" else power(x, -1) for op, x in zip(ops, xs, strict=True))),
            ops[1],
            span,
        )

    def _power(self, node: tree.Power, scope: Scope | None) -> Value:
        base, exponent = self.value(node.base, scope), self.value(node.exponent, scope)
        if base.rank == 2 and base.axes[0] == base.axes[1] and exponent.rank == 0:
            x = element(exponent)
            if isinstance(x, Num) and x.value < 0:
                raise SourceError(
                    f"{base.text}^{x} of a square matrix is refused: element-wise or the inverse?",
                    node.span,
                    hint=f"write inv({base.text}), or 1 / {base.text} for the element-wise reciprocal",
                )
            if isinstance(x, Num) and x.value.denominator == 1 and x.value > 1:
                where = f"{node.span}: " if node.span is not None else ""
                self.notices.append(
                    f"{where}{base.text}^{x} is element-wise; for the matrix power write {base.text} @ {base.text}"
                )
        return elementwise([base, exponent], power, "^", node.span)

    # --- indices -----------------------------------------------------------------------------------------

    def _reduction(self, node: tree.Reduction, scope: Scope | None) -> Value:
        ranges = [
            Range(b.name, b.span or node.span, None if b.extent is None else self.extent(b.extent))
            for b in node.binders
        ]
        self.letters.update(r.name for r in ranges)
        body = self.value(node.body, (scope or Scope({})).inside(*ranges))
        for r in ranges:
            check_used(r)
        extents = [r.resolve(self.sizes) for r in ranges]
        op = "sum" if node.op == "mean" else node.op
        scale = mul(*(e**-1 for e in extents)) if node.op == "mean" else ONE

        def build(places: Places, hints: Hints) -> Expr:
            pairs = zip(ranges, extents, strict=True)
            letters = [hints.fresh(e) if self.catalogue else hints.named(e, r.name) for r, e in pairs]
            for r, letter in zip(ranges, letters, strict=True):
                r.letter = letter
            return mul(scale, reduce_(op, letters, body.build((), hints)))

        return Value((), build)

    def _access(self, node: tree.Index, scope: Scope) -> Value:
        if node.padding is not None:
            raise NotSupportedYet("padding in an index", node.span)
        if isinstance(node.operand, tree.Index):
            raise SourceError("an access has one pair of brackets", node.span, hint="write X[i, j], not X[i][j]")
        operand = self.value(node.operand)
        check_count(operand, len(node.items), node.span)
        places = [self._place(item, operand, axis, scope) for axis, item in enumerate(node.items)]
        return Value((), lambda _, hints: operand.build(tuple(p(hints) for p in places), hints), labels=operand.labels)

    def _place(self, item: tree.Expr | tree.Slice, operand: Value, axis: int, scope: Scope) -> Place:
        if isinstance(item, tree.Slice):
            raise SourceError("a slice cannot stand in index notation", item.span, hint="write a letter")
        letter = scope.ranges.get(item.name) if isinstance(item, tree.Name) else None
        if letter is not None:
            found = letter
            found.used = True
            found.sites.append((operand, axis, scope.guarded, item.span))
            return lambda hints: found.place()
        if isinstance(item, tree.Index):
            inner = self.value(item, scope)
            if inner.labels is None:
                raise SourceError(
                    f"{inner.text} is not an integer, and a place is one",
                    item.span,
                    hint="declare its tensor with labels(c): integers from 0 to c-1",
                )
            check_inside(
                operand,
                axis,
                inner.labels,
                f"{inner.text} counts to {show_extent(inner.labels)}-1",
                self.sizes,
                item.span,
            )
            return lambda hints: inner.build((), hints)
        if names_in(item) & set(scope):
            raise NotSupportedYet("an affine index such as i+1", item.span)
        if isinstance(item, tree.Name) and self.names.get(item.name) is None and item.name not in self.names.later:
            raise SourceError(
                f"the letter {item.name} is free: it stands on no left side and under no reduction",
                item.span,
                hint=f"put it on the left, or write sum[{item.name}] …",
            )
        place = self.extent(item)
        if not scope.guarded:
            check_constant_place(place, operand, axis, self.sizes, item.span)
        return lambda hints: place

    def _slice(self, node: tree.Index) -> Value:
        if node.padding is not None:
            raise NotSupportedYet("padding in an index", node.span)
        v = self.value(node.operand)
        if len(node.items) > v.rank:
            check_count(v, len(node.items), node.span)
        axes: list[Expr] = []
        offsets: list[tuple[bool, Expr]] = []
        for axis, item in enumerate(node.items):
            if isinstance(item, tree.Slice):
                start = ZERO if item.start is None else self.extent(item.start)
                stop = v.axes[axis] if item.stop is None else self.extent(item.stop)
                self._check_slice(v, axis, start, stop, item.span or node.span)
                axes.append(polynomial(stop - start))
                offsets.append((True, start))
            else:
                if isinstance(item, tree.Name) and self.names.get(item.name) is None:
                    raise SourceError(
                        f"{item.name} is not known outside an index equation",
                        item.span,
                        hint=f"bind the letter: T[{item.name}] = …, or sum[{item.name}] …",
                    )
                place = self.extent(item)
                check_constant_place(place, v, axis, self.sizes, item.span)
                offsets.append((False, place))
        given = len(axes)

        def build(places: Places, hints: Hints) -> Expr:
            rest = iter(places)
            return v.build(tuple(add(next(rest), e) if kept else e for kept, e in offsets) + places[given:], hints)

        return Value((*axes, *v.axes[len(offsets) :]), build)

    def _check_slice(self, v: Value, axis: int, start: Expr, stop: Expr, span: Span | None) -> None:
        known = size(stop - start, self.sizes)
        if not never_negative(stop - start - 1) and (known is None or known < 1):
            raise SourceError(
                f"the slice {show_extent(start)}:{show_extent(stop)} is empty",
                span,
                hint="it is half-open: a:b holds a … b-1",
            )
        if isinstance(start, Num) and start.value < 0:
            check_constant_place(start, v, axis, self.sizes, span)
        check_inside(v, axis, stop, f"the slice {show_extent(start)}:{show_extent(stop)} ends", self.sizes, span)

    # --- extents -----------------------------------------------------------------------------------------

    def extent(self, node: tree.Expr) -> Expr:
        """An integer polynomial in dims."""
        e = polynomial(self._extent(node))
        if isinstance(e, Num) and e.value.denominator != 1:
            raise SourceError(f"{e} is not an integer, and an extent is one", node.span)
        return e

    def _extent(self, node: tree.Expr) -> Expr:
        match node:
            case tree.Number(value):
                if value.denominator != 1:
                    raise SourceError(f"{node.text} is not an integer, and an extent is one", node.span)
                return num(value)
            case tree.Name(name, None):
                entry = self.names.find(name, node.span)
                if isinstance(entry, Value):
                    raise SourceError(
                        f"{name} is a tensor, not an extent", node.span, hint="extents are declared by dims"
                    )
                if not _is_extent(entry):
                    raise SourceError(f"{name} is not an integer, and an extent is one", node.span)
                return entry
            case tree.Name(name):
                raise NotSupportedYet(f"a family ({name}{{…}})", node.span)
            case tree.Unary("-", operand):
                return mul(-1, self._extent(operand))
            case tree.Chain(first, rest) if rest[0][0] in "+-":
                return add(self._extent(first), *(mul(1 if op == "+" else -1, self._extent(x)) for op, x in rest))
            case tree.Chain(first, rest) if all(op == "*" for op, _ in rest):
                return mul(self._extent(first), *(self._extent(x) for _, x in rest))
            case tree.Chain(_, rest) if any(op == "/" for op, _ in rest):
                raise SourceError("an extent is an integer polynomial: it is not divided", node.span)
            case tree.Power(base, tree.Number(value)) if value.denominator == 1 and 0 <= value < 100:
                return power(self._extent(base), num(value))
        raise SourceError(
            "an extent is an integer polynomial in dims, such as 2*n-k+1",
            node.span,
            hint="use +, -, * and ^ with dims and integers",
        )


def _is_extent(e: Expr) -> bool:
    """Whether an expression without tensors is an integer polynomial in dims."""
    if isinstance(e, Num):
        return e.value.denominator == 1
    if isinstance(e, Dim):
        return True
    return e.rank in (7, 8, 9) and all(_is_extent(c) for c in e.children) and not (e.rank == 7 and _negative(e))


def _negative(e: Expr) -> bool:
    exponent = e.children[1]
    return not isinstance(exponent, Num) or exponent.value < Fraction(0)


def _text(span: Span | None, default: str) -> str:
    if span is None or span.line != span.end_line:
        return default
    return span.source.line(span.line)[span.column - 1 : span.end_column - 1] or default
