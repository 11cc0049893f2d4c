"""Reverse mode by one rule: the total derivative, written in indices.

In: a program with every reduction in a linear position (see `hoist`), seeds, and the variables asked for. Out:
the program with one equation for each cotangent. For `out[f] = Σ_b g(…, T[p], …)` the rule is

    dT[j]  +=  Σ_{f,b}  dout[f] · ∂g/∂T[p] · [p == j]

and a Kronecker delta whose side is a summed letter is eliminated by renaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive.expr import (
    ONE,
    Access,
    Expr,
    Letter,
    Reduce,
    add,
    compare,
    fresh_like,
    mul,
    num,
    reduce_,
    select,
    sum_over,
)
from derive.hoist import Namer, split_scale
from derive.program import Equation, Program, Tensor, letters_for, reads
from derive.rewrite import accesses, substitute, terms
from derive.scalar import derivative, operations, shortest_derivative


def pullback(
    program: Program, seeds: Mapping[Tensor, Equation], wrt: Iterable[Tensor], extra: tuple[Letter, ...] = ()
) -> Program:
    """The cotangents of ``wrt``, given the cotangent of each seeded tensor as an equation.

    ``extra`` letters are carried along: every cotangent has their axes in front, so that a seed made of
    deltas gives a whole Jacobian at once.

    The result has the program's equations, then those of the cotangents in the order in which they become
    complete, and its ``gradients`` pair each variable with its cotangent. A variable that no seed depends on
    has cotangent 0.
    """
    wanted = tuple(wrt)
    active = _active(program, wanted)
    pending: dict[Tensor, list[tuple[tuple[Letter, ...], Expr]]] = {}
    namer = Namer(program)
    for e in program.equations:
        namer.remember(e)
    out: list[Equation] = []
    cotangent: dict[Tensor, Tensor] = {}
    first_reader = _first_readers(program, wanted)

    def close(t: Tensor) -> Tensor | None:
        """All contributions to ``t`` are known: write its equation."""
        parts = pending.pop(t, [])
        if not parts and t not in wanted:
            return None
        letters = letters_for(t.axes)
        hinted = parts[0][0] if parts else letters
        letters = tuple(fresh_like(a) for a in hinted)
        body = add(*(substitute(v, dict(zip(own, letters, strict=True))) for own, v in parts))
        axes = (*(x.extent for x in extra), *t.axes)
        bar = cotangent[t] = Tensor(namer.unique(f"d{t.name}"), axes, "cotangent", primal=t, hidden=t.hidden)
        out.append(Equation(bar, (*extra, *letters), body))
        return bar

    for t, seed in seeds.items():
        pending.setdefault(t, []).append((seed.letters[len(extra) :], seed.body))
    for equation in reversed(program.equations):
        t = equation.out
        if t in active:
            bar = close(t) if t not in cotangent else cotangent[t]
            if bar is not None:
                upstream = bar.at((*extra, *equation.letters))
                for target, letters, value in _contributions(equation, upstream, active, namer, out):
                    pending.setdefault(target, []).append((letters, value))
        for variable in wanted:
            if first_reader.get(variable) is equation and variable not in cotangent:
                close(variable)
    for variable in wanted:
        if variable not in cotangent:
            close(variable)
    return program.with_equations(
        (*program.equations, *out), gradients=tuple((variable, cotangent[variable]) for variable in wanted)
    )


def _active(program: Program, wanted: Iterable[Tensor]) -> set[Tensor]:
    """The tensors through which a variable acts, the variables included."""
    active = set(wanted)
    for e in program.equations:
        if e.out.dtype == "real" and any(t in active for t in reads(e.body)):
            active.add(e.out)
    return active


def _first_readers(program: Program, wanted: Iterable[Tensor]) -> dict[Tensor, Equation]:
    found: dict[Tensor, Equation] = {}
    watched = set(wanted)
    for e in program.equations:
        for t in reads(e.body):
            if t in watched:
                found.setdefault(t, e)
        if e.out in watched:
            found[e.out] = e
    return found


def _contributions(
    equation: Equation, upstream: Expr, active: set[Tensor], namer: Namer, out: list[Equation]
) -> list[tuple[Tensor, tuple[Letter, ...], Expr]]:
    """What one equation hands to the cotangents of its operands."""
    found: list[tuple[Tensor, tuple[Letter, ...], Expr]] = []
    pointwise: list[Expr] = []
    for term in terms(equation.body):
        scale, rest = split_scale(term)
        if not isinstance(rest, Reduce):
            pointwise.append(term)
            continue
        weight = mul(upstream, scale, _weight(rest, namer, out))
        for s in accesses(rest.body):
            if s.tensor in active:
                value = mul(weight, derivative(rest.body, s))
                found.append(_collect(s, (*equation.letters, *rest.binders), value))
    body = add(*pointwise)
    whole = len(pointwise) == len(terms(equation.body))
    for s in accesses(body):
        if s.tensor in active:
            local = derivative(body, s)
            if whole:
                local, _ = shortest_derivative(body, s, equation.left, operations)
            found.append(_collect(s, equation.letters, mul(upstream, local)))
    return found


def _weight(r: Reduce, namer: Namer, out: list[Equation]) -> Expr:
    """∂ reduction / ∂ one of its elements, as a function of the binders."""
    if r.op == "sum":
        return ONE
    if r.op in ("max", "min"):
        first = namer.name(Reduce(f"arg{r.op}", r.binders, r.body), "first", out.append)
        flat: Expr = num(0)
        for b in r.binders:
            flat = add(mul(flat, b.extent), b)
        return compare("==", flat, first)
    if r.op == "prod":
        others = {b: fresh_like(b) for b in r.binders}
        same = mul(*(compare("==", b, c) for b, c in others.items()))
        body = select(same, ONE, substitute(r.body, others))
        return namer.name(reduce_("prod", others.values(), body), "others", out.append)
    raise AssertionError(r.op)


def _collect(s: Access, summed: tuple[Letter, ...], value: Expr) -> tuple[Tensor, tuple[Letter, ...], Expr]:
    """Σ_summed value · [places of s == letters], with the deltas on plain letters eliminated."""
    names = [p.hint if isinstance(p, Letter) else "k" for p in s.places]
    letters = letters_for(s.tensor.axes, dict(enumerate(names)))
    rest = list(summed)
    table: dict[Expr, Expr] = {}
    masks: list[Expr] = []
    for place, letter in zip(s.places, letters, strict=True):
        if isinstance(place, Letter) and place in rest and place not in table:
            table[place] = letter
            rest.remove(place)
            if place.extent != letter.extent:
                masks.append(compare("<", letter, place.extent))
        else:
            masks.append(compare("==", place, letter))
    return s.tensor, letters, substitute(sum_over(rest, mul(value, *masks)), table)
