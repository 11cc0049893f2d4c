"""What stands on the page of a report.

In: a model, the result of its check and its training where there are any. Out: HTML. Everything is gathered here as
plain values; the template gives it its shape and escapes what comes from the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from markupsafe import Markup

from codegen.report.curve import curve_svg
from codegen.report.drawing import Drawings
from codegen.report.graph import graph_svg
from codegen.sheets import heading, parts_of, remarks, shape_of, sources_of
from codegen.train import Epoch
from codegen.verify import CheckResult
from derive.cost import Cost
from derive.differentiable import Differentiable
from derive.errors import GradcError
from derive.formulas import Gradient
from derive.notation import Notation, source_line
from derive.program import Equation, Program, Tensor
from derive.repeat.display import heading as loop_heading
from derive.steps import Step, Steps

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Line:
    """A formula of the page: its picture, its shape, the model line behind it, and what unfolds under it.

    ``loop`` is the heading of a repetition that begins with it, ``inside`` says that it belongs to one.
    """

    formula: Markup
    shape: str = ""
    source: str | None = None
    wanted: bool = False
    shapes: Markup | None = None
    steps: tuple[StepLine, ...] = ()
    places: tuple[str, ...] = ()
    loop: str = ""
    inside: bool = False


@dataclass(frozen=True)
class StepLine:
    """One step: its rule, the equality, its reason in words."""

    rule: str
    formula: Markup
    note: str | None


@dataclass(frozen=True)
class Saving:
    """What one rewrite did to one equation."""

    tensor: str
    rule: str
    before: str
    after: str


@dataclass(frozen=True)
class Run:
    """A training: the data's name and how many samples they are, what was measured, and why it stopped if it did."""

    data: str
    samples: int
    epochs: tuple[Epoch, ...]
    stopped: str | None = None


def report(
    model: Differentiable, wrt: Sequence[str] = (), check: CheckResult | None = None, run: Run | None = None
) -> str:
    """The page about a model, its gradients by ``wrt`` (all parameters without it), their check and a training.

    Raises GradcError where the model has no gradient, or the package that draws formulas is missing.
    """
    page = _Page(model.gradient(*wrt))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    program = model.program
    content = {
        "name": program.name,
        "sizes": heading(page.general.notation.program).partition(": ")[2],
        "sources": sources_of(program),
        "graph": graph_svg(program),
        "forward": page.forward(),
        "symbolic": page.symbolic(),
        "backward": page.backward(),
        "untold": page.untold,
        "further": page.further(),
        "remarks": page.remarks(),
        "names": page.names(),
        "savings": page.savings(),
        "kept": page.gradient.report.kept,
        "run": run,
        "curve": None if run is None else curve_svg(run.epochs),
        "check": None if check is None else Markup(check._repr_html_()),
    }
    return environment.get_template("page.html.jinja").render(content, outlines=page.drawings.outlines) + "\n"


class _View:
    """The formulas of one program as pictures."""

    def __init__(self, drawings: Drawings, program: Program) -> None:
        self.drawings = drawings
        self.notation = Notation(program)
        self.with_shapes = Notation(program, shapes=True)
        self.results = {bar for _, bar in program.gradients}

    def line(self, e: Equation) -> Line:
        """An equation with its shape, and what was asked for marked."""
        return Line(self.drawn(e), _shape(e.out), wanted=e.out in self.results)

    def drawn(self, e: Equation) -> Markup:
        """Its formula."""
        return self.drawings.formula(self.notation.latex(e), self.notation.formula(e))

    def shapes(self, e: Equation) -> Markup | None:
        """Its formula with the shape of each factor."""
        if not e.out.rank or self.with_shapes.form(e) is None:
            return None
        return self.drawings.formula(self.with_shapes.latex(e), f"shapes of {e.out.name}")


