"""Derived models as text; of a Jacobian or Hessian its element, its structure, and it written out.

In: a derived Jacobian and how it is to be written out. Out: text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codegen.article import Line, document, formulas, listing, story
from codegen.sheets import heading, sources_of, steps_of
from derive.differentiable import DerivedModel
from derive.expr import ONE
from derive.notation import to_json
from derive.notation.expanded import Expanded
from derive.notation.latex import aligned
from derive.notation.norm_notes import NormNote, norm_notes

Place = int | str | None


@dataclass(frozen=True)
class Jacobian:
    """A Jacobian, and in which layout, at which sizes and places it is written out."""

    model: DerivedModel
    layout: str = "numerator"
    sizes: Mapping[str, int] = field(default_factory=dict)
    at: Sequence[Place] | None = None

    def expanded(self) -> Expanded | None:
        """The matrix written out; None where it has more than two axes and no places are fixed."""
        axes = [a for a in self.model.partial.equation.letters if a.extent != ONE]
        if self.at is None and len(axes) > 2:
            return None
        return self.model.expanded(self.layout, self.sizes, self.at)

    def structure(self, *, latex: bool = False) -> str | None:
        """The structured form, of the matrix at the places that are fixed."""
        return self.model.partial.structure(latex=latex, layout=self.layout, at=self.at)

    def printed(self, form: str) -> str:
        """It in the notation of that name."""
        match form:
            case "json":
                return json.dumps(to_json(self.model.program), indent=2, ensure_ascii=False)
            case "latex":
                parts = [f"% {title}\n\\[\n{tex}\n\\]" for title, tex in self.latex()]
                return "\n\n".join([*parts, *(f"% {note}" for note in _notes(self.model))])
            case "matrix":
                return self._text()
            case "python" if (line := self.model.partial.python()) is not None:
                return "\n".join([line, *(f"# {n}" for n in _notes(self.model))])
        formula = self.model.formula
        return "\n".join([formula.notation.formula(formula.equation, form), *(f"# {n}" for n in _notes(self.model))])

    def steps(self, form: str) -> str:
        """How it is found."""
        return steps_of(self.model, form)

    def latex(self) -> list[tuple[str, str]]:
        """Its parts in LaTeX, each with its title."""
        structure, whole = self.structure(latex=True), self.expanded()
        parts = [("element", self.model.partial.latex_element())]
        parts += [("structure", structure)] if structure is not None else []
        parts += [("written out", whole.latex())] if whole is not None else []
        names = [self.model.partial.notation.latex(e) for e in self.model.partial.explained]
        return parts + ([("with", r", \quad ".join(names))] if names else [])

    def article(self, *, steps: bool = False) -> str:
        """A LaTeX article about it."""
        program = self.model.program
        sections = [("Model", "\n\n".join(map(listing, sources_of(program))))]
        sections += [(title.capitalize(), formulas([Line(tex)])) for title, tex in self.latex()]
        if notes := _notes(self.model):
            sections.append(("At the origin", "\n\n".join(f"{note.latex()}." for note in notes)))
        if steps:
            sections.append(("Steps", story(self.model.steps(), self.model.formula.notation.tex.tensor)))
        return document(program, sections)

    def _text(self) -> str:
        structure, whole = self.structure(), self.expanded()
        axes = self.model.shape
        missing = f"its axes are [{', '.join(axes)}]: fix all but two, as in --at {_example(axes)}"
        parts = [
            ("element", self.model.element),
            ("structure", structure or "none: it is no matrix" + (" at these places" if self.at else "")),
            ("written out", missing if whole is None else str(whole)),
        ]
        if names := self.model.partial.explained:
            parts.append(("with", "\n".join(map(self.model.partial.notation.formula, names))))
        lines = [heading(self.model.program)]
        for title, text in parts:
            lines += ["", title, *(f"  {line}" for line in text.splitlines())]
        notes = _notes(self.model)
        return "\n".join([*lines, *([""] if notes else []), *(f"# {note}" for note in notes)])


def derived(model: DerivedModel, form: str) -> str:
    """Any other derivative in the notation of that name: a line for each result and what it rests on."""
    if form == "json":
        return json.dumps(to_json(model.program), indent=2, ensure_ascii=False)
    head = heading(model.program)
    if form == "latex":
        notes = [f"% {note}" for note in _notes(model)]
        return "\n\n".join([head.replace("#", "%", 1), aligned([f.latex() for f in model.shown]), *notes])
    texts = [str(f) if form == "matrix" else f.notation.formula(f.equation, form) for f in model.shown]
    width = min(60, max(map(len, texts)))
    mark = "# " if form == "python" else ""
    lines = [f"{t:{width}}   {mark}[{', '.join(f.shape)}]" for t, f in zip(texts, model.shown, strict=True)]
    along = [f"{mark}along {', '.join(model.directions.values())}"] if model.directions else []
    notes = [f"# {note}" for note in _notes(model)]
    return "\n".join([head, *along, "", *lines, *([""] if notes else []), *notes])


def _notes(model: DerivedModel) -> list[NormNote]:
    """What is said once of its formulas: what 1/‖x‖ is where x = 0."""
    return norm_notes(model.formula.notation, (f.equation for f in model.shown))


def places(text: str) -> list[Place]:
    """The places of an option: a number from 1, a letter, an extent for the last place, : for all.

    >>> places("1,:,n")
    [1, None, 'n']
    """
    found = [part.strip() for part in text.split(",")]
    return [None if p == ":" else int(p) if p.isdecimal() else p for p in found]


def _example(axes: Sequence[str]) -> str:
    """The first place along all axes but the last of either side."""
    kept = (len(axes) // 2 - 1, len(axes) - 1)
    return ",".join(":" if k in kept else "1" for k in range(len(axes)))
