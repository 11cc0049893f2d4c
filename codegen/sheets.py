"""Formulas as people read them: lists with shapes, the steps of a derivation, and the sheet of a model.

In: a derived gradient. Out: text, the same for the same model.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from derive.differentiable import DerivedModel, Differentiable
from derive.display import definitions, readable
from derive.formulas import Gradient, SymbolicGradient
from derive.notation import Notation, source_line
from derive.notation.latex import aligned
from derive.notation.norm_notes import norm_notes
from derive.order import BATCH
from derive.program import Choice, Equation, Program, Tensor, needed, reads
from derive.repeat.display import grouped
from derive.repeat.display import heading as loop_heading
from derive.shapes import show_axes
from derive.textbook import spelled_out
from derive.training import otherwise

_AFTER, _USED = "after a training step", "when it is used, not trained"


def sheet(model: Differentiable) -> str:
    """A page in Markdown: the model, its gradients as matrices, in indices and in LaTeX, and what simplified them."""
    gradient = model.gradient()
    program = gradient.program
    latex = [gradient.notation.latex(e) for e in (*_forward(gradient), *(f.equation for f in gradient.formulas))]
    parts = [
        f"# {program.name}",
        f"```\n{program.text.strip()}\n```",
        f"## Formulas\n\n```\n{formulas_of(gradient)}\n```",
        f"## In indices\n\n```\n{formulas_of(gradient, 'index', remarked=False)}\n```",
        "## In LaTeX\n\n" + "\n".join(f"$${text}$$" for text in latex),
        "## What simplified them\n\n```\n" + "\n".join(map(str, gradient.report.firings)) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True)
class Parts:
    """What is shown of a gradient: the author's equations, the derived ones, and names of gradc's in them.

    ``further`` is what the model has besides: groups of equations, each with its title.
    """

    notation: Notation
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    names: tuple[Equation, ...]
    further: tuple[tuple[str, tuple[Equation, ...]], ...] = ()


def parts_of(gradient: Gradient, *, deltas: bool = False, shapes: bool = False) -> Parts:
    """The equations of a gradient in the order in which they are shown."""
    gradient = gradient.symbolic or gradient
    notation = Notation(gradient.program, deltas=deltas, shapes=shapes)
    program = notation.program
    forward = tuple(readable(e, program) for e in _forward(gradient) if not e.out.hidden)
    if gradient.plain:  # the objective in the words of the gradients
        forward = tuple(spelled_out(e, program) for e in forward)
    backward = tuple(f.equation for f in gradient.formulas)
    if deltas:
        backward = tuple(e for e in program.equations if e.out.kind == "cotangent")
    besides = further(gradient)
    every = (*forward, *backward, *(e for _, equations in besides for e in equations))
    shown = {e.out for e in every}
    found = dict.fromkeys(d.out for e in every for d in definitions(e, program))
    names = tuple(readable(program.defined[t], program) for t in found if t not in shown)
    return Parts(notation, forward, backward, names, besides)


def in_indices(notation: Notation, *groups: Iterable[Equation]) -> str:
    """Which of these equations no matrix form says, in words; empty where there is none."""
    told = (e.out for group in groups for e in group if e.out.rank and notation.form(e) is None)
    names = ", ".join(dict.fromkeys(t.name if t.ahead is None else t.ahead[0].name for t in told))
    return f"in indices, as there is no matrix form: {names}" if names else ""


def remarks(notation: Notation, forward: Iterable[Equation], backward: Iterable[Equation]) -> list[str]:
    """What is said once of the formulas of a page: which are in indices, and what 1/‖x‖ is where x = 0."""
    forward, backward = list(forward), list(backward)
    said = in_indices(notation, forward, backward)
    return [*([said] if said else []), *map(str, norm_notes(notation, backward))]


def further(gradient: Gradient) -> tuple[tuple[str, tuple[Equation, ...]], ...]:
    """What a model has besides its forward and backward pass: the next values of its states, and its other form."""
    program, used = gradient.program, otherwise(gradient.derivation.source)
    after = tuple(readable(e, program) for e in program.equations if e.out.kind == "update")
    return tuple((title, group) for title, group in ((_AFTER, after), (_USED, used)) if group)


def latex_of(gradient: Gradient, *, deltas: bool = False, shapes: bool = False) -> str:
    """The formulas in LaTeX, a display for each part, to be pasted into a document of one's own."""
    parts = parts_of(gradient, deltas=deltas, shapes=shapes)
    groups = [("forward", parts.forward), ("backward", parts.backward), *parts.further, ("with", parts.names)]
    loops = (gradient.symbolic or gradient).loops
    shown = []
    for title, group in groups:
        for where, equations in itertools.groupby(group, lambda e: loops.get(e.out)):
            name = title if where is None else f"{title}, {loop_heading(where)}"
            shown.append(f"% {name}\n{aligned([parts.notation.latex(e) for e in equations])}")
    shown += [f"% {note}" for note in remarks(parts.notation, parts.forward, parts.backward)]
    return "\n\n".join([heading(parts.notation.program).replace("#", "%", 1), *shown])


