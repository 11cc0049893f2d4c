"""What a recurrence takes along: equations beside it that can be computed in its rounds.

In: blocks of equations in order. Out: the same, where an equation whose every operand is a slice of the round has
become one of the round's. A product for each place of an axis, dW[l] = A[l]ᵀ dZ[l], is a matrix product there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derive.expr import Letter
from derive.program import Equation, Tensor, reads
from derive.recurrence import Recurrence, shift
from derive.rewrite import accesses

Block = Equation | Recurrence


def joined(order: Sequence[Block]) -> list[Block]:
    """The blocks, each recurrence with what it takes along."""
    out: list[Block] = []
    waiting = list(order)
    while waiting:
        loop, *waiting = waiting
        if not isinstance(loop, Recurrence):
            out.append(loop)
            continue
        later = {t for b in waiting for t in _defined(b)}
        taken: list[Block] = []
        for b in waiting:
            letter = _letter(b, loop) if isinstance(b, Equation) and later.isdisjoint(reads(b.body)) else None
            if letter is not None and isinstance(b, Equation):
                taken.append(b)
                later.discard(b.out)
                loop = replace(loop, equations=(*loop.equations, b), letters={**loop.letters, b.out: letter})
        out.append(loop)
        waiting = [b for b in waiting if b not in taken]
    return out


def _defined(b: Block) -> list[Tensor]:
    return [e.out for e in b.equations] if isinstance(b, Recurrence) else [b.out]


def _letter(e: Equation, loop: Recurrence) -> Letter | None:
    """The letter of an equation that may be that of the rounds: every operand is read at its place in one axis."""
    rounds = {x.extent for x in loop.letters.values()}
    found = [a for a in accesses(e.body) if a.tensor.rank]
    for letter in e.letters:
        if letter.extent in rounds and all(_at(a.places, letter) for a in found):
            own = [a.places[loop.axis(a.tensor)] for a in found if a.tensor in loop.letters]
            distances = [shift(p, letter) for p in own]  # of an axis as long as the rounds, but another, there is none
            if own and all(d is not None and d * loop.step <= 0 for d in distances):
                return letter
    return None


def _at(places: Sequence[object], letter: Letter) -> bool:
    return sum(shift(p, letter) is not None for p in places) == 1  # type: ignore[arg-type]
