"""Both sides of a claim as numbers, at points where every promise of the model holds.

In: points, and the equations of a derivation. Out: trials, and the largest difference and where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.claims.reader import Claim
from derive.errors import GradcError
from derive.evaluate import evaluate_expr, find_sizes, run
from derive.expr import Expr, Letter
from derive.points import Point
from derive.program import Equation, Program, Tensor

Array = NDArray[Any]

POINTS = 3
MOST = 16  # agreement is looked for at so many points: small arrays agree at a few by chance
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Witness:
    """Where both sides differ most: the sizes, the entry, what is right and what the line gives."""

    sizes: tuple[tuple[str, int], ...]
    name: str
    place: tuple[int, ...]
    right: float
    given: float

    def __str__(self) -> str:
        sizes = ", ".join(f"{k} = {v}" for k, v in self.sizes)
        entry = f"{self.name}[{', '.join(map(str, self.place))}]" if self.place else self.name
        return f"{f'at {sizes}: ' if sizes else ''}{entry} is {self.right:.6g}, the line gives {self.given:.6g}"


@dataclass(frozen=True, eq=False)
class Trial:
    """One point: all tensors of the derivation by value."""

    arrays: dict[Tensor, Array]
    sizes: dict[str, int]

    def value(self, e: Expr, letters: tuple[Letter, ...]) -> Array | None:
        """The array of an expression; None where it has none."""
        try:
            found = evaluate_expr(e, letters, self.arrays, self.sizes)
        except GradcError:
            return None
        return None if found is None else np.asarray(found, dtype=float)


def trial(program: Program, equations: Iterable[Equation], point: Point, sizes: Mapping[str, int]) -> Trial:
    """The derivation at one point."""
    known = {t.name: t for t in program.declared}
    arrays: dict[Tensor, Array] = {known[name]: np.asarray(a) for name, a in point.items()}
    arrays |= {t: np.array(_floats(t.values)) for t in program.declared if t.kind == "const"}
    extents = find_sizes(program, arrays, sizes)
    run(equations, arrays, extents)
    return Trial(arrays, extents)


class Trials:
    """The derivation at many points, each made when it is first asked for; those at which all is finite come first."""

    def __init__(
        self, program: Program, equations: tuple[Equation, ...], drawn: Iterable[Point], sizes: Mapping[str, int]
    ) -> None:
        self._points = iter(drawn)

        def make(point: Point) -> Trial:
            return trial(program, equations, point, sizes)

        self._make = make
        first = [self._make(point) for point in islice(self._points, 2 * POINTS)]
        self.known = sorted(first, key=lambda t: sum(not np.all(np.isfinite(a)) for a in t.arrays.values()))

    def __iter__(self) -> Iterator[Trial]:
        yield from self.known
        while len(self.known) < MOST:
            point = next(self._points, None)
            if point is None:
                return
            self.known.append(self._make(point))
            yield self.known[-1]

    @property
    def first(self) -> Trial:
        """The first of them."""
        return self.known[0]


def close(a: Array, b: Array, *, poles: bool = True) -> bool:
    """Whether two arrays agree wherever both are finite, and some entry is.

    A pole of ``b`` where ``a`` is finite (a division by data that are 0) counts as a difference.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if not np.any(both) or (poles and np.any(np.isfinite(a) & np.isinf(b))):
        return False
    scale = max(1e-3, float(np.max(np.abs(a[both]))), float(np.max(np.abs(b[both]))))
    return bool(np.max(np.abs(a[both] - b[both])) <= TOLERANCE * scale)


def agrees(claim: Claim, points: Iterable[Trial]) -> bool:
    """Whether both sides agree at every point at which they have values, and have some."""
    seen = False
    for trial in points:
        a, b = trial.value(claim.left, claim.letters), trial.value(claim.right, claim.right_letters)
        if a is None or b is None or a.shape != b.shape:
            return False
        if np.any(np.isfinite(a) & np.isfinite(b)):
            if not close(a, b):
                return False
            seen = True
    return seen


def has_values(claim: Claim, points: Iterable[Trial]) -> tuple[bool, bool]:
    """Whether the left side has a finite entry at some point, and whether the right side has."""
    some = list(islice(points, 2 * POINTS))
    pairs = [(t.value(claim.left, claim.letters), t.value(claim.right, claim.right_letters)) for t in some]
    left, right = (
        any(x is not None and bool(np.any(np.isfinite(x))) for x in side) for side in zip(*pairs, strict=True)
    )
    return left, right


def witness(claim: Claim, points: Iterable[Trial], *, poles: bool = True) -> Witness | None:
    """The entry that differs most, at the first point where one does."""
    for trial in points:
        a, b = trial.value(claim.left, claim.letters), trial.value(claim.right, claim.right_letters)
        if a is None or b is None or a.shape != b.shape:
            continue
        with np.errstate(invalid="ignore"):
            off = np.where(np.isfinite(a) & (np.isfinite(b) | (poles & np.isinf(b))), np.abs(a - b), 0.0)
        if off.size and not close(a, b, poles=poles) and np.any(off > 0):
            # The first of those that are largest up to rounding: the same entry on every machine.
            largest = int(np.argmax(off >= np.max(off) * (1 - TOLERANCE)))
            place = tuple(int(k) for k in np.unravel_index(largest, off.shape))
            sizes = tuple(sorted(trial.sizes.items()))
            return Witness(sizes, claim.line.name, place, float(a[place]), float(b[place]))
    return None


def _floats(values: Any) -> Any:
    return [_floats(v) for v in values] if isinstance(values, (list, tuple)) else float(values)
