"""The cheapest order in which to multiply and sum a product of many tensors, two at a time.

In: the letters of each factor, the letters that stay, the extent of each letter. Out: a binary tree over the factors
and its operations. Up to eight factors the tree is the best of all (dynamic programming over subsets, outer products
included); more are first paired greedily.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

L = TypeVar("L")
EXACT = 8  # so many factors have 3,280 pairs of subsets


@dataclass(frozen=True)
class Path(Generic[L]):
    """A factor (``factor`` is its number) or the product of two paths, with what has been summed by then.

    ``letters`` are those that are left, ``summed`` those that this step sums out, ``operations`` what everything up to
    here takes: two for each multiplication that is added up, one for each other. ``stored`` is how many elements the
    products on the way have. What is ``known`` is there already and takes nothing.
    """

    letters: frozenset[L]
    summed: frozenset[L]
    operations: int
    stored: int = 0
    factor: int | None = None
    pair: tuple[Path[L], Path[L]] | None = field(default=None, repr=False)
    known: bool = False

    @property
    def factors(self) -> tuple[int, ...]:
        """The numbers of its factors, in order."""
        if self.pair is None:
            return () if self.factor is None else (self.factor,)
        return tuple(sorted((*self.pair[0].factors, *self.pair[1].factors)))


def volume(letters: frozenset[L], extents: Mapping[L, int]) -> int:
    """How many elements a tensor with these letters has."""
    size = 1
    for letter in letters:
        size *= extents[letter]
    return size


def best_path(
    factors: Sequence[frozenset[L]],
    kept: frozenset[L],
    extents: Mapping[L, int],
    known: Callable[[Path[L]], bool] = lambda path: False,
    alike: Callable[[Path[L], Path[L]], bool] = lambda path, other: False,
) -> Path[L]:
    """The path with the fewest operations; of equal ones that which stores least, then the first.

    ``known`` tells of what a path computes whether it has been computed before, ``alike`` of two paths whether they
    compute the same: wᵀ Xᵀ X w is a square.

    >>> A, B, v = (frozenset(s) for s in ("ij", "kj", "k"))
    >>> path = best_path([A, B, v], frozenset("i"), {"i": 10, "j": 20, "k": 30})
    >>> path.operations, [p.factor for p in path.pair], path.pair[1].operations
    (1600, [0, None], 1200)
    """
    work = [_summed(letters, _others(factors, k) | kept, extents, factor=k) for k, letters in enumerate(factors)]
    while len(work) > EXACT:
        pairs = [(a, b) for a in range(len(work)) for b in range(a + 1, len(work))]
        a, b = min(pairs, key=lambda ab: _growth(work, ab, kept, extents))
        joined = _joined(work[a], work[b], _left(work, (a, b)) | kept, extents)
        work = [p for k, p in enumerate(work) if k not in (a, b)] + [joined]
    return _exact(work, kept, extents, known, alike)


def _exact(
    work: Sequence[Path[L]],
    kept: frozenset[L],
    extents: Mapping[L, int],
    known: Callable[[Path[L]], bool],
    alike: Callable[[Path[L], Path[L]], bool],
) -> Path[L]:
    whole = (1 << len(work)) - 1
    outside = [kept.union(*(p.letters for k, p in enumerate(work) if not mask >> k & 1)) for mask in range(whole + 1)]
    best: dict[int, Path[L]] = {1 << k: p for k, p in enumerate(work)}
    for mask in range(1, whole + 1):
        if mask in best:
            continue
        lowest = mask & -mask
        part = (mask - 1) & mask
        while part:
            if part & lowest:
                one, other = best[part], best[mask ^ part]
                path = _joined(one, other, outside[mask], extents)
                if one.pair is not None and other.pair is not None and alike(one, other):
                    path = replace(
                        path, operations=path.operations - other.operations, stored=path.stored - other.stored
                    )
                if mask not in best or _rank(path) < _rank(best[mask]):
                    best[mask] = path
            part = (part - 1) & mask
        if known(best[mask]):
            best[mask] = replace(best[mask], operations=0, stored=0, known=True)
    return best[whole]


def _rank(path: Path[L]) -> tuple[int, int]:
    return path.operations, path.stored


def _joined(a: Path[L], b: Path[L], needed: frozenset[L], extents: Mapping[L, int]) -> Path[L]:
    """The product of two paths, summed over what nothing else needs."""
    union = a.letters | b.letters
    left = union & needed
    operations = a.operations + b.operations + (2 if left != union else 1) * volume(union, extents)
    return Path(left, union - left, operations, a.stored + b.stored + volume(left, extents), None, (a, b))


def _summed(letters: frozenset[L], needed: frozenset[L], extents: Mapping[L, int], factor: int) -> Path[L]:
    """One factor, summed over the letters that it alone has."""
    left = letters & needed
    cost = 2 * volume(letters, extents) if left != letters else 0
    return Path(left, letters - left, cost, volume(left, extents) if cost else 0, factor)


def _others(factors: Sequence[frozenset[L]], without: int) -> frozenset[L]:
    return frozenset[L]().union(*(f for k, f in enumerate(factors) if k != without))


def _left(work: Sequence[Path[L]], pair: tuple[int, int]) -> frozenset[L]:
    return frozenset[L]().union(*(p.letters for k, p in enumerate(work) if k not in pair))


def _growth(
    work: Sequence[Path[L]], pair: tuple[int, int], kept: frozenset[L], extents: Mapping[L, int]
) -> tuple[int, int]:
    """How much larger the product is than its factors, then what it takes."""
    a, b = (work[k] for k in pair)
    joined = _joined(a, b, _left(work, pair) | kept, extents)
    grown = volume(joined.letters, extents) - volume(a.letters, extents) - volume(b.letters, extents)
    return grown, joined.operations - a.operations - b.operations
