"""What a gradient costs in either direction: tangents pushed forwards, or cotangents pulled backwards.

In: a model. Out: counts of operations, exact polynomials in its extents. Backwards one pass gives the derivatives by
everything; forwards every entry of every variable needs a pass of its own. Over layers this is the product of their
Jacobians, multiplied from the input's side or from the cost's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.flops import operations
from derive import pipeline
from derive.differentiable import Differentiable
from derive.expr import ONE, ZERO, Dim, Expr, add, mul
from derive.notation import Notation
from derive.program import Equation, Tensor, reads
from derive.repeat.derivation import Repeated
from derive.repeat.rounds import NoInductionError, Rounds
from derive.shapes import default_sizes, polynomial, size


@dataclass(frozen=True)
class Costs:
    """Operations of the same derivatives, accumulated forwards and backwards; forwards it takes ``passes`` tangents."""

    forward: Expr
    backward: Expr
    passes: Expr

    def ratio(self, sizes: Mapping[str, int]) -> Fraction | None:
        """How many times as many operations it takes forwards, at these sizes; None where they do not settle it."""
        up, down = (size(e, sizes) for e in (self.forward, self.backward))
        return up / down if up is not None and down else None


def costs(model: Differentiable, *names: str) -> Costs:
    r"""The costs of a model's gradient by the named variables (all parameters).

    >>> import derive
    >>> found = costs(derive.parse("dims d\nbatch n\ninput X : [n, d]\nparam w : [d]\nminimize sum((X @ w)^2)"))
    >>> found.forward, found.backward, found.passes
    (3·n·d^2 + d, 2·d·n + d, d)
    """
    gradient = model.gradient(*names)
    backward = operations(gradient.derivation.derived)
    forward: Expr = ZERO
    passes: Expr = ZERO
    for t, _ in gradient.derivation.formulas.gradients:
        entries = mul(ONE, *t.axes)
        forward = add(forward, mul(entries, operations(model.tangent(t.name).derivation.derived)))
        passes = add(passes, entries)
    return Costs(polynomial(forward), polynomial(backward), polynomial(passes))


@dataclass(frozen=True)
class LayerCosts:
    """What it takes to carry one tangent through layer l, and one cotangent back, from the first layer to the last.

    Forwards every entry of the input is a direction, ``directions`` of them; backwards there is one cotangent.
    """

    letter: str
    first: Expr
    last: Expr
    tangent: Expr
    cotangent: Expr
    directions: Expr
    forward: Expr
    backward: Expr


def layer_costs(repeated: Repeated) -> LayerCosts | None:
    """The costs of a repetition that hands one tensor from round to round; None for any other model.

    ``forward`` and ``backward`` are the totals at the depth of ``repeated``, polynomials in its extents.
    """
    try:
        rounds = Rounds(repeated.outline)
    except NoInductionError:
        return None
    letter = Dim(rounds.letter)
    equations = rounds.round(letter)
    own = {e.out for e in equations}
    read = dict.fromkeys(t for e in equations for t in reads(e.body) if t not in own)
    handed = [t for t in read if (rounds.ahead(t, letter) or 0) < 0]
    if len(handed) != 1 or rounds.lag != 1:
        return None
    x, y = handed[0], rounds.tensor_of_letter(handed[0], -1)
    frame = replace(rounds.outline.scheme.frame, objective=None, outputs=())
    program = replace(frame, declared=tuple(read), equations=tuple(equations))
    seeds = [Tensor(f"{t.name}′", t.axes, "input", primal=t) for t in (x, y)]
    there, back = (replace(program, declared=(*program.declared, seed)) for seed in seeds)
    tangent = operations(pipeline.tangent(there, x, seeds[0], y).derived)
    cotangent = operations(pipeline.vector_jacobian(back, y, seeds[1], x).derived)
    start = rounds.tensor(x, rounds.first)
    entries = mul(*(a for a in start.axes if a != frame.batch))
    unrolling = repeated.unrolling
    depth = range(unrolling.number(rounds.first, {}), unrolling.number(rounds.last, {}) + 1)
    forward, backward = (add(*(unrolling.extent(e, {rounds.letter: k}) for k in depth)) for e in (tangent, cotangent))
    directions = unrolling.extent(entries, {})
    return LayerCosts(
        rounds.letter,
        rounds.first,
        rounds.last,
        tangent,
        cotangent,
        entries,
        polynomial(mul(directions, forward)),
        polynomial(backward),
    )


def costs_of(model: Differentiable, *names: str) -> str:
    """The costs of both directions, as a paragraph: of all gradients, and of one layer where layers repeat."""
    program = model.program
    sizes = {**default_sizes(program), **({program.batch.name: 1} if program.batch is not None else {})}
    notation = Notation(program)

    def shown(e: Expr) -> str:
        return notation.index(Equation(Tensor("", ()), (), e)).partition(" = ")[2]

    def compared(forward: Expr, backward: Expr) -> str:
        up, down = size(forward, sizes), size(backward, sizes)
        if up is None or down is None or not down:
            return ""
        one = ", with one sample" if program.batch is not None else ""
        return f"{int(up):,} operations forwards, {int(down):,} backwards{one}: {float(up / down):.3g} times as many"

    whole = costs(model, *names)
    lines = ["Operations"]
    if model.repeated is None:
        lines.append(f"  all gradients backwards, in one pass: {shown(whole.backward)}")
        lines.append(f"  forwards, a tangent for each of {shown(whole.passes)} entries: {shown(whole.forward)}")
    lines.append(f"  all gradients: {compared(whole.forward, whole.backward)}")
    layers = None if model.repeated is None else layer_costs(model.repeated)
    if layers is not None:
        lines += [
            f"Through layer {layers.letter}",
            f"  a cotangent back: {shown(layers.cotangent)}",
            f"  a tangent forth:  {shown(layers.tangent)}; {shown(layers.directions)} of them, one a direction",
            f"  all layers: {compared(layers.forward, layers.backward)}",
        ]
    return "\n".join(line for line in lines if line.strip())
