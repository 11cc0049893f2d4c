"""The rounds of a repetition as symbols: round l, round l+1, the last round.

In: a scheme whose forward equations are prepared. Out: the equations of any round, with the tensors of the others named
by their index, so that `W{l+1}` is the same tensor wherever it is mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from derive.errors import GradcError
from derive.expr import Dim, Expr, Num, add, mul
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, reads
from derive.repeat.members import base_and_offset, member, moved, shifted
from derive.repeat.scheme import Repeat, Scheme, transplanted


class NoInductionError(GradcError):
    """A scheme that cannot be derived with its depth as a symbol; it still can at any depth."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A scheme with one repetition: what stands before it, a round of it, and what stands after it, all prepared."""

    scheme: Scheme
    before: tuple[Equation, ...]
    repeat: Repeat
    after: tuple[Equation, ...]

    @property
    def letter(self) -> str:
        """The letter of the repetition."""
        return self.repeat.letter

    @property
    def forward(self) -> Scheme:
        """The prepared forward scheme."""
        declared = [i for i in self.scheme.items if isinstance(i, Tensor)]
        inner = tuple(i for i in self.repeat.items if isinstance(i, Tensor))
        repeat = replace(self.repeat, items=(*inner, *self.repeat.equations))
        return replace(self.scheme, items=(*declared, *self.before, repeat, *self.after))


def outline(scheme: Scheme) -> Outline:
    """The parts of a scheme, their hidden intermediates named.

    Raises NoInductionError where there is not just one repetition.
    """
    repeats = scheme.repeats
    if len(repeats) != 1:
        raise NoInductionError(f"the model has {len(repeats) or 'no'} repetitions, and one is derived at a time")
    repeat = repeats[0]
    if any(isinstance(i, Repeat) for i in repeat.items):
        raise NoInductionError("a repetition within a repetition")
    place = scheme.items.index(repeat)
    parts = (scheme.items[:place], repeat.items, scheme.items[place + 1 :])
    written = [tuple(i for i in part if isinstance(i, Equation)) for part in parts]
    known: list[Tensor] = list(scheme.declared)
    before, body, after = (_prepared(scheme.frame, equations, known, k == 2) for k, equations in enumerate(written))
    families = {t.family for t in known if t.family is not None}
    for e in body:
        if e.out.family is None:
            name = e.out.name
            while name in families:
                name += "_"
            families.add(name)
            e.out.family, e.out.index, e.out.name = name, Dim(repeat.letter), member(name, Dim(repeat.letter))
    return Outline(
        scheme, before, replace(repeat, items=(*(i for i in repeat.items if isinstance(i, Tensor)), *body)), after
    )


def _prepared(frame: Program, equations: tuple[Equation, ...], known: list[Tensor], last: bool) -> tuple[Equation, ...]:
    """The equations of one part, prepared by themselves."""
    own = {e.out for e in equations}
    outside = dict.fromkeys([*known, *(t for e in equations for t in reads(e.body) if t not in own)])
    program = replace(
        frame, declared=tuple(outside), equations=equations, objective=frame.objective if last else None, outputs=()
    )
    done = prepare(program).equations
    known += [e.out for e in done]
    return done


class Rounds:
    """Tensors and equations of an outline at symbolic rounds."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.letter = outline.letter
        self.first, self.last = outline.repeat.first, outline.repeat.last
        self.body = outline.repeat.equations
        self.outside = {*outline.scheme.outside, *(e.out for e in (*outline.before, *outline.after))}
        inner = [*outline.repeat.items]
        self.offsets: dict[str, int] = {}
        for item in inner:
            t = item.out if isinstance(item, Equation) else item
            if isinstance(t, Tensor) and t.family is not None and t.index is not None:
                self.offsets[t.family] = (base_and_offset(t.index) or ("", 0))[1]
        self._tensors: dict[tuple[str, str], Tensor] = {}
        for t in self._mentioned():
            if t.family is not None:
                self._tensors.setdefault(((t.kind == "cotangent" and "d") or "", t.name), t)
        self.lag = max((self._lag(t) for e in self.body for t in reads(e.body)), default=0) or 1

    def _mentioned(self) -> Iterable[Tensor]:
        o = self.outline
        for e in (*o.before, *self.body, *o.after):
            yield e.out
        yield from o.scheme.declared
        for e in (*o.before, *self.body, *o.after):
            yield from reads(e.body)

    def _lag(self, t: Tensor) -> int:
        """How many rounds back a member is read in a round."""
        if t.family not in self.offsets or t.index is None:
            return 0
        base, offset = base_and_offset(t.index) or ("", 0)
        if base != self.letter:
            if t in self.outside:
                return 0
            raise NoInductionError(f"every round reads {t.name}")
        return self.offsets[t.family] - offset

    def round_of(self, t: Tensor) -> Expr | None:
        """The round that a tensor belongs to; None for what stands outside of the repetition."""
        if t.family not in self.offsets or t.index is None:
            return None
        return shifted(t.index, -self.offsets[t.family])

    def ahead(self, t: Tensor, here: Expr) -> int | None:
        """How many rounds after ``here`` a tensor belongs to; None outside of the repetition."""
        there = self.round_of(t)
        gap = None if there is None else add(there, mul(-1, here))
        return int(gap.value) if isinstance(gap, Num) else None

    def tensor(self, t: Tensor, to: Expr) -> Tensor:
        """The tensor of round ``to`` that a tensor of round l is."""
        if t.family is None or t.index is None:
            return t
        index = moved(t.index, {self.letter: to})
        kind = "d" if t.kind == "cotangent" else ""
        name = kind + member(t.family, index)
        if (kind, name) not in self._tensors:
            self._tensors[kind, name] = t.like(
                name=name,
                axes=tuple(moved(a, {self.letter: to}) for a in t.axes),
                index=index,
                primal=None if t.primal is None else self.tensor(t.primal, to),
            )
        return self._tensors[kind, name]

    def cotangent(self, primal: Tensor) -> Tensor:
        """The one cotangent of a tensor."""
        key = ("d", "d" + primal.name)
        if key not in self._tensors:
            self._tensors[key] = Tensor(
                key[1],
                primal.axes,
                "cotangent",
                primal=primal,
                hidden=primal.hidden,
                family=primal.family,
                index=primal.index,
            )
        return self._tensors[key]

    def at(self, equation: Equation, to: Expr) -> Equation:
        """An equation of round l as that of round ``to``."""
        return transplanted(equation, lambda t: self.tensor(t, to), lambda e: moved(e, {self.letter: to}))

    def tensor_of_letter(self, t: Tensor, ahead: int) -> Tensor:
        """The tensor of round l that a tensor ``ahead`` rounds after it is."""
        return self.tensor(t, shifted(Dim(self.letter), -ahead))

    def is_of_round(self, t: Tensor) -> bool:
        """Whether a round defines or declares it, or reads it of another round."""
        if t.family not in self.offsets or t.index is None:
            return False
        return (base_and_offset(t.index) or ("", 0))[0] == self.letter

    def stand_in(self, t: Tensor, letter: Expr) -> Tensor:
        """A member of its own in every round for a tensor that every round reads."""
        name = re.sub(r"\W", "", t.name)
        self.offsets[name] = 0
        out = t.like(name=member(name, letter), family=name, index=letter, kind="param", hidden=False)
        self._tensors["", out.name] = out
        return out

    def round(self, to: Expr) -> list[Equation]:
        """The equations of round ``to``."""
        return [self.at(e, to) for e in self.body]
