"""The line `optimizer`: which rule trains which parameters, with which hyperparameters.

In: the syntax of the line, the rules that the model has declared, the catalogue. Out: an `OptimizerCall`, whose rule
holds all that the line asks for. A hyperparameter may be an expression in the step ``t`` and the number of steps ``T``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from derive.errors import SourceError
from derive.expr import TRAINING, Dim, Expr, Num
from derive.functions import Parameter, ScalarFunction
from derive.language import tree
from derive.language.arguments import bind
from derive.language.calls import Signature
from derive.language.expressions import Elaborator
from derive.language.names import Names, line_of, name_text, names_in, suggest
from derive.language.parse import parse, parse_expression
from derive.language.rules import elementwise, in_primitives, read_rules, state_of
from derive.language.tensors import Value, element
from derive.language.text import expression_text
from derive.language.vocabulary import Vocabulary, closed, signature
from derive.library.optimizers import ADDITIONS, RULES, Addition
from derive.library.schedules import SCHEDULES
from derive.numeric import with_values
from derive.program import OptimizerCall, Rule, Tensor
from derive.rewrite import walk

STEPS = ("t", "T")
FLOOR = ScalarFunction("floor", ("x",), latex=r"\operatorname{floor}")


@functools.cache
def catalogue() -> Mapping[str, Rule]:
    """The optimizers of the language, by name.

    >>> catalogue()["momentum"].state
    ('m',)
    """
    return read_rules(RULES)


@functools.cache
def _schedules() -> Mapping[str, Signature]:
    found = {FLOOR.name: Signature(FLOOR, {})}
    for d in SCHEDULES.values():
        names, defaults = signature(d.parameters)
        body = closed(parse_expression(d.text, d.name), (*names, *STEPS), _Stepwise(Vocabulary(), found))
        found[d.name] = Signature(ScalarFunction(d.name, names, body), defaults)
    return found


class _Stepwise(Vocabulary):
    """The functions of a model, and after them those that are of the step alone."""

    def __init__(self, functions: Vocabulary, more: Mapping[str, Signature]) -> None:
        super().__init__()
        self._model, self._more = functions, more

    def find(self, name: str) -> Signature | None:
        return self._model.find(name) or self._more.get(name)

    def known(self) -> list[str]:
        return [*self._model.known(), *self._more]

    def builtin(self) -> Vocabulary:
        return self._model.builtin()


def read_optimizer(
    elab: Elaborator, functions: Vocabulary, rules: Mapping[str, Rule], node: tree.Optimizer
) -> OptimizerCall:
    """What an `optimizer` line says."""
    call = node.call
    rule = rules.get(call.function) or catalogue().get(call.function)
    if rule is None:
        known = [*rules, *catalogue()]
        hint = suggest(call.function, known) or f"the optimizers are {', '.join(known)}"
        raise SourceError(f"unknown optimizer {call.function}", call.span or node.span, hint=hint)
    names = [name for name, _ in rule.hyper]
    more = [name for name in ADDITIONS if name not in names]
    required = tuple(name for name, default in rule.hyper if default is None)
    bound = bind(call, required, tuple(n for n in names if n not in required), tuple(more))
    used = [ADDITIONS[name] for name in more if name in bound]
    for addition in used:
        if addition.needs and addition.needs not in names:
            raise SourceError(
                f"{addition.name} needs a hyperparameter {addition.needs}, and {rule.name} has none",
                bound[addition.name].span or call.span,
            )
    whole = _with(rule, used)
    values: list[tuple[str, Expr]] = []
    written: list[tuple[str, str]] = []
    for name, default in whole.hyper:
        given = bound.get(name)
        value = default if given is None else _hyperparameter(elab, functions, given, name)
        assert value is not None
        values.append((name, value))
        if given is not None and changes(value):
            written.append((name, expression_text(given)))
        if given is not None and name in more:
            _check_bounds(ADDITIONS[name], value, given)
    return OptimizerCall(whole, tuple(values), tuple(written), tuple(n.name for n in node.names))


def changes(value: Expr) -> bool:
    """Whether a hyperparameter changes from step to step."""
    return any(isinstance(x, Parameter) for x in walk(value))


def _with(rule: Rule, additions: Sequence[Addition]) -> Rule:
    """The rule with equations in front of its own and behind them."""
    if not additions:
        return rule
    front: list[tuple[str, Expr]] = []
    behind: list[tuple[str, Expr]] = []
    for a in additions:
        line = parse(a.text, "<catalogue>").statements[0]
        assert isinstance(line, tree.Assignment)
        body = in_primitives(closed(line.value, ("w", "g", "norm", "average", "lr", a.name), Vocabulary()))
        (behind if a.behind else front).append((line.name.name, body))
    equations = (*front, *rule.equations, *behind)
    hyper = (*rule.hyper, *((a.name, None) for a in additions))
    return Rule(rule.name, hyper, state_of(equations), equations)


def _hyperparameter(elab: Elaborator, functions: Vocabulary, node: tree.Expr, name: str) -> Expr:
    """A number, an expression in dims and constants, or one in the step and the number of steps."""
    steps = _Stepwise(functions, _schedules())
    elementwise(node, steps)
    known = {k: e for k, e in elab.names.entries.items() if isinstance(e, Expr) and e is not TRAINING}
    for found in sorted(names_in(node)):
        entry = elab.names.get(found)
        if found in STEPS:
            if entry is not None:
                what = "the step" if found == "t" else "the number of steps"
                hint = f"give the model's {found} another name"
                raise SourceError(f"{found} is {what} here, and a name of the model too", node.span, hint=hint)
            known[found] = Parameter(found)
        elif isinstance(entry, Value):
            raise SourceError(f"{name} is a number, or an expression in t and T; {found} is a tensor", node.span)
    names = Names.of(known)
    names.widths = elab.names.widths
    value = Elaborator(names, steps, elab.dims, catalogue=True).value(node)
    e = with_values(in_primitives(element(value)))
    if elab.batch is not None and any(x == elab.batch for x in walk(e) if isinstance(x, Dim)):
        raise SourceError(f"{name} is the same for every batch, and {elab.batch.name} is not", node.span)
    return e


def _check_bounds(addition: Addition, value: Expr, node: tree.Expr) -> None:
    if not isinstance(value, Num):
        return
    low, high = addition.values
    if not (low <= value.value < high) or (not addition.closed and value.value == low):
        need = f"{'at least' if addition.closed else 'above'} 0" + (" and below 1" if high == 1 else "")
        raise SourceError(f"{addition.name} is {need}, not {value}", node.span)


def freeze(node: tree.Freeze, parameters: Sequence[Tensor]) -> None:
    """``freeze W, b``: these parameters, or all of these families, are not trained."""
    for n in node.names:
        found = [t for t in parameters if n.name in (t.name, t.family) and n.index is None]
        if not found:
            hint = suggest(n.name, [t.family or t.name for t in parameters])
            raise SourceError(f"{name_text(n)} is no parameter", n.span or node.span, hint=hint)
        for t in found:
            if t.frozen:
                raise SourceError(f"{n.name} is frozen already", n.span or node.span)
            t.frozen = True


def check_groups(calls: Sequence[tuple[OptimizerCall, tree.Optimizer]], parameters: Iterable[Tensor]) -> None:
    """Each parameter that is trained has one optimizer."""
    if not calls:
        return
    general = [node for call, node in calls if not call.names]
    if len(general) > 1:
        raise SourceError(
            f"a model has one optimizer for all other parameters; the first is{line_of(general[0].span)}",
            general[1].span,
            hint="say which parameters this one is for: optimizer sgd(lr=0.1) for W, b",
        )
    own: dict[str, tree.Optimizer] = {}
    families = {t.family or t.name: t for t in parameters}
    for _, node in calls:
        for n in node.names:
            t = families.get(n.name)
            if t is None or n.index is not None:
                hint = suggest(n.name, families) if t is None else f"all of the family have one: for {n.name}"
                raise SourceError(f"{name_text(n)} is no parameter", n.span or node.span, hint=hint)
            if t.frozen:
                raise SourceError(f"{n.name} is frozen and has no optimizer", n.span or node.span)
            if n.name in own:
                where = line_of(own[n.name].span)
                raise SourceError(f"{n.name} has an optimizer already{where}", n.span or node.span)
            own[n.name] = node
    left = [name for name, t in families.items() if name not in own and not t.frozen]
    if left and not general:
        raise SourceError(
            f"nothing trains {', '.join(left)}",
            calls[-1][1].span,
            hint="add an optimizer without `for`, for all other parameters, or declare them frozen",
        )
    if general and own and not left:
        raise SourceError("every parameter has an optimizer of its own: this one trains nothing", general[0].span)
