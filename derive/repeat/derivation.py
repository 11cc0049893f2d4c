"""A model with repetitions at one depth: its program, and its gradient by the derivation that holds at every depth.

In: a scheme and sizes. Out: the program, and a `Derivation` whose formulas are those of the derived scheme, written
out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from derive import pipeline
from derive.errors import GradcError, SourceError
from derive.inner import resolved, waits
from derive.language.read import read_scheme
from derive.language.tree import Tree
from derive.pipeline import Derivation
from derive.program import Program, Tensor
from derive.repeat.induction import Induction, induct
from derive.repeat.rounds import NoInductionError, Outline, outline
from derive.repeat.scheme import Scheme, over
from derive.repeat.stacked import stacked
from derive.repeat.unroll import Sizes, Unrolling
from derive.training import formed, trained_scheme


class Repeated:
    """A scheme at one depth.

    ``program`` is the model written out. ``why_not`` says why a gradient had to be derived from that, layer by layer,
    where the depth could not stay a symbol.
    """

    def __init__(self, scheme: Scheme, sizes: Sizes | None = None) -> None:
        self.scheme = scheme
        self.sizes = sizes or {}
        self.unrolling = Unrolling(scheme, self.sizes)
        self.program = formed(resolved(self.unrolling.program(scheme)))
        self.why_not: str | None = None

    @cached_property
    def outline(self) -> Outline:
        """The parts of the scheme, prepared."""
        return outline(trained_scheme(self.scheme))

    @cached_property
    def stacked(self) -> Program | None:
        """The program with layers that are alike as places of one tensor, if there are such."""
        return None if waits(self.scheme.equations) else stacked(self.scheme, self.sizes)

    def gradient(self, wrt: Iterable[Tensor]) -> tuple[Derivation, Induction | None]:
        """The gradient by tensors of the program; with the induction behind it, if there is one."""
        asked = tuple(wrt)
        if self.program.objective is None:
            raise GradcError("no objective; use jacobian, or add a line `minimize …`")
        try:
            if waits(self.scheme.equations):
                raise NoInductionError("d(u, x) reaches through the layers")
            found = induct(self.outline, self._of_scheme(asked))
            declared = self.program.declared  # in the order of the text
            other = self.program.inference
            forward = replace(self.unrolling.program(self.outline.forward), declared=declared, inference=other)
            formulas = replace(self.unrolling.program(found.scheme), declared=declared, inference=other)
        except (NoInductionError, SourceError) as reason:
            self.why_not = str(reason)
            return pipeline.gradient(self.program, asked), None
        bars = {e.out.primal: e.out for e in formulas.equations if e.out.kind == "cotangent"}
        pairs = tuple((t, bars[t]) for t in asked)
        formulas = formulas.with_equations(formulas.equations, gradients=pairs)
        raw = pipeline.pulled_back(forward, asked)
        given = set(forward.equations)
        known = {e.out: bars[e.out.primal] for e in raw.equations if e.out.primal in bars}
        raw = raw.with_equations((e if e in given else over(e, known) for e in raw.equations), gradients=pairs)
        return pipeline.completed(self.program, forward, formulas, found.report, raw), found

    def _of_scheme(self, asked: tuple[Tensor, ...]) -> list[Tensor]:
        """The tensors of the scheme of which these are members at this depth."""
        inside = {t.family: t for r in self.scheme.repeats for t in r.items if isinstance(t, Tensor)}
        outside = {self.unrolling.tensor(t, {}): t for t in self.scheme.outside}
        found: dict[Tensor, None] = {}
        for t in asked:
            known = outside.get(t) or inside.get(t.family)
            if known is None:
                raise NoInductionError(f"{t.name} is no declared variable")
            found.setdefault(known)
        return list(found)


def understood(syntax: Tree, notices: list[str] | None = None) -> tuple[Program, Repeated | None]:
    """The program of a text at its default depth, and what is behind it where the text has repetitions."""
    program, scheme = read_scheme(syntax, notices)
    if scheme is None:
        return program, None
    found = Repeated(scheme)
    return found.program, found
