"""Small slips of the pen, undone: every expression that is one edit away from a given one.

In: the syntax of a right side, and which tensors may stand for which. Out: edited syntax, with what kind of slip the
edit would mend. Nothing here knows whether an edit is right; numbers decide that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import product
from typing import Any

from derive.claims.line import nodes_of
from derive.language import tree
from derive.language.text import expression_text

# The kinds in the order in which they are tried: what is said of a line is the simplest thing that mends it.
KINDS = (
    "extra case",
    "sign",
    "wrong index",
    "transpose",
    "extra function",
    "missing sum",
    "swapped case",
    "order of a product",
    "kind of product",
    "wrong operand",
    "wrong range",
    "extra factor",
    "extra term",
    "inverted factor",
    "exponent",
    "missing factor",
)
Others = Callable[[str], list[str]]
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Edit:
    """An edited right side, the kind of slip it mends, and the slip in words."""

    node: tree.Expr
    kind: str
    words: str


def edits(node: tree.Expr, others: Others, letters: tuple[str, ...] = ()) -> list[Edit]:
    """All edits of one spot, those of the kinds that are tried first in front.

    ``others`` gives the tensors that may stand for one: those of its shape; ``letters`` are those of the left side.

    >>> from derive.language.parse import parse_expression
    >>> [expression_text(e.node) for e in edits(parse_expression("a - b"), lambda name: []) if e.kind == "sign"]
    ['a + b', '-a - b']
    """
    found = [*_of_whole(node), *_spots(node, lambda part: _here(part, others))]
    bound = tuple(b.name for n in nodes_of(node) if isinstance(n, tree.Reduction) for b in n.binders)
    if letters or bound:
        found += _spots(node, lambda part: _of_letters(part, (*letters, *bound)))
    return sorted(dict.fromkeys(found), key=lambda e: KINDS.index(e.kind))


def _of_whole(node: tree.Expr) -> Iterator[Edit]:
    if not isinstance(node, tree.Transpose):
        yield Edit(tree.Transpose(node), "transpose", "the whole is to be transposed")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", "the sum over all is missing")
    for axis in (0, 1):
        yield Edit(_along("sum", node, axis), "missing sum", f"the sum over axis {axis} is missing")


def _spots(node: Any, here: Callable[[Any], Iterator[Edit]]) -> Iterator[Edit]:
    """``here`` at every node, each of its edits put back into the whole."""
    yield from here(node)
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name == "span" or (isinstance(node, tree.Index) and field.name == "items"):
            continue
        if isinstance(value, tree.Node):
            for e in _spots(value, here):
                yield replace(e, node=replace(node, **{field.name: e.node}))
        elif isinstance(value, tuple):
            for k, part in enumerate(value):
                operand = part[1] if isinstance(part, tuple) else part  # ("+", x) in a chain
                if isinstance(operand, tree.Binder | tree.Slice) or not isinstance(operand, tree.Node):
                    continue
                for e in _spots(operand, here):
                    new = (part[0], e.node) if isinstance(part, tuple) else e.node
                    yield replace(e, node=replace(node, **{field.name: (*value[:k], new, *value[k + 1 :])}))


def _here(node: Any, others: Others) -> Iterator[Edit]:
    match node:
        case tree.Name(name):
            yield from _of_name(node, others(name))
        case tree.Transpose(operand):
            yield Edit(operand, "transpose", f"{_text(operand)} is not transposed")
        case tree.Index(operand, items):
            yield from _of_index(node, operand, items)
        case tree.Unary("-", operand):
            yield Edit(operand, "sign", f"{_text(operand)} has no minus")
        case tree.Chain(_, rest) if rest[0][0] in "+-":
            yield from _of_sum(node)
        case tree.Chain(_, rest) if rest[0][0] in "*/@":
            yield from _of_product(node)
        case tree.Conditional(chosen, condition, other):
            yield Edit(tree.Conditional(other, condition, chosen), "swapped case", "the two cases are swapped")
            for case in (chosen, other):
                yield Edit(case, "extra case", f"{_text(case)} is right in both cases")
        case tree.Chain(first, rest) if rest[0][0] in ("and", "or"):
            for case in (first, *(x for _, x in rest)):
                yield Edit(case, "extra case", f"the condition is {_text(case)} alone")
        case tree.Comparison(op, left, right):
            yield Edit(tree.Comparison(_MIRRORED[op], left, right), "swapped case", f"{_text(node)} is reversed")
        case tree.Power(base, tree.Number(value)):
            for k in (value + 1, value - 1):
                yield Edit(tree.Power(base, _number(k)), "exponent", f"the exponent of {_text(base)} is {k}")
            yield Edit(base, "exponent", f"{_text(base)} has no exponent")
        case tree.CallExpr(function, (tree.Argument(value, None), *_)):
            yield Edit(value, "extra function", f"{function}(…) around {_text(value)} is too much")
            if function in ("sum", "mean", "softmax", "log_softmax"):
                for axis in (0, 1):
                    other = _along(function, value, axis)
                    yield Edit(other, "wrong index", f"{function} runs along axis {axis}")
        case tree.Reduction(op, binders, body):
            if any(b.extent is not None for b in binders):
                whole = replace(node, binders=tuple(tree.Binder(b.name) for b in binders))
                yield Edit(whole, "wrong range", f"the {op} runs over the whole axis")
            yield Edit(body, "extra function", f"{op} over {_text(body)} is too much")


def _of_name(node: tree.Name, others: list[str]) -> Iterator[Edit]:
    yield Edit(tree.Transpose(node), "transpose", f"{node.name} is to be transposed")
    if not others:
        return
    for axis in (0, 1):
        yield Edit(_along("sum", node, axis), "missing sum", f"the sum of {node.name} over axis {axis} is missing")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", f"the sum of {node.name} is missing")
    for name in others:
        if name != node.name:
            yield Edit(tree.Name(name), "wrong operand", f"{name} is right in the place of {node.name}")
            both = tree.Chain(node, (("*", tree.Name(name)),))
            yield Edit(both, "missing factor", f"the factor {name} beside {node.name} is missing")


def _of_index(node: tree.Index, operand: tree.Expr, items: tuple[Any, ...]) -> Iterator[Edit]:
    for k in range(len(items)):
        for m in range(k + 1, len(items)):
            swapped = list(items)
            swapped[k], swapped[m] = items[m], items[k]
            new = replace(node, items=tuple(swapped))
            yield Edit(new, "transpose", f"{_text(node)} is to be {_text(new)}")


def _of_letters(node: Any, letters: tuple[str, ...]) -> Iterator[Edit]:
    """One index letter in the place of another, and no sum over a letter that is free."""
    if isinstance(node, tree.Index):
        for k, item in enumerate(node.items):
            for name in letters:
                if not isinstance(item, tree.Slice) and item != tree.Name(name):
                    new = replace(node, items=(*node.items[:k], tree.Name(name), *node.items[k + 1 :]))
                    yield Edit(new, "wrong index", f"{_text(node)} is to be {_text(new)}")
    if isinstance(node, tree.Reduction) and len(node.binders) == 1:
        for name in letters:
            body = _renamed(node.body, node.binders[0].name, name)
            yield Edit(body, "extra function", f"the {node.op} over {node.binders[0].name} is too much")


def _renamed(node: Any, old: str, new: str) -> Any:
    if isinstance(node, tree.Name):
        return tree.Name(new) if node.name == old else node
    if isinstance(node, tuple):
        return tuple(_renamed(part, old, new) for part in node)
    if not isinstance(node, tree.Node):
        return node
    return replace(
        node, **{f.name: _renamed(getattr(node, f.name), old, new) for f in fields(node) if f.name != "span"}
    )


def _of_sum(node: tree.Chain) -> Iterator[Edit]:
    for k, (op, term) in enumerate(node.rest):
        flipped = (*node.rest[:k], ("-" if op == "+" else "+", term), *node.rest[k + 1 :])
        yield Edit(replace(node, rest=flipped), "sign", f"the sign of {_text(term)} is wrong")
        without = _chain(node.first, (*node.rest[:k], *node.rest[k + 1 :]))
        yield Edit(without, "extra term", f"{_text(term)} is too much")
    yield Edit(replace(node, first=tree.Unary("-", node.first)), "sign", f"the sign of {_text(node.first)} is wrong")
    if len(node.rest) == 1:
        times = tree.Chain(node.first, (("*", node.rest[0][1]),))
        yield Edit(times, "kind of product", f"{_text(node.rest[0][1])} multiplies and is not added")
    op, second = node.rest[0]
    start = second if op == "+" else tree.Unary("-", second)
    yield Edit(_chain(start, node.rest[1:]), "extra term", f"{_text(node.first)} is too much")


def _of_product(node: tree.Chain) -> Iterator[Edit]:
    parts = [("*", node.first), *node.rest]
    for k, (op, factor) in enumerate(node.rest):
        for other in "*/@":
            if other != op:
                kind = "inverted factor" if "/" in (op, other) else "kind of product"
                new = (*node.rest[:k], (other, factor), *node.rest[k + 1 :])
                word = f"{_text(factor)} {'divides' if other == '/' else 'multiplies'}" + (
                    "" if kind == "inverted factor" else " " + ("element by element" if other == "*" else "as a matrix")
                )
                yield Edit(replace(node, rest=new), kind, word)
        left = parts[k][1]
        if op == "@":
            for a, b in product((left, _flipped(left)), (factor, _flipped(factor))):
                for first, second in ((b, a), (a, b)):
                    if first is left:
                        continue  # as it stands, or one transposition alone
                    kind = "transpose" if first is a else "order of a product"
                    pair = [*parts[:k], (parts[k][0], first), (op, second), *parts[k + 2 :]]
                    words = f"{_text(left)} @ {_text(factor)} is to be {_text(first)} @ {_text(second)}"
                    yield Edit(_chain(pair[0][1], tuple(pair[1:])), kind, words)
        without = _chain(node.first, (*node.rest[:k], *node.rest[k + 1 :]))
        yield Edit(without, "extra factor", f"{_text(factor)} is too much")
    yield Edit(_chain(node.rest[0][1], node.rest[1:]), "extra factor", f"{_text(node.first)} is too much")


def _flipped(node: tree.Expr) -> tree.Expr:
    return node.operand if isinstance(node, tree.Transpose) else tree.Transpose(node)


def _chain(first: tree.Expr, rest: tuple[tuple[str, tree.Expr], ...]) -> tree.Expr:
    return tree.Chain(first, rest) if rest else first


def _along(function: str, value: tree.Expr, axis: int) -> tree.Expr:
    return tree.CallExpr(function, (tree.Argument(value), tree.Argument(_number(Fraction(axis)), "axis")))


def _number(value: Fraction) -> tree.Expr:
    return tree.Number(abs(value), str(abs(value))) if value >= 0 else tree.Unary("-", tree.Number(-value, str(-value)))


def _text(node: tree.Expr) -> str:
    return expression_text(node)
