"""Walking and rewriting expressions: what every stage does to them, capture-free.

In and out: `Expr`. Substitution renames binders where a replacement would be captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import is_not
from typing import Any

from derive.expr import Access, Add, Expr, Letter, Mul, Reduce, fresh_like


def walk(e: Expr) -> Iterator[Expr]:
    """Every node of ``e``, parents first (a shared node as often as it stands)."""
    stack = [e]
    while stack:
        node = stack.pop()
        yield node
        stack += node.children[::-1]


def accesses(e: Expr) -> list[Access]:
    """The distinct accesses in ``e``, in order of appearance, those in places included."""
    return list(dict.fromkeys(n for n in walk(e) if isinstance(n, Access)))


def factors(e: Expr) -> tuple[Expr, ...]:
    """The factors of a product, or ``e`` alone."""
    return e.args if isinstance(e, Mul) else (e,)


def terms(e: Expr) -> tuple[Expr, ...]:
    """The terms of a sum, or ``e`` alone."""
    return e.args if isinstance(e, Add) else (e,)


def substitute(e: Expr, table: Mapping[Any, Expr]) -> Expr:
    """``e`` with every node that is a key of ``table`` replaced; binders never capture.

    A letter bound inside ``e`` is renamed where a replacement mentions it freely.
    """
    if not table:
        return e
    incoming = frozenset[Letter]().union(*(v.letters for v in table.values()))
    only = frozenset(table) if all(isinstance(k, Letter) for k in table) else None
    memo: dict[Expr, Expr] = {}

    def visit(node: Expr) -> Expr:
        if only is not None and only.isdisjoint(node.letters):
            return node
        if node in table:
            return table[node]
        done = memo.get(node)
        if done is None:
            done = memo[node] = rebuilt(node)
        return done

    def rebuilt(node: Expr) -> Expr:
        if isinstance(node, Reduce):
            bound = frozenset(node.binders)
            captured = {b: fresh_like(b) for b in node.binders if b in incoming}
            inner = {k: v for k, v in table.items() if not k.letters & bound}
            if captured or len(inner) < len(table):
                body = substitute(substitute(node.body, captured), inner)
                return node.over((captured.get(b, b) for b in node.binders), body, visit)
        return map_children(node, visit)

    return visit(e)


def map_children(e: Expr, function: Callable[[Expr], Expr]) -> Expr:
    """``e`` with ``function`` applied to each operand."""
    children = e.children
    new = tuple([function(c) for c in children])
    return e.rebuild(new) if any(map(is_not, children, new)) else e


def rename_binders(e: Expr) -> Expr:
    """``e`` with every bound letter made new: what must be done before a definition is inlined."""
    if isinstance(e, Reduce):
        new = {b: fresh_like(b) for b in e.binders}
        return e.over(new.values(), substitute(rename_binders(e.body), new), rename_binders)
    return map_children(e, rename_binders)
