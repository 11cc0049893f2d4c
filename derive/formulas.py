"""Formulas and gradients as people ask for them: each in every notation there is, with the steps that lead to it.

In: a derivation. Out: objects that print as mathematics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from derive import pipeline
from derive.display import definitions, is_plain, readable
from derive.errors import GradcError
from derive.expr import Dim
from derive.notation import Notation
from derive.notation.norm_notes import norm_notes
from derive.notation.notebook import InNotebook, Shown
from derive.pipeline import Derivation
from derive.program import Equation, Program, Tensor, reads
from derive.repeat.display import grouped, heading
from derive.repeat.layer import last_program, layer_program
from derive.repeat.rounds import Outline, Rounds
from derive.repeat.scheme import Repeat
from derive.shapes import show_extent
from derive.simplify import Report
from derive.steps import Steps, steps_of
from derive.textbook import textbook


class Formula(InNotebook):
    """One derived equation, in every notation there is.

    ``matrix`` is None where the equation has no matrix form; ``str`` is the shortest form there is, with the
    definitions of the names that gradc gave: ``dx = E/S, with E = exp(x), S = Σ(E)``.
    """

    def __init__(self, equation: Equation, notation: Notation, derivation: Derivation | None = None) -> None:
        self.notation = notation
        self.derivation = derivation
        self.equation = readable(equation, notation.program)
        if self.equation is not equation and notation.matrix(self.equation) is None and notation.matrix(equation):
            self.equation = equation

    @cached_property
    def defining(self) -> tuple[Equation, ...]:
        """The equations of the names that gradc gave, in order."""
        return tuple(definitions(self.equation, self.notation.program))

    @property
    def definitions(self) -> tuple[str, ...]:
        """What the names that gradc gave stand for, ``E = exp(Z)``, in order."""
        return tuple(map(self.notation.formula, self.defining))

    def steps(self) -> Steps:
        """The derivation of this formula alone: from the total derivative to the matrix form, every step tested.

        Raises GradcError for an equation that was not derived.
        """
        if self.derivation is None or self.equation.out.primal is None:
            raise GradcError(f"{self.name} was not derived: there are no steps")
        return steps_of(self.derivation).by(self.equation.out.primal)

    @property
    def name(self) -> str:
        """The name of the tensor that the equation defines."""
        return self.equation.out.name

    @property
    def shape(self) -> tuple[str, ...]:
        """Its axes, in the model's names."""
        return tuple(show_extent(a) for a in self.equation.out.axes)

    @cached_property
    def matrix(self) -> str | None:
        """The matrix form in Unicode, ``dW1 = Xᵀ dZ1``, or None."""
        return self.notation.matrix(self.equation)

    @cached_property
    def index(self) -> str:
        """The index form, ``dW1[d,h] = Σ_n X[n,d] dZ1[n,h]``."""
        return self.notation.index(self.equation)

    def latex(self) -> str:
        """LaTeX, of the matrix form where there is one."""
        return self.notation.latex(self.equation)

    def __str__(self) -> str:
        shown = self.matrix or self.index
        return f"{shown}, with {', '.join(self.definitions)}" if self.definitions else shown

    __repr__ = __str__

    def _shown(self) -> list[Shown]:
        return [Shown(self.latex(), str(self), f"[{', '.join(self.shape)}]")]


