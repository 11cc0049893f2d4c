"""The story of a gradient: for each cotangent the total derivative, the local ones, their collapse, the matrix form.

In: a derivation. Out: its `Steps`. Every side is an object of the engine (partial terms, pullbacks, normal forms,
liftings), none knows of layers; every step is evaluated before it is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive import forms
from derive.cost import cost
from derive.display import readable
from derive.expr import ZERO, Access, Expr, Letter, Mask, add, mul, sum_over
from derive.extract import extract
from derive.facts import Facts
from derive.hoist import Namer
from derive.normal import Nothing
from derive.notation import Notation
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, reads
from derive.rational import cancel, has_sum_below
from derive.rewrite import substitute, walk
from derive.simplify import inline
from derive.steps.bench import Bench
from derive.steps.edges import Edge, Graph, collapsed
from derive.steps.local import Teller, tell_local
from derive.steps.step import RowColumn, StepError, Steps


class Quotients(Nothing):
    """Of all that is known of a program, only the quotients: E = P·S."""

    def __init__(self, facts: Facts) -> None:
        self.access = facts.access  # type: ignore[method-assign]


@dataclass(frozen=True)
class Part:
    """What one edge contributes: the factor that comes from above, and the letters that are summed."""

    edge: Edge
    upstream: Expr
    summed: tuple[Letter, ...]
    outer: tuple[Letter, ...]
    inner: tuple[Letter, ...]

    def symbol(self) -> Expr:
        return collapsed(sum_over(self.summed, mul(self.upstream, self.edge.at(self.outer, self.inner))))

    def value(self) -> Expr:
        return collapsed(sum_over(self.summed, mul(self.upstream, self.edge.value(self.outer, self.inner))))


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
        return Steps(self.teller.steps)

    def tell(self, bar: Equation) -> None:
        """The steps of one derivative."""
        raise NotImplementedError

    def chain(self, rule: str, bar: Equation, left: Expr, parts: list[Part], letters: tuple[Letter, ...]) -> None:
        """The chain rule over some contributions, their local derivatives, and what comes out."""
        t = bar.out.primal
        assert t is not None
        if not parts:
            self.teller.say("no dependence", t, (left, ZERO), letters)
            self.shown[bar.out] = Equation(bar.out, letters, ZERO)
            return
        for p in parts:
            self.teller.bench.measure(p.edge)
        self.teller.say(rule, t, (left, add(*(p.symbol() for p in parts))), letters)
        for p in parts:
            tell_local(self.teller, p.edge, t)
        body = add(*(p.value() for p in parts))
        self.teller.say("collapse", t, (left, body), letters)
        self.finish(bar, left, body, letters)

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

    def finish(self, bar: Equation, left: Expr, body: Expr, letters: tuple[Letter, ...]) -> None:
        """From the collapsed sum to the shortest form and the matrix form."""
        t, say, out = bar.out.primal, self.teller.say, bar.out
        assert t is not None
        inlined = [d for d in reads(body) if d in self.shown and d not in self.final]
        opened = body
        for d in inlined:
            opened = inline(opened, self.shown[d])
        if inlined:
            note = ", ".join(self.notation.names[d] for d in inlined) + " written out"
            rests = tuple(d.primal for d in inlined if d.primal is not None)
            say("substitute", t, (body, opened), letters, note=note, rests_on=rests)
        final = self.result(out, opened, letters)
        plain = self.teller.short(opened, Quotients(self.facts))
        self.facts.fired.clear()
        self.teller.short(opened)
        why = [name for name in sorted(Counter(self.facts.fired)) if name.startswith("Σ")]
        if why:
            say("collect", t, (opened, plain), letters)
            say(
                "known sums", t, (plain, final), letters, note="because " + "; ".join(why).replace("Σ is", "the sum is")
            )
        else:
            say("algebra", t, (opened, final), letters)
        equation = readable(Equation(out, letters, final), self.notation.program)
        self.shown[out] = Equation(out, letters, final)
        form = self.notation.form(equation)
        if form is None or not out.rank:
            say("result", t, (out.at(letters), final), letters, note=self.teller.explained(equation))
            return
        if isinstance(form, forms.Product) and form.row and form.col and len(form.parts) == 2 and form.parts[0].col:
            say("rows and columns", t, (final, RowColumn(form)), letters)
        shown = left.tensor if isinstance(left, Access) and out.rank > t.rank else out
        leaf = forms.Leaf(form.row, form.col, (), shown)
        say("matrix form", t, (leaf, form), letters, note=self.teller.explained(equation))

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
