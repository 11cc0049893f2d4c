"""What a model's derivation says of its tensors, and proofs by it.

In: a program and the tensors whose cotangents are spoken of. Out: definitions at three depths (the cotangents upstream
as they are given; cotangents unfolded; everything unfolded), and whether two expressions have one normal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from derive.errors import GradcError
from derive.expr import ONE, ZERO, Access, Compare, Expr, Letter, Num, Select, add, mul
from derive.facts import Facts
from derive.functions import expand_calls
from derive.normal import Normalizer, TooLargeError
from derive.pipeline import Derivation, gradient
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, reads
from derive.rewrite import factors, map_children, substitute, terms, walk
from derive.simplify import inline

MAX_NODES = 2000

DEPTHS = (
    "by the normal form, the cotangents behind it as given",
    "with the cotangents behind it unfolded",
    "with everything unfolded",
)


class Truth:
    """The equations of a program and of its derivation."""

    def __init__(self, program: Program, wanted: tuple[Tensor, ...]) -> None:
        self.program = program
        self.derivation: Derivation | None = None
        if wanted:
            if program.objective is None:
                raise GradcError(f"d{wanted[0].name} needs an objective; add a line `minimize …`")
            self.derivation = gradient(program, wanted)
        self.prepared = self.derivation.prepared if self.derivation is not None else prepare(program)
        raw = self.derivation.raw if self.derivation is not None else self.prepared
        short = self.derivation.formulas if self.derivation is not None else self.prepared
        self.equations = raw.equations
        given = {e.out for e in self.prepared.equations}
        self.forward = {e.out: e for e in self.prepared.equations}
        self.raw = {e.out: e for e in raw.equations if e.out not in given}
        self.short = {e.out: e for e in short.equations if e.out not in given}
        self._facts = Normalizer(Facts(self.prepared))
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
                self.raw[e.out] = self.short[e.out] = e

    def definitions(self, left: Expr) -> Iterator[Expr]:
        """The left side by its own definition: as the chain rule gives it, then in its shortest form."""
        if not isinstance(left, Access):
            yield left
            return
        for table in (self.raw, self.short, self.forward):
            if left.tensor in table:
                hidden = {t: e for t, e in table.items() if t.hidden and table is not self.forward}
                yield unfold(inline(left, table[left.tensor]), hidden)

    def depth_of_proof(self, left: Expr, right: Expr) -> int | None:
        """The first of `DEPTHS` at which both sides have one normal form; None where there is none."""
        for own in self.definitions(left):
            if _same(own, right, self._facts):
                return 0
        left, right = (unfold(e, self.short) for e in (left, right))
        if _same(left, right, self._facts):
            return 1
        left, right = (expand_calls(unfold(e, self.forward)) for e in (left, right))
        return 2 if _same(left, right, self._promises) else None

    def normal(self, e: Expr) -> Expr | None:
        """The normal form by the facts of the program; None where it is too large."""
        try:
            return self._facts(e)
        except TooLargeError:
            return None


def unfold(e: Expr, table: Mapping[Tensor, Equation]) -> Expr:
    """``e`` with every tensor of the table replaced by its definition, until none is left or it is too large.

    A Select whose mask became a number is decided.
    """
    while True:
        found = next((t for t in sorted(reads(e), key=lambda t: t.number, reverse=True) if t in table), None)
        if found is None:
            return e
        grown = _decided(inline(e, table[found]))
        if sum(1 for _ in walk(grown)) > MAX_NODES:
            return e
        e = grown


def _decided(e: Expr) -> Expr:
    e = map_children(e, _decided)
    if isinstance(e, Select) and isinstance(e.mask, Num):
        return e.chosen if e.mask == ONE else e.other
    return e


def _same(a: Expr, b: Expr, normal: Normalizer) -> bool:
    try:
        apart = normal(add(normal(a), mul(-1, normal(b))))
        return normal(_one_letter(apart)) == ZERO or normal(add(a, mul(-1, b))) == ZERO
    except TooLargeError:
        return False


def _one_letter(e: Expr) -> Expr:
    """In each term under [i == j] on free letters, i in the place of j: there both are one number."""
    out = []
    for term in terms(e):
        for f in factors(term):
            if isinstance(f, Compare) and f.op == "==" and isinstance(f.left, Letter) and isinstance(f.right, Letter):
                first, second = sorted((f.left, f.right), key=lambda a: a.key)
                rest = mul(*(g for g in factors(term) if g is not f))
                term = mul(f, substitute(rest, {second: first}))
        out.append(term)
    return add(*out)


def with_promise(program: Program, tensor: Tensor, promised: Tensor) -> Program:
    """The program with ``promised`` declared in the place of ``tensor``: to draw data that keep one promise more."""
    return replace(program, declared=tuple(promised if t is tensor else t for t in program.declared))
