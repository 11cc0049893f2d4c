"""What `fit` does to the parameters after each gradient: the optimizers of a model, laid out on the flat vector.

In: a program and the places of its parameters. Out: an `Update`: for each optimizer its equations, under what
names its hyperparameters are known, and which pieces of the vector it changes. Targets make loops of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from codegen.function import Group, Schedule, Slice, Update, pieces
from codegen.naming import MODULE_WORDS, Names
from codegen.targets.shapes import Shapes
from derive.functions import PRIMITIVES, Parameter
from derive.language.optimizers import changes
from derive.language.rules import KEPT
from derive.program import OptimizerCall, Program, Tensor

# what `fit` takes besides hyperparameters, and what it calls its own values
_TAKEN = ["params", "data", "epochs", "batch_size", "seed", "shuffle", "on_epoch", "average", "names", "theta", "count"]
_TAKEN += ["arrays", "size", "grad", "rows", "state", "order", "steps", "random", "history", "epoch", "value", "name"]
_TAKEN += ["generator", "a", "rng"]


class _Steps(Shapes):
    """Schedules as Python text."""

    functions: ClassVar[dict[str, str]] = {
        **{name: f"math.{name}" for name in (*PRIMITIVES, "sqrt", "log1p", "expm1", "floor")}
    }


def update_of(program: Program, slices: Sequence[Slice], extents: dict[str, str]) -> Update | None:
    """The optimizers of a program; None where it has none, or nothing that they could train."""
    trained = set(program.trained)
    if not program.optimizers or not trained:
        return None
    named = {n for call in program.optimizers for n in call.names}
    kept = any(KEPT in call.rule.state for call in program.optimizers)
    names, printer = Names((*MODULE_WORDS, *_TAKEN, *extents.values())), _Steps(extents)
    printer.parameters = {"t": "t", "T": "T"}
    groups: list[Group] = []
    hyper: list[tuple[str, str]] = []
    schedules: list[Schedule] = []
    for call in program.optimizers:
        mine = [s for s in slices if s.tensor in trained and _trains(call, s.tensor, named)]
        if not mine:
            continue
        own: dict[str, str] = {}
        written = dict(call.written)
        for name, value in call.arguments:
            keyword = names.fresh(f"{name}_{call.names[0]}" if call.names else name)
            own[name] = keyword
            if changes(value):
                schedules.append(Schedule(keyword, f"_{keyword}_at", written[name], printer.real(value)))
            else:
                hyper.append((keyword, printer.real(value)))
        equations = call.rule.equations
        if kept and KEPT not in call.rule.state:
            equations += ((KEPT, Parameter("w")),)
        runs = pieces(mine)
        groups.append(Group(call, own, equations, () if _all(runs, slices) else runs))
    state = dict.fromkeys(s for g in groups for s in g.call.rule.state if s != KEPT)
    whole = pieces(s for s in slices if s.tensor in trained)
    return Update(
        tuple(groups),
        tuple(hyper),
        tuple(schedules),
        (*state, *([KEPT] if kept else [])),
        () if _all(whole, slices) else whole,
    )


def _trains(call: OptimizerCall, t: Tensor, named: set[str]) -> bool:
    return (t.name in call.names or t.family in call.names) if call.names else not {t.name, t.family} & named


def _all(runs: Sequence[tuple[int, int]], slices: Sequence[Slice]) -> bool:
    return tuple(runs) == ((0, sum(s.size for s in slices)),)
