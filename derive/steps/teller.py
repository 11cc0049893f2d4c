"""Takes steps, tests them, and gives them back printed, in order.

In: the sides of a step and the reason for it. Out: nothing that is not true: each side, and each equality that a
reason states, is evaluated at the bench as soon as it is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from derive.display import definitions
from derive.errors import Span
from derive.expr import Access, Expr, Letter, Reduce
from derive.extract import extract
from derive.facts import Facts
from derive.normal import Normalizer, Nothing, TooLargeError
from derive.notation import Notation
from derive.program import Equation, Tensor, reads
from derive.rewrite import walk
from derive.steps.algebra import common_denominator, is_fraction
from derive.steps.bench import Bench
from derive.steps.printer import Printer
from derive.steps.step import Claim, Reason, Side, Step

MAX_NODES = 3000


class Teller:
    """What is told of a derivation so far; the steps of one tensor are printed together (see `close`).

    With ``rows`` the derivative of a number is a row, and Jacobians are told of numbers too.
    """

    def __init__(self, bench: Bench, notation: Notation, facts: Facts) -> None:
        self.bench, self.notation, self.facts = bench, notation, facts
        self.printer = Printer(notation)
        self.steps: list[Step] = []
        self.told: set[Tensor] = set()
        self.rows = False
        self._open: list[Step] = []
        self._explained: set[Tensor] = set()

    def say(self, rule: str, target: Tensor, sides: tuple[Side, Side], letters: Iterable[Letter], **more: Any) -> None:
        """One step.

        Raises StepError where it, or what its reason states, does not hold.
        """
        step = Step(rule, target, *sides, tuple(letters), **more)
        self.bench.require(step)
        for claim in step.reason:
            if isinstance(claim, Claim):
                self.bench.require(Step(f"the reason for {rule}", target, claim.before, claim.after, step.letters))
        self._open.append(step)

    def close(self) -> None:
        """Print what was said of one tensor."""
        self.steps += self.printer.printed(self._open)
        self._open.clear()
        self._explained.clear()

    def rewrite(
        self,
        target: Tensor,
        sides: tuple[Expr, Expr],
        letters: Iterable[Letter],
        out: Tensor | None = None,
        span: Span | None = None,
        where: Expr | None = None,
    ) -> None:
        """From one form to a shorter one, over a common denominator where the shorter one is a fraction."""
        before, after = sides
        more = {"span": span, "where": where}
        if out is not None and out in reads(after) and out not in reads(before):
            self.say("in terms of the output", target, sides, letters, **more)
            return
        between = common_denominator(before)
        if between not in (before, after) and is_fraction(after):
            self.say("common denominator", target, (before, between), letters, **more)
            before = between
        self.say("algebra", target, (before, after), letters, **more)

    def expanded(self, e: Expr, knowledge: Facts | Nothing | None = None) -> Expr:
        """``e`` as a sum of products, by default with no knowledge; ``e`` itself where that is too large."""
        if e.size > MAX_NODES:
            return e
        try:
            return Normalizer(knowledge or Nothing())(e)
        except TooLargeError:
            return e

    def short(self, e: Expr, knowledge: Facts | Nothing | None = None) -> Expr:
        """``e`` in its shortest form under some knowledge, by default all; ``e`` itself where it is too large."""
        return extract(self.expanded(e, self.facts if knowledge is None else knowledge))

    def definitions(self, equation: Equation) -> tuple[Reason, ...]:
        """What the names that gradc gave stand for; each is said once of a tensor."""
        found = [d for d in definitions(equation, self.notation.program) if d.out not in self._explained]
        self._explained.update(d.out for d in found)
        return ("with ", *joined(found)) if found else ()

    def known_sums(self, e: Expr) -> tuple[Reason, ...]:
        """The sums in ``e`` that something is known of, and who promises it."""
        parts: list[Reason] = []
        for r in dict.fromkeys(n for n in walk(e) if isinstance(n, Reduce) and n.op == "sum"):
            value = self.short(r)
            if value != self.short(r, Nothing()) and not any(isinstance(n, Reduce) for n in walk(value)):
                parts += [", " if parts else "because ", Claim(r, value), *_promises(r)]
        return tuple(parts)


def joined(parts: Iterable[Reason]) -> tuple[Reason, ...]:
    """Pieces with commas between them."""
    return tuple(piece for p in parts for piece in (", ", p))[1:]


def _promises(e: Expr) -> list[Reason]:
    """The properties of data that a sum over it may rest on."""
    found = dict.fromkeys(n.tensor for n in walk(e) if isinstance(n, Access))
    parts: list[Reason] = []
    for t in found:
        for name in ("one_hot", "simplex", "symmetric", "binary"):
            if t.property(name) is not None:
                parts += [", " if parts else " (", t, f" is {name}"]
    return [*parts, ")"] if parts else []
