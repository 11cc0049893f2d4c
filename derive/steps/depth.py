"""Repeated layers, derived for every depth at once, as a derivation that can be told for the depth that there is.

In: a `Derivation` that has formulas and no chain rule behind them. Out: one that has both.
"""

from __future__ import annotations

from dataclasses import replace

from derive.chain_rule import pullback
from derive.expr import ONE, Access, Expr
from derive.pipeline import Derivation
from derive.program import Equation, Tensor, reads
from derive.rewrite import map_children


def from_the_start(derivation: Derivation) -> Derivation:
    """A gradient that was found for every depth at once, with what the chain rule says at the depth that there is.

    The formulas that were found are told as far as they rest on cotangents of the model's own tensors.
    """
    prepared, root = derivation.prepared, derivation.source.objective
    assert root is not None
    seed = Equation(Tensor(f"d{root.name}", (), "cotangent", primal=root), (), ONE)
    raw = pullback(prepared, {root: seed}, tuple(t for t, _ in derivation.formulas.gradients))
    own = {e.out.primal: e.out for e in raw.equations if e.out.kind == "cotangent"}
    bars = [e.out for e in derivation.formulas.equations if e.out.kind == "cotangent"]
    table = {bar: own[bar.primal] for bar in bars if bar.primal in own}

    def moved(e: Expr) -> Expr:
        if isinstance(e, Access) and e.tensor in table:
            return table[e.tensor].at(e.places)
        return map_children(e, moved)

    strange = set(bars) - set(table)
    found = [e for e in derivation.formulas.equations if e.out in table and not strange & set(reads(e.body))]
    told = [Equation(table[e.out], e.letters, moved(e.body)) for e in found]
    formulas = raw.with_equations((*prepared.equations, *told))
    return replace(derivation, raw=raw, formulas=formulas)
