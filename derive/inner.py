"""Derivatives inside a model: `d(u, x)` as equations of the model itself.

In: the equations up to now, and two of its tensors. Out: further equations, the last of which defines ∂u/∂x. It is the
one chain rule again, so such derivatives nest, mix and are differentiated like everything else.
"""

from __future__ import annotations

from derive.chain_rule import pullback
from derive.errors import GradcError
from derive.expr import Access, Expr, Letter, compare, fresh_like, mul
from derive.hoist import Namer, hoist
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, letters_for, needed, reads
from derive.rewrite import accesses
from derive.simplify import simplify


def derivative_of(program: Program, u: Tensor, x: Tensor) -> tuple[Equation, ...]:
    """Equations that end with ∂u/∂x, of shape u + x; a batch axis that both have stands once, as in u.

    Raises GradcError where both have the batch axis and a sample of u depends on other samples of x.
    """
    shared = _shared_axis(program, u, x)
    if shared is not None:
        _check_samples(program, u, x, shared)
    own = letters_for(u.axes)
    kept = [k for k, axis in enumerate(u.axes) if axis != shared]
    extra = tuple(fresh_like(own[k]) for k in kept)
    delta = mul(*(compare("==", own[k], e) for k, e in zip(kept, extra, strict=True)))
    seed = Tensor(f"d{u.name}", (*(e.extent for e in extra), *u.axes), "cotangent", primal=u, hidden=True)
    prepared = prepare(program)
    raw = pullback(prepared, {u: Equation(seed, (*extra, *own), delta)}, (x,), extra)
    done, _ = simplify(raw, prepared)
    bar = raw.gradients[0][1]
    mine = {e.out for e in program.equations}
    # Tensors of the derivation are no cotangents of the model: its own derivation makes those.
    new = [e for e in needed(hoist(done), (bar,)) if e.out not in mine]
    for e in new:
        e.out.kind, e.out.hidden = "value", True
    return (*new[:-1], _arranged(new[-1], program, u, x, shared, kept))


def _arranged(e: Equation, program: Program, u: Tensor, x: Tensor, shared: Expr | None, kept: list[int]) -> Equation:
    """The same equation with its axes in the order u + x."""
    extra, inner = e.letters[: len(kept)], list(e.letters[len(kept) :])
    batch = next((a for a, axis in zip(inner, x.axes, strict=True) if axis == shared), None)
    first = [batch if k not in kept and batch is not None else extra[kept.index(k)] for k in range(u.rank)]
    letters = (*first, *(a for a in inner if a is not batch))
    out = Tensor(Namer(program).unique(f"d{u.name}_d{x.name}"), tuple(a.extent for a in letters), hidden=True)
    return Equation(out, letters, e.body)


def _shared_axis(program: Program, u: Tensor, x: Tensor) -> Expr | None:
    batch = program.batch
    return batch if batch is not None and batch in u.axes and batch in x.axes else None


def _check_samples(program: Program, u: Tensor, x: Tensor, batch: Expr) -> None:
    """Every step from x to u keeps samples apart: it reads sample n of its operands where it writes sample n."""
    active = {x}
    for equation in needed(program, (u,)):
        touched = [t for t in reads(equation.body) if t in active]
        if not touched:
            continue
        active.add(equation.out)
        own = [a for a, axis in zip(equation.letters, equation.out.axes, strict=True) if axis == batch]
        for access in accesses(equation.body):
            if access.tensor in active and (len(own) != 1 or not _reads_sample(access, own[0], batch)):
                raise GradcError(
                    f"d({u.name}, {x.name}): {equation.out.name} mixes samples, so that {u.name} of one sample depends "
                    f"on {x.name} of others; a derivative per sample does not exist"
                )


def _reads_sample(access: Access, letter: Letter, batch: Expr) -> bool:
    places = [p for p, axis in zip(access.places, access.tensor.axes, strict=True) if axis == batch]
    return places == [letter]
