"""What a model's derivation says of its tensors, and proofs by it.

In: a program and the tensors whose cotangents are spoken of. Out: definitions at three depths (the cotangents upstream
as they are given; cotangents unfolded; everything unfolded), and whether two expressions have one normal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

from derive.claims.cases import Cases, at_kinks
from derive.errors import GradcError
from derive.expr import (
    ONE,
    ZERO,
    Access,
    Compare,
    Expr,
    Letter,
    Mask,
    Num,
    Reduce,
    Select,
    add,
    mul,
    num,
    sum_over,
)
from derive.facts import Facts
from derive.functions import expand_calls
from derive.normal import Normalizer, TooLargeError
from derive.norms import Norms
from derive.numeric import with_values
from derive.pipeline import Derivation, finish, pulled_back
from derive.program import Equation, Program, Tensor
from derive.recurrence import Recurrence, blocks
from derive.rewrite import factors, map_children, substitute, terms, walk
from derive.simplify import inline

MAX_NODES = 2000
MAX_CASES = 64
MAX_LITERAL = 6  # a literal extent up to which every place is looked at by itself

DEPTHS = (
    "by the normal form, what is behind it as given",
    "with the cotangents behind it unfolded",
    "with everything unfolded",
)


@dataclass(frozen=True)
class Kinks:
    """Conditions under which alone two sides differ; what each side is under the first of them, where that is known."""

    masks: list[Compare]
    right: Expr | None = None
    given: Expr | None = None


class Truth:
    """The equations of a prepared program and of its derivation."""

    def __init__(self, program: Program, wanted: tuple[Tensor, ...]) -> None:
        self.program = program
        self.derivation: Derivation | None = None
        if wanted:
            if program.objective is None:
                raise GradcError(f"d{wanted[0].name} needs an objective; add a line `minimize …`")
            # Prepared once more it could have other tensors under the names that lines speak of.
            self.derivation = finish(program, program, pulled_back(program, wanted))
        raw = self.derivation.raw if self.derivation is not None else program
        short = self.derivation.formulas if self.derivation is not None else program
        self.equations = raw.equations
        given = {e.out for e in program.equations}
        self.forward = _table(program.equations)
        loops = (b for p in (raw, short) for b in blocks(p.equations) if isinstance(b, Recurrence))
        self.recurrent = {e.out for loop in loops for e in loop.equations}
        self.raw = _table(e for e in raw.equations if e.out not in given)
        self.short = _table(e for e in short.equations if e.out not in given)
        self.norms = Norms({e.out: e for e in self.equations} | self.short | self.forward)
        self._facts = Normalizer(Facts(program))
        self._promises = Normalizer(Facts(program.with_equations(())))

    @property
    def cotangents(self) -> list[tuple[str, Tensor]]:
        """The name and the tensor of each cotangent that can be spoken of."""
        found = self.derivation.raw.gradients if self.derivation is not None else ()
        return [(f"d{t.name}", bar) for t, bar in found]

    def learn(self, equations: Iterable[Equation]) -> None:
        """Take in further equations: derivatives ``d(u, x)`` that a line speaks of."""
        for e in equations:
            if e.out not in self.forward and e.out not in self.raw:
                self.equations = (*self.equations, e)
                self.raw[e.out] = self.short[e.out] = _table([e])[e.out]

    def definitions(self, left: Expr, right: Expr) -> Iterator[tuple[Expr, Expr]]:
        """The left side by its own definition: as the chain rule gives it, then in its shortest form; and the right.

        Each as it stands, then with gradc's own names unfolded; constants of the model by their values.
        """
        left, right = with_values(left), with_values(right)
        if not isinstance(left, Access):
            yield left, right
            return
        named = {t: e for t, e in self.forward.items() if t.hidden}
        for table in (self.raw, self.short, self.forward):
            if left.tensor in table:
                hidden = {t: e for t, e in table.items() if t.hidden or isinstance(e.body, Num) or _is_view(t)}
                hidden = {} if table is self.forward else hidden
                own = unfold(inline(left, table[left.tensor]), hidden), unfold(right, hidden)
                yield own
                meant = unfold(own[0], named), unfold(own[1], named)
                if meant != own:
                    yield meant

    def proof(self, left: Expr, right: Expr) -> str | None:
        """How both sides are found to have one normal form, by the first of `DEPTHS`; None where they are not."""
        told = []
        for known in self.depths(left, right):  # unfolded no deeper than it takes
            if found := _how(*known):
                return found
            told.append(known)
        for depth, a, b, normal in told:
            there = self.norms.meant(a), self.norms.meant(b)
            if there != (a, b) and (found := _how(depth, *there, normal)):
                return f"{found}, where 1/‖u‖ is 0 at u = 0"
        return None

    def kinks(self, left: Expr, right: Expr) -> Kinks | None:
        """Where alone both sides differ, if that is where numbers meet exactly."""
        for _, a, b, normal in self.depths(left, right):
            apart = _by_cases(a, b, normal)
            found = None if apart is None else at_kinks(apart)
            if found:
                try:
                    right_there, given = (Cases(normal).at(found[0], expand_calls(e)) for e in (a, b))
                except TooLargeError:
                    return Kinks(found)
                return Kinks(found, right_there, given)
        return None

    def depths(self, left: Expr, right: Expr) -> Iterator[tuple[int, Expr, Expr, Normalizer]]:
        """Both sides at each depth: the left side by its definitions, then with more and more unfolded."""
        for own, other in self.definitions(left, right):
            yield 0, own, other, self._facts
        short, forward = (  # what recurs would be unfolded without end
            {t: e for t, e in table.items() if t not in self.recurrent} for table in (self.short, self.forward)
        )
        left, right = (unfold(with_values(e), short) for e in (left, right))
        yield 1, left, right, self._facts
        named = {t: e for t, e in forward.items() if t.hidden}
        meant = unfold(left, named), unfold(right, named)  # what one side has by a name the other may spell out
        if meant != (left, right):
            yield 1, *meant, self._facts
        left, right = (expand_calls(unfold(e, forward)) for e in (left, right))
        yield 2, left, right, self._promises

    def normal(self, e: Expr) -> Expr | None:
        """The normal form by the facts of the program; None where it is too large."""
        try:
            return self._facts(e)
        except TooLargeError:
            return None


def _table(equations: Iterable[Equation]) -> dict[Tensor, Equation]:
    """What defines each tensor, with the values of the model's constants: their names would make proofs longer."""
    return {e.out: e.with_body(with_values(e.body)) for e in equations}


