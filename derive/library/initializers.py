"""Initializers: a distribution, and its parameters in the model language over fan-in, fan-out and arguments.

In: nothing. Out: declarations, and `fans`, which reads off a program how many terms a parameter is summed
over (fan-in) and how many results it feeds (fan-out), in whichever layout the model is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from derive.expr import ONE, Access, Expr, Letter, Reduce, as_expr, mul, num
from derive.functions import Parameter
from derive.language.vocabulary import scalar_text, signature
from derive.program import Initializer, Program, Tensor
from derive.rewrite import substitute


@dataclass(frozen=True)
class InitializerDecl:
    """``name(parameters)`` draws from ``kind``.

    That is ``constant`` (value), ``normal`` (mean, std), ``uniform`` (low, high) or ``bernoulli`` (probability of 1).
    """

    name: str
    parameters: str
    kind: str
    texts: tuple[str, ...]

    @cached_property
    def arguments(self) -> tuple[tuple[str, ...], dict[str, Expr]]:
        """The names of its arguments, and the defaults of the last ones."""
        return signature(self.parameters) if self.parameters else ((), {})

    @cached_property
    def expressions(self) -> tuple[Expr, ...]:
        """What the distribution takes, over ``fan_in``, ``fan_out`` and the arguments."""
        return tuple(scalar_text(t, (*self.arguments[0], "fan_in", "fan_out")) for t in self.texts)


_DECLARED = (
    InitializerDecl("zeros", "", "constant", ("0",)),
    InitializerDecl("ones", "", "constant", ("1",)),
    InitializerDecl("constant", "c", "constant", ("c",)),
    InitializerDecl("normal", "mu=0, std=1", "normal", ("mu", "std")),
    InitializerDecl("uniform", "low=0, high=1", "uniform", ("low", "high")),
    InitializerDecl("bernoulli", "p=1/2", "bernoulli", ("p",)),
    InitializerDecl("glorot_uniform", "", "uniform", ("-sqrt(6/(fan_in + fan_out))", "sqrt(6/(fan_in + fan_out))")),
    InitializerDecl("glorot_normal", "", "normal", ("0", "sqrt(2/(fan_in + fan_out))")),
    InitializerDecl("he_uniform", "", "uniform", ("-sqrt(6/fan_in)", "sqrt(6/fan_in)")),
    InitializerDecl("he_normal", "", "normal", ("0", "sqrt(2/fan_in)")),
)
INITIALIZERS: dict[str, InitializerDecl] = {d.name: d for d in _DECLARED}


def distribution(program: Program, tensor: Tensor) -> tuple[str, tuple[Expr, ...]]:
    """How a parameter starts: the kind of distribution, and its parameters as expressions in dims.

    >>> distribution(Program("m"), Tensor("b", (), "param", init=Initializer("ones")))
    ('constant', (1,))
    """
    init = tensor.init or Initializer("zeros")
    declared = INITIALIZERS[init.name]
    fan_in, fan_out = fans(program, tensor)
    table: dict[Expr, Expr] = {Parameter("fan_in"): fan_in, Parameter("fan_out"): fan_out}
    table.update({Parameter(name): num(value) for name, value in init.arguments})
    return declared.kind, tuple(substitute(e, table) for e in declared.expressions)


def fans(program: Program, tensor: Tensor) -> tuple[Expr, Expr]:
    """Fan-in: the product of the axes that the parameter's first use sums over; fan-out: that of the others.

    So ``X @ W`` (W is [d, h]) and ``W @ X`` (W is [h, d]) both have fan-in d. A parameter that is not summed
    over in part falls back to its first and last axis.
    """
    for equation in program.equations:
        summed = _summed_axes(equation.body, tensor, ())
        if summed is not None and (len(summed) < tensor.rank or tensor.rank == 1):
            inside = [a for k, a in enumerate(tensor.axes) if k in summed]
            outside = [a for k, a in enumerate(tensor.axes) if k not in summed]
            return mul(*inside), mul(*outside)
    return (tensor.axes[0], tensor.axes[-1]) if tensor.axes else (ONE, ONE)


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
