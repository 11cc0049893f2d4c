"""Rules of optimizers: how one element of a parameter changes in a step, as equations of the language.

In: the syntax of `rule name(hyperparameters) … end`. Out: a `Rule`, or an error at the place that does not fit. The
optimizers of the catalogue are rules in this form too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derive.errors import SourceError, Span
from derive.expr import Call, Expr, num
from derive.functions import EXPM1, LOG1P, Parameter
from derive.language import tree
from derive.language.calls import TENSOR_FUNCTIONS
from derive.language.names import Names, check_name, line_of
from derive.language.parse import parse
from derive.language.vocabulary import Vocabulary, closed, exact
from derive.program import Rule
from derive.rewrite import map_children, walk

GIVEN = ("w", "g", "t", "T", "norm")
KEPT = "average"  # a state that starts at the parameter, and that `fit` gives to who asks for it


def read_rule(node: tree.Rule, functions: Vocabulary, constants: dict[str, Expr]) -> Rule:
    r"""The rule that a text denotes, over the functions and constants of its model.

    >>> text = "rule slow(lr=0.1, mu=1/2)\n  v = mu*v + g\n  w = w - lr*v\nend"
    >>> found = read_rule(parse(text).statements[0], Vocabulary(), {})
    >>> found.state, found.equations[1]
    (('v',), ('w', w + -1·lr·v))
    """
    check_name(node.name, node.span)
    hyper = _hyperparameters(node, constants)
    equations: list[tuple[str, Expr]] = []
    seen: dict[str, Span | None] = {}
    lines = list(_lines(node, {name for name, _ in hyper}))
    own = [line.name.name for line in lines]
    if "w" not in own:
        raise SourceError(f"the rule {node.name} does not say what becomes of w", node.span, hint="write w = w - lr*g")
    known = (*GIVEN, *(name for name, _ in hyper), *own)
    for line in lines:
        name, span = line.name.name, line.name.span or line.span
        if name in seen:
            hint = "give the first one another name"
            raise SourceError(f"{name} is defined twice in {node.name}: first{line_of(seen[name])}", span, hint=hint)
        elementwise(line.value, functions)
        seen[name] = span
        equations.append((name, in_primitives(closed(line.value, known, functions, constants))))
    return Rule(node.name, tuple(hyper), state_of(equations), tuple(equations))


def read_rules(text: str) -> dict[str, Rule]:
    """The rules of a text of the catalogue, by name, in order."""
    found = [s for s in parse(text, "<catalogue>").statements if isinstance(s, tree.Rule)]
    return {s.name: read_rule(s, Vocabulary(), {}) for s in found}


def _hyperparameters(node: tree.Rule, constants: dict[str, Expr]) -> list[tuple[str, Expr | None]]:
    found: list[tuple[str, Expr | None]] = []
    for argument in node.parameters:
        value, name, span = argument.value, argument.name, argument.span or node.span
        if name is None:
            if not isinstance(value, tree.Name) or value.index is not None:
                raise SourceError("a hyperparameter is a name, with or without a default, as in lr=0.01", span)
            name = value.name
        check_name(name, span)
        if name in (*GIVEN, KEPT):
            raise SourceError(f"{name} is given in a rule and no hyperparameter", span, hint="choose another name")
        if any(name == n for n, _ in found):
            raise SourceError(f"the hyperparameter {name} stands twice", span)
        default = None if argument.name is None else num(exact(value, Names.of(constants)))
        found.append((name, default))
    return found


def _lines(node: tree.Rule, hyper: set[str]) -> Iterator[tree.Assignment]:
    """The equations, each of which defines a name that is free to be defined."""
    for line in node.body:
        if not isinstance(line, tree.Assignment):
            raise SourceError("a rule holds equations only", line.span, hint="write it above the rule")
        span = line.name.span or line.span
        if line.name.index is not None or line.places is not None:
            raise SourceError(
                "a rule is about one element of a parameter: its names have no indices",
                span,
                hint=f"write {line.name.name} = …",
            )
        name = line.name.name
        check_name(name, span)
        if name in hyper or name in GIVEN[1:]:
            what = "a hyperparameter" if name in hyper else "given"
            raise SourceError(f"{name} is {what} in this rule and not defined by it", span, hint="choose another name")
        yield line


def state_of(equations: Sequence[tuple[str, Expr]]) -> tuple[str, ...]:
    """What is read before it is defined in a step is what the step before it has left; `average` always is."""
    names = list(dict.fromkeys(name for name, _ in equations if name not in GIVEN))
    found, defined = {KEPT}, set[str]()
    for name, body in equations:
        found |= {x.name for x in walk(body) if isinstance(x, Parameter) and x.name not in defined}
        defined.add(name)
    return tuple(n for n in names if n in found)


def elementwise(node: tree.Expr, functions: Vocabulary) -> None:
    """Refuse what speaks of whole tensors: here every name is a number."""
    stack: list[tree.Node] = [node]
    while stack:
        part = stack.pop()
        whole = isinstance(part, tree.Reduction | tree.Index | tree.Transpose | tree.ListExpr)
        what = {tree.Reduction: "a reduction", tree.Index: "an index", tree.Transpose: "'"}.get(type(part), "a list")
        if isinstance(part, tree.Chain) and any(op == "@" for op, _ in part.rest):
            whole, what = True, "@"
        if isinstance(part, tree.CallExpr) and functions.find(part.function) is None:
            pair = part.function in ("max", "min") and len(part.arguments) == 2
            whole, what = part.function in TENSOR_FUNCTIONS and not pair, f"{part.function}(…)"
        if whole:
            raise SourceError(f"{what} has no meaning here: every name is a single number", part.span)
        stack.extend(reversed(tree.children(part)))


def in_primitives(e: Expr) -> Expr:
    """``e`` with its functions replaced by their definitions, down to those that every target has."""
    e = map_children(e, in_primitives)
    if isinstance(e, Call) and e.function.definition is not None and e.function not in (LOG1P, EXPM1):
        return in_primitives(e.function.expand(*e.arguments))
    return e
