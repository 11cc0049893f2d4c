"""Edits of one node: a name, an element, a sum, a product.

In: a node and what is known of the names in it. Out: the node edited, with what kind of slip the edit would mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from derive.claims.edit import Edit, Known, along, chain, flipped, number, shown
from derive.claims.regrouped import renamed
from derive.language import tree


def of_name(node: tree.Name, others: list[str], known: Known) -> Iterator[Edit]:
    """A name: transposed, summed, squared, another in its place, a factor beside it."""
    yield Edit(tree.Transpose(node), "transpose", f"{node.name} is to be transposed")
    if node.name not in known.axes:
        return
    yield Edit(tree.Power(node, number(Fraction(2))), "exponent", f"{node.name} is to be squared")
    for axis in range(len(known.axes[node.name]) if len(known.axes[node.name]) > 1 else 0):
        yield Edit(along("sum", node, axis), "missing sum", f"the sum of {node.name} over axis {axis} is missing")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", f"the sum of {node.name} is missing")
    for name in others:
        if name != node.name:
            yield Edit(tree.Name(name), "wrong operand", f"{name} is right in the place of {node.name}")
            both = tree.Chain(node, (("*", tree.Name(name)),))
            yield Edit(both, "missing factor", f"the factor {name} beside {node.name} is missing")
    own = known.axes[node.name]
    if own:
        yield from matrix_factors(node, known)
    if len(own) == 1:
        column = tree.CallExpr("col", (tree.Argument(node),))
        yield Edit(column, "transpose", f"{node.name} stands for a column")
    for name, axes in known.axes.items():
        if own and len(axes) == len(own) and axes != own:
            yield Edit(tree.Name(name), "wrong operand", f"{name} is right in the place of {node.name}")


def of_index(node: tree.Index, operand: tree.Expr, items: tuple[Any, ...], known: Known) -> Iterator[Edit]:
    """An element: another tensor's, squared, its places swapped."""
    if any(isinstance(i, tree.Slice) for i in items):
        yield Edit(operand, "wrong range", f"the range [{shown(node).partition('[')[2]} leaves something out")
        return
    yield Edit(tree.Power(node, number(Fraction(2))), "exponent", f"{shown(node)} is to be squared")
    own = known.axes.get(operand.name) if isinstance(operand, tree.Name) else None
    for name, axes in known.axes.items() if own else ():
        for places in combinations(range(len(items)), len(axes)):
            if axes == tuple(own[k] for k in places) and tree.Name(name) != operand:  # type: ignore[index]
                new = tree.Index(tree.Name(name), tuple(items[k] for k in places)) if places else tree.Name(name)
                yield Edit(new, "wrong operand", f"{shown(new)} is right in the place of {shown(node)}")
    for k in range(len(items)):
        for m in range(k + 1, len(items)):
            swapped = list(items)
            swapped[k], swapped[m] = items[m], items[k]
            new = replace(node, items=tuple(swapped))
            yield Edit(new, "transpose", f"{shown(node)} is to be {shown(new)}")


def of_letters(node: Any, letters: tuple[str, ...], known: Known) -> Iterator[Edit]:
    """One index letter in the place of another, no sum over a letter that is free, elements for a letter's value."""
    if isinstance(node, tree.Name) and node.name in letters:
        for name, axes in known.axes.items():
            if len(axes) == 1:
                new = tree.Index(tree.Name(name), (node,))
                yield Edit(new, "wrong operand", f"{shown(new)} is right in the place of {node.name} itself")
    if isinstance(node, tree.Index):
        for k, item in enumerate(node.items):
            for name in letters:
                if not isinstance(item, tree.Slice) and item != tree.Name(name):
                    new = replace(node, items=(*node.items[:k], tree.Name(name), *node.items[k + 1 :]))
                    yield Edit(new, "wrong index", f"{shown(node)} is to be {shown(new)}")
    if isinstance(node, tree.Reduction) and len(node.binders) == 1:
        bound = node.binders[0].name
        for name in letters:
            body = renamed(node.body, bound, tree.Name(name))
            yield Edit(body, "extra function", f"the {node.op} over {bound} is too much")
            for label in known.integers:
                place = tree.Index(tree.Name(label), (tree.Name(name),))
                words = f"the {node.op} over {bound} is too much: only {shown(place)} counts"
                yield Edit(renamed(node.body, bound, place), "extra function", words)


