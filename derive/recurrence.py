"""Recurrences: equations that read each other at another place along one axis.

In: equations in any order. Out: the same in an order in which they can be computed; those that lead back to themselves
together, with the axis along which they do and the direction in which it runs. Nothing marks a recurrence: it is found
from what reads what, in a program as it was read and in its derivative, which runs the other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from derive.errors import GradcError
from derive.expr import Access, Expr, Letter, Num, add, mul
from derive.program import Equation, Tensor, reads
from derive.rewrite import accesses
from derive.shapes import never_negative


@dataclass(frozen=True, eq=False)
class Recurrence:
    """Equations that are computed together, one place after another.

    ``equations`` stand in the order of one round, ``letters`` says for each tensor which letter of its equation runs
    along the axis; ``step`` is 1 where later places read earlier ones, -1 where it is the other way. ``origin``
    says of a copy what it is a copy of.
    """

    equations: tuple[Equation, ...]
    letters: Mapping[Tensor, Letter]
    step: int
    origin: Mapping[Tensor, Tensor] = field(default_factory=dict)

    @property
    def extent(self) -> Expr:
        """How many rounds there are: the longest of the axes."""
        longest, *others = (letter.extent for letter in self.letters.values())
        for e in others:
            longest = e if never_negative(add(e, mul(-1, longest))) else longest
        return longest

    def axis(self, t: Tensor) -> int:
        """The number of the axis of ``t`` along which it recurs."""
        return next(k for e in self.equations if e.out is t for k, x in enumerate(e.letters) if x == self.letters[t])


def blocks(equations: Sequence[Equation]) -> list[Equation | Recurrence]:
    """The equations, each after what it reads; those that read each other as a `Recurrence`.

    >>> from derive.expr import Dim, compare, fresh, select
    >>> T = Dim("T"); H, R = Tensor("H", (T + 1,)), Tensor("R", (T,))
    >>> s, t = fresh(T + 1, "s"), fresh(T, "t")
    >>> first = Equation(H, (s,), select(compare("==", s, 0), 1, R[s - 1]))
    >>> [loop] = blocks([first, Equation(R, (t,), H[t] * H[t])])
    >>> [e.out for e in loop.equations], loop.step, loop.extent
    ([H, R], 1, T + 1)

    Raises GradcError where equations read each other without an axis along which one comes before the other.
    """
    if _in_order(equations):
        return list(equations)
    return [group[0] if len(group) == 1 and not _reads_itself(group[0]) else recurrence(group)
            for group in _components(equations)]  # fmt: skip


def in_order(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The equations in the order of `blocks`, one after another."""
    return tuple(e for b in blocks(equations) for e in (b.equations if isinstance(b, Recurrence) else (b,)))


def recurring(equations: Sequence[Equation]) -> dict[Tensor, Recurrence]:
    """Which tensors are defined by a recurrence, and by which."""
    return {e.out: b for b in blocks(equations) if isinstance(b, Recurrence) for e in b.equations}


def _in_order(equations: Iterable[Equation]) -> bool:
    waiting = {e.out for e in equations}
    for e in equations:
        if not waiting.isdisjoint(reads(e.body)):
            return False
        waiting.discard(e.out)
    return True


def _reads_itself(e: Equation) -> bool:
    return e.out in reads(e.body)


def _components(equations: Sequence[Equation]) -> list[list[Equation]]:
    """The strongly connected parts of what reads what, in an order of computation (Tarjan 1972)."""
    defined = {e.out: e for e in equations}
    behind = {e.out: [t for t in reads(e.body) if t in defined] for e in equations}
    place = {e.out: k for k, e in enumerate(equations)}
    number: dict[Tensor, int] = {}
    low: dict[Tensor, int] = {}
    stack: list[Tensor] = []
    out: list[list[Equation]] = []
    for start in equations:
        if start.out in number:
            continue
        path: list[tuple[Tensor, Iterator[Tensor]]] = []

        def enter(t: Tensor, path: list[tuple[Tensor, Iterator[Tensor]]] = path) -> None:
            number[t] = low[t] = len(number)
            stack.append(t)
            path.append((t, iter(behind[t])))

        enter(start.out)
        while path:
            t, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[t])
                if low[t] == number[t]:
                    k = stack.index(t)
                    out.append([defined[x] for x in sorted(stack[k:], key=place.__getitem__)])
                    del stack[k:]
            elif following not in number:
                enter(following)
            elif following in stack:
                low[t] = min(low[t], number[following])
    return out


def recurrence(group: Sequence[Equation]) -> Recurrence:
    """The equations of one group with their axis and direction.

    Raises GradcError where there is none.
    """
    own = {e.out for e in group}
    within = {e.out: [a for a in accesses(e.body) if a.tensor in own] for e in group}
    names = ", ".join(e.out.name for e in group)
    for letter in group[0].letters:
        letters = _aligned(group, within, {group[0].out: letter})
        found = None if letters is None else _along(group, within, letters)
        if found is not None:
            return found
    raise GradcError(
        f"{names}: defined by way of itself, and not along an axis; a recurrence reads at t, or at one earlier place, "
        "where it defines t+1"
    )


def _along(
    group: Sequence[Equation], within: Mapping[Tensor, list[Access]], letters: Mapping[Tensor, Letter]
) -> Recurrence | None:
    """The recurrence along these letters; None where places before and after are read, or the same one in a circle."""
    axis = {e.out: e.letters.index(letters[e.out]) for e in group}
    distances = {
        (e.out, a.tensor, shift(a.places[axis[a.tensor]], letters[e.out])) for e in group for a in within[e.out]
    }
    signs = {1 if d > 0 else -1 for _, _, d in distances if d}
    ordered = _round(group, {(a, b) for a, b, d in distances if d == 0})
    if len(signs) != 1 or ordered is None:
        return None
    return Recurrence(tuple(ordered), letters, -signs.pop())


def shift(place: Expr, letter: Letter) -> int | None:
    """C where ``place`` is ``letter + c``."""
    if letter not in place.letters:
        return None
    rest = add(place, mul(-1, letter))
    return int(rest.value) if isinstance(rest, Num) and rest.value.denominator == 1 else None


def _aligned(
    group: Sequence[Equation], within: Mapping[Tensor, list[Access]], known: dict[Tensor, Letter]
) -> dict[Tensor, Letter] | None:
    """The letter of every equation that runs along the axis, if ``known`` ones can be continued."""
    defined = {e.out: e for e in group}
    for t, letter in known.items():
        for a in within[t]:
            options = [defined[a.tensor].letters[k] for k, p in enumerate(a.places) if shift(p, letter) is not None]
            if a.tensor in known:
                if known[a.tensor] not in options:
                    return None
                continue
            found = (_aligned(group, within, {**known, a.tensor: option}) for option in options)
            return next((f for f in found if f is not None), None)
    return known if len(known) == len(group) else None


def _round(group: Sequence[Equation], before: set[tuple[Tensor, Tensor]]) -> list[Equation] | None:
    """The equations so that each reads at its own place only what stands before it; None if there is no such order."""
    done: list[Equation] = []
    waiting = list(group)
    while waiting:
        left = {e.out for e in waiting}
        ready = next((e for e in waiting if not any(e.out is a and b in left for a, b in before)), None)
        if ready is None:
            return None
        waiting.remove(ready)
        done.append(ready)
    return done
