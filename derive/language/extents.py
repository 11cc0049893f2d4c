"""Extents as they are written: integer polynomials in dims and integer constants.

In: syntax. Out: the expanded polynomial as an `Expr` over `Dim`, or an error that says why it is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from derive.errors import SourceError
from derive.expr import Add, Dim, Expr, Letter, Mul, Num, Pow, add, mul, num, power
from derive.language import tree
from derive.language.names import Names
from derive.language.tensors import Value
from derive.numeric import with_values
from derive.repeat.members import base_and_offset, member
from derive.shapes import polynomial, show_extent, whole_steps


def extent(names: Names, node: tree.Expr, letters: Mapping[str, Expr] | None = None) -> Expr:
    """The integer polynomial in dims, and in given letters, that a piece of syntax is.

    >>> from derive.expr import Dim
    >>> from derive.language.parse import parse_expression
    >>> extent(Names.of({"n": Dim("n")}), parse_expression("2*(n-1)")) == 2 * Dim("n") - 2
    True
    """
    e = polynomial(_extent(names, letters or {}, node))
    if isinstance(e, Num) and e.value.denominator != 1:
        raise SourceError(f"{e} is not an integer, and an extent is one", node.span)
    return e


def _extent(names: Names, letters: Mapping[str, Expr], node: tree.Expr) -> Expr:
    match node:
        case tree.Number(value):
            if value.denominator != 1:
                raise SourceError(f"{node.text} is not an integer, and an extent is one", node.span)
            return num(value)
        case tree.Name(name, None):
            entry = letters[name] if name in letters else names.find(name, node.span)
            if isinstance(entry, Value):
                raise SourceError(f"{name} is a tensor, not an extent", node.span, hint="extents are declared by dims")
            entry = with_values(entry)
            if not _is_extent(entry):
                raise SourceError(f"{name} is not an integer, and an extent is one", node.span)
            return entry
        case tree.Name(name, index):
            if name not in names.widths:
                raise SourceError(
                    f"{name} is no family of dims", node.span, hint=f"declare it: dims {name}{{0..L}} = [784, 30, 10]"
                )
            assert index is not None
            layer = _extent(names, {}, index)
            if base_and_offset(layer) is None:
                raise SourceError(f"{show_extent(layer)} is no layer", index.span or node.span)
            return Dim(member(name, layer))
        case tree.Unary("-", operand):
            return mul(-1, _extent(names, letters, operand))
        case tree.Chain(first, rest) if rest[0][0] in "+-":
            return add(
                _extent(names, letters, first),
                *(mul(1 if op == "+" else -1, _extent(names, letters, x)) for op, x in rest),
            )
        case tree.Chain(first, rest) if all(op in "*/" for op, _ in rest):
            found = _extent(names, letters, first)
            for op, x in rest:
                other = _extent(names, letters, x)
                found = mul(found, other) if op == "*" else _divided(found, other, node)
            return found
        case tree.Power(base, tree.Number(value)) if value.denominator == 1 and 0 <= value < 100:
            return _small(power(_extent(names, letters, base), num(value)), node)
        case tree.CallExpr("floor", (tree.Argument(tree.Chain(first, rest), None),)) if rest[-1][0] == "/":
            return _rounded_down(names, letters, tree.Chain(first, rest[:-1]) if rest[1:] else first, rest[-1][1], node)
    raise SourceError(
        "an extent is an integer polynomial in dims, such as 2*n-k+1",
        node.span,
        hint="use +, -, * and ^ with dims and integers",
    )


def _divided(above: Expr, below: Expr, node: tree.Expr) -> Expr:
    """A quotient, which has to be exact whatever the extents are."""
    room, step = polynomial(above), polynomial(below)
    found = whole_steps(room, step) if not isinstance(step, Num) or step.value > 0 else None
    if found is None or polynomial(mul(found, step)) != room:
        quotient = f"{_bracketed(room)}/{_bracketed(step)}"
        raise SourceError(
            f"an extent is an integer polynomial, not divided unless the quotient is one: {quotient} is not",
            node.span,
            hint="floor(a/b) rounds down, where that is one",
        )
    return found


def _rounded_down(
    names: Names, letters: Mapping[str, Expr], above: tree.Expr, below: tree.Expr, node: tree.Expr
) -> Expr:
    """``floor(above / below)``, which has to be a polynomial as well."""
    room, step = polynomial(_extent(names, letters, above)), polynomial(_extent(names, letters, below))
    if isinstance(step, Num) and step.value < 1:
        raise SourceError(f"an extent is divided by a number that is at least 1, not by {step}", node.span)
    found = whole_steps(room, step)
    if found is None:
        quotient = f"{_bracketed(room)}/{_bracketed(step)}"
        hint = "write the extents as numbers, or as multiples: dims m = 14, and 2*m for what is halved"
        raise SourceError(f"{quotient} rounded down is no polynomial in dims", node.span, hint=hint)
    return found


def _bracketed(e: Expr) -> str:
    return f"({show_extent(e)})" if isinstance(e, Add) else show_extent(e)


def _small(e: Expr, node: tree.Expr) -> Expr:
    if isinstance(e, Num) and abs(e.value) > 2**53:
        raise SourceError("the extent is beyond any array", node.span)
    return e


def _is_extent(e: Expr) -> bool:
    """Whether an expression without tensors is an integer polynomial in dims."""
    if isinstance(e, Num):
        return e.value.denominator == 1
    if isinstance(e, Pow):
        return (
            _is_extent(e.base)
            and _is_extent(e.exponent)
            and isinstance(e.exponent, Num)
            and e.exponent.value >= Fraction(0)
        )
    return isinstance(e, (Dim, Letter)) or (isinstance(e, (Add, Mul)) and all(_is_extent(c) for c in e.children))
