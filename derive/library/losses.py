"""Losses and composites: forward mathematics over whole tensors, or along one axis of them.

In: nothing. Out: declarations that `derive.language.composites` reads. A text *along* an axis is written for
vectors and holds for every place of the other axes; ``[k]`` is the place on that axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class AlongDecl:
    """``name(x, axis=a)[…, k, …] = text``."""

    name: str
    text: str


@dataclass(frozen=True)
class LossDecl:
    """``name(tensors, settings)``, a number: the target is the first tensor, settings may have defaults.

    ``tensors`` says how each stands in the text. ``y p``: whole, all with the same axes. ``y[k] p[k]``: as vectors
    along the class axis, the mean of the text being taken over the others; one without ``[k]`` has no class
    axis and is a number there. ``a[i,k]``: as a matrix whose last axis is the class axis. Where there is a class
    axis, the text may speak of its extent, K. ``about`` says what is averaged, and where a kink lies.

    >>> LOSSES["contrastive"].parameters, LOSSES["contrastive"].defaults
    (('y', 'a', 'b', 'margin'), {'margin': '1'})
    """

    name: str
    tensors: str
    text: str
    settings: str = ""
    about: str = ""

    @cached_property
    def letters(self) -> dict[str, int]:
        """How many letters each tensor carries in the text; 0 for a whole one or a number."""
        split = [t.partition("[") for t in self.tensors.split()]
        return {name: places.count(",") + 1 if places else 0 for name, _, places in split}

    @cached_property
    def rank(self) -> int:
        """0 for a text over whole tensors, 1 for one along the class axis, 2 for one over matrices."""
        return max(self.letters.values())

    @cached_property
    def defaults(self) -> dict[str, str]:
        """The defaults of those settings that have one."""
        return dict(s.split("=") for s in self.settings.split() if "=" in s)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """All arguments, in order."""
        return (*self.letters, *(s.partition("=")[0] for s in self.settings.split()))


COMPOSITES: dict[str, AlongDecl] = {
    d.name: d
    for d in (
        AlongDecl("softmax", "exp(x[k]) / sum[j] exp(x[j])"),
        AlongDecl("log_softmax", "x[k] - log(sum[j] exp(x[j]))"),
    )
}

_ALL = "the mean over all entries"
_ALONG = "a sum along the class axis, the mean over the others"
_PAIRS = "squared distances along the class axis, the mean over the others"

_DECLARED = (
    LossDecl("mse", "y p", "mean((y - p)^2)", about=_ALL),
    LossDecl("mae", "y p", "mean(abs(p - y))", about=f"{_ALL}; its derivative is 0 where p = y"),
    LossDecl(
        "huber",
        "y p",
        "mean(delta*(p - y - delta/2) if p - y > delta else delta*(y - p - delta/2) if p - y < -delta "
        "else (p - y)^2/2)",
        "delta=1",
        about=f"{_ALL}; where |p − y| = delta both sides have the same value and slope",
    ),
    LossDecl("log_cosh", "y p", "mean(log(cosh(p - y)))", about=_ALL),
    LossDecl(
        "quantile",
        "y p",
        "mean((tau - (y < p))*(y - p))",
        "tau",
        about=f"{_ALL}; where p = y its derivative is that of p below y, −tau",
    ),
    LossDecl(
        "poisson_nll",
        "y s",
        "mean(exp(s) - y*s)",
        about=f"{_ALL}; s is the logarithm of the rate; log(y!) is left out",
    ),
    LossDecl(
        "gaussian_nll",
        "y mu",
        "mean(log_var + (y - mu)^2*exp(-log_var))/2",
        "log_var",
        about=f"{_ALL}; log_var is the logarithm of the variance; log(2π)/2 is left out",
    ),
    LossDecl("bce", "y p", "-mean(y*log(p) + (1 - y)*log(1 - p))", about=_ALL),
    LossDecl(
        "hinge",
        "y s",
        "mean(max(0, 1 - y*s))",
        about=f"{_ALL}; for targets of ±1; its derivative is 0 where y s = 1",
    ),
    LossDecl("squared_hinge", "y s", "mean(max(0, 1 - y*s)^2)", about=f"{_ALL}; for targets of ±1"),
    LossDecl(
        "dice",
        "y p",
        "1 - (2*sum(y*p) + eps)/(sum(y) + sum(p) + eps)",
        "eps=1",
        about="sums over all entries, no mean",
    ),
    LossDecl(
        "cross_entropy",
        "y[k] p[k]",
        "-sum[k] ((1 - smoothing)*y[k] + smoothing/K)*log(p[k])",
        "smoothing=0",
        about=f"{_ALONG}; smoothing s has (1−s) y + s/K in the place of y",
    ),
    LossDecl(
        "focal",
        "y[k] p[k]",
        "-(1 - exp(sum[k] y[k]*log(p[k])))^gamma * (sum[k] y[k]*log(p[k]))",
        "gamma=2",
        about=f"−(1 − q)^gamma log q, log q being {_ALONG}; q is the probability of the right class",
    ),
    LossDecl("kl", "y[k] p[k]", "sum[k] (xlogx(y[k]) - y[k]*log(p[k]))", about=f"{_ALONG}; the divergence of p from y"),
    LossDecl(
        "js",
        "y[k] p[k]",
        "sum[k] (xlogx(y[k])/2 + (p[k]*log(p[k])/2 - (y[k] + p[k])/2*log((y[k] + p[k])/2) if p[k] > 0 else "
        "-xlogx(y[k]/2)))",
        about=_ALONG,
    ),
    LossDecl(
        "cosine",
        "y[k] p[k]",
        "1 - sum(y*p)/(sqrt(sum(y^2))*sqrt(sum(p^2)))",
        about=f"1 − cos of the angle {_ALONG[6:]}; not defined for a vector of zeros",
    ),
    LossDecl(
        "triplet",
        "a[k] p[k] n[k]",
        "max(0, sum((a - p)^2) - sum((a - n)^2) + margin)",
        "margin=1",
        about=f"{_PAIRS}; its derivative is 0 where the margin is just kept",
    ),
    LossDecl(
        "contrastive",
        "y a[k] b[k]",
        "(y*sum((a - b)^2) + (1 - y)*max(0, margin - norm(a - b))^2)/2",
        "margin=1",
        about=f"{_PAIRS}; y is 1 for a pair that belongs together, else 0; where a = b it has derivative 0",
    ),
    LossDecl(
        "info_nce",
        "a[i,k] b[i,k]",
        "mean[i] (log(sum[j] exp((sum[k] a[i,k]*b[j,k])/t)) - (sum[k] a[i,k]*b[i,k])/t)",
        "t=1",
        about="each row of a against all rows of b, its own being the right one; the mean over the rows",
    ),
    LossDecl("l1", "w", "sum(abs(w))", about="a sum over all entries; its derivative is 0 where w = 0"),
    LossDecl("l2", "w", "sum(w^2)", about="a sum over all entries"),
    LossDecl("elastic_net", "w", "a*sum(abs(w)) + b*sum(w^2)", "a b", about="sums over all entries"),
)
LOSSES: dict[str, LossDecl] = {d.name: d for d in _DECLARED}

# Functions of whole tensors to a number, by parameter list and text.
NORMS: dict[str, str] = {
    "2": "0 if sum(v^2) == 0 else sqrt(sum(v^2))",
    "1": "sum(abs(v))",
}
