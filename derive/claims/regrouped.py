"""Brackets in other places: what a formula becomes where a fraction line or a factor reaches further, or less far.

In: the syntax of one node. Out: the node with its operands grouped in another way, and the change in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from derive.language import tree
from derive.language.text import expression_text as text


def regrouped(node: Any) -> Iterator[tuple[tree.Expr, str]]:
    """Every other grouping of one node.

    >>> from derive.language.parse import parse_expression
    >>> [text(new) for new, _ in regrouped(parse_expression("a / b * c"))]
    ['a / (b * c)']
    >>> [text(new) for new, _ in regrouped(parse_expression("a - b / n"))]
    ['(a - b) / n']
    """
    if isinstance(node, tree.Power) and isinstance(node.base, tree.Chain) and node.base.rest[0][0] in "+-":
        op, last = node.base.rest[-1]
        new = replace(node.base, rest=(*node.base.rest[:-1], (op, replace(node, base=last))))
        yield new, f"only {text(last)} is raised, not {text(node.base)}"
    if not isinstance(node, tree.Chain):
        return
    if node.rest[0][0] in "*/@":
        yield from _below(node)
        yield from _spread(node)
    elif node.rest[0][0] in "+-":
        yield from _around(node)


def _below(node: tree.Chain) -> Iterator[tuple[tree.Expr, str]]:
    """What follows a division drawn below its line."""
    for k, (op, divisor) in enumerate(node.rest):
        for m in range(k + 1, len(node.rest)):
            if op == "/" and all(o == "*" for o, _ in node.rest[k + 1 : m + 1]):
                below = tree.Chain(divisor, node.rest[k + 1 : m + 1])
                new = replace(node, rest=(*node.rest[:k], ("/", below), *node.rest[m + 1 :]))
                yield new, f"all of {text(below)} is to be divided by, and needs brackets"


def _around(node: tree.Chain) -> Iterator[tuple[tree.Expr, str]]:
    """A factor or divisor of one term taken for the whole sum."""
    op, last = node.rest[-1]
    if isinstance(last, tree.Power):
        inner = replace(node, rest=(*node.rest[:-1], (op, last.base)))
        yield replace(last, base=inner), f"all of {text(inner)} is raised, and needs brackets"
    if isinstance(last, tree.Chain) and last.rest[0][0] in "*/@":
        for k in range(len(last.rest)):
            head = tree.Chain(last.first, last.rest[:k]) if k else last.first
            inner = replace(node, rest=(*node.rest[:-1], (op, head)))
            yield tree.Chain(inner, last.rest[k:]), f"all of {text(inner)} is meant, and needs brackets"
    first = node.first
    if isinstance(first, tree.Chain) and first.rest[0][0] in "*/@":
        for k, (sign, end) in reversed(list(enumerate(first.rest))):
            tail = tree.Chain(end, first.rest[k + 1 :]) if first.rest[k + 1 :] else end
            inner = tree.Chain(tail, node.rest)
            if sign != "/":
                yield (
                    replace(first, rest=(*first.rest[:k], (sign, inner))),
                    f"all of {text(inner)} is meant, and needs brackets",
                )
    if isinstance(first, tree.Unary) and first.op == "-":
        inner = tree.Chain(first.operand, node.rest)
        yield tree.Unary("-", inner), f"the minus is meant for all of {text(inner)}, which needs brackets"


def _spread(node: tree.Chain) -> Iterator[tuple[tree.Expr, str]]:
    """A factor or divisor of a sum taken for one of its terms."""
    if len(node.rest) != 1:
        return
    op, second = node.rest[0]
    if isinstance(node.first, tree.Chain) and node.first.rest[0][0] in "+-":
        sign, last = node.first.rest[-1]
        new = replace(node.first, rest=(*node.first.rest[:-1], (sign, tree.Chain(last, ((op, second),)))))
        yield new, f"{op} {text(second)} is meant for {text(last)} alone"


def joined_sums(node: Any) -> Iterator[tree.Expr]:
    """The sum of the products for the product of two sums."""
    if not isinstance(node, tree.Chain) or node.rest[0][0] not in "*/@":
        return
    parts = [("*", node.first), *node.rest]
    for k, (op, a) in enumerate(parts):
        for m in range(k + 1, len(parts)):
            other, b = parts[m]
            if not (isinstance(a, tree.Reduction) and isinstance(b, tree.Reduction) and op == other == "*"):
                continue
            if a.op != "sum" or b.op != "sum" or len(a.binders) != 1 or len(b.binders) != 1:
                continue
            body = tree.Chain(a.body, (("*", renamed(b.body, b.binders[0].name, tree.Name(a.binders[0].name))),))
            rest = [*parts[:k], (op, tree.Reduction("sum", a.binders, body)), *parts[k + 1 : m], *parts[m + 1 :]]
            yield tree.Chain(rest[0][1], tuple(rest[1:])) if len(rest) > 1 else rest[0][1]


def renamed(node: Any, old: str, new: tree.Expr) -> Any:
    """The tree with one name in the place of another."""
    if isinstance(node, tree.Name):
        return new if node.name == old else node
    if isinstance(node, tuple):
        return tuple(renamed(part, old, new) for part in node)
    if not isinstance(node, tree.Node):
        return node
    kept = {name: getattr(node, name) for name in node.__dataclass_fields__ if name != "span"}
    return replace(node, **{name: renamed(value, old, new) for name, value in kept.items()})
