"""Reverse mode by one rule: the total derivative, written in indices.

In: a program with every reduction in a linear position (see `hoist`), seeds, and the variables asked for. Out:
the program with one equation for each cotangent. For `out[f] = Σ_b g(…, T[p], …)` the rule is

    dT[j]  +=  Σ_{f,b}  dout[f] · ∂g/∂T[p] · [p == j]

and a Kronecker delta whose side is a summed letter is eliminated by renaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from derive.deltas import guards_for
from derive.expr import (
    ONE,
    Access,
    Add,
    Expr,
    Letter,
    Mask,
    MatrixCall,
    Mul,
    Num,
    Pow,
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
from derive.hoist import STEMS, Namer, is_scale, split_scale
from derive.matrix_functions import MATRIX_FUNCTIONS, At
from derive.program import Equation, Program, Tensor, letters_for, reads
from derive.recurrence import Recurrence, blocks, shift
from derive.rewrite import accesses, substitute, terms, walk
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
    order = blocks(program.equations)
    rounds = {e.out for block in order if isinstance(block, Recurrence) for e in block.equations}
    active = active_in(program, wanted)
    pending: dict[Tensor, list[tuple[tuple[Letter, ...], Expr]]] = {}
    namer = Namer(program)
    for e in program.equations:
        namer.remember(e)
    out: list[Equation] = []
    cotangent: dict[Tensor, Tensor] = {}
    definition: dict[Tensor, Equation] = {}
    first_reader = _first_readers(order, wanted)

    def bar_of(t: Tensor) -> Tensor:
        """The cotangent of ``t``; its equation follows when all contributions are known."""
        if t not in cotangent:
            axes = (*(x.extent for x in extra), *t.axes)
            cotangent[t] = Tensor(namer.unique(f"d{t.name}"), axes, "cotangent", primal=t, hidden=t.hidden)
        return cotangent[t]

    def close(t: Tensor) -> None:
        """All contributions to ``t`` are known: write its equation."""
        parts = pending.pop(t, [])
        if t in definition or (not parts and t not in wanted and t not in cotangent):
            return
        letters = letters_for(t.axes)
        hinted = parts[0][0] if parts else letters
        letters = tuple(fresh_like(a) for a in hinted)
        body = add(*(substitute(v, dict(zip(own, letters, strict=True))) for own, v in parts))
        definition[t] = Equation(bar_of(t), (*extra, *letters), body)
        out.append(definition[t])

    def pull(equation: Equation) -> None:
        """What the cotangent of this equation contributes to those of its operands."""
        upstream = bar_of(equation.out).at((*extra, *equation.letters))
        known = definition.get(equation.out)
        guard = ONE if known is None else _guard(known, equation)
        for p in partials(equation, active, namer, out.append):
            held = mul(upstream, guard) if _may_be_singular(p.factor) else upstream
            letters, value = _collect(p, equation.letters, held, equation.out in rounds)
            pending.setdefault(p.access.tensor, []).append((letters, value))

    for t, seed in seeds.items():
        pending.setdefault(t, []).append((seed.letters[len(extra) :], seed.body))
    for block in reversed(order):
        if isinstance(block, Recurrence):  # all cotangents of a recurrence wait for each other, round by round
            members = [e for e in reversed(block.equations) if e.out in active]
            if any(e.out in pending for e in members):
                for e in members:
                    pull(e)
            for e in members:
                close(e.out)
        elif block.out in active:
            close(block.out)
            if block.out in definition:
                pull(block)
        for variable in wanted:
            if first_reader.get(variable) is block:
                close(variable)
    for variable in wanted:
        close(variable)
    return program.with_equations(
        (*program.equations, *out), gradients=tuple((variable, cotangent[variable]) for variable in wanted)
    )


def _guard(bar: Equation, equation: Equation) -> Expr:
    """The conditions on operands of ``equation`` outside of which its cotangent ``bar`` is 0.

    A condition that decides whether a value is used also keeps away the derivative at a point where there is none:
    ``0 if s == 0 else √s`` has derivative 0 at 0, not 0 · ∞.
    """
    operands = set(reads(equation.body))
    masks = [m for m in _common_masks(bar.body) if reads(m) and set(reads(m)) <= operands]
    own = bar.letters[len(bar.letters) - len(equation.letters) :]
    return substitute(mul(*masks), dict(zip(own, equation.letters, strict=True)))


def _common_masks(e: Expr) -> dict[Expr, None]:
    """The masks outside of which ``e`` is 0, as far as its form shows."""
    if isinstance(e, Mask):
        return {e: None}
    if isinstance(e, Mul):
        return {m: None for f in e.args for m in _common_masks(f)}
    if isinstance(e, Add):
        first, *rest = (_common_masks(t) for t in e.args)
        return {m: None for m in first if all(m in r for r in rest)}
    return {}


def _may_be_singular(e: Expr) -> bool:
    return any(
        isinstance(n, Pow) and not is_scale(n) and not (isinstance(n.exponent, Num) and n.exponent.value > 0)
        for n in walk(e)
    )


def active_in(program: Program, wanted: Iterable[Tensor]) -> set[Tensor]:
    """The tensors through which a variable acts, the variables included."""
    active = set(wanted)
    before = -1
    while before < len(active):  # once, and again for what a recurrence reads before it stands there
        before = len(active)
        for e in program.equations:
            if e.out.dtype == "real" and e.out not in active and any(t in active for t in reads(e.body)):
                active.add(e.out)
    return active


def _first_readers(
    order: Iterable[Equation | Recurrence], wanted: Iterable[Tensor]
) -> dict[Tensor, Equation | Recurrence]:
    found: dict[Tensor, Equation | Recurrence] = {}
    watched = set(wanted)
    for block in order:
        equations = block.equations if isinstance(block, Recurrence) else (block,)
        for t in dict.fromkeys(t for e in equations for t in reads(e.body)):
            if t in watched:
                found.setdefault(t, block)
        for e in equations:
            if e.out in watched:
                found[e.out] = block
    return found


@dataclass(frozen=True)
class Partial:
    """One term of a total differential: ``d out[f] = Σ_summed factor · d access``."""

    access: Access
    summed: tuple[Letter, ...]
    factor: Expr


def partials(equation: Equation, active: set[Tensor], namer: Namer, emit: Callable[[Equation], None]) -> list[Partial]:
    """The total differential of one equation, a term for each access of an active tensor.

    What a maximum or a product needs besides (the position of the first largest element, the product of the
    others) is named and handed to ``emit``.
    """
    found: list[Partial] = []
    pointwise: list[Expr] = []
    for term in terms(equation.body):
        scale, rest = split_scale(term)
        if not isinstance(rest, Reduce):
            pointwise.append(term)
            continue
        reached = [s for s in accesses(rest.body) if s.tensor in active]
        if reached:
            weight = mul(scale, _weight(rest, namer, emit))
            found += [Partial(s, rest.binders, mul(weight, derivative(rest.body, s))) for s in reached]
    body = add(*pointwise)
    for s in accesses(body):
        if s.tensor in active:
            if len(pointwise) == len(terms(equation.body)):
                local, _ = shortest_derivative(body, s, equation.left, operations)
            else:
                local = derivative(body, s)
            found.append(Partial(s, (), local))
    return found


def _weight(r: Reduce, namer: Namer, emit: Callable[[Equation], None]) -> Expr:
    """∂ reduction / ∂ one of its elements, as a function of the binders."""
    if r.op == "sum":
        return ONE
    if r.op in MATRIX_FUNCTIONS:
        places = r.places if isinstance(r, MatrixCall) else ()
        return MATRIX_FUNCTIONS[r.op].slope(At(r, lambda e: namer.name(e, STEMS[e.op], emit)), *places)
    if r.op in ("max", "min"):
        first = namer.name(Reduce(f"arg{r.op}", r.binders, r.body), "first", emit)
        flat: Expr = num(0)
        for b in r.binders:
            flat = add(mul(flat, b.extent), b)
        return compare("==", flat, first)
    if r.op == "prod":
        others = {b: fresh_like(b) for b in r.binders}
        same = mul(*(compare("==", b, c) for b, c in others.items()))
        body = select(same, ONE, substitute(r.body, others))
        return namer.name(reduce_("prod", others.values(), body), "others", emit)
    raise AssertionError(r.op)


def _collect(p: Partial, letters: tuple[Letter, ...], upstream: Expr, shifted: bool) -> tuple[tuple[Letter, ...], Expr]:
    """Σ upstream · factor · [places == own letters], with the deltas on plain letters eliminated.

    In a recurrence also those on ``shifted`` ones: what round t contributes is read at t, not found by a sum over all.
    """
    places = p.access.places
    rest = [*letters, *p.summed]
    near = [x if isinstance(x, Letter) else next((y for y in rest if shift(x, y)), None) for x in places]
    own = letters_for(p.access.tensor.axes, {k: "k" if x is None else x.hint for k, x in enumerate(near)})
    table: dict[Expr, Expr] = {}
    masks: list[Expr] = []
    for place, letter in zip(places, own, strict=True):
        moved = next((x for x in rest if shift(place, x)), None) if shifted else None
        if isinstance(place, Letter) and place in rest and place not in table:
            table[place] = letter
            rest.remove(place)
            if place.extent != letter.extent:
                masks.append(compare("<", letter, place.extent))
        elif moved is not None and moved not in table:
            table[moved] = add(letter, -(shift(place, moved) or 0))
            rest.remove(moved)
            masks += guards_for(table[moved], moved.extent) or []
        else:
            masks.append(compare("==", place, letter))
    return own, substitute(sum_over(rest, mul(upstream, p.factor, *masks)), table)


def pushforward(program: Program, seeds: Mapping[Tensor, Tensor]) -> tuple[Program, dict[Tensor, Tensor]]:
    """The tangents of everything that the seeded tensors act on: ``T_dot = Σ factor · S_dot``.

    ``seeds`` gives the tangent of a tensor as a tensor of its shape. The result has an equation for each
    tangent right behind its primal's, and says which tensor is the tangent of which.
    """
    active = active_in(program, seeds)
    namer = Namer(program)
    tangent = dict(seeds)
    out: list[Equation] = []
    for block in blocks(program.equations):
        equations = block.equations if isinstance(block, Recurrence) else (block,)
        moving = [e.out for e in equations if e.out in active and e.out not in tangent]
        for t in moving:
            tangent[t] = Tensor(namer.unique(f"{t.name}_dot"), t.axes, "tangent", primal=t, hidden=t.hidden)
        for equation in equations:
            out.append(equation)
            namer.remember(equation)
            if equation.out in moving:
                parts = partials(equation, active, namer, out.append)
                body = add(
                    *(sum_over(p.summed, mul(p.factor, tangent[p.access.tensor].at(p.access.places))) for p in parts)
                )
                out.append(Equation(tangent[equation.out], equation.letters, body))
    return program.with_equations(out), tangent
