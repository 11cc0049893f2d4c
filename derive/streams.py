"""Forward tangents as equations of the model: each tensor's derivative along an input travels beside it.

In: an equation of a program and an input. Out: the equations of its tangents, by the chain rule's partial derivatives
of each equation on the way. A tangent is a tensor like any other and has tangents itself, and what is found once for a
tensor and its directions is found again: ∂x∂t and ∂t∂x are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from derive.chain_rule import active_in, partials
from derive.deltas import eliminate
from derive.expr import ZERO, Access, Call, Compare, Expr, Letter, Reduce, add, compare, fresh_like, mul, sum_over
from derive.hoist import Namer, guarded, map_branches, split_scale
from derive.program import Equation, Program, Tensor, letters_for
from derive.recurrence import recurring
from derive.rewrite import factors, substitute, terms
from derive.together import together


@dataclass(frozen=True)
class Direction:
    """Along which variable, and over which batch axis each sample is by itself (None: along every entry).

    Each entry of one sample of ``x`` is a direction of its own; tangents have their ``axes`` behind their own.
    """

    x: Tensor
    batch: Expr | None

    @property
    def axes(self) -> tuple[Expr, ...]:
        """The axes of the variable, but for that of the samples."""
        return tuple(a for a in self.x.axes if a != self.batch)


Key = tuple[Tensor, tuple[Direction, ...]]


class Streams:
    """The tangents of one program; new equations go behind those in ``equations``."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.equations: list[Equation] = []
        self.namer = Namer(program)
        self.defined: dict[Tensor, Equation] = {}
        self.known: dict[Key, Tensor] = {}
        self.origin: dict[Tensor, Key] = {}
        self.inlined: dict[Tensor, Equation] = {}
        self._active: dict[Direction, tuple[int, set[Tensor]]] = {}
        self._recurring: tuple[int, set[Tensor]] = (0, set())

    def emit(self, equation: Equation) -> None:
        """One more equation of the program."""
        self.equations.append(equation)
        self.defined[equation.out] = equation
        self.namer.taken.add(equation.out.name)
        self.namer.remember(equation)

    def derivative(self, wish: Equation, access: Access, by: Access, d: Direction) -> None:
        """The equation that asks for ∂ access / ∂ by, with its answer by tangents."""
        extra = tuple(p for p, axis in zip(by.places, by.tensor.axes, strict=True) if axis != d.batch)
        key = self.key(access.tensor, d)
        if (
            key not in self.known
            and self.acts(access.tensor, d)
            and access.tensor is not d.x
            and key == self._behind(access.tensor, d)
            and wish.letters == (*access.places, *extra)
        ):
            self.make(key, wish)
            return
        self.emit(wish.with_body(self.along(access, d, extra)))
        self.origin.setdefault(wish.out, (access.tensor, ()))

    def along(self, access: Access, d: Direction, extra: Sequence[Expr]) -> Expr:
        """The derivative of an element along ``d`` at the places ``extra`` of its axes."""
        t = access.tensor
        if t is d.x:
            own = [p for p, axis in zip(access.places, t.axes, strict=True) if axis != d.batch]
            return mul(*(compare("==", p, e) for p, e in zip(own, extra, strict=True)))
        if not self.acts(t, d):
            return ZERO
        key = self.key(t, d)
        base, before = self.origin.get(t, (t, ()))
        if key not in self.known:
            self.make(key)
        found = self.known[key]
        # the places of the base first, then those of each direction, in the order of the key
        places = list(access.places[: base.rank])
        rest = list(access.places[base.rank :])
        given = [(b, [rest.pop(0) for _ in b.axes]) for b in before] + [(d, list(extra))]
        for b in key[1]:
            k = next(k for k, (x, _) in enumerate(given) if x == b)
            places += given.pop(k)[1]
        if found in self.inlined:
            e = self.inlined[found]
            return substitute(e.body, dict(zip(e.letters, places, strict=True)))
        return found.at(places)

    def key(self, t: Tensor, d: Direction) -> Key:
        """Under what the tangent of ``t`` along ``d`` is known: its directions in one order where they commute."""
        base, before = self.origin.get(t, (t, ()))
        directions = (*before, d)
        if all(x.x in self.program.declared for x in directions):
            place = {t: k for k, t in enumerate(self.program.declared)}
            directions = tuple(sorted(directions, key=lambda x: (place[x.x], x.batch is None)))
        return base, directions

    def _behind(self, t: Tensor, d: Direction) -> Key:
        base, before = self.origin.get(t, (t, ()))
        return base, (*before, d)

    def acts(self, t: Tensor, d: Direction) -> bool:
        """Whether the variable acts on ``t``."""
        return t in self.active(d)

    def active(self, d: Direction) -> set[Tensor]:
        """All on which the variable acts."""
        count, found = self._active.get(d, (-1, set()))
        if count != len(self.equations):
            found = active_in(self.program.with_equations(self.equations), (d.x,))
            self._active[d] = len(self.equations), found
        return found

    def recurs(self, t: Tensor) -> bool:
        """Whether the tensor is defined by a recurrence."""
        if self._recurring[0] != len(self.equations):
            self._recurring = len(self.equations), set(recurring(self.equations))
        return t in self._recurring[1]

    def make(self, key: Key, wish: Equation | None = None) -> None:
        """The equation of one tangent, from that of the tensor that it is the tangent of, one direction less."""
        base, directions = key
        d, source = directions[-1], base
        for k in reversed(range(len(directions))):
            less = (base, directions[:k] + directions[k + 1 :])
            if len(directions) > 1 and less in self.known and self.known[less] not in self.inlined:
                d, source = directions[k], self.known[less]
                break
        definition = self.defined[source]
        axes = (*base.axes, *(a for x in directions for a in x.axes))
        if wish is not None:
            out = wish.out
        else:
            variables = tuple(x.x for x in directions)
            out = Tensor(self.namer.unique(stream_name(base, variables)), axes, hidden=True, along=(base, variables))
        self.known[key], self.origin[out] = out, key
        extra = letters_for(d.axes, dict(enumerate("abcdefgh")))
        body = self.tangent(definition, d, extra)
        # its own letters, those of the directions in the order of the key
        own, rest = list(definition.letters[: base.rank]), list(definition.letters[base.rank :])
        before = self.origin.get(source, (source, ()))[1]
        given = [(b, [rest.pop(0) for _ in b.axes]) for b in before] + [(d, list(extra))]
        for b in directions:
            k = next(k for k, (x, _) in enumerate(given) if x == b)
            own += given.pop(k)[1]
        left = wish.letters if wish is not None else tuple(fresh_like(a) for a in own)
        equation = Equation(out, left, substitute(body, dict(zip(own, left, strict=True))))
        if wish is not None:
            self.emit(wish.with_body(equation.body))
            return
        if not self.recurs(source) and is_trivial(equation.body):
            self.inlined[out] = equation
            return
        self.emit(equation)

    def tangent(self, equation: Equation, d: Direction, extra: tuple[Letter, ...]) -> Expr:
        """What the right side of an equation becomes along ``d``."""
        found: list[Expr] = []
        for p in partials(equation, self.active(d), self.namer, self.emit):
            inner = self.along(p.access, d, extra)
            for term in terms(inner):
                parts, bound, _ = eliminate([*factors(together(p.factor)), *factors(term)], list(p.summed))
                found.append(sum_over(bound, mul(*parts)))
        self.namer.around = equation.letters
        return self.with_names(add(*found), ())

    def with_names(self, e: Expr, given: tuple[Expr, ...]) -> Expr:
        """Each function value under a name: sin(z) is known, and cos(z) is found again by the next tangent."""
        inner = map_branches(e, self.with_names, given)
        return self.namer.name(guarded(inner, given), "K", self.emit) if isinstance(inner, Call) else inner


def stream_name(base: Tensor, directions: Sequence[Tensor]) -> str:
    """``A1_xx``; names of more than one sign stand apart."""
    names = [x.name for x in directions]
    return "_".join([base.name, *([*names] if any(len(n) > 1 for n in names) else ["".join(names)])])


def is_trivial(e: Expr) -> bool:
    """A number, a scaled element, or a product with a Kronecker delta: no tensor of its own."""
    if len(terms(e)) > 1:
        return False
    rest = split_scale(e)[1]
    if isinstance(rest, Access) or not e.letters:
        return not isinstance(rest, Reduce)
    return not isinstance(rest, Reduce) and any(isinstance(f, Compare) and f.op == "==" for f in factors(rest))