class Gradient(InNotebook, Mapping[str, Formula]):
    """The gradient of a model's objective: a formula for each variable, by the variable's name.

    ``formulas`` are the equations of the backward pass in order, intermediate cotangents included;
    ``report`` says which simplifications fired; ``derivation`` holds the programs of every stage. Where the model has
    repetitions and the gradient was derived for every depth at once, ``symbolic`` is that gradient.
    """

    def __init__(self, derivation: Derivation, symbolic: SymbolicGradient | None = None) -> None:
        self.derivation = derivation
        self.symbolic = symbolic
        self.loops: Mapping[Tensor, Repeat] = {}
        program = derivation.formulas
        self.program = program
        self.notation = Notation(program)
        defined = program.defined
        self.plain = is_plain(program)
        found = {v.name: defined[bar] for v, bar in program.gradients}
        if self.plain:
            found = {name: textbook(e, program) for name, e in found.items()}
        self._by_name = {name: Formula(e, self.notation, derivation) for name, e in found.items()}

    @property
    def report(self) -> Report:
        """What simplification did."""
        return self.derivation.report

    def steps(self) -> Steps:
        """The whole derivation, cotangent by cotangent; every step was tested by number."""
        return steps_of(self.derivation)

    @property
    def telling(self) -> Gradient:
        """The gradient whose steps tell most: that of any layer where it tells of every variable, else this one."""
        return self.symbolic if self.symbolic is not None and self.symbolic.tells_all else self

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The backward pass: every derived equation, in order; for a plain expression one formula for each variable."""
        if self.plain:
            return tuple(self._by_name.values())
        return tuple(Formula(e, self.notation, self.derivation) for e in self.derivation.derived)

    def __getitem__(self, name: str) -> Formula:
        if self.symbolic is not None and name not in self._by_name and name in self.symbolic:
            return self.symbolic[name]
        if name not in self._by_name:
            raise GradcError(f"no gradient by {name}; there are {', '.join(self._by_name)}")
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __str__(self) -> str:
        if self.symbolic is not None:
            return str(self.symbolic)
        return "\n".join([*(f.matrix or f.index for f in self.formulas), *self.definition_lines(), *self._notes()])

    def _notes(self) -> list[str]:
        """What 1/‖x‖ is where x = 0, if anything rests on that."""
        return [f"    {note}" for note in norm_notes(self.notation, (f.equation for f in self.formulas))]

    def definition_lines(self) -> list[str]:
        """What the names that gradc gave stand for, a line each, but for those that have a line among the formulas."""
        lines = {f.matrix or f.index for f in self.formulas}  # what stands there needs no mention
        found = {e.out: d for f in self.formulas for e, d in zip(f.defining, f.definitions, strict=True)}
        ordered = (found[e.out] for e in self.program.equations if e.out in found)
        return [f"    with {d}" for d in dict.fromkeys(ordered) if d not in lines]

    def _shown(self) -> list[Shown]:
        found = self.symbolic or self
        return [replace(s, rounds=_rounds(found.loops.get(f.equation.out))) for f in found.formulas for s in f._shown()]


def _rounds(repeat: Repeat | None) -> tuple[str, str]:
    """For which layers an equation holds, as text and in LaTeX."""
    return ("", "") if repeat is None else (heading(repeat), heading(repeat, latex=True))


class SymbolicGradient(Gradient):
    """A gradient whose depth is a symbol: ``g["W{l}"]`` is the gradient by W of any layer l.

    ``loops`` tells in which repetition a tensor is defined.
    """

    def __init__(self, derivation: Derivation, loops: Mapping[Tensor, Repeat], outline: Outline) -> None:
        super().__init__(derivation)
        self.loops = loops
        self.outline = outline

    @property
    def tells_all(self) -> bool:
        """Whether `steps` tell of every variable: of layers they do, not of what is shared or stands before them."""
        rounds = Rounds(self.outline)
        inside = {t for e in (*self.outline.before, *rounds.body) for t in reads(e.body)}
        return not any(v in inside and not rounds.is_of_round(v) for v, _ in self.program.gradients)

    def steps(self) -> Steps:
        """The derivation of layer l from the layers that read it, after that of the last layer; every step was tested.

        Each is told of a program of its own: see `derive.repeat.layer`.
        """
        families = {v.family for v, _ in self.program.gradients if v.family is not None}
        rounds = Rounds(self.outline)
        here = Dim(rounds.letter)

        def told(program: Program) -> Steps:
            wanted = [t for t in program.declared if t.family in families or t in dict(self.program.gradients)]
            return steps_of(pipeline.gradient(program, tuple(wanted)))

        last = told(last_program(self.outline))
        layer = told(layer_program(self.outline))
        behind = [s for s in last if s.target.kind != "param" or rounds.round_of(s.target) is None]
        return Steps([*behind, *(s for s in layer if rounds.ahead(s.target, here) == 0)])

    def __str__(self) -> str:
        lines = grouped([(f.equation, f.matrix or f.index) for f in self.formulas], self.loops)
        return "\n".join([*lines, *self.definition_lines(), *self._notes()])