def formulas_of(gradient: Gradient, form: str = "matrix", deltas: bool = False, *, remarked: bool = True) -> str:
    """Forward equations and gradients, a line each, with the shapes behind them; δ for layers where asked.

    What is said once of all of them comes last, if that has not been said elsewhere.
    """
    if form != "python":  # a depth that is a symbol prints, but it does not run
        gradient = gradient.symbolic or gradient
    program = gradient.program
    forward = _forward(gradient)
    backward = [f.equation for f in gradient.formulas]
    notation = gradient.notation
    if deltas:
        notation = Notation(program, deltas=True)
        backward = [e for e in notation.program.equations if e.out.kind == "cotangent"]
    besides = further(gradient)
    texts = {e: notation.formula(e, form) for e in (*forward, *backward, *(e for _, group in besides for e in group))}
    if form == "matrix":  # as the author wrote it, not through names of gradc's; those that gradients need come last
        asked = {c.out for c in program.choices}  # what travels instead of it comes last, with the other names
        forward = [e for e in program.equations if not e.out.hidden and (e in texts or e.out in asked)]
        forward = [e for e in forward if e.out.kind != "cotangent"]
        texts.update({e: as_written(e, gradient.notation) for e in forward})
    python = form == "python"
    width = min(60, max(len(texts[e]) for e in (*forward, *backward)))

    def listed(equations: Iterable[Equation], mark: str = "") -> list[str]:
        shapes = ((e, f"   {'# ' if python else ''}{shape_of(e.out)}" if e.out.rank else "") for e in equations)
        shown = [(e, f"{mark}{texts[e]:{width}}{shape}".rstrip()) for e, shape in shapes]
        return [f"{'' if python else '  '}{line}" for line in grouped(shown, gradient.loops)]

    lines = [heading(program)]
    for title, equations in (("forward", forward), ("backward", backward)):
        lines += ["", f"{'# ' if python else ''}{title}", *listed(equations)]
    if form == "matrix":
        lines += gradient.definition_lines()
    for title, group in besides:  # the other form is a comment: it is no part of this computation
        lines += ["", f"# {title}", *listed(group, "# " if title == _USED else "")]
    said = remarks(notation, forward, backward) if form != "index" else list(map(str, norm_notes(notation, backward)))
    lines += ["", *(f"# {note}" for note in said)] if said and remarked else []
    if form == "matrix" and program.choices:
        lines += ["", "derivatives in the model", *choices_of(program)]
    return "\n".join(lines)


def choices_of(program: Program) -> list[str]:
    """How each derivative in the model is made, what a training step takes so, and what it would take otherwise."""
    made = {c.out: c for c in program.choices}

    def name(t: Tensor) -> str:
        return f"d({name(made[t].of)}, {made[t].by.name})" if t.hidden and t in made else t.name

    def told(c: Choice) -> str:
        called = f"d({name(c.of)}, {c.by.name})"
        return called if c.out.hidden else f"{c.out.name} = {called}"

    each = "a step" if program.batch is None else f"a step of {BATCH} samples"
    return [
        f"  {told(c)}: {c.way}, {_short(c.operations)} operations {each}; {c.other} {_short(c.instead)}"
        for c in program.choices
    ]


