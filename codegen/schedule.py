"""What has to be computed, in which order: from a program and wanted tensors to parts.

An equation becomes one part or several: each reduction in it gets a temporary of its own, so that every
part is either pointwise or one reduction of something pointwise. Letters are made new, part by part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen.factors import factored
from codegen.joined import joined
from codegen.recompute import recomputed
from codegen.rounds import Loop, Prefixes, filled_in_place
from codegen.steps import Part, RoundParts, Routine
from derive.expr import Access, Add, Call, Expr, Letter, MatrixCall, Reduce, add, fresh_like, mul, reduce_
from derive.hoist import is_scale
from derive.program import Equation, Program, Tensor, letters_for, needed, reads
from derive.recurrence import Recurrence, blocks
from derive.rewrite import factors, map_children, substitute


def schedule(
    program: Program, wanted: Iterable[Tensor], known: frozenset[str], sizes: Mapping[str, int] | None = None
) -> tuple[Part | RoundParts | Routine, ...]:
    """The parts that compute ``wanted``, each after what it reads; those of a recurrence as one loop.

    ``known`` names the functions that the target has of its own; other calls stand for their definition. Under
    ``sizes`` it is known in which rounds a condition of a recurrence holds.
    """

    def parts_of(equation: Equation) -> list[Part]:
        return [freshened(part) for part in split(equation.with_body(expand(equation.body, known)))]

    kept = frozenset(wanted)
    order = blocks(needed(program, kept))
    again = dict(program.options).get("residuals") == "recompute"
    order = recomputed(order, kept) if again else joined(order)
    found = filled_in_place(order, kept)
    prefixes = Prefixes(found)
    out: list[Part | RoundParts] = []
    for block in order:
        if isinstance(block, Recurrence):
            others = (e for b in order if b is not block for e in (b.equations if isinstance(b, Recurrence) else (b,)))
            outside = kept.union(*(reads(e.body) for e in others))
            out.append(Loop(block, found, outside, sizes or {}, parts_of).parts())
        else:
            out += parts_of(prefixes.read(block))
    done = tuple(prefixes.after(p) if isinstance(p, RoundParts) else p for p in out)
    return factored(done, program)


def expand(e: Expr, known: frozenset[str]) -> Expr:
    """``e`` with every defined function that is not ``known`` replaced by its definition."""
    e = map_children(e, lambda child: expand(child, known))
    if isinstance(e, Call) and e.function.definition is not None and e.function.name not in known:
        return expand(e.function.expand(*e.arguments), known)
    return e


def split(equation: Equation) -> list[Part]:
    """The parts of one equation; a reduction that is the whole body writes into the equation's tensor."""
    parts: list[Part] = []

    def named(e: Expr, scope: tuple[Letter, ...]) -> Expr:
        if isinstance(e, MatrixCall):
            return whole(e, named(e.body, (*scope, *e.binders)), scope)
        if not isinstance(e, Reduce):
            return map_children(e, lambda child: named(child, scope))
        inside = named(e.body, (*scope, *e.binders))
        if e.op == "sum" and isinstance(inside, Add) and len(inside.letters) > 2:
            # products over three letters and more are worth a product each
            return add(*(named_sum(e.binders, t, scope) for t in inside.args))
        return named_sum(e.binders, inside, scope) if e.op == "sum" else temporary(e.op, e.binders, inside, scope)

    def named_sum(binders: tuple[Letter, ...], body: Expr, scope: tuple[Letter, ...]) -> Expr:
        outside = [f for f in factors(body) if is_scale(f)]
        inside = mul(*(f for f in factors(body) if not is_scale(f)))
        return mul(*outside, temporary("sum", binders, inside, scope))

    def whole(e: MatrixCall, inside: Expr, scope: tuple[Letter, ...]) -> Expr:
        """The matrix that an element is of."""
        letters = letters_for(b.extent for b in e.binders)
        out = Tensor(f"{equation.out.name}_{e.op}", tuple(a.extent for a in letters))
        parts.append(Part(out, letters, MatrixCall(e.op, e.binders, inside, letters), equation))
        return Access(out, e.places)

    def temporary(op: str, binders: tuple[Letter, ...], body: Expr, scope: tuple[Letter, ...]) -> Expr:
        reduced = reduce_(op, binders, body)
        letters = tuple(s for s in scope if s in reduced.letters)
        dtype = "int" if op.startswith("arg") else "real"
        out = Tensor(f"{equation.out.name}_{op}", tuple(s.extent for s in letters), dtype=dtype)
        parts.append(Part(out, letters, reduced, equation))
        return Access(out, letters)

    body = named(equation.body, equation.letters)
    if parts and isinstance(body, Access) and body.tensor is parts[-1].out and body.places == equation.letters:
        last = parts.pop()
        whole_body = substitute(last.body, dict(zip(last.letters, equation.letters, strict=True)))
        return [*parts, Part(equation.out, equation.letters, whole_body, equation)]
    return [*parts, Part(equation.out, equation.letters, body, equation)]


def freshened(part: Part) -> Part:
    """The same part over letters that no other part has."""
    new = {s: fresh_like(s) for s in part.letters}
    body = substitute(part.body, new)
    if isinstance(body, Reduce):
        bound = {s: fresh_like(s) for s in body.binders}
        body = body.over(bound.values(), substitute(body.body, bound))
    return Part(part.out, tuple(new.values()), body, part.origin)


def copies(program: Program, wanted: Iterable[Tensor]) -> tuple[Program, dict[Tensor, Tensor]]:
    """The program with an equation for every wanted tensor that has none, and which tensor stands for which."""
    equations, stands = list(program.equations), dict[Tensor, Tensor]()
    defined = set(program.defined)
    for t in wanted:
        stands[t] = t
        if t not in defined:
            letters = letters_for(t.axes)
            stands[t] = Tensor(t.name, t.axes, dtype=t.dtype, span=t.span)
            equations.append(Equation(stands[t], letters, Access(t, letters), t.span, "a copy"))
    return program.with_equations(equations), stands
