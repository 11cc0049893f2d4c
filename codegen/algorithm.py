"""Backpropagation as an algorithm: the steps that one carries out, in order, with the formulas of each.

In: a derived gradient. Out: numbered steps, as text or as LaTeX. Where the depth of the model is a symbol, so is that
of the algorithm. What belongs to which step follows from structure alone: what is computed forwards, the objective,
cotangents behind the layers, those from layer to layer, the gradients by vectors and by matrices, the optimizer's
equations.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from codegen.sheets import Parts, parts_of
from derive.expr import Expr
from derive.formulas import Gradient
from derive.functions import Parameter
from derive.notation import Notation
from derive.notation.latex import aligned
from derive.program import Equation, OptimizerCall, Program, Tensor, reads
from derive.repeat.display import grouped
from derive.repeat.display import heading as loop_heading
from derive.repeat.scheme import Repeat
from derive.rewrite import map_children, walk

Text = Callable[[Equation], str]


@dataclass(frozen=True)
class Stage:
    """One step of the algorithm: what to do, to which tensors, and the equations that do it."""

    title: str
    tensors: tuple[Tensor, ...]
    equations: tuple[Equation, ...]


def stages(gradient: Gradient) -> tuple[Parts, list[Stage]]:
    """The steps of a gradient's algorithm that have something to do, and the formulas that they are made of."""
    parts = parts_of(gradient, deltas=True)
    program, loops = parts.notation.program, (gradient.symbolic or gradient).loops
    results = {bar for _, bar in program.gradients}
    inner = [e for e in parts.backward if e.out not in results]
    deltas = parts.notation.names.deltas
    starts = next((k for k, e in enumerate(inner) if e.out in loops), None)
    if starts is None:
        starts = next((k + 1 for k, e in enumerate(inner) if e.out in deltas), min(len(inner), 1))
    forward = [e for e in parts.forward if e.out is not program.objective]
    cost = [e for e in parts.forward if e.out is program.objective]
    stems = {_round_free(e.out) for e in forward}
    kept = dict.fromkeys(
        t for e in parts.backward for t in reads(e.body) if _round_free(t) in stems and t.kind == "value"
    )
    gradients = [e for e in parts.backward if e.out in results]
    listed = [
        Stage("Feed forward, and keep {}", tuple(kept), tuple(forward)),
        Stage("Compute the cost", (), tuple(cost)),
        Stage("Find the cotangents behind the last layer", (), tuple(inner[:starts])),
        Stage("Go back through the layers", (), tuple(inner[starts:])),
        _gradients_by([e for e in gradients if e.out.rank < 2]),
        _gradients_by([e for e in gradients if e.out.rank >= 2]),
    ]
    return parts, [s for s in listed if s.equations]


def _gradients_by(equations: list[Equation]) -> Stage:
    variables = tuple(e.out.primal for e in equations if e.out.primal is not None)
    return Stage("Find the gradients by {}", variables, tuple(equations))


def _round_free(t: Tensor) -> object:
    """A tensor, or the family of one that belongs to a repetition."""
    return t if t.family is None else t.family


def algorithm_of(gradient: Gradient, form: str = "matrix") -> str:
    """The algorithm as text, or as LaTeX (an `enumerate`) where the form is one of LaTeX."""
    parts, found = stages(gradient)
    notation, loops = parts.notation, (gradient.symbolic or gradient).loops
    latex = form.startswith("latex")
    style = notation.tex if latex else notation.unicode
    title = f"Backpropagation of {notation.program.name}"

    def titled(stage: Stage) -> str:
        names = dict.fromkeys(style.tensor(t) for t in stage.tensors)
        shown = [f"${n}$" for n in names] if latex else list(names)
        return stage.title.format(", ".join(shown)) if shown else stage.title.replace(", and keep {}", "")

    updates = [_update(call) for call in notation.program.optimizers]
    if latex:
        items = [f"\\item {titled(s)}.\n{_blocks(s.equations, notation.latex, loops)}" for s in found]
        for call, (rules, lines, numbers) in zip(notation.program.optimizers, updates, strict=True):
            items.append(f"\\item Update {_whom(call)} $\\theta$ with its gradient $g$.")
            items.append(aligned([rules.latex_index(e) for e in (*lines, *numbers)]))
        names = ["Here", aligned([notation.latex(e) for e in parts.names])] if parts.names else []
        return "\n".join([f"% {title}", r"\begin{enumerate}", *items, r"\end{enumerate}", *names])
    out = [title]
    for k, stage in enumerate(found, 1):
        out += ["", f"{k}. {titled(stage)}."]
        out += [f"     {line}" for line in grouped([(e, notation.formula(e, form)) for e in stage.equations], loops)]
    for k, (call, (rules, lines, numbers)) in enumerate(zip(notation.program.optimizers, updates, strict=True), 1):
        out += ["", f"{len(found) + k}. Update {_whom(call)} θ with its gradient g."]
        out += [f"     {rules.index(e)}" for e in lines]
        out += [f"     with {', '.join(rules.index(e) for e in numbers)}"]
    if parts.names:
        out += ["", *(f"with {notation.formula(e, form)}" for e in parts.names)]
    return "\n".join(out)


def _blocks(equations: Iterable[Equation], text: Text, loops: Mapping[Tensor, Repeat]) -> str:
    out = []
    for where, group in itertools.groupby(equations, lambda e: loops.get(e.out)):
        if where is not None:
            out.append(loop_heading(where, latex=True) + ":")
        out.append(aligned([text(e) for e in group]))
    return "\n".join(out)


def _whom(call: OptimizerCall) -> str:
    """For whom an optimizer is."""
    return f"each of {', '.join(call.names)} as" if call.names else "every parameter"


def _update(call: OptimizerCall) -> tuple[Notation, list[Equation], list[Equation]]:
    """The equations of an optimizer, and what its hyperparameters are."""
    rule = call.rule
    used = [x.name for _, e in (*rule.equations, *call.arguments) for x in _parameters(e)]
    names = [name for name, _ in (*rule.hyper, *rule.equations)]  # a rate stands in front of what it scales
    signs = {name: Tensor(name, ()) for name in dict.fromkeys((*names, *used))}
    signs["w"] = Tensor("θ", (), latex=r"\theta")

    def known(e: Expr) -> Expr:
        return signs[e.name].at(()) if isinstance(e, Parameter) else map_children(e, known)

    lines = [Equation(signs[name], (), known(body)) for name, body in rule.equations]
    numbers = [Equation(signs[name], (), known(value)) for name, value in call.arguments]
    return Notation(Program("update", declared=tuple(signs.values()))), lines, numbers


def _parameters(e: Expr) -> Iterator[Parameter]:
    return (x for x in walk(e) if isinstance(x, Parameter))