def unfold(e: Expr, table: Mapping[Tensor, Equation]) -> Expr:
    """``e`` with every tensor of the table replaced by its definition, until none is left or it is too large.

    A Select whose mask became a number is decided.
    """
    known: dict[Expr, Expr] = {}
    while True:
        found = max((t for t in e.tensors if t in table), key=lambda t: t.number, default=None)
        if found is None:
            return e
        grown = _decided(inline(e, table[found]), known)
        if grown.size > MAX_NODES:
            return e
        e = grown


def _is_view(t: Tensor) -> bool:
    """Whether it is the derivative by what a round of a recurrence finds: that of the whole tensor, one place on."""
    return t.primal is not None and t.primal.ahead is not None


def _decided(e: Expr, known: dict[Expr, Expr]) -> Expr:
    if e not in known:
        done = map_children(e, lambda c: _decided(c, known))
        if isinstance(done, Select) and isinstance(done.mask, Num):
            done = done.chosen if done.mask == ONE else done.other
        known[e] = done
    return known[e]


def _how(depth: int, a: Expr, b: Expr, normal: Normalizer) -> str | None:
    """How two expressions are found to have one normal form at this depth; None where they are not."""
    if _same(a, b, normal):
        return DEPTHS[depth]
    return f"{DEPTHS[depth]}, case by case" if _by_cases(a, b, normal) == ZERO else None


def _same(a: Expr, b: Expr, normal: Normalizer) -> bool:
    try:
        apart = normal(add(normal(a), mul(-1, normal(b))))
        if normal(_one_place(apart)) == ZERO or normal(add(a, mul(-1, b))) == ZERO:
            return True
        cases = _cases(add(a, mul(-1, b)))
        return bool(cases) and all(normal(c) == ZERO for c in cases)
    except TooLargeError:
        return False


def _by_cases(a: Expr, b: Expr, normal: Normalizer) -> Expr | None:
    """What is left of a − b when it is split by its conditions; None where that is too large, or there are none."""
    apart = expand_calls(add(a, mul(-1, b)))
    if apart != ZERO and not any(isinstance(n, (Mask, Select)) for n in walk(apart)):
        return None
    try:
        return Cases(normal)(apart)
    except TooLargeError:
        return None


def _one_place(e: Expr) -> Expr:
    """In each term under [i == p], p in the place of i: there both are one number."""
    out = []
    for term in terms(e):
        for f in factors(term):
            if not isinstance(f, Compare) or f.op != "==":
                continue
            sides = sorted((f.left, f.right), key=lambda x: (isinstance(x, Letter), x.key))
            if isinstance(sides[1], Letter) and sides[1] not in sides[0].letters:
                rest = mul(*(g for g in factors(term) if g is not f))
                term = mul(f, substitute(rest, {sides[1]: sides[0]}))
        out.append(term)
    return add(*out)


def _cases(e: Expr) -> list[Expr]:
    """``e`` at every place of its letters with literal extents, sums over such extents written out; [] if none are.

    Entries of constants are put in, so that worked examples are decided too.
    """
    letters = sorted((a for a in e.letters if _length(a) is not None), key=lambda a: a.key)
    written = _written_out(e)
    places = [[num(k) for k in range(_length(a) or 0)] for a in letters]
    if (not letters and written == e) or prod(map(len, places)) > MAX_CASES:
        return []
    tables = (dict[Any, Expr](zip(letters, at, strict=True)) for at in product(*places))
    return [_decided(_written_out(substitute(written, table)), {}) for table in tables]


def _length(letter: Letter) -> int | None:
    extent = letter.extent
    return int(extent.value) if isinstance(extent, Num) and extent.value <= MAX_LITERAL else None


def _written_out(e: Expr) -> Expr:
    e = map_children(e, _written_out)
    if isinstance(e, Reduce) and e.op == "sum":
        for binder in e.binders:
            length = _length(binder)
            if length is not None:
                whole = add(*(substitute(e.body, {binder: num(k)}) for k in range(length)))
                return _written_out(sum_over(tuple(b for b in e.binders if b != binder), whole))
    if isinstance(e, Access) and e.tensor.kind == "const" and all(isinstance(p, Num) for p in e.places):
        values = e.tensor.values
        for p in e.places:
            values = values[int(p.value)]  # type: ignore[attr-defined]
        return num(values)
    return e


def with_promise(program: Program, tensor: Tensor, promised: Tensor) -> Program:
    """The program with ``promised`` declared in the place of ``tensor``: to draw data that keep one promise more."""
    return replace(program, declared=tuple(promised if t is tensor else t for t in program.declared))
