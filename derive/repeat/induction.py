"""The gradient of a scheme with its depth as a symbol.

In: a scheme and the variables asked for. Out: the derived scheme. The step of the induction is the chain rule for
round l with the cotangents of the rounds after it as unknowns; it holds for every l that has such rounds behind it. The
base is the chain rule for the last rounds and what stands after the repetition. Where the base says the same as the
step, the step is stated for these rounds too. What every round reads (a tied weight) collects its cotangent round by
round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from derive.expr import ZERO, Dim, Expr, add
from derive.facts import Facts
from derive.normal import Normalizer
from derive.program import Equation, Tensor, reads
from derive.repeat.members import shifted
from derive.repeat.rounds import NoInductionError, Outline, Rounds
from derive.repeat.scheme import Item, Repeat, Scheme, over, transplanted
from derive.repeat.window import Window, at_round, window
from derive.rewrite import substitute
from derive.simplify import Report

ATTEMPTS = 6


@dataclass(frozen=True, eq=False)
class Induction:
    """A derived scheme and the windows that prove it: the step for round l, the base, what stands before."""

    scheme: Scheme
    step: Window
    base: Window
    before: Window | None
    variables: tuple[Tensor, ...]

    @property
    def report(self) -> Report:
        """What simplification did, in all windows."""
        windows = [w for w in (self.base, self.step, self.before) if w is not None]
        return Report([f for w in windows for f in w.report.firings], [k for w in windows for k in w.report.kept])


def induct(outline: Outline, variables: Iterable[Tensor]) -> Induction:
    """The gradient of the objective by ``variables``, tensors of the scheme, for every depth at once.

    Raises NoInductionError where the mechanism does not reach.
    """
    return _Induction(outline, tuple(variables)).done()


class _Induction:
    def __init__(self, outline: Outline, variables: tuple[Tensor, ...]) -> None:
        self.outline, self.rounds = outline, Rounds(outline)
        self.letter, self.lag = Dim(outline.letter), self.rounds.lag
        self.inner = [v for v in variables if self.rounds.is_of_round(v)]
        self.outer = [v for v in variables if v not in self.inner]
        self._stand_ins()

    def _stand_ins(self) -> None:
        """Give what every round reads a name of its own in each round, and one behind the repetition."""
        o, rounds = self.outline, self.rounds
        active = set(self.outer)
        for e in o.before:
            if e.out.dtype == "real" and any(t in active for t in reads(e.body)):
                active.add(e.out)
        inside, ahead, behind = (
            dict.fromkeys(t for e in es for t in reads(e.body)) for es in (rounds.body, o.before, o.after)
        )
        made = {e.out for e in o.before}
        shared = [t for t in inside if t in active and not rounds.is_of_round(t)]
        late = [t for t in behind if t in active and (t in shared or t in ahead or t in made)]
        self.each = {t: rounds.stand_in(t, self.letter) for t in shared}
        self.end = {t: t.like(name=f"{t.name}′", family=None, index=None, kind="param") for t in late}
        self.actual = {v: t for t, v in (*self.each.items(), *self.end.items())}
        rounds.body = tuple(over(e, self.each) for e in rounds.body)
        self.after = [over(e, self.end) for e in o.after]
        self.direct = [v for v in self.outer if v in behind and v not in late]
        self.early = [v for v in self.outer if v not in self.direct]

    @property
    def asked(self) -> list[Tensor]:
        """The variables of round l, stand-ins included."""
        return [*self.inner, *self.each.values()]

    # --- the step ------------------------------------------------------------------------------------------

    def step(self) -> tuple[Window, list[Equation]]:
        """The cotangents of round l in terms of those of later rounds, closed: what they name they also define."""
        here, lag, rounds = self.letter, self.lag, self.rounds
        near = [shifted(here, k) for k in range(lag + 1)]
        forward = [e for r in near for e in rounds.round(r)]
        cut = [e for k in range(lag + 1, 2 * lag + 1) for e in rounds.round(shifted(here, k))]
        kept: dict[Tensor, None] = {}
        for _ in range(ATTEMPTS):
            wrt = [rounds.tensor(t, r) for r in near for t in (*self.asked, *kept)]
            found = window(rounds, forward, cut, wrt, {})
            own = at_round(rounds, found, here)
            names = {e.out.primal for e in own}
            missing: dict[Tensor, None] = {}
            for t in (t for e in own for t in reads(e.body) if t.kind == "cotangent"):
                assert t.primal is not None
                gap = rounds.ahead(t.primal, here)
                primal = t.primal if gap is None else rounds.tensor_of_letter(t.primal, gap)
                if gap is None or gap > lag:
                    missing.update(dict.fromkeys(self._carried()))
                elif primal not in names:
                    missing.setdefault(primal)
            if not missing:
                return found, own
            kept.update(missing)
        raise NoInductionError("the step of the induction does not close")

    def _carried(self) -> list[Tensor]:
        """What later rounds read of round l."""
        gaps = [(t, self.rounds.ahead(t, self.letter)) for e in self.rounds.body for t in reads(e.body)]
        return list(
            dict.fromkeys(self.rounds.tensor_of_letter(t, gap) for t, gap in gaps if gap is not None and gap < 0)
        )

    # --- the base, and what stands before ------------------------------------------------------------------

    def base(self, own: list[Equation]) -> tuple[Window, list[list[Equation]]]:
        """The cotangents behind the repetition, and those of each of the last rounds, the last one first."""
        rounds, last = self.rounds, self.rounds.last
        for t in (t for e in self.after for t in reads(e.body)):
            gap = rounds.ahead(t, last)
            if rounds.round_of(t) is not None and t not in rounds.outside and (gap is None or not -self.lag < gap <= 0):
                raise NoInductionError(f"{t.name} is read after the repetition")
        near = [shifted(last, -k) for k in range(self.lag)]
        forward = [*(e for r in reversed(near) for e in rounds.round(r)), *self.after]
        states = [e.out.primal for e in own if e.out.primal is not None]
        objective = self.outline.scheme.frame.objective
        assert objective is not None
        wrt = [*(rounds.tensor(t, r) for r in near for t in states), *self.direct, *self.end.values()]
        found = window(rounds, forward, [], wrt, {objective: ()})
        return found, [at_round(rounds, found, r) for r in near]

    def before(self) -> Window | None:
        """The cotangents of what stands before the repetition."""
        if not self.early:
            return None
        rounds, first = self.rounds, self.rounds.first
        cut = [e for k in range(self.lag) for e in rounds.round(shifted(first, k))]
        parts: dict[Tensor, list[Tensor]] = {}
        for t, v in self.each.items():
            parts.setdefault(t, []).append(rounds.cotangent(rounds.tensor(v, first)))
        for t, v in self.end.items():  # where every round reads it too, the rounds have collected this part
            parts.setdefault(t, [rounds.cotangent(v)])
        return window(rounds, list(self.outline.before), cut, self.early, parts)

    # --- together ------------------------------------------------------------------------------------------

    def done(self) -> Induction:
        step, own = self.step()
        base, near = self.base(own)
        self.stated = {
            self.rounds.tensor(e.out.primal, shifted(self.rounds.last, -k))
            for e in own
            for k in range(self.lag)
            if e.out.primal is not None
        }
        last, through = self.rounds.last, shifted(self.rounds.last, -self.lag)
        behind = [e for e in base.derived if not any(e in r for r in near)]
        needed = {self.rounds.cotangent(p) for e in own for p in self._needs(e)}
        chain = [e for e in own if e.out in needed]
        leaves = [e for e in own if e not in chain]
        same = {e for e in own if self._holds(e, base, near)}
        items: list[Item] = list(behind)
        if all(e in same for e in chain):
            items += self._loop(chain, last, descending=True)
        else:
            items += self._near(near, chain)
            items += self._loop(chain, through, descending=True)
        plain = [e for e in leaves if e.out.primal not in self.actual]
        items += self._near(near, [e for e in plain if e not in same])
        items += self._loop([e for e in plain if e not in same], through)
        further = [e for e in plain if e in same and self._holds_after(e, base)]
        beyond = {self.rounds.at(e, shifted(last, 1)).out for e in further}
        items = [i for i in items if not (isinstance(i, Equation) and i.out in beyond)]
        items += self._loop([e for e in plain if e in same and e not in further], last)
        items += self._loop(further, shifted(last, 1))
        collected = [e for e in leaves if e.out.primal in self.actual]
        items += [self._collects(e) for e in self._near(near, collected)]
        items += self._loop([self._collects(e) for e in collected], through, descending=True)
        before = self.before()
        items += before.derived if before is not None else []
        pairs = tuple((v, self.rounds.cotangent(v)) for v in self.outer)
        forward = self.outline.forward
        scheme = replace(
            forward,
            frame=replace(forward.frame, gradients=pairs),
            items=(*forward.items, *(self._real(i) for i in items)),
        )
        return Induction(scheme, step, base, before, (*self.inner, *self.outer))

    def _needs(self, e: Equation) -> list[Tensor]:
        """The tensors of round l whose cotangents the equations of round l or a round before read."""
        found = [t.primal for t in reads(e.body) if t.kind == "cotangent" and t.primal is not None]
        gaps = [(t, self.rounds.ahead(t, self.letter)) for t in found]
        return [self.rounds.tensor_of_letter(t, gap) for t, gap in gaps if gap is not None]

    def _holds(self, e: Equation, base: Window, near: list[list[Equation]]) -> bool:
        """Whether an equation of the step also holds in the last rounds, by the normal form."""
        return all(self._says(e, shifted(self.rounds.last, -k), base, own) for k, own in enumerate(near))

    def _holds_after(self, e: Equation, base: Window) -> bool:
        """Whether it also holds for a layer of the same family that the author wrote behind the repetition."""
        return self._says(e, shifted(self.rounds.last, 1), base, base.derived)

    def _says(self, e: Equation, there: Expr, base: Window, equations: list[Equation]) -> bool:
        stated = self.rounds.at(e, there)
        own = next((x for x in equations if x.out is stated.out), None)
        if own is None or not set(reads(stated.body)) <= set(base.formulas.tensors):
            return False
        body = substitute(stated.body, dict(zip(stated.letters, own.letters, strict=True)))
        return Normalizer(Facts(base.prepared))(body - own.body) == ZERO

    def _near(self, near: list[list[Equation]], group: list[Equation]) -> list[Equation]:
        """The equations of the last rounds for those of a group, with what only they read."""
        out: list[Equation] = []
        for k, equations in enumerate(near):
            outs = {self.rounds.at(e, shifted(self.rounds.last, -k)).out for e in group}
            read = {t for e in equations if e.out in outs for t in reads(e.body)}
            out += [e for e in equations if e.out in outs or (e.out in read and e.out.primal not in self.stated)]
        return out

    def _loop(self, equations: list[Equation], to: Expr, descending: bool = False) -> list[Item]:
        r = self.outline.repeat
        return [Repeat(r.letter, r.first, to, tuple(equations), descending, r.span)] if equations else []

    def _collects(self, e: Equation) -> Equation:
        """The cotangent of a stand-in with those of the later rounds, and of what stands behind, added up."""
        v = e.out.primal
        assert v is not None
        then = self.rounds.round_of(v)
        assert then is not None
        t, stand_in = next((t, s) for t, s in self.each.items() if s.family == v.family)
        if then == self.rounds.last:
            end = self.end.get(t)
            return e if end is None else e.with_body(add(e.body, self.rounds.cotangent(end).at(e.letters)))
        following = self.rounds.cotangent(self.rounds.tensor(stand_in, shifted(then, 1)))
        return e.with_body(add(e.body, following.at(e.letters)))

    def _real(self, item: Item) -> Item:
        """An item over the tensors of the model instead of their stand-ins."""
        if isinstance(item, Repeat):
            return replace(item, items=tuple(self._real(i) for i in item.items))
        names = {v.family: t for t, v in self.each.items()}

        def actual(t: Tensor) -> Tensor:
            if t in self.actual:
                return self.actual[t]
            return names[t.family] if t.kind == "param" and t.family in names and t.index is not None else t

        return transplanted(item, actual, lambda e: e) if isinstance(item, Equation) else item