def of_sum(node: tree.Chain) -> Iterator[Edit]:
    """A sum: signs, and terms that are too much."""
    for k, (op, term) in enumerate(node.rest):
        flipped = (*node.rest[:k], ("-" if op == "+" else "+", term), *node.rest[k + 1 :])
        yield Edit(replace(node, rest=flipped), "sign", f"the sign of {shown(term)} is wrong")
        without = chain(node.first, (*node.rest[:k], *node.rest[k + 1 :]))
        yield Edit(without, "extra term", f"{shown(term)} is too much")
    yield Edit(replace(node, first=tree.Unary("-", node.first)), "sign", f"the sign of {shown(node.first)} is wrong")
    if len(node.rest) == 1:
        times = tree.Chain(node.first, (("*", node.rest[0][1]),))
        yield Edit(times, "kind of product", f"{shown(node.rest[0][1])} multiplies and is not added")
    op, second = node.rest[0]
    start = second if op == "+" else tree.Unary("-", second)
    yield Edit(chain(start, node.rest[1:]), "extra term", f"{shown(node.first)} is too much")


def of_product(node: tree.Chain) -> Iterator[Edit]:
    """A product: its kinds, its order, and factors that are too much."""
    parts = [("*", node.first), *node.rest]
    for k, (op, factor) in enumerate(node.rest):
        for other in "*/@":
            if other != op:
                kind = "inverted factor" if "/" in (op, other) else "kind of product"
                new = (*node.rest[:k], (other, factor), *node.rest[k + 1 :])
                word = f"{shown(factor)} {'divides' if other == '/' else 'multiplies'}" + (
                    "" if kind == "inverted factor" else " " + ("element by element" if other == "*" else "as a matrix")
                )
                yield Edit(replace(node, rest=new), kind, word)
        left = parts[k][1]
        if op == "@":
            bare = [x.operand if isinstance(x, tree.Transpose) else x for x in (left, factor)]
            pair = [*parts[:k], (parts[k][0], bare[0]), ("*", bare[1]), *parts[k + 2 :]]
            words = f"{shown(bare[0])} and {shown(bare[1])} are multiplied element by element"
            yield Edit(chain(pair[0][1], tuple(pair[1:])), "kind of product", words)
        if op in "*@":
            for a, b in product((left, flipped(left)), (factor, flipped(factor))):
                for first, second in ((b, a), (a, b)):
                    if first is left and (op == "@" or second is factor):
                        continue  # as it stands, or one transposition alone
                    kind = "transpose" if first is a else "order of a product"
                    kind = "kind of product" if op == "*" else kind
                    pair = [*parts[:k], (parts[k][0], first), ("@", second), *parts[k + 2 :]]
                    words = f"{shown(left)} {op} {shown(factor)} is to be {shown(first)} @ {shown(second)}"
                    yield Edit(chain(pair[0][1], tuple(pair[1:])), kind, words)
        without = chain(node.first, (*node.rest[:k], *node.rest[k + 1 :]))
        yield Edit(without, "extra factor", f"{shown(factor)} is too much")
        if k + 1 < len(node.rest):
            two = tree.Chain(factor, (node.rest[k + 1],))
            without = chain(node.first, (*node.rest[:k], *node.rest[k + 2 :]))
            yield Edit(
                without, "extra factor", f"{op} {shown(two)} is too much" if op == "/" else f"{shown(two)} is too much"
            )
    yield Edit(chain(node.rest[0][1], node.rest[1:]), "extra factor", f"{shown(node.first)} is too much")


def matrix_factors(node: tree.Expr, known: Known) -> Iterator[Edit]:
    """A matrix factor on either side."""
    for name in known.axes:
        for factor in (tree.Name(name), tree.Transpose(tree.Name(name))):
            for first, second in ((node, factor), (factor, node)):
                words = (
                    f"the matrix factor {shown(factor)} {'behind' if first is node else 'in front of'} {shown(node)}"
                )
                yield Edit(tree.Chain(first, (("@", second),)), "missing factor", f"{words} is missing")