class _Page:
    """The formulas of one page, which share their drawings.

    Where the depth is a symbol they stand for every depth, and once more for that of the file, with their steps.
    """

    def __init__(self, gradient: Gradient) -> None:
        self.drawings = Drawings()
        self.gradient = gradient
        self.parts = parts_of(gradient)
        self.loops = (gradient.symbolic or gradient).loops
        self.general = _View(self.drawings, self.parts.notation.program)
        self.special = _View(self.drawings, gradient.program)
        self.steps, self.untold = self.told()

    def forward(self) -> list[Line]:
        """The model's equations, beside the lines that they come from."""
        return self._looped((e, replace(self.general.line(e), source=self.source(e))) for e in self.parts.forward)

    def symbolic(self) -> list[Line]:
        """The cotangents of every depth; none where the model has no depth."""
        if self.gradient.symbolic is None:
            return []
        lines = ((e, replace(self.general.line(e), shapes=self.general.shapes(e))) for e in self.parts.backward)
        return self._looped(lines)

    def backward(self) -> list[Line]:
        """The cotangents in order, each with its derivation."""
        return [self._told(f.equation) for f in self.gradient.formulas]

    def further(self) -> list[tuple[str, list[Line]]]:
        """What the model has besides, each group below its title."""
        return [
            (title.capitalize(), self._looped((e, self.general.line(e)) for e in g)) for title, g in self.parts.further
        ]

    def _looped(self, lines: Iterable[tuple[Equation, Line]]) -> list[Line]:
        """The lines, those of a repetition below its heading."""
        found, around = [], None
        for e, line in lines:
            here = self.loops.get(e.out)
            begins = here is not None and here is not around
            found.append(replace(line, loop=loop_heading(here) if here and begins else "", inside=here is not None))
            around = here
        return found

    def source(self, equation: Equation) -> str | None:
        """The author's line, where it says what the formula does not."""
        line = source_line(equation)
        return None if line is None or line == self.general.notation.formula(equation) else line

    def _told(self, e: Equation) -> Line:
        own = self.steps.by(e.out.primal) if e.out.primal is not None else Steps()
        spans = dict.fromkeys(s.span for s in own if s.span is not None)
        places = tuple(f"line {s.line}: {s.source.line(s.line).partition('#')[0].strip()}" for s in spans)
        told = tuple(self._steps(own))
        return replace(self.special.line(e), shapes=self.special.shapes(e), steps=told, places=places)

    def told(self) -> tuple[Steps, str | None]:
        """The steps of all gradients; where the model has no point to test them at, why there are none."""
        try:
            return self.gradient.steps(), None
        except GradcError as e:
            return Steps(), str(e)

    def _steps(self, steps: Iterable[Step]) -> Iterable[StepLine]:
        last: Step | None = None
        for step in steps:
            follows = last is not None and last.text[1] == step.text[0]
            tex = f"= {step.tex[1]}" if follows else step.latex()
            text = f"= {step.text[1]}" if follows else str(step)
            yield StepLine(step.rule, self.drawings.formula(tex, text), step.note)
            last = step

    def remarks(self) -> list[str]:
        """Which formulas have no matrix form, and what 1/‖x‖ is where x = 0."""
        found = remarks(self.parts.notation, self.parts.forward, self.parts.backward)
        return [said[:1].upper() + said[1:] for said in found]

    def names(self) -> list[Markup]:
        """What the names that gradc gave stand for, each once."""
        return [self.general.drawn(e) for e in self.parts.names]

    def savings(self) -> list[Saving]:
        """The rewrites that fired, in order."""
        return [Saving(f.tensor, f.rule, _cost(f.before), _cost(f.after)) for f in self.gradient.report.firings]


def _shape(t: Tensor) -> str:
    return shape_of(t) if t.rank else ""


def _cost(cost: Cost) -> str:
    """A cost as one writes it.

    >>> _cost(Cost({2: 4, 1: 1, 0: 1}))
    '4 s² + s + 1'
    """
    parts = []
    for degree, count in sorted(cost.by_degree.items(), reverse=True):
        power = ("", "s")[degree] if degree < 2 else f"s{str(degree).translate(_SUPERSCRIPTS)}"
        parts.append(" ".join([*([str(count)] if count != 1 or not power else []), *([power] if power else [])]))
    return " + ".join(parts) or "0"
