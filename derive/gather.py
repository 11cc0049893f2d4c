"""Sums travel instead of their terms: what is read under a sum only is summed before it is made.

In: a program and tensors that gradc made. Out: an equal program in which a linear combination of such tensors, or the
sum of one over some of its axes, is a tensor of its own. It is defined by the same combination of their definitions,
which is linear in further tensors, and so on to where they begin: a Laplacian is one stream, not one a direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from derive.deltas import eliminate
from derive.expr import ONE, ZERO, Access, Add, Expr, Letter, Num, Reduce, add, fresh_like, mul, num, sum_over
from derive.hoist import Namer, ordered_letters, split_scale, standard
from derive.program import Equation, Program, Tensor
from derive.recurrence import recurring
from derive.rewrite import factors, map_children, rename_binders, substitute, terms, walk


@dataclass(frozen=True)
class _Part:
    """``scale · Σ_inside access``: one term of a combination."""

    scale: Expr
    inside: tuple[Letter, ...]
    access: Access

    @property
    def is_plain(self) -> bool:
        """Whether it is the whole tensor as it stands: not a sum over axes, nor a diagonal."""
        return not self.inside and len(set(self.access.places)) == self.access.tensor.rank


Cofactor = tuple[tuple[Letter, ...], Expr]


def gathered(program: Program, made: Mapping[Tensor, Tensor]) -> Program:
    """The program with combinations of the tensors ``made`` in their place; each is told what it is a derivative of.

    What the author named stays defined.
    """
    return _Gathering(program, made).program()


class _Gathering:
    """One run: the equations written so far and the combinations that have a name."""

    def __init__(self, program: Program, made: Mapping[Tensor, Tensor]) -> None:
        self.given = program
        self.defined = program.defined
        apart = recurring(program.equations)
        self.made = {t: base for t, base in made.items() if t in self.defined and t not in apart}
        self.namer = Namer(program)
        self.known: dict[Expr, Tensor] = {}
        self.out: list[Equation] = []

    def program(self) -> Program:
        """The program with every combination gathered."""
        for e in self.given.equations:
            self.out.append(e.with_body(e.body if e.out in self.made else self.linear(e.body, e.out.name, top=True)))
        return self.given.with_equations(self.out)

    def linear(self, e: Expr, root: str, *, top: bool = False) -> Expr:
        """A sum, its terms with the same cofactor of made tensors as one term."""
        rest: list[Expr] = []
        groups: dict[Cofactor, list[_Part]] = {}
        alone: dict[Cofactor, list[Expr]] = {}
        for term in terms(e):
            found = self.part(term)
            if found is None:
                rest.append(self.inner(term, root))
                continue
            groups.setdefault(found[0], []).append(found[1])
            alone.setdefault(found[0], []).append(term)
        for cofactor, parts in groups.items():
            if len(parts) == 1 and parts[0].is_plain:
                rest += alone[cofactor]
            else:
                rest.append(self.combined(cofactor, parts, root, top=top))
        return add(*rest)

    def inner(self, e: Expr, root: str) -> Expr:
        """``e`` with the sums inside of it."""
        scale, rest = split_scale(e)
        if isinstance(rest, Reduce) and rest.op == "sum":
            return mul(scale, sum_over(rest.binders, mul(*(self.within(f, root) for f in factors(rest.body)))))
        return mul(scale, map_children(rest, lambda c: self.within(c, root)))

    def within(self, e: Expr, root: str) -> Expr:
        if isinstance(e, Add) or (isinstance(e, Reduce) and e.op == "sum"):
            return self.linear(e, root)
        return map_children(e, lambda c: self.within(c, root))

    def part(self, term: Expr) -> tuple[Cofactor, _Part] | None:
        """A term as a cofactor times a made tensor, if it has just one of them."""
        scale, rest = _apart(term)
        binders = rest.binders if isinstance(rest, Reduce) and rest.op == "sum" else ()
        inside = factors(rest.body if binders and isinstance(rest, Reduce) else rest)
        found = [f for f in inside if self.mentions(f)]
        if len(found) != 1 or not isinstance(found[0], Access):
            return None
        if not all(isinstance(p, Letter) for p in found[0].places):
            return None
        cofactor = mul(*(f for f in inside if f is not found[0]))
        outer = [b for b in ordered_letters(cofactor) if b in binders]
        own = tuple(b for b in binders if b not in outer)
        if any(b not in found[0].letters for b in own):
            return None
        table = {b: Letter(b.extent, -500 - k, b.hint) for k, b in enumerate(outer)}
        access = substitute(found[0], table)
        assert isinstance(access, Access)
        return (tuple(table.values()), substitute(cofactor, table)), _Part(scale, own, access)

    def mentions(self, e: Expr) -> bool:
        """Whether a made tensor is read."""
        if isinstance(e, Access):
            return e.tensor in self.made
        return any(self.mentions(c) for c in e.children)

    def combined(self, cofactor: Cofactor, parts: Sequence[_Part], root: str, *, top: bool) -> Expr:
        """The cofactor times the combination, which gets a name unless it is all that there is."""
        outer, factor = cofactor
        if top and not outer and factor == ONE:
            return self.linear(self.expanded(parts), root, top=True)
        first = min(parts, key=lambda p: p.access.tensor.number).scale
        unit = first if isinstance(first, Num) else num(1)
        scaled = [_Part(mul(p.scale, unit**-1), p.inside, p.access) for p in parts]
        whole = add(*(mul(p.scale, sum_over(p.inside, p.access)) for p in scaled))
        letters = ordered_letters(whole)
        key = standard(whole, letters)
        if key not in self.known:
            self.known[key] = self.named(scaled, letters, root)
        fresh = {a: fresh_like(a) for a in outer}
        read = self.known[key].at(letters)
        return mul(unit, sum_over(fresh.values(), substitute(mul(factor, read), fresh)))

    def named(self, parts: Sequence[_Part], letters: tuple[Letter, ...], root: str) -> Tensor:
        """A new tensor for a combination; its equation is written first."""
        bases = {self.made[p.access.tensor] for p in parts}
        stem = f"{next(iter(bases)).name}_{root}" if len(bases) == 1 else root
        out = Tensor(self.namer.unique(stem), tuple(a.extent for a in letters), hidden=True)
        fresh = {a: fresh_like(a) for a in letters}
        body = self.linear(substitute(self.expanded(parts), fresh), root)
        self.out.append(Equation(out, tuple(fresh.values()), body))
        return out

    def expanded(self, parts: Sequence[_Part]) -> Expr:
        """The combination of the definitions."""
        found: Expr = ZERO
        for p in parts:
            e = self.defined[p.access.tensor]
            own = {b: fresh_like(b) for b in p.inside}
            places = [substitute(x, own) for x in p.access.places]
            body = substitute(rename_binders(e.body), dict(zip(e.letters, places, strict=True)))
            for term in terms(body):
                found = add(found, mul(p.scale, _summed(term, list(own.values()))))
        return found


def _apart(term: Expr) -> tuple[Expr, Expr]:
    """A term as what is the same everywhere (numbers, extents, constants and tensors without axes) times the rest."""
    outside = [f for f in factors(term) if not f.letters and not any(isinstance(n, Reduce) for n in walk(f))]
    rest = mul(*(f for f in factors(term) if f not in outside))
    if isinstance(rest, Reduce) and rest.op == "sum":
        inner = [f for f in factors(rest.body) if not f.letters]
        outside += inner
        rest = sum_over(rest.binders, mul(*(f for f in factors(rest.body) if f not in inner)))
    return mul(*outside), rest


def _summed(term: Expr, inside: list[Letter]) -> Expr:
    """Σ_inside of a term, as one sum."""
    scale, rest = _apart(term)
    binders = [*inside]
    if isinstance(rest, Reduce) and rest.op == "sum":
        binders, rest = [*inside, *rest.binders], rest.body
    if isinstance(rest, Add):
        return mul(scale, sum_over(binders, rest))
    parts, bound, _ = eliminate(list(factors(rest)), binders)
    body = mul(*parts)
    missing = [b for b in bound if b not in body.letters]
    return mul(scale, *(b.extent for b in missing), sum_over([b for b in bound if b in body.letters], body))
