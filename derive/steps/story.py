"""The story of a gradient: elements, the total derivative, the local ones, their collapse, the matrix form.

In: a derivation. Out: its `Steps`. Every side is an object of the engine (partial terms, pullbacks, normal forms,
liftings), none knows of layers; every step is evaluated before it is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive import forms
from derive.cost import cost
from derive.display import readable
from derive.errors import Span
from derive.expr import ZERO, Expr, Letter, Mask, add, mul, sum_over
from derive.extract import extract
from derive.facts import Facts
from derive.hoist import Namer, canonical_binders
from derive.normal import Nothing
from derive.notation import Notation
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, reads
from derive.rational import cancel, has_sum_below
from derive.rewrite import substitute, walk
from derive.simplify import inline
from derive.steps.algebra import collapsed
from derive.steps.bench import Bench
from derive.steps.edges import Edge, Graph, deltas_of
from derive.steps.lettering import without_ones
from derive.steps.local import tell_local
from derive.steps.step import Claim, Reason, RowColumn, Side, StepError, Steps
from derive.steps.teller import Teller, joined


class Quotients(Nothing):
    """Of all that is known of a program, only the quotients: E = P·S."""

    def __init__(self, facts: Facts) -> None:
        self.access = facts.access  # type: ignore[method-assign]


@dataclass(frozen=True)
class Part:
    """What one edge contributes: the factor that comes from above (as a name and as what it is), what is summed."""

    edge: Edge
    above: Expr
    upstream: Expr
    summed: tuple[Letter, ...]

    def symbol(self) -> Expr:
        """The contribution by names alone."""
        return collapsed(sum_over(self.summed, mul(self.above, self._ratio)))

    def narrowed(self) -> Expr:
        """The same over the letters at which the local derivative is not 0."""
        deltas = [d for d in deltas_of(self.edge.element) if d.letters & set(self.summed)]
        return collapsed(sum_over(self.summed, mul(self.above, self._ratio, *deltas)))

    def value(self) -> Expr:
        """The contribution with the local derivative in it."""
        return collapsed(sum_over(self.summed, mul(self.upstream, self.edge.element)))

    @property
    def _ratio(self) -> Expr:
        return self.edge.at(self.edge.outer, self.edge.inner)


class Story:
    """What is told of one derivation, and the results so far; how it is told depends on the direction."""

    def __init__(self, derivation: Derivation) -> None:
        prepared, raw = derivation.prepared, derivation.raw
        self.facts = Facts(prepared)
        given = {e.out for e in prepared.equations}
        derived = [e for e in raw.equations if e.out not in given]
        self.bars = {e.out.primal: e for e in derived if e.out.primal is not None}
        self.wanted = [v for v, _ in raw.gradients]
        self.final = derivation.formulas.defined
        self.shown: dict[Tensor, Equation] = {}
        self.objective = derivation.source.objective
        self.kept: tuple[Letter, ...] = ()
        self.notation = Notation(raw, diagonals=any(bar.rank > v.rank for v, bar in raw.gradients))
        self.teller = Teller(Bench(derivation), self.notation, self.facts)
        self.equations = prepared.equations
        namer = Namer(raw)
        for e in raw.equations:
            namer.remember(e)
        kept = [*self.wanted, *self.ends(), *(p for p, e in self.bars.items() if e.out in self.final)]
        self.graph = Graph(prepared, kept, namer, self.teller.short, self.teller.expanded)

    def ends(self) -> list[Tensor]:
        """The tensors where the derivation begins."""
        raise NotImplementedError

    def told(self) -> Steps:
        """All steps."""
        for bar in self.bars.values():
            if bar.out.primal not in self.graph.hidden:
                self.tell(bar)
                self.teller.close()
        return Steps(self.teller.steps)

    def tell(self, bar: Equation) -> None:
        """The steps of one derivative."""
        raise NotImplementedError

    def chain(self, rule: str, bar: Equation, left: Expr, parts: list[Part], letters: tuple[Letter, ...]) -> None:
        """The chain rule over some contributions, their local derivatives, and what comes out."""
        t, say = bar.out.primal, self.teller.say
        assert t is not None
        if not parts:
            say("no dependence", t, (left, ZERO), letters)
            self.shown[bar.out] = Equation(bar.out, letters, ZERO)
            return
        span = next((p.edge.span for p in parts if p.edge.span is not None), None)
        for p in parts:
            self.teller.bench.measure(p.edge)
            out, note = p.edge.out, self.teller.definitions(p.edge.out)
            if out.out.kind == "cotangent":
                note = (*note, "; " if note else "", out.out, " is a derivative itself")
            say("element", t, (out.left, out.body), out.letters, span=p.edge.span, reason=note)
        total = add(*(p.symbol() for p in parts))
        say(rule, t, (left, total), letters, span=span, reason=self.meaning())
        parts = [replace(p, edge=tell_local(self.teller, p.edge, t, self.kept)) for p in parts]
        self.jacobians(bar, parts, letters, span)
        narrowed, body = add(*(p.narrowed() for p in parts)), add(*(p.value() for p in parts))
        if without_ones(narrowed) != without_ones(total):
            say("collapse", t, (left, narrowed), letters, span=span)
            left = narrowed
        say("insert", t, (left, body), letters, span=span)
        self.finish(bar, body, letters, span)

    def meaning(self) -> tuple[Reason, ...]:
        """What a cotangent is the derivative of, where that is no tensor of the model."""
        return ()

    def jacobians(self, bar: Equation, parts: list[Part], letters: tuple[Letter, ...], span: Span | None) -> None:
        """The chain rule in matrices, where it is told in them."""

    def measured(self, bar: Tensor, value: NDArray[Any]) -> None:
        """Take the value that was found by numbers alone, if the engine's agrees with it.

        Raises StepError where it does not.
        """
        bench = self.teller.bench
        found = bench.arrays[bar]
        scale = max(float(np.max(np.abs(a), initial=0.0)) for a in (value, found))
        if not np.allclose(found, value, rtol=0, atol=1e-8 * max(scale, 1e-3)):
            raise StepError(f"{bar} is not the derivative that numbers give")
        bench.arrays[bar] = value

    def finish(self, bar: Equation, body: Expr, letters: tuple[Letter, ...], span: Span | None) -> None:
        """From the collapsed sum to the shortest form and the matrix form."""
        t, say, out = bar.out.primal, self.teller.say, bar.out
        assert t is not None
        inlined = [d for d in reads(body) if d in self.shown and d not in self.final]
        opened = body
        for d in inlined:
            opened = inline(opened, self.shown[d])
        if inlined:
            rests = tuple(d.primal for d in inlined if d.primal is not None)
            note = (*joined(inlined), " written out")
            say("substitute", t, (body, opened), letters, reason=note, rests_on=rests, span=span)
        final = self.result(out, opened, letters)
        if canonical_binders(final) == canonical_binders(opened):
            final = opened
        plain = self.teller.short(opened, Quotients(self.facts))
        if canonical_binders(plain) == canonical_binders(opened):
            plain = opened
        self.facts.fired.clear()
        self.teller.short(opened)
        why = [name for name in sorted(Counter(self.facts.fired)) if name.startswith("Σ")]
        if why:
            say("collect", t, (opened, plain), letters, span=span)
            reason = self.teller.known_sums(plain) or ("because " + "; ".join(why).replace("Σ is", "the sum is"),)
            say("known sums", t, (plain, final), letters, reason=reason, span=span)
        else:
            self.teller.rewrite(t, (opened, final), letters, span=span)
        equation = readable(Equation(out, letters, final), self.notation.program)
        self.shown[out] = Equation(out, letters, final)
        self.tell_form(equation, final, t, span)

    def tell_form(self, equation: Equation, final: Expr, t: Tensor, span: Span | None) -> None:
        """The result as a matrix form, or as it is."""
        out, letters, say = equation.out, equation.letters, self.teller.say
        form = self.notation.form(equation)
        if form is None or not out.rank:
            if whole := self.written_out(equation):
                say("matrix form", t, whole, letters, span=span)
                return
            defined = self.teller.definitions(equation)
            alone = ("in indices, as there is no matrix form", "; " if defined else "") if out.rank else ()
            say("result", t, (out.at(letters), final), letters, reason=(*alone, *defined), span=span)
            return
        form = self.oriented(form, letters)
        if isinstance(form, forms.Product) and form.row and form.col and len(form.parts) == 2 and form.parts[0].col:
            say("rows and columns", t, (final, RowColumn(form)), letters, span=span)
        leaf = forms.Leaf(form.row, form.col, (), out)
        primes = {f.function: f for f in forms.walk(form) if isinstance(f, forms.Prime)}
        defined = self.teller.definitions(equation)
        named = joined(Claim(f, f.parts[1]) for f in primes.values())
        note = (*defined, ", " if defined else "with ", *named) if named else defined
        say("matrix form", t, (leaf, form), letters, reason=note, span=span)

    def oriented(self, form: forms.Form, letters: tuple[Letter, ...]) -> forms.Form:
        """A form as a column or as a row."""
        return form

    def written_out(self, equation: Equation) -> tuple[Side, Side] | None:
        """A result without a form entry by entry, where it is told so."""
        return None

    def result(self, out: Tensor, body: Expr, letters: tuple[Letter, ...]) -> Expr:
        """The simplified program's equation where it has one, else the shortest form, over one fraction line."""
        if out in self.final:
            equation = self.final[out]
            return substitute(equation.body, dict(zip(equation.letters, letters, strict=True)))
        expanded = self.teller.expanded(body, self.facts)
        candidates = [self.teller.short(body), body]
        if has_sum_below(expanded) and not any(isinstance(n, Mask) for n in walk(expanded)):
            candidates.insert(0, extract(cancel(expanded)))
        return next(c for c in candidates if cost(c) <= cost(body))
