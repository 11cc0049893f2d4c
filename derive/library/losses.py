"""Losses and composites: forward mathematics over whole tensors, or along one axis of them.

In: nothing. Out: declarations that `derive.language.calls` reads. A text *along* an axis is written for
vectors and holds for every place of the other axes; ``[k]`` is the place on that axis.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AlongDecl:
    """``name(x, axis=a)[…, k, …] = text``."""

    name: str
    text: str


@dataclass(frozen=True)
class LossDecl:
    """``name(y, p)``: ``text`` over whole tensors, or, where ``along`` is given, along the class axis.

    A loss along the class axis is averaged over the other axes; ``labels`` is its text for integer labels,
    which have no class axis of their own.
    """

    name: str
    text: str
    along: bool = False
    labels: str | None = None


COMPOSITES: dict[str, AlongDecl] = {
    d.name: d
    for d in (
        AlongDecl("softmax", "exp(x[k]) / sum[j] exp(x[j])"),
        AlongDecl("log_softmax", "x[k] - log(sum[j] exp(x[j]))"),
    )
}

LOSSES: dict[str, LossDecl] = {
    d.name: d
    for d in (
        LossDecl("mse", "mean((y - p)^2)"),
        LossDecl("bce", "-mean(y*log(p) + (1 - y)*log(1 - p))"),
        LossDecl("cross_entropy", "-sum[k] y[k]*log(p[k])", along=True, labels="-sum[k] (y == k)*log(p[k])"),
    )
}

# Functions of whole tensors to a number, by parameter list and text.
NORMS: dict[str, str] = {
    "2": "0 if sum(v^2) == 0 else sqrt(sum(v^2))",
    "1": "sum(abs(v))",
}
