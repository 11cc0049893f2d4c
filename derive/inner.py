"""Derivatives inside a model: each `d(u, x)` becomes equations of the model itself.

In: a program in which equations say `out = ∂u/∂x`. Out: one in which they are defined, forwards (tangents that travel
beside the tensors, `derive.streams`) or backwards (a pullback), whichever makes a training step cheaper. Both are the
one chain rule, so such derivatives nest, mix and are differentiated like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from derive.chain_rule import active_in, pullback
from derive.errors import SourceError
from derive.expr import Access, Derivative, Expr, Letter, compare, fresh_like, mul
from derive.gather import gathered
from derive.hoist import Namer, hoist
from derive.prepare import prepare
from derive.program import Choice, Equation, Program, Tensor, letters_for, needed
from derive.rewrite import accesses, map_children
from derive.simplify import simplify
from derive.streams import Direction, Streams
from derive.work import results, step

FORWARD, REVERSE = "forward", "reverse"
Plan = tuple[str, ...]


def asked(name: str, u: Tensor, x: Tensor, batch: Expr | None) -> Equation:
    """The equation that asks for ∂u/∂x, of shape u + x; a batch axis that both have stands once, as in u."""
    own = letters_for(u.axes)
    sample = next((a for a, axis in zip(own, u.axes, strict=True) if axis == batch), None)
    inner = letters_for(x.axes)
    by = tuple(sample if sample is not None and axis == batch else a for a, axis in zip(inner, x.axes, strict=True))
    letters = (*own, *(a for a in by if a is not sample))
    out = Tensor(name, tuple(a.extent for a in letters), hidden=True)
    return Equation(out, letters, Derivative(u.at(own), x.at(by)))


def derivative_of(program: Program, u: Tensor, x: Tensor) -> tuple[Equation, ...]:
    """Equations that end with ∂u/∂x, beside those of the program.

    Raises SourceError where both have the batch axis and a sample of u depends on other samples of x.
    """
    mine = {e.out for e in program.equations}
    wish = asked(Namer(program).unique(f"d{u.name}_d{x.name}"), u, x, program.batch)
    extended = program.with_equations((*program.equations, wish), objective=None, outputs=(wish.out,))
    return tuple(e for e in needed(resolved(extended), (wish.out,)) if e.out not in mine)


def waits(equations: Iterable[Equation]) -> bool:
    """Whether one of the equations asks for a derivative."""
    return any(isinstance(e.body, Derivative) for e in equations)


def resolved(program: Program) -> Program:
    """The program with every derivative in it defined; which way is chosen by what a training step costs.

    Raises SourceError where a sample of u depends on other samples of x.
    """
    if not waits(program.equations):
        return program
    program = _adopted(program)
    wishes = [e for e in program.equations if isinstance(e.body, Derivative)]
    for wish in wishes:
        _check_samples(program, wish)
    base = prepare(program)
    made: dict[Plan, Program] = {}
    costs = _costs_of(_told(program))

    def written(plan: Plan) -> Program:
        if plan not in made:
            plain, streams = _written(base, dict(zip((w.out for w in wishes), plan, strict=True)))
            made[plan] = min((plain, gathered(plain, streams)), key=results) if streams else plain
        return made[plan]

    def cost(plan: Plan) -> int:
        if plan not in costs:
            costs[plan] = step(written(plan))
        return costs[plan]

    depths = _depths(wishes)
    best: Plan = (FORWARD,) * len(wishes)
    for root in dict.fromkeys(root for root, _ in depths):
        ways = ((first, then) for first in (FORWARD, REVERSE) for then in (FORWARD, REVERSE))
        best = min((_changed(best, depths, root, *w) for w in ways), key=cost)
    choices = tuple(_choice(k, wishes, best, costs) for k in range(len(wishes)))
    return replace(written(best), choices=choices)


@lru_cache(maxsize=64)
def _costs_of(told: tuple[object, ...]) -> dict[Plan, int]:
    """What plans cost; a model that is read again, in a notebook say, need not be weighed again."""
    return {}


def _told(program: Program) -> tuple[object, ...]:
    """What tells one model from another, as far as costs go: its equations as text, and its extents."""
    sizes = tuple((d.name, d.default) for d in program.dims)
    kinds = tuple((t.name, t.kind, t.frozen) for t in program.declared)
    ends = (repr(program.objective), repr(program.outputs), repr(program.batch))
    return program.text, sizes, kinds, ends, tuple((repr(e.left), repr(e.body)) for e in program.equations)


def _depths(wishes: list[Equation]) -> list[tuple[Tensor, int]]:
    """Of each derivative the tensor that it is a derivative of, in the end, and how many derivatives lie between."""
    found: dict[Tensor, tuple[Tensor, int]] = {}
    for wish in wishes:
        assert isinstance(wish.body, Derivative)
        u = wish.body.of.tensor
        root, depth = found.get(u, (u, -1))
        found[wish.out] = root, depth + 1
    return [found[w.out] for w in wishes]


def _changed(plan: Plan, depths: list[tuple[Tensor, int]], root: Tensor, first: str, then: str) -> Plan:
    """The plan with the derivatives of ``root`` made one way, and further derivatives of those another way."""
    return tuple(
        way if own is not root else then if depth else first for way, (own, depth) in zip(plan, depths, strict=True)
    )


def _choice(k: int, wishes: list[Equation], best: Plan, tried: Mapping[Plan, int]) -> Choice:
    """What was chosen for one derivative, beside the cheapest plan with the other way."""
    other = min((p for p in tried if p[k] != best[k]), key=lambda p: tried[p])
    wish = wishes[k]
    assert isinstance(wish.body, Derivative)
    of, by = wish.body.of.tensor, wish.body.by.tensor
    inner = next((j for j, w in enumerate(wishes) if w.out is of), None)

    def named(plan: Plan) -> str:
        return plan[k] if inner is None else f"{plan[k]} over {plan[inner]}"

    return Choice(wish.out, of, by, named(best), tried[best], named(other), tried[other])


def _adopted(program: Program) -> Program:
    """Each derivative once, under the name that the author gives it: `u_x = d(u, x)` is no copy of another tensor."""
    asking = {e.out: e for e in program.equations if isinstance(e.body, Derivative)}
    table: dict[Tensor, Tensor] = {}
    for e in program.equations:
        if isinstance(e.body, Access) and e.body.tensor in asking and e.body.places == e.letters:
            hidden = e.body.tensor
            if not e.out.hidden and hidden not in table:
                table[hidden] = e.out
    spans = {e.out: e.span for e in program.equations}
    out: list[Equation] = []
    first: dict[tuple[Tensor, Tensor], Tensor] = {}
    for e in program.equations:
        if e.out in table.values():
            continue
        name = table.get(e.out, e.out)
        moved = Equation(name, e.letters, renamed(e.body, table), spans.get(name), e.note)
        if isinstance(moved.body, Derivative):
            pair = moved.body.of.tensor, moved.body.by.tensor
            same = first.setdefault(pair, name)
            if same is not name and name.hidden:
                table[name] = same
                continue
            if same is not name:
                moved = moved.with_body(same.at(moved.letters))
        out.append(moved)
    return program.with_equations(out)


def renamed(e: Expr, table: Mapping[Tensor, Tensor]) -> Expr:
    """The same expression over other tensors."""
    if not table:
        return e
    if isinstance(e, Access):
        return table.get(e.tensor, e.tensor).at(renamed(p, table) for p in e.places)
    return map_children(e, lambda c: renamed(c, table))


def _written(base: Program, plan: Mapping[Tensor, str]) -> tuple[Program, dict[Tensor, Tensor]]:
    """The program with each derivative written out the way that the plan says, and of what each tangent is one."""
    streams = Streams(base)
    for e in base.equations:
        if not isinstance(e.body, Derivative):
            streams.emit(e)
            continue
        of, by = e.body.of, e.body.by
        if plan[e.out] == FORWARD:
            streams.derivative(e, of, by, Direction(by.tensor, _shared_axis(base, of.tensor, by.tensor)))
        else:
            for new in _backwards(base.with_equations(streams.equations), e, streams.namer):
                streams.emit(new)
    return base.with_equations(streams.equations), {t: base for t, (base, _) in streams.origin.items()}


def _backwards(program: Program, wish: Equation, namer: Namer) -> Iterator[Equation]:
    """The equations that end with the wish, by reverse mode; what the program has already is read from there."""
    assert isinstance(wish.body, Derivative)
    u, x = wish.body.of.tensor, wish.body.by.tensor
    shared = _shared_axis(program, u, x)
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
    new = [e for e in needed(hoist(done), (bar,)) if e.out not in mine]
    table: dict[Tensor, Tensor] = {}
    for e in new[:-1]:
        body = renamed(e.body, table)
        same = namer.find(body)
        if same is not None and same.places == e.letters:
            table[e.out] = same.tensor
            continue
        # Tensors of the derivation are no cotangents of the model: its own derivation makes those.
        e.out.kind, e.out.hidden = "value", True
        e.out.name = e.out.name if e.out.name not in namer.taken else namer.unique(re.sub(r"_\d+$", "", e.out.name))
        yield e.with_body(body)
    last = _arranged(new[-1], wish, x, shared, kept)
    yield last.with_body(renamed(last.body, table))


def _arranged(e: Equation, wish: Equation, x: Tensor, shared: Expr | None, kept: list[int]) -> Equation:
    """The same equation with its axes in the order u + x."""
    extra, inner = e.letters[: len(kept)], list(e.letters[len(kept) :])
    batch = next((a for a, axis in zip(inner, x.axes, strict=True) if axis == shared), None)
    rank = len(wish.letters) - len([a for a in inner if a is not batch])
    first = [batch if k not in kept and batch is not None else extra[kept.index(k)] for k in range(rank)]
    letters = (*first, *(a for a in inner if a is not batch))
    return replace(wish, letters=letters, body=e.body)


def _shared_axis(program: Program, u: Tensor, x: Tensor) -> Expr | None:
    batch = program.batch
    return batch if batch is not None and batch in u.axes and batch in x.axes else None


def _check_samples(program: Program, wish: Equation) -> None:
    """Every step from x to u keeps samples apart: it reads sample n of its operands where it writes sample n."""
    assert isinstance(wish.body, Derivative)
    u, x = wish.body.of.tensor, wish.body.by.tensor
    batch = _shared_axis(program, u, x)
    if batch is None:
        return
    active = active_in(program, (x,))
    for equation in needed(program, (u,)):
        if equation.out not in active or equation.out is x:
            continue
        own = [a for a, axis in zip(equation.letters, equation.out.axes, strict=True) if axis == batch]
        for access in accesses(equation.body):
            if access.tensor in active and (len(own) != 1 or not _reads_sample(access, own[0], batch)):
                message = (
                    f"d({u.name}, {x.name}): {equation.out.name} mixes samples, so that {u.name} of one sample depends "
                    f"on {x.name} of others; a derivative per sample does not exist"
                )
                raise SourceError(message, wish.span)


def _reads_sample(access: Access, letter: Letter, batch: Expr) -> bool:
    places = [p for p, axis in zip(access.places, access.tensor.axes, strict=True) if axis == batch]
    return places == [letter]
