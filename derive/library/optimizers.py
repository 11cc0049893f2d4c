"""Optimizers as equations of the language, in the form in which a model writes its own; and what each may be given.

In: nothing. Out: texts that `derive.language.optimizers` reads. A rule is about one element: ``w`` of a parameter, its
derivative ``g``, the step ``t`` from 1. What is read before it is defined in a step is kept from the step before; at
first it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

RULES = """
rule sgd(lr=0.01)
  w = w - lr*g
end

rule momentum(lr=0.01, beta=0.9)
  m = beta*m + g
  w = w - lr*m
end

rule nesterov(lr=0.01, beta=0.9)
  m = beta*m + g
  w = w - lr*(g + beta*m)
end

rule adagrad(lr=0.01, eps=1e-8)
  v = v + g^2
  w = w - lr*g/(sqrt(v) + eps)
end

rule rmsprop(lr=0.001, rho=0.9, eps=1e-8)
  v = rho*v + (1-rho)*g^2
  w = w - lr*g/(sqrt(v) + eps)
end

rule adadelta(lr=1, rho=0.9, eps=1e-6)
  v = rho*v + (1-rho)*g^2
  move = sqrt((u + eps)/(v + eps))*g
  u = rho*u + (1-rho)*move^2
  w = w - lr*move
end

rule adam(lr=0.001, b1=0.9, b2=0.999, eps=1e-8)
  m = b1*m + (1-b1)*g
  v = b2*v + (1-b2)*g^2
  w = w - lr*(m/(1-b1^t))/(sqrt(v/(1-b2^t)) + eps)
end

rule adamw(lr=0.001, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.01)
  m = b1*m + (1-b1)*g
  v = b2*v + (1-b2)*g^2
  w = w - lr*((m/(1-b1^t))/(sqrt(v/(1-b2^t)) + eps) + weight_decay*w)
end

rule adamax(lr=0.002, b1=0.9, b2=0.999, eps=1e-8)
  m = b1*m + (1-b1)*g
  v = max(b2*v, abs(g) + eps)
  w = w - lr*m/((1-b1^t)*v)
end

rule nadam(lr=0.001, b1=0.9, b2=0.999, eps=1e-8)
  m = b1*m + (1-b1)*g
  v = b2*v + (1-b2)*g^2
  w = w - lr*(b1*m/(1-b1^(t+1)) + (1-b1)*g/(1-b1^t))/(sqrt(v/(1-b2^t)) + eps)
end

rule lion(lr=1e-4, b1=0.9, b2=0.99)
  move = sign(b1*m + (1-b1)*g)
  m = b2*m + (1-b2)*g
  w = w - lr*move
end
"""


@dataclass(frozen=True)
class Addition:
    """``name=…`` of any optimizer: an equation in front of its rule's (or behind them), and the values it may have.

    ``needs`` is a hyperparameter that the rule must have. ``values`` are the bounds of the setting, where it is a
    number, and ``closed`` says whether the lower one belongs to them.
    """

    name: str
    text: str
    needs: str = ""
    behind: bool = False
    values: tuple[float, float] = (0.0, float("inf"))
    closed: bool = False


ADDITIONS: dict[str, Addition] = {
    a.name: a
    for a in (
        Addition("clip_norm", "g = g*(clip_norm/max(norm, clip_norm))"),
        Addition("clip_value", "g = clip_value if g > clip_value else -clip_value if g < -clip_value else g"),
        Addition("weight_decay", "w = w - lr*weight_decay*w", needs="lr", closed=True),
        Addition("ema", "average = ema*average + (1 - ema)*w", behind=True, values=(0.0, 1.0), closed=True),
    )
}
