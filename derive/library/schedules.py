"""Schedules: hyperparameters that change from step to step, as expressions of the language.

In: nothing. Out: declarations that `derive.language.optimizers` reads. ``t`` is the step from 1, ``T`` the number of
steps of the training, ``floor(x)`` the largest whole number up to x.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScheduleDecl:
    """``name(parameters) = text``; ``about`` says it in words."""

    name: str
    parameters: str
    text: str
    about: str


_DECLARED = (
    ScheduleDecl(
        "step",
        "lr, every, factor=0.1",
        "lr*factor^floor((t - 1)/every)",
        "times the factor after each `every` steps",
    ),
    ScheduleDecl(
        "exponential",
        "lr, every, factor=0.1",
        "lr*factor^((t - 1)/every)",
        "the same, evenly: times the factor within `every` steps",
    ),
    ScheduleDecl(
        "linear",
        "lr, low=0, warmup=0",
        "(lr*t/warmup if t <= warmup else lr + (low - lr)*(t - 1 - warmup)/(T - warmup))"
        " if warmup > 0 else lr + (low - lr)*(t - 1)/T",
        "a straight line from lr towards `low`, which step T + 1 would have; up to lr within the first `warmup` steps",
    ),
    ScheduleDecl(
        "cosine",
        "lr, low=0, warmup=0",
        "(lr*t/warmup if t <= warmup else low + (lr - low)*(1 + cos(pi*(t - 1 - warmup)/(T - warmup)))/2)"
        " if warmup > 0 else low + (lr - low)*(1 + cos(pi*(t - 1)/T))/2",
        "half a wave from lr towards `low`; up to lr within the first `warmup` steps",
    ),
    ScheduleDecl(
        "inverse_sqrt",
        "lr, warmup=1",
        "lr*(t/warmup if t <= warmup else sqrt(warmup/t))",
        "lr/√t, scaled to be lr after the first `warmup` steps, in which it rises",
    ),
    ScheduleDecl(
        "one_cycle",
        "lr, rise=0.3, start=25, last=10000",
        "lr*(1/start + (1 - 1/start)*(1 - cos(pi*(t - 1)/(rise*T)))/2 if t - 1 <= rise*T"
        " else 1/last + (1 - 1/last)*(1 + cos(pi*(t - 1 - rise*T)/((1 - rise)*T)))/2)",
        "from lr/start up to lr in the part `rise` of the steps, then down towards lr/last, both along a cosine",
    ),
    ScheduleDecl(
        "warmup",
        "steps",
        "t/steps if t < steps else 1",
        "a factor that rises to 1 within so many steps",
    ),
)
SCHEDULES: dict[str, ScheduleDecl] = {d.name: d for d in _DECLARED}
