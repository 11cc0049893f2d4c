"""Models of every entry of the catalogue, written because the entry exists: tests run over them."""

from __future__ import annotations

from derive.functions import PRIMITIVES
from derive.library.functions import FUNCTIONS
from derive.library.losses import LOSSES, LossDecl

EXTRA = {"clip": ("1/4", "3/4"), "prelu": ("1/4",)}  # for parameters without a default


def function_call(name: str, argument: str) -> str:
    """The call of a scalar function.

    >>> function_call("clip", "z")
    'clip(z, 1/4, 3/4)'
    """
    return f"{name}({', '.join((argument, *EXTRA.get(name, ())))})"


def function_models() -> dict[str, str]:
    """Each function of a vector, weighted by data."""
    head, goal = "dims d = 5\nparam w : [d]\ninput G : [d]\n", "minimize sum(G * a)\n"
    return {f"function_{f}": f"{head}a = {function_call(f, 'w')}\n{goal}" for f in (*PRIMITIVES, *FUNCTIONS)}


PROMISES = {"hinge": "signs", "squared_hinge": "signs", "poisson_nll": "counts", "contrastive": "binary"}
SETTINGS = {"tau": "1/4", "a": "1/3", "b": "1/5", "log_var": "V0 / 2"}


def loss_model(d: LossDecl, outputs: tuple[str, ...] = ()) -> str:
    """The loss of a target and of parameters, or of ``outputs`` of them; a target along a class axis is a simplex."""
    lines, arguments = ["dims r = 7, c = 3"], []
    named = dict(zip([p for p, k in d.letters.items() if k == d.rank][1:], outputs, strict=False))
    for k, (name, letters) in enumerate(d.letters.items()):
        axes = "r, c" if letters == d.rank else "r"
        target = k == 0 and len(d.letters) > 1 and name == "y"
        promise = PROMISES.get(d.name, "simplex(1)" if letters else "")
        lines.append(f"target Y : [{axes}] {promise}" if target else f"param V{k} : [{axes}]")
        arguments.append("Y" if target else named.get(name, "{0}").format(f"V{k}"))
    for name in d.parameters[len(d.letters) :]:
        if name not in d.defaults:
            arguments.append(SETTINGS[name].replace("V0", "V1"))
    return "\n".join([*lines, f"minimize {d.name}({', '.join(arguments)})"]) + "\n"


def loss_models() -> dict[str, str]:
    """Each loss, and those along a class axis also behind a softmax."""
    plain = {f"loss_{d.name}": loss_model(d) for d in LOSSES.values()}
    behind = {
        f"loss_{d.name}_softmax": loss_model(d, ("softmax({0}, axis=1)",))
        for d in LOSSES.values()
        if tuple(d.letters) == ("y", "p") and d.rank == 1
    }
    return plain | behind
