"""Recurrences as one loop: what every round computes, on slices of the tensors that it reads and fills.

In: a `Recurrence`, what is needed elsewhere, and sizes. Out: `RoundParts`: ordinary parts over slices, under conditions
on the round. What only its own round reads is a slice and nothing more; the rest is kept for all rounds. A tensor
that is a start and then what each round finds (H[0] = a, H[t+1] = …) is filled in place, one round ahead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.steps import Part, Rounded, RoundParts, View
from derive.deltas import decided, is_polynomial
from derive.errors import GradcError
from derive.expr import ONE, ZERO, Access, Compare, Expr, Letter, add, compare, fresh, mul, num
from derive.program import Equation, Tensor, reads
from derive.recurrence import Recurrence, shift
from derive.rewrite import accesses, map_children, substitute, walk
from derive.shapes import size

Splitter = Callable[[Equation], list[Part]]
Order = Iterable[Equation | Recurrence]


def filled_in_place(order: Order, kept: frozenset[Tensor]) -> dict[Tensor, tuple[Tensor, int]]:
    """What rounds find for a tensor that they fill, with the axis: R is found for H where H[s] is R[s-1] but for s = 0.

    ``kept`` tensors stay what they are.
    """
    found: dict[Tensor, tuple[Tensor, int]] = {}
    for block in order:
        if isinstance(block, Recurrence) and block.step > 0:
            for e in block.equations:
                r = _found_by_rounds(e, block)
                if r is not None and r not in kept and r not in found:
                    found[r] = e.out, block.axis(e.out)
    return found


def _found_by_rounds(e: Equation, loop: Recurrence) -> Tensor | None:
    """R, where the equation says H[s] = R[s-1] for every s but 0."""
    letter = loop.letters[e.out]
    rest = fresh(add(letter.extent, -1), letter.hint)
    body = _simplified(substitute(e.body, {letter: add(rest, 1)}), decided)
    if not isinstance(body, Access) or body.tensor not in loop.letters:
        return None
    same = body.places == tuple(rest if x == letter else x for x in e.letters)
    return body.tensor if same and loop.letters[body.tensor].extent == rest.extent else None


def _simplified(e: Expr, decide: Callable[[Compare], Expr]) -> Expr:
    """``e`` with its masks decided."""
    e = map_children(e, lambda child: _simplified(child, decide))
    return decide(e) if isinstance(e, Compare) else e


class Prefixes:
    """H without its last place, for what reads it so outside of its loop: a view that is whole, as products want it."""

    def __init__(self, found: Mapping[Tensor, tuple[Tensor, int]]) -> None:
        self.views = {
            h: View(h.like(name=f"{h.name}_before", axes=r.axes, kind="value"), h, axis, (None, r.axes[axis]))
            for r, (h, axis) in found.items()
        }
        self.used: set[Tensor] = set()

    def read(self, e: Equation) -> Equation:
        """The equation with H[t], where t does not run to the end, read from the view."""

        def visit(x: Expr) -> Expr:
            x = map_children(x, visit)
            if isinstance(x, Access) and x.tensor in self.views:
                view = self.views[x.tensor]
                place = x.places[view.axis]
                if isinstance(place, Letter) and place.extent == view.tensor.axes[view.axis]:
                    self.used.add(x.tensor)
                    return view.tensor.at(x.places)
            return x

        return e.with_body(visit(e.body)) if self.views else e

    def after(self, loop: RoundParts) -> RoundParts:
        """The loop, and behind it the views of what it filled that were needed."""
        filled = {v.source for b in loop.blocks for v in b.views if loop.slices[v.tensor] is not v.source}
        return replace(loop, after=(*loop.after, *(v for h, v in self.views.items() if h in self.used & filled)))


@dataclass
class _Segment:
    """Rounds ``first … last-1``, in which every equation has one form; ``number`` is the first of them."""

    first: Expr
    last: Expr
    number: Fraction
    count: Fraction
    forms: dict[Tensor, Expr]


class Loop:
    """One recurrence of a function on its way to parts; ``outside`` is what anything else reads."""

    def __init__(
        self, loop: Recurrence, found: Mapping[Tensor, tuple[Tensor, int]], outside: frozenset[Tensor],
        sizes: Mapping[str, int], split: Splitter,
    ) -> None:  # fmt: skip
        self.into = {r: h for r, (h, _) in found.items() if h in loop.letters}
        self.loop, self.sizes, self.split, self.outside = loop, sizes, split, outside
        filled = set(self.into.values())
        self.starts = [e for e in loop.equations if e.out in filled]
        self.members = [e for e in loop.equations if e.out not in filled]
        rounds = replace(loop, letters={e.out: loop.letters[e.out] for e in self.members}).extent
        if size(rounds, sizes) is None:
            names = ", ".join(e.out.name for e in loop.equations if not e.out.hidden)
            raise GradcError(f"{names}: a recurrence along the batch axis does not compile; give its axis a dim")
        self.letter = fresh(rounds, loop.letters[self.members[0].out].hint)
        self.slices: dict[Tensor, Tensor] = {}
        self.own: dict[Tensor, Tensor] = {}
        self.views: dict[tuple[Tensor, int, Expr], View] = {}
        within = [(a, loop.letters[e.out]) for e in self.members for a in accesses(e.body) if a.tensor in loop.letters]
        moved = {a.tensor for a, x in within if a.places[loop.axis(a.tensor)] != x}
        self.history = {t for t in loop.letters if t in outside or t in moved or t in filled or t in self.into}

    def parts(self) -> RoundParts:
        """The loop: what stands before it, then every round."""
        before = [self._sliced(e, substitute(e.body, {self.loop.letters[e.out]: ZERO}), ZERO) for e in self.starts]
        segments = self._segments()
        in_order = segments if self.loop.step > 0 else segments[::-1]
        while len(in_order) > 1 and self._is_a_start(in_order[0], in_order[1]):
            first, *in_order = in_order
            before += [self._sliced(e, substitute(first.forms[e.out], {self.letter: first.first}), first.first)
                       for e in self.members if e.out in first.forms]  # fmt: skip
        rounds: list[Rounded] = []
        for e in self.members:
            for condition, body in self._cases(e, sorted(in_order, key=lambda s: s.number)):
                made = self._sliced(e, body, self.letter, condition)
                if rounds and rounds[-1].condition == condition:
                    last = rounds.pop()
                    made = Rounded(condition, tuple(dict.fromkeys((*last.views, *made.views))), last.items + made.items)
                rounds.append(made)
        limits = min(in_order, key=lambda s: s.number).first, max(in_order, key=lambda s: s.number).last
        after = [View(r, h, self.loop.axis(h), (ONE, None)) for r, h in self.into.items() if r in self.outside]
        step = self.loop.step
        return RoundParts(self.letter, step, limits, tuple(before), tuple(rounds), tuple(after), self.slices)

    # --- which rounds are alike -----------------------------------------------------------------------------

    def _segments(self) -> list[_Segment]:
        """The rounds, divided where an equation begins, ends or takes another form."""
        bodies = {e.out: substitute(e.body, {self.loop.letters[e.out]: self.letter}) for e in self.members}
        ends = [ZERO, *(self.loop.letters[t].extent for t in bodies)]
        ends += [x for b in bodies.values() for m in walk(b) if isinstance(m, Compare) for x in self._turns(m)]
        limit = size(self.letter.extent, self.sizes)
        assert limit is not None
        at = {v: x for x in reversed(ends) if (v := size(x, self.sizes)) is not None and 0 <= v <= limit}
        out: list[_Segment] = []
        for value, following in itertools.pairwise(sorted(at)):
            forms = {}
            for t, body in bodies.items():
                extent = size(self.loop.letters[t].extent, self.sizes)
                if extent is not None and value < extent:
                    forms[t] = _simplified(body, lambda mask, v=value: self._decide(mask, v))  # type: ignore[misc]
            live = self._live(forms)
            if out and out[-1].forms == live:
                out[-1].last, out[-1].count = at[following], out[-1].count + following - value
            else:
                out.append(_Segment(at[value], at[following], value, following - value, live))
        return out

    def _live(self, forms: dict[Tensor, Expr]) -> dict[Tensor, Expr]:
        """Without what nothing reads in these rounds, nor later."""
        live: dict[Tensor, Expr] = {}
        for e in reversed(self.members):
            t = e.out
            if t in forms and (t in self.history or any(t in reads(body) for body in live.values())):
                live[t] = forms[t]
        return {e.out: live[e.out] for e in self.members if e.out in live}

    @staticmethod
    def _is_a_start(first: _Segment, rest: _Segment) -> bool:
        """Whether a first round is so much less than the others that it is written before the loop."""
        return first.count == 1 and 2 * len(first.forms) <= len(rest.forms)

    def _turns(self, mask: Compare) -> list[Expr]:
        """The places at which a mask over the round may change."""
        distance = add(mask.right, mul(-1, mask.left))
        if mask.letters == {self.letter} and is_polynomial(distance):
            for sign in (1, -1):
                rest = add(distance, mul(-sign, self.letter))
                if not rest.letters:
                    place = mul(-sign, rest)
                    return [add(place, -1), place, add(place, 1)]
        return []

    def _decide(self, mask: Compare, value: Fraction) -> Expr:
        """A mask over the round, in the rounds that begin with number ``value``."""
        if not self._turns(mask):
            return mask
        sides = [size(substitute(x, {self.letter: num(value)}), self.sizes) for x in (mask.left, mask.right)]
        return mask if None in sides else compare(mask.op, *(num(x) for x in sides if x is not None))

    def _cases(self, e: Equation, segments: list[_Segment]) -> list[tuple[Expr, Expr]]:
        """The conditions on the round under which an equation takes one form, and that form."""
        runs: list[tuple[int, int, Expr]] = []
        for k, s in enumerate(segments):
            form = s.forms.get(e.out)
            if form is not None and runs and runs[-1][1] == k and runs[-1][2] == form:
                runs[-1] = runs[-1][0], k + 1, form
            elif form is not None:
                runs.append((k, k + 1, form))
        out = []
        for first, last, form in runs:
            if last == first + 1 and segments[first].count == 1 < len(segments):
                condition = compare("==", self.letter, segments[first].first)
            else:
                lower = [] if first == 0 else [compare("<=", segments[first].first, self.letter)]
                upper = [] if last == len(segments) else [compare("<", self.letter, segments[last - 1].last)]
                condition = mul(*lower, *upper)
            out.append((condition, form))
        return out

    # --- slices --------------------------------------------------------------------------------------------

    def _sliced(self, e: Equation, body: Expr, at: Expr, condition: Expr = ONE) -> Rounded:
        """The parts of one equation in one round, and the views on which they work."""
        used: dict[View, None] = {}
        letter = self.loop.letters[e.out]
        place = add(at, 1) if e.out in self.into else at
        target = self._slice(self.into.get(e.out, e.out), e.letters.index(letter), place, used)
        letters = tuple(x for x in e.letters if x != letter)
        if e.out.rank == 1 and target.rank:
            letters = (fresh(ONE, letter.hint),)

        def visit(x: Expr) -> Expr:
            x = map_children(x, visit)  # places may read data of this round
            return self._read(x, at, used) if isinstance(x, Access) else x

        parts = self.split(Equation(target, letters, visit(body), span=e.span, note=e.note))
        return Rounded(condition, tuple(used), tuple(parts))

    def _read(self, a: Access, at: Expr, used: dict[View, None]) -> Expr:
        """An access at a place of this round, in terms of a slice."""
        own = a.tensor in self.loop.letters
        if a.tensor in self.slices:
            return a
        axes = [
            k for k, p in enumerate(a.places) if (self.loop.axis(a.tensor) == k if own else self.letter in p.letters)
        ]
        if len(axes) != 1 or (not own and shift(a.places[axes[0]], self.letter) is None):
            return a
        axis = axes[0]
        rest = (*a.places[:axis], *a.places[axis + 1 :])
        place = add(a.places[axis], 1) if a.tensor in self.into else a.places[axis]
        sliced = self._slice(self.into.get(a.tensor, a.tensor), axis, place, used)
        return sliced.at(rest or ((ZERO,) if sliced.rank else ()))

    def _slice(self, t: Tensor, axis: int, place: Expr, used: dict[View, None]) -> Tensor:
        """The slice of ``t`` at ``place``: a view of what is kept for all rounds, or a tensor of its own."""
        rest = (*t.axes[:axis], *t.axes[axis + 1 :])
        if t in self.loop.letters and t not in self.history:
            if t not in self.own:
                self.own[t] = t.like(axes=rest, kind="value", properties=())
                self.slices[self.own[t]] = self.loop.origin.get(t, t)
            return self.own[t]
        key = (t, axis, place)
        if key not in self.views:
            distance = shift(place, self.letter)
            suffix = "" if not distance else f"{distance}" if distance > 0 else f"m{-distance}"
            name = f"{t.name}_{self.letter.hint}{suffix}" if distance is not None else f"{t.name}_start"
            made = t.like(name=name, axes=rest or (ONE,), properties=(), init=None, values=None, kind="value")
            self.views[key] = View(made, t, axis, place)
            found = next((r for r, h in self.into.items() if h is t), t)
            self.slices[made] = t if distance is None else found
        used.setdefault(self.views[key])
        return self.views[key].tensor
