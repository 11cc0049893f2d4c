"""Optimizers as equations in the model language: element-wise over a parameter, its gradient and its state.

In: nothing. Out: declarations that `derive.language` validates calls against and that emission prints. State
starts at zero; the equations run in order; ``t`` counts the steps from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from derive.expr import Expr
from derive.language.vocabulary import scalar_text


@dataclass(frozen=True)
class Optimizer:
    """``name(hyper)``: ``text`` holds one equation a line over ``w``, ``g``, ``t``, state and hyperparameters.

    >>> OPTIMIZERS["momentum"].equations[0][0]
    'm'
    """

    name: str
    hyper: tuple[tuple[str, Fraction], ...]
    state: tuple[str, ...]
    text: str

    @cached_property
    def equations(self) -> tuple[tuple[str, Expr], ...]:
        """What is assigned, and its right side over `Parameter`s, in order."""
        known = ("w", "g", "t", *self.state, *(name for name, _ in self.hyper))
        pairs = [line.split(" = ", 1) for line in self.text.splitlines()]
        return tuple((target.strip(), scalar_text(right.strip(), known)) for target, right in pairs)


def _optimizer(name: str, hyper: str, state: str, *lines: str) -> Optimizer:
    pairs = [h.split("=") for h in hyper.split()]
    return Optimizer(name, tuple((k, Fraction(v)) for k, v in pairs), tuple(state.split()), "\n".join(lines))


_DECLARED = (
    _optimizer("sgd", "lr=0.01", "", "w = w - lr*g"),
    _optimizer("momentum", "lr=0.01 beta=0.9", "m", "m = beta*m + g", "w = w - lr*m"),
    _optimizer("nesterov", "lr=0.01 beta=0.9", "m", "m = beta*m + g", "w = w - lr*(g + beta*m)"),
    _optimizer("rmsprop", "lr=0.001 rho=0.9 eps=1e-8", "v", "v = rho*v + (1-rho)*g^2", "w = w - lr*g/(sqrt(v) + eps)"),
    _optimizer(
        "adam",
        "lr=0.001 b1=0.9 b2=0.999 eps=1e-8",
        "m v",
        "m = b1*m + (1-b1)*g",
        "v = b2*v + (1-b2)*g^2",
        "w = w - lr*(m/(1-b1^t))/(sqrt(v/(1-b2^t)) + eps)",
    ),
    _optimizer(
        "adamw",
        "lr=0.001 b1=0.9 b2=0.999 eps=1e-8 weight_decay=0.01",
        "m v",
        "m = b1*m + (1-b1)*g",
        "v = b2*v + (1-b2)*g^2",
        "w = w - lr*((m/(1-b1^t))/(sqrt(v/(1-b2^t)) + eps) + weight_decay*w)",
    ),
)
OPTIMIZERS: dict[str, Optimizer] = {o.name: o for o in _DECLARED}
