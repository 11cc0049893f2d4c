"""Small slips of the pen, undone: every expression that is one edit away from a given one.

In: the syntax of a right side, and what is known of the names in it. Out: edited syntax, with what kind of slip the
edit would mend. Nothing here knows whether an edit is right; numbers decide that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from derive.claims.line import nodes_of
from derive.claims.regrouped import joined_sums, regrouped, renamed
from derive.expr import Expr
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
    "brackets",
    "wrong operand",
    "wrong function",
    "wrong range",
    "extra factor",
    "extra term",
    "inverted factor",
    "exponent",
    "missing factor",
)
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Known:
    """What may stand in an edit: tensors by name with their axes, integer tensors, functions, letters of the left."""

    axes: Mapping[str, tuple[Expr, ...]] = field(default_factory=dict)
    integers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()

    def others(self, name: str) -> list[str]:
        """The tensors that may stand for one: those of its axes, where it has any."""
        own = self.axes.get(name)
        return [k for k, v in self.axes.items() if v == own and k != name] if own else []


@dataclass(frozen=True)
class Edit:
    """An edited right side, the kind of slip it mends, and the slip in words."""

    node: tree.Expr
    kind: str
    words: str


def edits(node: tree.Expr, known: Known) -> list[Edit]:
    """All edits of one spot, those of the kinds that are tried first in front.

    >>> from derive.language.parse import parse_expression
    >>> [expression_text(e.node) for e in edits(parse_expression("a - b"), Known()) if e.kind == "sign"]
    ['a + b', '-a - b']
    """
    found = [*_of_whole(node, known), *_spots(node, lambda part: _here(part, known))]
    bound = tuple(b.name for n in nodes_of(node) if isinstance(n, tree.Reduction) for b in n.binders)
    letters = (*known.letters, *bound)
    if letters:
        found += _spots(node, lambda part: _of_letters(part, letters, known))
    return sorted(dict.fromkeys(found), key=lambda e: KINDS.index(e.kind))


def _of_whole(node: tree.Expr, known: Known) -> Iterator[Edit]:
    if not isinstance(node, tree.Transpose):
        yield Edit(tree.Transpose(node), "transpose", "the whole is to be transposed")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", "the sum over all is missing")
    for axis in (0, 1):
        yield Edit(_along("sum", node, axis), "missing sum", f"the sum over axis {axis} is missing")
    yield from _matrix_factors(node, known)


def _matrix_factors(node: tree.Expr, known: Known) -> Iterator[Edit]:
    """A matrix factor on either side."""
    for name in known.axes:
        for factor in (tree.Name(name), tree.Transpose(tree.Name(name))):
            for first, second in ((node, factor), (factor, node)):
                words = (
                    f"the matrix factor {_text(factor)} {'behind' if first is node else 'in front of'} {_text(node)}"
                )
                yield Edit(tree.Chain(first, (("@", second),)), "missing factor", f"{words} is missing")


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
    match node:
        case tree.Name(name):
            yield from _of_name(node, known.others(name), known)
        case tree.Transpose(operand):
            yield Edit(operand, "transpose", f"{_text(operand)} is not transposed")
        case tree.Index(operand, items):
            yield from _of_index(node, operand, items, known)
        case tree.Unary("-", operand):
            yield Edit(operand, "sign", f"the minus of {_text(operand)} is too much")
        case tree.Chain(_, rest) if rest[0][0] in "+-":
            yield from _of_sum(node)
        case tree.Chain(_, rest) if rest[0][0] in "*/@":
            yield from _of_product(node)
        case tree.Conditional():
            yield from _of_cases(node)
        case tree.Chain(first, rest) if rest[0][0] in ("and", "or"):
            for case in (first, *(x for _, x in rest)):
                yield Edit(case, "extra case", f"the condition is {_text(case)} alone")
        case tree.Comparison(op, left, right):
            yield Edit(tree.Comparison(_MIRRORED[op], left, right), "swapped case", f"{_text(node)} is reversed")
        case tree.Power(base, tree.Number(value)):
            for k in (value + 1, value - 1):
                yield Edit(tree.Power(base, _number(k)), "exponent", f"the exponent of {_text(base)} is {k}")
            yield Edit(base, "exponent", f"{_text(base)} has no exponent")
        case tree.CallExpr(_, (tree.Argument(_, None), *_)):
            yield from _of_call(node, known)
        case tree.Reduction(op, binders, body):
            if any(b.extent is not None for b in binders):
                whole = replace(node, binders=tuple(tree.Binder(b.name) for b in binders))
                yield Edit(whole, "wrong range", f"the {op} runs over the whole axis")
            yield Edit(body, "extra function", f"{op} over {_text(body)} is too much")


def _of_cases(node: tree.Conditional) -> Iterator[Edit]:
    chosen, other = node.chosen, node.other
    yield Edit(replace(node, chosen=other, other=chosen), "swapped case", "the two cases are swapped")
    for case in (chosen, other):
        yield Edit(case, "extra case", f"{_text(case)} is right in both cases")
    yield Edit(replace(node, chosen=tree.Unary("-", chosen)), "sign", f"the sign of the case {_text(chosen)} is wrong")
    yield Edit(replace(node, other=tree.Unary("-", other)), "sign", f"the sign of the case {_text(other)} is wrong")


def _of_call(node: tree.CallExpr, known: Known) -> Iterator[Edit]:
    function, value, rest = node.function, node.arguments[0].value, node.arguments[1:]
    yield Edit(value, "extra function", f"{function}(…) around {_text(value)} is too much")
    minus = replace(node, arguments=(tree.Argument(tree.Unary("-", value)), *rest))
    yield Edit(minus, "sign", f"the sign of {_text(value)} in {function}(…) is wrong")
    if function in ("sum", "mean", "softmax", "log_softmax"):
        for axis in (0, 1):
            yield Edit(_along(function, value, axis), "wrong index", f"{function} runs along axis {axis}")
    swaps = {"sum": "mean", "mean": "sum"}
    if function in swaps:
        new = replace(node, function=swaps[function])
        yield Edit(new, "wrong function", f"{swaps[function]} is right in the place of {function}")
    elif function in known.functions or function.removesuffix("_prime") in known.functions:
        for name in (*known.functions, *(f"{f}_prime" for f in known.functions)):
            if name != function:
                shown = name.removesuffix("_prime") + ("′" if name.endswith("_prime") else "")
                new = replace(node, function=name)
                yield Edit(new, "wrong function", f"{shown} is right in the place of {function.replace('_prime', '′')}")


def _of_name(node: tree.Name, others: list[str], known: Known) -> Iterator[Edit]:
    yield Edit(tree.Transpose(node), "transpose", f"{node.name} is to be transposed")
    if node.name not in known.axes:
        return
    yield Edit(tree.Power(node, _number(Fraction(2))), "exponent", f"{node.name} is to be squared")
    for axis in (0, 1):
        yield Edit(_along("sum", node, axis), "missing sum", f"the sum of {node.name} over axis {axis} is missing")
    yield Edit(tree.CallExpr("sum", (tree.Argument(node),)), "missing sum", f"the sum of {node.name} is missing")
    for name in others:
        if name != node.name:
            yield Edit(tree.Name(name), "wrong operand", f"{name} is right in the place of {node.name}")
            both = tree.Chain(node, (("*", tree.Name(name)),))
            yield Edit(both, "missing factor", f"the factor {name} beside {node.name} is missing")
    if known.axes[node.name]:
        yield from _matrix_factors(node, known)


def _of_index(node: tree.Index, operand: tree.Expr, items: tuple[Any, ...], known: Known) -> Iterator[Edit]:
    if any(isinstance(i, tree.Slice) for i in items):
        yield Edit(operand, "wrong range", f"the range [{_text(node).partition('[')[2]} leaves something out")
        return
    yield Edit(tree.Power(node, _number(Fraction(2))), "exponent", f"{_text(node)} is to be squared")
    own = known.axes.get(operand.name) if isinstance(operand, tree.Name) else None
    for name, axes in known.axes.items() if own else ():
        for places in combinations(range(len(items)), len(axes)):
            if axes == tuple(own[k] for k in places) and tree.Name(name) != operand:  # type: ignore[index]
                new = tree.Index(tree.Name(name), tuple(items[k] for k in places)) if places else tree.Name(name)
                yield Edit(new, "wrong operand", f"{_text(new)} is right in the place of {_text(node)}")
    for k in range(len(items)):
        for m in range(k + 1, len(items)):
            swapped = list(items)
            swapped[k], swapped[m] = items[m], items[k]
            new = replace(node, items=tuple(swapped))
            yield Edit(new, "transpose", f"{_text(node)} is to be {_text(new)}")


def _of_letters(node: Any, letters: tuple[str, ...], known: Known) -> Iterator[Edit]:
    """One index letter in the place of another, no sum over a letter that is free, elements for a letter's value."""
    if isinstance(node, tree.Name) and node.name in letters:
        for name, axes in known.axes.items():
            if len(axes) == 1:
                new = tree.Index(tree.Name(name), (node,))
                yield Edit(new, "wrong operand", f"{_text(new)} is right in the place of {node.name} itself")
    if isinstance(node, tree.Index):
        for k, item in enumerate(node.items):
            for name in letters:
                if not isinstance(item, tree.Slice) and item != tree.Name(name):
                    new = replace(node, items=(*node.items[:k], tree.Name(name), *node.items[k + 1 :]))
                    yield Edit(new, "wrong index", f"{_text(node)} is to be {_text(new)}")
    if isinstance(node, tree.Reduction) and len(node.binders) == 1:
        bound = node.binders[0].name
        for name in letters:
            body = renamed(node.body, bound, tree.Name(name))
            yield Edit(body, "extra function", f"the {node.op} over {bound} is too much")
            for label in known.integers:
                place = tree.Index(tree.Name(label), (tree.Name(name),))
                words = f"the {node.op} over {bound} is too much: only {_text(place)} counts"
                yield Edit(renamed(node.body, bound, place), "extra function", words)


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
            bare = [x.operand if isinstance(x, tree.Transpose) else x for x in (left, factor)]
            pair = [*parts[:k], (parts[k][0], bare[0]), ("*", bare[1]), *parts[k + 2 :]]
            words = f"{_text(bare[0])} and {_text(bare[1])} are multiplied element by element"
            yield Edit(_chain(pair[0][1], tuple(pair[1:])), "kind of product", words)
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
