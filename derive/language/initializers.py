"""Initializers: what a parameter's start is declared to be, and what `~ call` asks for.

In: the syntax of `init name(arguments) = expression`, or of a use. Out: a signature whose function is over its
arguments, ``fan_in``, ``fan_out`` and the draws ``z`` and ``u``; of a use an `Initializer`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from derive.errors import NotSupportedYet, SourceError
from derive.expr import TRAINING, Call, Expr, Letter, num
from derive.functions import Parameter, ScalarFunction
from derive.language import tree
from derive.language.arguments import bind
from derive.language.calls import Signature
from derive.language.expressions import Elaborator
from derive.language.names import Names, check_name, suggest
from derive.language.parse import parse
from derive.language.rules import elementwise, in_primitives
from derive.language.tensors import element
from derive.language.vocabulary import Vocabulary, closed, exact
from derive.library.initializers import INITIALIZERS
from derive.numeric import with_values
from derive.program import Initializer, reads
from derive.rewrite import substitute, walk

GIVEN = ("fan_in", "fan_out", "z", "u")


@functools.cache
def catalogue() -> Mapping[str, Signature]:
    """The initializers of the language, by name.

    >>> sorted(catalogue())[:3]
    ['bernoulli', 'constant', 'glorot_normal']
    """
    lines = parse(INITIALIZERS, "<catalogue>").statements
    return {s.name: read_init(s, Vocabulary(), {}) for s in lines if isinstance(s, tree.Init)}


def read_init(node: tree.Init, functions: Vocabulary, constants: dict[str, Expr]) -> Signature:
    """The initializer that a text declares, over the functions and constants of its model."""
    check_name(node.name, node.span)
    names: list[str] = []
    defaults: dict[str, Expr] = {}
    for argument in node.parameters:
        value, name, span = argument.value, argument.name, argument.span or node.span
        if name is None:
            if not isinstance(value, tree.Name) or value.index is not None:
                raise SourceError("an argument is a name, with or without a default, as in std=1", span)
            name = value.name
        else:
            defaults[name] = num(exact(value, Names.of(constants)))
        check_name(name, span)
        if name in GIVEN or name in names:
            why = "stands twice" if name in names else "is given in an initializer"
            raise SourceError(f"{name} {why}", span, hint="choose another name")
        names.append(name)
    elementwise(node.value, functions)
    body = in_primitives(closed(node.value, (*names, *GIVEN), functions, constants))
    if any(isinstance(x, Call) and x.function.name == "erf" for x in walk(body)):
        raise NotSupportedYet("erf in an initializer", node.value.span or node.span)
    return Signature(ScalarFunction(node.name, tuple(names), body), defaults)


def initializer(elab: Elaborator, call: tree.CallExpr) -> Initializer:
    """What `~ call` asks for: an argument is a number, or an expression in dims and constants."""
    known = {**catalogue(), **elab.initializers}
    declared = known.get(call.function)
    if declared is None:
        hint = suggest(call.function, known) or f"the initializers are {', '.join(known)}"
        raise SourceError(f"unknown initializer {call.function}", call.span, hint=hint)
    names, defaults = declared.function.parameters, declared.defaults
    bound = bind(call, tuple(n for n in names if n not in defaults), tuple(n for n in names if n in defaults))
    values = tuple((n, _argument(elab, bound[n]) if n in bound else defaults[n]) for n in names)
    assert declared.function.definition is not None
    table: dict[Expr, Expr] = {Parameter(n): e for n, e in values}
    return Initializer(call.function, values, substitute(declared.function.definition, table))


def _argument(elab: Elaborator, node: tree.Expr) -> Expr:
    value = elab.value(node)
    e = with_values(in_primitives(element(value))) if not value.rank else None
    if e is None or reads(e) or any(x is TRAINING or x == elab.batch or isinstance(x, Letter) for x in walk(e)):
        raise SourceError(
            f"{value.text} is not known when the parameter is made",
            node.span,
            hint="use numbers, dims and constants",
        )
    return e
