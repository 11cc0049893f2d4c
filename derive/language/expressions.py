"""Expressions: syntax to tensor values, in tensor notation and in index notation alike.

In: a syntax node and the letters in scope (none in tensor notation). Out: a `Value`. Index notation is tensor
notation of rank 0: inside it every tensor carries its indices, and a letter is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from derive.errors import SourceError, Span
from derive.expr import ONE, Dim, Expr, Num, add, compare, mul, negate, num, power, reduce_, select
from derive.language import calls, tree
from derive.language.accesses import access, check_branches, cut
from derive.language.extents import extent
from derive.language.families import Families, full_name
from derive.language.indices import Range, Scope, check_used
from derive.language.matrices import matmul, transpose
from derive.language.names import Names
from derive.language.tensors import (
    Hints,
    Places,
    Value,
    as_mask,
    bounded_power,
    constant,
    element,
    elementwise,
    stack,
)
from derive.language.text import expression_text
from derive.numeric import with_values
from derive.program import DimDecl, Tensor


def written(node: tree.Expr, span: Span | None) -> str:
    """The expression as it stands in the text; its canonical text where it has none, or more than one line."""
    if isinstance(node, tree.Name) and node.index is None:
        return node.name
    return _marked(span) or expression_text(node)


def _marked(span: Span | None) -> str | None:
    """The text of a span on one line."""
    if span is None or span.line != span.end_line:
        return None
    return span.source.line(span.line)[span.column - 1 : span.end_column - 1]


def between(a: Value, b: Value, default: Span | None) -> Span | None:
    """The span from one operand to another."""
    return a.span.to(b.span) if a.span is not None and b.span is not None else default


def _compared(op: str, a: Expr, b: Expr) -> Expr:
    """A comparison; one of numbers and constants is decided."""
    x, y = with_values(a), with_values(b)
    return compare(op, x, y) if isinstance(x, Num) and isinstance(y, Num) else compare(op, a, b)


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
        self.families = Families(names, self.dims)
        self.notices: list[str] = [] if notices is None else notices
        self.letters: set[str] = set()
        self.batch: Dim | None = None
        self.initializers: dict[str, calls.Signature] = {}  # the model's own
        self.catalogue = catalogue
        self.growing: dict[Tensor, tuple[int, list[tuple[Range, Span | None]]]] = {}  # recurrences without an end yet
        self.ahead: dict[Tensor, Tensor] = {}  # what each round of a recurrence finds
        self.differentiate: Callable[[Value, Tensor, Span | None], Tensor] | None = (
            None  # d(u, x); the reader knows how
        )
        self.formula = False  # what was printed: its masks keep its places inside
        self.named: Callable[[Value], Value] | None = None  # a value as an equation of its own; the reader knows how

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
        return replace(out, text=written(node, node.span), span=node.span, dims=tuple(self.dims))

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
                return cut(self, node) if scope is None else access(self, node, scope)
            case tree.Comparison(op, left, right):
                operands = [self.value(left, scope), self.value(right, scope)]
                return elementwise(operands, partial(_compared, op), op, node.span)
            case tree.Conditional(chosen, condition, other):
                inner = None if scope is None else scope.conditional()
                operands = [self.value(condition, scope), self.value(chosen, inner), self.value(other, inner)]
                outermost = scope is not None and not scope.guarded

                def choose(c: Expr, a: Expr, b: Expr) -> Expr:
                    chosen = select(as_mask(c), a, b)
                    if outermost:
                        check_branches(chosen, self.sizes, node.span)
                    return chosen

                return elementwise(operands, choose, "if", node.span)
            case tree.Reduction():
                return self._reduction(node, scope)
            case tree.CallExpr():
                return calls.call(self, node, scope)
            case tree.Dots():
                raise SourceError("`..` stands in brackets, for axes", node.span)
            case tree.ListExpr(items):
                if scope is not None:
                    raise SourceError(
                        "a list cannot stand in index notation", node.span, hint="give it a line of its own"
                    )
                return stack([self.value(i) for i in items], node.span)

    # --- names and operators -----------------------------------------------------------------------------

    def _name(self, node: tree.Name, scope: Scope | None) -> Value:
        name = full_name(self.names, node)
        letter = scope.ranges.get(node.name) if scope is not None else None
        if letter is not None and self.names.get(node.name) is None:
            letter.used = True
            found = letter
            return Value((), lambda places, hints: found.place())
        if node.index is not None and node.name in self.names.widths:
            return constant(self.extent(node))
        entry = self.names.find(name, node.span, scope or ())
        if not isinstance(entry, Value):
            return constant(entry)
        if scope is not None and entry.rank:
            places = ", ".join("ijklpq"[k % 6] for k in range(entry.rank))
            raise SourceError(
                f"in index notation {entry.show()} carries all its indices",
                node.span,
                hint=f"write {name}[{places}]",
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
                    ("*", replace(matmul(left, v, span), span=span, text=_marked(span) or f"{left.text} @ {v.text}"))
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
            x = with_values(element(exponent))
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
        return elementwise([base, exponent], bounded_power(node.span), "^", node.span)

    # --- indices -----------------------------------------------------------------------------------------

    def _reduction(self, node: tree.Reduction, scope: Scope | None) -> Value:
        ranges = [
            Range(b.name, b.span or node.span, None if b.extent is None else self.extent(b.extent))
            for b in node.binders
        ]
        self.letters.update(r.name for r in ranges)
        body = self.value(node.body, (scope or Scope({}, guarded=self.formula)).inside(*ranges))
        for r in ranges:
            check_used(r)
        if scope is None:  # else a letter around this one may still get its range from what follows
            for r in ranges:
                r.resolve(self.sizes)
        op = "sum" if node.op == "mean" else node.op

        def build(places: Places, hints: Hints) -> Expr:
            extents = [r.resolve(self.sizes) for r in ranges]
            scale = mul(*(e**-1 for e in extents)) if node.op == "mean" else ONE
            pairs = zip(ranges, extents, strict=True)
            letters = [hints.fresh(e) if self.catalogue else hints.named(e, r.name) for r, e in pairs]
            for r, letter in zip(ranges, letters, strict=True):
                r.letter = letter
            return mul(scale, reduce_(op, letters, body.build((), hints)))

        return Value((), build)

    def extent(self, node: tree.Expr, letters: Mapping[str, Expr] | None = None) -> Expr:
        """An integer polynomial in dims, and in letters where a place is meant."""
        return extent(self.names, node, letters)
