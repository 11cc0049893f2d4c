"""Second derivatives that are less than a Hessian: its diagonal, and Gauss and Newton's part of it times a direction.

In: a program with an objective. Out: a derivation. The diagonal is taken before anything is simplified, so that what
lies off it is never computed where the structure of the model allows; the Gauss–Newton product leaves out how an output
bends.
"""

from __future__ import annotations

from dataclasses import replace

from derive import pipeline
from derive.chain_rule import pullback, pushforward
from derive.errors import GradcError
from derive.expr import add
from derive.hoist import Namer
from derive.pipeline import Derivation
from derive.prepare import prepare
from derive.products import Directions, as_forward, directed
from derive.program import Equation, Program, Tensor, letters_for, needed, reads
from derive.rewrite import substitute


def hessian_diagonal(program: Program, x: Tensor) -> Derivation:
    """∂²objective/∂x², entry by entry, of the shape of x."""
    first = pipeline.gradient(program, (x,))
    source = as_forward(first.formulas)
    prepared = prepare(source)
    raw = pipeline.raw_jacobian(prepared, first.results[0], x)
    whole = raw.defined[raw.gradients[0][1]]
    rank = x.rank
    same = dict(zip(whole.letters[:rank], whole.letters[rank:], strict=True))
    diagonal = Tensor(Namer(raw).unique(f"d{first.results[0].name}"), x.axes, "cotangent", primal=x)
    equation = Equation(diagonal, whole.letters[rank:], substitute(whole.body, same))
    others = [e for e in raw.equations if e is not whole]
    return pipeline.finish(source, prepared, raw.with_equations([*others, equation], gradients=((x, diagonal),)))


def gauss_newton_product(program: Program, z: Tensor, directions: Directions) -> Derivation:
    """Jᵀ H J v: J leads from the variables to z, H is the Hessian of the objective as a function of z.

    What acts on the objective without z, such as a penalty on the variables, is a further argument of that function and
    counts with its whole second derivative.

    Raises GradcError where z is not computed from the variables, or the objective not from z.
    """
    source = directed(_with_slope(program, z, tuple(directions)), directions)
    prepared = prepare(source)
    pushed, tangents = pushforward(prepared, directions)
    bars = dict(source.gradients)
    if z not in tangents:
        raise GradcError(f"{z.name} does not depend on {', '.join(x.name for x in directions)}")
    if bars[z] not in tangents:
        raise GradcError(f"the objective is linear in {z.name}: its Hessian by {z.name} is 0")
    letters = letters_for(z.axes)
    seed = Equation(Tensor(f"d{z.name}", z.axes, "cotangent", primal=z), letters, tangents[bars[z]].at(letters))
    pulled = pullback(pushed, {z: seed}, tuple(directions))
    namer, equations, pairs = Namer(pulled), list(pulled.equations), []
    for x, bar in pulled.gradients:
        direct = tangents.get(bars[x])
        if direct is not None:
            letters = letters_for(x.axes)
            total = Tensor(namer.unique(bar.name), x.axes, "cotangent", primal=x)
            equations.append(Equation(total, letters, add(bar.at(letters), direct.at(letters))))
            bar = total
        pairs.append((x, bar))
    raw = pulled.with_equations(equations, gradients=tuple(pairs))
    return pipeline.finish(replace(source, gradients=()), replace(prepared, gradients=()), raw)


def _with_slope(program: Program, z: Tensor, variables: tuple[Tensor, ...]) -> Program:
    """The program with the gradient of the objective by z and, past z, by the variables."""
    if z not in program.defined:
        raise GradcError(f"{z.name} is not computed by the model: name an output that the objective is a function of")
    prepared = prepare(program)
    if z not in prepared.defined:  # an equation that only hands a tensor on
        raise GradcError(f"{z.name} is another tensor under a second name")
    cut = replace(prepared, declared=(*prepared.declared, z))
    cut = cut.with_equations(e for e in prepared.equations if e.out is not z)
    first = pipeline.gradient(cut, (z, *variables))
    rest = list(first.formulas.equations)
    where = next((k for k, e in enumerate(rest) if z in reads(e.body)), len(rest))
    rest.insert(where, prepared.defined[z])
    whole = replace(first.formulas, declared=program.declared, equations=tuple(rest))
    bars = [bar for _, bar in first.formulas.gradients]
    kept = as_forward(whole.with_equations(needed(whole, (*bars, z))))
    return replace(kept, gradients=first.formulas.gradients)
