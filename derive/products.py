"""The Hessian of an objective times a direction, over several variables at once.

In: a derivation of the gradient, and a direction for each variable. Out: a derivation whose results are the parts of
the product. Two ways lead there, tangents of the gradient and the gradient of its slope; the cheaper one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from derive import pipeline
from derive.chain_rule import pullback, pushforward
from derive.cost import Cost, cost
from derive.errors import GradcError
from derive.expr import ZERO
from derive.hoist import Namer
from derive.pipeline import Derivation
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, letters_for, needed

Directions = Mapping[Tensor, Tensor]


def as_forward(program: Program) -> Program:
    """A derived program as one to derive from."""
    return replace(program, gradients=(), objective=None, outputs=(), inference=None)


def directed(program: Program, directions: Directions) -> Program:
    """The program with the directions among what is given."""
    return replace(program, declared=(*program.declared, *directions.values()))


def direction_of(program: Program, variables: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """A direction for each variable: an input of its shape."""
    namer = Namer(program)
    return {x: Tensor(namer.unique(f"{x.name}_dot"), x.axes, "input", primal=x) for x in variables}


def hessian_product(first: Derivation, directions: Directions, mode: str | None = None) -> Derivation:
    """The derivatives of the gradient ``first`` along the directions; ``mode`` is a key of `MODES`, or the cheaper one.

    The results stand in the order of the directions.
    """
    if mode is not None and mode not in MODES:
        raise GradcError(f"a product is derived {' or '.join(MODES)}, not {mode}")
    source = directed(as_forward(first.formulas), directions)
    bars = dict(first.formulas.gradients)
    found = [MODES[m](source, {x: bars[x] for x in directions}, directions) for m in ([mode] if mode else MODES)]
    return min(found, key=lambda d: _leading(price(d)))  # of equals the first: forward keeps less in memory


def forward_over_reverse(source: Program, bars: Directions, directions: Directions) -> Derivation:
    """Tangents of the cotangents."""
    prepared = prepare(source)
    raw, tangents = pushforward(prepared, directions)
    pairs, still = [], []
    for x, bar in bars.items():
        if bar not in tangents:  # the gradient does not depend on what moves
            tangents[bar] = Tensor(f"{bar.name}_dot", bar.axes, "tangent", primal=bar)
            still.append(Equation(tangents[bar], letters_for(bar.axes), ZERO))
        pairs.append((x, tangents[bar]))
    raw = raw.with_equations((*raw.equations, *still), gradients=tuple(pairs))
    return pipeline.finish(source, prepared, raw)


def reverse_over_reverse(source: Program, bars: Directions, directions: Directions) -> Derivation:
    """Cotangents of the cotangents, with the directions as seeds: the Hessian is symmetric."""
    prepared = prepare(source)
    seeds = {}
    for x, bar in bars.items():
        letters = letters_for(bar.axes)
        seeds[bar] = Equation(
            Tensor(f"d{bar.name}", bar.axes, "cotangent", primal=bar), letters, directions[x].at(letters)
        )
    return pipeline.finish(source, prepared, pullback(prepared, seeds, tuple(directions)))


MODES: dict[str, Callable[[Program, Directions, Directions], Derivation]] = {
    "forward": forward_over_reverse,
    "reverse": reverse_over_reverse,
}


def _leading(cost: Cost) -> tuple[int, int]:
    return cost.degree, cost.by_degree.get(cost.degree, 0)


def price(derivation: Derivation) -> Cost:
    """What the results cost, with all that they rest on."""
    found = Cost()
    for e in needed(derivation.stable, derivation.results):
        found = found + cost(e.body)
    return found
