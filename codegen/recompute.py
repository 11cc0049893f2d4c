"""Recomputing: what a recurrence found in a round is found again, from its states, when it runs backwards.

In: the blocks of a function. Out: the same, in which a loop that runs back computes what it reads of the rounds of
another, but for the states themselves; then only the states are kept for all rounds. Wanted by `option residuals =
recompute`: less memory, more work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derive.expr import Access, Expr
from derive.program import Equation, Tensor, reads
from derive.recurrence import Recurrence
from derive.rewrite import accesses, map_children

Block = Equation | Recurrence


def recomputed(order: Sequence[Block], kept: frozenset[Tensor]) -> list[Block]:
    """The blocks with what is recomputed in the loops that read it; ``kept`` tensors stay where they are."""
    forward = {e.out: (loop, e) for loop in order if isinstance(loop, Recurrence) and loop.step > 0
               for e in loop.equations}  # fmt: skip
    return [_with_rounds(b, order, forward, kept) if isinstance(b, Recurrence) and b.step < 0 else b for b in order]


def _with_rounds(
    back: Recurrence,
    order: Sequence[Block],
    forward: dict[Tensor, tuple[Recurrence, Equation]],
    kept: frozenset[Tensor],
) -> Recurrence:
    """The loop with copies of the equations whose tensors it reads in its own round."""
    others = [e for b in order if b is not back for e in (b.equations if isinstance(b, Recurrence) else (b,))]
    elsewhere = kept.union(*(reads(e.body) for e in others if e.out not in forward))
    chosen: dict[Tensor, Tensor] = {}

    def choose(e: Equation, letter: Expr) -> None:
        for a in accesses(e.body):
            if a.tensor in forward and a.tensor not in chosen and a.tensor not in elsewhere:
                loop, found = forward[a.tensor]
                same = a.places[loop.axis(a.tensor)] == letter
                if same and not _is_state(found, loop):
                    chosen[a.tensor] = a.tensor.like()
                    choose(found, loop.letters[a.tensor])

    for e in back.equations:
        choose(e, back.letters[e.out])

    def visit(x: Expr, letter: Expr) -> Expr:
        x = map_children(x, lambda child: visit(child, letter))
        if isinstance(x, Access) and x.tensor in chosen:
            loop, _ = forward[x.tensor]
            return Access(chosen[x.tensor], x.places) if x.places[loop.axis(x.tensor)] == letter else x
        return x

    again: list[Equation] = []
    letters = dict(back.letters)
    for t, copy in chosen.items():
        loop, found = forward[t]
        letters[copy] = loop.letters[t]
        again.append(replace(found, out=copy, body=visit(found.body, loop.letters[t])))
    rank = {e.out: k for loop, _ in forward.values() for k, e in enumerate(loop.equations)}
    origin = {copy: t for t, copy in chosen.items()}
    again.sort(key=lambda e: rank[origin[e.out]])
    equations = tuple(e.with_body(visit(e.body, back.letters[e.out])) for e in back.equations)
    return replace(back, equations=(*again, *equations), letters=letters, origin=origin)


def _is_state(e: Equation, loop: Recurrence) -> bool:
    """Whether a tensor carries something from round to round: it is read, or reads, at another place."""
    own = loop.letters
    moved = {a.tensor for d in loop.equations for a in accesses(d.body)
             if a.tensor in own and a.places[loop.axis(a.tensor)] != own[d.out]}  # fmt: skip
    reaching = any(a.tensor in own and a.places[loop.axis(a.tensor)] != own[e.out] for a in accesses(e.body))
    return e.out in moved or reaching
