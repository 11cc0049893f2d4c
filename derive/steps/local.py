"""How one local derivative is told: SymPy's answer, its cases, its shortest form, its Jacobian as a matrix.

In: an `Edge`. Out: steps, each tested at the bench before it is printed. Cases and diagonals are read off the
Kronecker deltas that the derivative has, whatever function it is of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from derive import forms
from derive.display import definitions
from derive.expr import ONE, ZERO, Access, Compare, Expr, Letter, Num, Pow, negate
from derive.extract import extract
from derive.facts import Facts
from derive.lift import lift
from derive.normal import Normalizer, Nothing, TooLargeError
from derive.notation import Notation
from derive.program import Equation, Tensor
from derive.rewrite import accesses, map_children, substitute, walk
from derive.steps.bench import Bench
from derive.steps.edges import Edge, deltas_of
from derive.steps.printer import Printer
from derive.steps.step import Side, Slice, Step

MAX_NODES = 3000


class Teller:
    """Takes steps, tests them, prints them and keeps them in order."""

    def __init__(self, bench: Bench, notation: Notation, facts: Facts) -> None:
        self.bench, self.notation, self.facts = bench, notation, facts
        self.printer = Printer(notation)
        self.steps: list[Step] = []
        self.told: set[Tensor] = set()

    def say(self, rule: str, target: Tensor, sides: tuple[Side, Side], letters: Iterable[Letter], **more: Any) -> None:
        """One step, unless it would say nothing.

        Raises StepError where it does not hold.
        """
        step = Step(rule, target, *sides, tuple(letters), **more)
        self.bench.require(step)
        step = self.printer.printed(step)
        again = self.steps and self.steps[-1].target is target and self.steps[-1].text == step.text
        if step.text[0] != step.text[1] and not again:
            self.steps.append(step)

    def expanded(self, e: Expr, knowledge: Facts | Nothing | None = None) -> Expr:
        """``e`` as a sum of products, by default with no knowledge; ``e`` itself where that is too large."""
        if sum(1 for _ in walk(e)) > MAX_NODES:
            return e
        try:
            return Normalizer(knowledge or Nothing())(e)
        except TooLargeError:
            return e

    def short(self, e: Expr, knowledge: Facts | Nothing | None = None) -> Expr:
        """``e`` in its shortest form under some knowledge, by default all; ``e`` itself where it is too large."""
        return extract(self.expanded(e, self.facts if knowledge is None else knowledge))

    def explained(self, equation: Equation) -> str | None:
        """What the names that gradc gave stand for."""
        found = definitions(equation, self.notation.program)
        return "with " + ", ".join(map(self.notation.formula, found)) if found else None


def tell_local(teller: Teller, edge: Edge, target: Tensor) -> None:
    """The local derivative of an edge, if it was not told before."""
    if edge.ratio in teller.told:
        return
    teller.told.add(edge.ratio)
    bench, span = teller.bench, edge.span
    element, plain = edge.element, edge.plain
    letters = (*edge.outer, *edge.inner)
    left = edge.at(edge.outer, edge.inner)
    bench.require(Step("local derivative", target, left, element, letters))
    same = {} if edge.linear else _diagonal(element, edge)
    note = teller.explained(edge.out.with_body(plain))
    if same:
        apart = ", ".join(f"{a.hint} ≠ {a.hint}′" for a in same.values() if a.extent != ONE)
        note = "; ".join(filter(None, (note, f"0 where {apart}" if apart else "")))
        letters = tuple(a for a in letters if a not in same)
        left, element, plain = (substitute(e, same) for e in (left, element, plain))
    rule = "quotient rule" if edge.whole and _is_quotient(edge.out.body) else "local derivative"
    teller.say(rule, target, (left, plain), letters, span=span, note=note)
    cases = _split_deltas(element, edge)
    if len(cases) == 1:
        (delta,) = cases
        f, j = (delta.left, delta.right) if delta.left in edge.outer else (delta.right, delta.left)
        equal = teller.short(substitute(element, {j: f}))
        unequal = teller.short(substitute(element, {delta: ZERO}))
        teller.say("equal letters", target, (left, equal), letters, where=delta, span=span)
        teller.say("different letters", target, (left, unequal), letters, where=negate(delta), span=span)
        teller.say("both cases in one", target, (left, element), letters, span=span)
    elif element != plain:
        reused = "in terms of the output" if _reads(element, edge.out.out) else "algebra"
        teller.say(reused, target, (plain, element), letters, span=span)
    _tell_matrix(teller, edge, target)


def _tell_matrix(teller: Teller, edge: Edge, target: Tensor) -> None:
    """The Jacobian as a matrix, of one sample where both sides have more than one axis."""
    full = edge.element
    if _split_deltas(full, edge):
        full = teller.expanded(full)
    pairs = {j: f for j, f in _diagonal(full, edge).items() if j.extent != ONE}
    batch = teller.notation.program.batch
    if edge.out.out.rank == edge.wrt.rank == 2 and pairs:
        j = next((j for j in pairs if j.extent == batch), next(iter(pairs)))
        table = {j: pairs[j]}
    elif edge.out.out.rank == edge.wrt.rank == 1:
        table = {}
    else:
        return
    fixed = tuple(table.values())
    outer = tuple(None if f not in fixed else f for f in edge.outer)
    inner = tuple(table.get(a) for a in edge.inner)
    body = _sliced(substitute(full, table), set(fixed), {})
    rows = [f for f in edge.outer if f not in fixed]
    cols = [a for a in edge.inner if a not in table]
    if body is None or len(rows) != 1 or len(cols) != 1 or rows[0].extent == cols[0].extent == ONE:
        return
    whole: Tensor = Slice.make(edge.ratio, (*outer, *inner)) if fixed else edge.ratio
    form = lift(Equation(whole, (rows[0], cols[0]), body), teller.notation.primes, diagonals=True)
    if form is None:
        return
    before = forms.Leaf(rows[0], cols[0], (), whole)
    teller.say("Jacobian", target, (before, form), (*fixed, rows[0], cols[0]), fixed=fixed, span=edge.span)


def _diagonal(e: Expr, edge: Edge) -> dict[Letter, Letter]:
    """The inner letters outside of which (equal to an outer one) the derivative is 0."""
    found: dict[Letter, Letter] = {}
    for m in deltas_of(e):
        pair = [a for a in m.children if isinstance(a, Letter)]
        for f, j in (pair, pair[::-1]):
            if f in edge.outer and j in edge.inner and f not in found.values():
                found.setdefault(j, f)
    return found


def _split_deltas(e: Expr, edge: Edge) -> list[Compare]:
    """The deltas between an outer and an inner letter that only a part of ``e`` has."""
    found = dict.fromkeys(n for n in walk(e) if isinstance(n, Compare) and n.op == "==")
    whole = deltas_of(e)
    return [
        m
        for m in found
        if m not in whole and {m.left, m.right} & set(edge.outer) and {m.left, m.right} & set(edge.inner)
    ]


def _is_quotient(e: Expr) -> bool:
    """Whether a value stands below a fraction line."""
    below = [n.base for n in walk(e) if isinstance(n, Pow) and isinstance(n.exponent, Num) and n.exponent.value < 0]
    return any(accesses(b) for b in below)


def _reads(e: Expr, t: Tensor) -> bool:
    return any(isinstance(n, Access) and n.tensor is t for n in walk(e))


def _sliced(e: Expr, fixed: set[Letter], made: dict[object, Slice]) -> Expr | None:
    """``e`` with every access at fixed letters read from a slice; None where a fixed letter stays."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and fixed & set(node.places):
            at = tuple(p if p in fixed else None for p in node.places)
            key = (node.tensor, at)
            kept = made.setdefault(key, Slice.make(node.tensor, at))  # type: ignore[arg-type]
            return kept.at(p for p in node.places if p not in fixed)
        return map_children(node, visit)

    found = visit(e)
    return None if found.letters & fixed else found
