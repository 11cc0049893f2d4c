"""How a parameter starts: its distribution, and the extents that it is scaled by.

In: a program and a tensor with an initializer. Out: the kind of distribution with its numbers as expressions in dims;
and `fans`, which reads off a program how many terms a parameter is summed over (fan-in) and how many results it feeds
(fan-out), in whichever layout the model is written.
"""

from __future__ import annotations

from functools import lru_cache

from derive.expr import ONE, ZERO, Access, Add, Compare, Expr, Letter, Mul, Num, Pow, Reduce, as_expr, mul
from derive.functions import Parameter
from derive.language.initializers import catalogue
from derive.program import Equation, Initializer, Program, Tensor, reads
from derive.rewrite import substitute, walk

NORMAL, UNIFORM = Parameter("z"), Parameter("u")


def distribution(program: Program, tensor: Tensor) -> tuple[str, tuple[Expr, ...]]:
    """How a parameter starts: the kind of distribution, and its parameters as expressions in dims.

    That is ``constant`` (value), ``normal`` (mean, std), ``uniform`` (low, high), ``bernoulli`` (probability of 1), or
    ``own``: an expression in the draws z and u.

    >>> distribution(Program("m"), Tensor("b", (), "param", init=Initializer("ones")))
    ('constant', (1,))
    """
    init = tensor.init or Initializer("zeros")
    value = init.value
    if value is None:
        value = catalogue()[init.name].function.expand(*(e for _, e in init.arguments))
    fan_in, fan_out = fans(program, tensor)
    value = substitute(value, {Parameter("fan_in"): fan_in, Parameter("fan_out"): fan_out})
    drawn = {x for x in walk(value) if isinstance(x, Parameter)}
    if not drawn:
        return "constant", (value,)
    if isinstance(value, Compare) and value.op in ("<", "<=") and value.left == UNIFORM and len(drawn) == 1:
        return "bernoulli", (value.right,)
    if len(drawn) > 1 or not _straight(value, *drawn):
        return "own", (value,)
    first, second = (substitute(value, {x: e}) for x in drawn for e in (ZERO, ONE))
    if drawn == {UNIFORM}:
        turned = isinstance(first, Num) and isinstance(second, Num) and first.value > second.value
        return "uniform", (second, first) if turned else (first, second)
    spread = second - first
    return "normal", (first, -spread if isinstance(spread, Num) and spread.value < 0 else spread)


def _straight(e: Expr, x: Parameter) -> bool:
    """Whether ``e`` is a straight line in ``x``, and is seen to be."""
    match e:
        case Add():
            return all(_straight(c, x) for c in e.args)
        case Mul():
            within = [c for c in e.args if any(y == x for y in walk(c))]
            return len(within) < 2 and all(_straight(c, x) for c in within)
        case Pow() if e.exponent == ONE:
            return _straight(e.base, x)
    return e == x or all(y != x for y in walk(e))


def fans(program: Program, tensor: Tensor) -> tuple[Expr, Expr]:
    """Fan-in: the product of the axes that the parameter's first use sums over; fan-out: that of the others.

    So ``X @ W`` (W is [d, h]) and ``W @ X`` (W is [h, d]) both have fan-in d. A parameter that is not summed
    over in part falls back to its first and last axis. The axis along which layers are stacked counts for neither.
    """
    axes = range(0 if tensor.layers is None else 1, tensor.rank)
    for equation in _readers(program).get(tensor, ()):
        summed = _summed_axes(equation.body, tensor, ())
        if summed is not None and (len(summed) < len(axes) or len(axes) == 1):
            inside = [tensor.axes[k] for k in axes if k in summed]
            outside = [tensor.axes[k] for k in axes if k not in summed]
            return mul(*inside), mul(*outside)
    return (tensor.axes[axes[0]], tensor.axes[-1]) if axes else (ONE, ONE)


@lru_cache(maxsize=8)
def _readers(program: Program) -> dict[Tensor, list[Equation]]:
    """The equations that read each tensor, in order."""
    found: dict[Tensor, list[Equation]] = {}
    for e in program.equations:
        for t in reads(e.body):
            found.setdefault(t, []).append(e)
    return found


def _summed_axes(e: Expr, tensor: Tensor, around: tuple[tuple[Letter, ...], ...]) -> set[int] | None:
    """The axes of the first access to ``tensor`` that the innermost reduction touching it binds."""
    if isinstance(e, Access) and e.tensor is tensor:
        for binders in reversed(around):
            bound = {k for k, p in enumerate(e.places) if as_expr(p).letters & set(binders)}
            if bound:
                return bound
        return None
    inner = (*around, e.binders) if isinstance(e, Reduce) else around
    found = (_summed_axes(c, tensor, inner) for c in e.children)
    return next((f for f in found if f is not None), None)
