"""Small slips of the pen, undone: every expression that is one edit away from a given one.

In: the syntax of a right side, and what is known of the names in it. Out: edited syntax, with what kind of slip the
edit would mend. Nothing here knows whether an edit is right; numbers decide that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from derive.claims.edit import KINDS, Edit, Known, along, flipped, number, shown
from derive.claims.line import nodes_of
from derive.claims.regrouped import joined_sums, regrouped, renamed
from derive.claims.spots import matrix_factors, of_index, of_letters, of_name, of_product, of_sum
from derive.language import tree

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="}


def edits(node: tree.Expr, known: Known) -> list[Edit]:
    """All edits of one spot, those of the kinds that are tried first in front.

    >>> from derive.language.parse import parse_expression
    >>> [shown(e.node) for e in edits(parse_expression("a - b"), Known()) if e.kind == "sign"]
    ['a + b', '-a - b']
    """
    found = [*_spots(node, lambda part: _here(part, known)), *_of_whole(node, known)]
    bound = tuple(b.name for n in nodes_of(node) if isinstance(n, tree.Reduction) for b in n.binders)
    letters = (*known.letters, *bound)
    if letters:
        found += _spots(node, lambda part: of_letters(part, letters, known))
    return sorted(dict.fromkeys(found), key=lambda e: KINDS.index(e.kind))


def _of_whole(node: tree.Expr, known: Known) -> Iterator[Edit]:
    if not isinstance(node, tree.Transpose):
        yield Edit(_turned(node), "transpose", "the whole is to be transposed")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", "the sum over all is missing")
    for axis in (0, 1):
        yield Edit(along("sum", node, axis), "missing sum", f"the sum over axis {axis} is missing")
    yield from matrix_factors(node, known)
    names = [n.name for n in nodes_of(node) if isinstance(n, tree.Name)]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        for other in known.others(name):
            words = f"{other} is right in the place of {name}, everywhere"
            yield Edit(renamed(node, name, tree.Name(other)), "wrong operand", words)


def _turned(node: tree.Expr) -> tree.Expr:
    """The transpose; of a product of two, the product of their transposes in the other order."""
    if isinstance(node, tree.Chain) and len(node.rest) == 1 and node.rest[0][0] == "@":
        return tree.Chain(flipped(node.rest[0][1]), (("@", flipped(node.first)),))
    return tree.Transpose(node)


def _spots(node: Any, here: Callable[[Any], Iterator[Edit]]) -> Iterator[Edit]:
    """``here`` at every node, each of its edits put back into the whole."""
    yield from here(node)
    for part in fields(node):
        value = getattr(node, part.name)
        if part.name == "span" or (isinstance(node, tree.Index) and part.name == "items"):
            continue
        if isinstance(value, tree.Node):
            for e in _spots(value, here):
                yield replace(e, node=replace(node, **{part.name: e.node}))
        elif isinstance(value, tuple):
            for k, item in enumerate(value):
                operand = item[1] if isinstance(item, tuple) else item  # ("+", x) in a chain
                if isinstance(operand, tree.Binder | tree.Slice) or not isinstance(operand, tree.Node):
                    continue
                for e in _spots(operand, here):
                    new = (item[0], e.node) if isinstance(item, tuple) else e.node
                    yield replace(e, node=replace(node, **{part.name: (*value[:k], new, *value[k + 1 :])}))


def _here(node: Any, known: Known) -> Iterator[Edit]:
    for new, words in regrouped(node):
        yield Edit(new, "brackets", words)
    for new in joined_sums(node):
        yield Edit(new, "kind of product", "the products are summed, not the sums multiplied")
    if isinstance(node, tree.Chain | tree.Name) and (not isinstance(node, tree.Name) or known.axes.get(node.name)):
        for slope in known.slopes:
            text = shown(slope).replace("_prime(", "′(")
            words = f"the factor {text} beside {shown(node)} is missing"
            yield Edit(tree.Chain(node, (("*", slope),)), "missing factor", words)
    if isinstance(node, tree.Chain):
        for name in known.axes:
            for op in "+-":
                words = f"{op} {name} beside {shown(node)} is missing"
                added = (op, tree.Name(name))
                longer = (
                    replace(node, rest=(*node.rest, added)) if node.rest[0][0] in "+-" else tree.Chain(node, (added,))
                )
                yield Edit(longer, "missing term", words)
    match node:
        case tree.Name(name):
            yield from of_name(node, known.others(name), known)
        case tree.Transpose(operand):
            yield Edit(operand, "transpose", f"{shown(operand)} is not transposed")
        case tree.Index(operand, items):
            yield from of_index(node, operand, items, known)
        case tree.Unary("-", operand):
            yield Edit(operand, "sign", f"the minus of {shown(operand)} is too much")
        case tree.Chain(_, rest) if rest[0][0] in "+-":
            yield from of_sum(node)
        case tree.Chain(_, rest) if rest[0][0] in "*/@":
            yield from of_product(node)
        case tree.Conditional():
            yield from _of_cases(node)
        case tree.Chain(first, rest) if rest[0][0] in ("and", "or"):
            for case in (first, *(x for _, x in rest)):
                yield Edit(case, "extra case", f"the condition is {shown(case)} alone")
        case tree.Comparison(op, left, right):
            yield Edit(tree.Comparison(_MIRRORED[op], left, right), "swapped case", f"{shown(node)} is reversed")
        case tree.Power(base, tree.Number(value)):
            for k in (value + 1, value - 1):
                yield Edit(tree.Power(base, number(k)), "exponent", f"the exponent of {shown(base)} is {k}")
            yield Edit(base, "exponent", f"{shown(base)} has no exponent")
        case tree.CallExpr(_, (tree.Argument(_, None), *_)):
            yield from _of_call(node, known)
        case tree.Reduction(op, binders, body):
            if any(b.extent is not None for b in binders):
                whole = replace(node, binders=tuple(tree.Binder(b.name) for b in binders))
                yield Edit(whole, "wrong range", f"the {op} runs over the whole axis")
            yield Edit(body, "extra function", f"{op} over {shown(body)} is too much")


def _of_cases(node: tree.Conditional) -> Iterator[Edit]:
    chosen, other = node.chosen, node.other
    yield Edit(replace(node, chosen=other, other=chosen), "swapped case", "the two cases are swapped")
    for case in (chosen, other):
        yield Edit(case, "extra case", f"{shown(case)} is right in both cases")
    yield Edit(replace(node, chosen=tree.Unary("-", chosen)), "sign", f"the sign of the case {shown(chosen)} is wrong")
    yield Edit(replace(node, other=tree.Unary("-", other)), "sign", f"the sign of the case {shown(other)} is wrong")


def _of_call(node: tree.CallExpr, known: Known) -> Iterator[Edit]:
    function, value, rest = node.function, node.arguments[0].value, node.arguments[1:]
    yield Edit(value, "extra function", f"{function}(…) around {shown(value)} is too much")
    for argument in (a for a in rest if a.name is None):
        words = f"{function}(…) is too much, {shown(argument.value)} alone is right"
        yield Edit(argument.value, "extra function", words)
    minus = replace(node, arguments=(tree.Argument(tree.Unary("-", value)), *rest))
    yield Edit(minus, "sign", f"the sign of {shown(value)} in {function}(…) is wrong")
    if function in ("sum", "mean", "softmax", "log_softmax"):
        alone = "" if rest else " alone"
        for axis in (0, 1):
            yield Edit(along(function, value, axis), "wrong index", f"{function} runs along axis {axis}{alone}")
    swaps = {"sum": "mean", "mean": "sum"}
    if function in swaps:
        new = replace(node, function=swaps[function])
        yield Edit(new, "wrong function", f"{swaps[function]} is right in the place of {function}")
    elif function in known.functions or function.removesuffix("_prime") in known.functions:
        for name in (*known.functions, *(f"{f}_prime" for f in known.functions)):
            if name != function:
                text = name.removesuffix("_prime") + ("′" if name.endswith("_prime") else "")
                new = replace(node, function=name)
                yield Edit(new, "wrong function", f"{text} is right in the place of {function.replace('_prime', '′')}")