def _short(count: int) -> str:
    """A count with two digits, as in 2.3e6."""
    digits, _, exponent = f"{count:.1e}".partition("e")
    return f"{digits}e{int(exponent)}"


def shapes_of(gradient: Gradient, deltas: bool = False) -> str:
    """Forward equations and gradients with the shape of each factor under it."""
    gradient = gradient.symbolic or gradient
    notation = Notation(gradient.program, deltas=deltas, shapes=True)
    backward = [f.equation for f in gradient.formulas]
    if deltas:
        backward = [e for e in notation.program.equations if e.out.kind == "cotangent"]
    lines = [heading(gradient.program)]
    for title, equations in (("forward", _forward(gradient)), ("backward", backward), *further(gradient)):
        shown = grouped([(e, notation.formula(e)) for e in equations], gradient.loops)
        lines += ["", title, *(f"  {line}" for line in shown)]
    if said := remarks(notation, _forward(gradient), backward):
        lines += ["", *(f"# {note}" for note in said)]
    return "\n".join(lines)


def as_written(equation: Equation, notation: Notation) -> str:
    """A forward equation over the author's tensors: its matrix form, or the model line where that takes other names."""
    shown = readable(equation, notation.program)
    hidden = any(t.hidden for t in reads(shown.body))
    line = source_line(equation) if hidden else None
    both = notation.program.inference is not None and line is not None and re.search(r"\btraining\b", line)
    if both:  # a line that says both forms is longer than the one that is trained
        return notation.formula(spelled_out(shown, notation.program))
    if line is None:
        return notation.formula(shown)
    whole = equation.out if equation.out.ahead is None else equation.out.ahead[0]  # a round of a recurrence says H[t+1]
    name, line = whole.name, re.sub(r"\s+", " ", line)
    return line if re.match(rf"{name}\s*(\[|=)", line) else f"{name} = {line.removeprefix('minimize').strip()}"


def heading(program: Program) -> str:
    """The model's name and its extents."""
    sizes = [d.name if d.default is None else f"{d.name} = {d.default}" for d in program.dims]
    batch = [f"batch {program.batch.name}"] if program.batch else []
    return f"# {program.name}: {', '.join([*batch, *sizes]) or 'no extents'}"


def sources_of(program: Program) -> list[list[str]]:
    """The lines of the texts that the model was read from, as their author wrote them."""
    spans = [*(t.span for t in program.declared), *(e.span for e in program.equations)]
    found = dict.fromkeys(s.source for s in spans if s is not None)
    texts = [s.text for s in found] or [program.text]
    return [re.split(r"\r\n|\r|\n", text.rstrip()) for text in texts]


def shape_of(t: Tensor) -> str:
    """``[n, d]``, in the model's words."""
    return show_axes(t.axes)


def steps_of(gradient: Gradient | DerivedModel, form: str = "matrix") -> str:
    """The derivation step by step: in LaTeX, as JSON, or as text for a terminal."""
    gradient = gradient.telling if isinstance(gradient, Gradient) else gradient
    steps = gradient.steps()
    if form.startswith("latex"):
        return steps.latex()
    if form == "json":
        return json.dumps(steps.as_json(), indent=2, ensure_ascii=False)
    return f"{heading(gradient.program)}\n\n{steps}"


def _forward(gradient: Gradient) -> list[Equation]:
    """The forward equations that anything asked for rests on."""
    program = gradient.program
    if isinstance(gradient, SymbolicGradient):
        return [e for e in program.equations if e.out.kind == "value"]
    wanted = [bar for _, bar in program.gradients] + ([program.objective] if program.objective else [])
    shown = program.with_equations(map(gradient.notation.shown, program.equations))
    read = {e.out for e in needed(shown, wanted)}
    return [e for e in program.equations if e.out in read and e.out.kind != "cotangent"]
