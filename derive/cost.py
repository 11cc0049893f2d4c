"""What a formula costs: a polynomial in one size symbol, so that no choice depends on actual sizes.

In: an expression. Out: operations by degree, each distinct sub-expression counted once over its own letters; a sum
of products counts at its best order of elimination. Costs compare from the highest degree down.
"""

from __future__ import annotations

import itertools
from functools import lru_cache, total_ordering

from derive.digits import digits
from derive.expr import (
    MINUS_ONE,
    Access,
    Add,
    Call,
    Const,
    Dim,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    extremum,
    split_power,
)
from derive.functions import ABS, SIGN
from derive.rewrite import factors
from derive.scalar import operations
from derive.scatter import landed, landings

DEGREES = 12


@total_ordering
class Cost:
    """Weighted operations by degree.

    >>> Cost({2: 3}) < Cost({3: 1})
    True
    """

    __slots__ = ("by_degree",)

    def __init__(self, by_degree: dict[int, int] | None = None) -> None:
        self.by_degree = {k: v for k, v in (by_degree or {}).items() if v}

    @property
    def key(self) -> tuple[int, ...]:
        """From the highest degree down."""
        return tuple(self.by_degree.get(k, 0) for k in range(DEGREES, -1, -1))

    @property
    def degree(self) -> int:
        """The highest degree with an operation in it."""
        return max(self.by_degree, default=0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cost) and self.by_degree == other.by_degree

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: Cost) -> bool:
        return self.key < other.key

    def __add__(self, other: Cost) -> Cost:
        keys = {*self.by_degree, *other.by_degree}
        return Cost({k: self.by_degree.get(k, 0) + other.by_degree.get(k, 0) for k in sorted(keys)})

    def __repr__(self) -> str:
        parts = [f"{v}·s^{k}" if k else str(v) for k, v in sorted(self.by_degree.items(), reverse=True)]
        return " + ".join(parts) or "0"


@lru_cache(maxsize=8192)  # the same forms are weighed against others again and again
def cost(*expressions: Expr) -> Cost:
    """What evaluating the expressions costs, shared sub-expressions once."""
    counts: dict[int, int] = {}
    for n, letters in charges(*expressions):
        counts[len(letters)] = counts.get(len(letters), 0) + n
    return Cost(counts)


def charges(*expressions: Expr) -> list[tuple[int, frozenset[Letter]]]:
    """Every operation of the expressions, with the letters over which it is repeated."""
    found: list[tuple[int, frozenset[Letter]]] = []
    seen: set[Expr] = set()

    def visit(e: Expr) -> None:
        if e in seen or isinstance(e, (Access, Letter, Num, Dim, Const)):  # places cost nothing
            return
        seen.add(e)
        if isinstance(e, Reduce):
            places = [place for _, _, place in landings(e, e.letters)]
            if all(digits(place) is not None and not isinstance(place, Letter) for place in places):
                e = landed(e)  # several axes become one: each term is written where it belongs
            found.extend(_reduction(e))
            for f in factors(e.body):
                visit(f)
            return
        own = _own_operations(e)
        if own:
            found.append((own, frozenset(e.letters)))
        larger = extremum(e) if isinstance(e, Select) else None
        for c in e.children if larger is None else larger[1:]:  # the larger of two is one operation
            if isinstance(c, Expr):
                visit(c)

    for e in expressions:
        visit(e)
    return found


def _own_operations(e: Expr) -> int:
    match e:
        case Mul():
            numbers = sum(isinstance(split_power(f)[0], (Num, Const)) for f in e.args)
            signed = numbers == 1 and e.args[0] == MINUS_ONE
            return len(e.args) - max(numbers, 1) - signed  # numbers that are known make one number
        case Add():
            return len(e.args) - 1
        case Pow():
            return operations(Pow(Dim("x"), e.exponent))
        case Call():
            return 1 if e.function in (ABS, SIGN) else 10
        case Mask() | Select():
            return 1
    return 0


def _reduction(e: Reduce) -> list[tuple[int, frozenset[Letter]]]:
    parts = [f.letters for f in factors(e.body)]
    plan = best_elimination([p for p in parts if p], frozenset(e.binders)) if e.op == "sum" else None
    if plan is None:
        return [(max(1, len(parts)), frozenset(e.body.letters))]
    found = [(1 + multiplications, letters) for letters, multiplications in plan]
    outside = [f for f in factors(e.body) if not f.letters and f != MINUS_ONE]
    # what mentions no letter costs what it would cost in front of the sum
    return [*found, *([(len(outside), frozenset(e.letters))] if outside else [])]


Elimination = list[tuple[frozenset[Letter], int]]


def best_elimination(parts: list[frozenset[Letter]], binders: frozenset[Letter]) -> Elimination | None:
    """The cheapest order in which to sum the binders out: (letters, multiplications) a step; None if too many.

    Each step multiplies the factors that mention one binder and sums it out.
    """
    if len(binders) > 4:
        return None
    best: Elimination | None = None
    least: list[tuple[int, int]] = []
    for order in itertools.permutations(sorted(binders, key=lambda b: b.key)):
        remaining, steps = list(parts), Elimination()
        for b in order:
            group = [p for p in remaining if b in p]
            if not group:
                continue
            union = frozenset[Letter]().union(*group)
            steps.append((union, len(group) - 1))
            # binders of the group that nothing else mentions go with it
            rest = [p for p in remaining if b not in p]
            elsewhere = frozenset[Letter]().union(*rest) if rest else frozenset[Letter]()
            gone = {x for x in union if x in binders and x not in elsewhere} | {b}
            remaining = [*rest, union - gone]
        if len(remaining) > 1:  # what is left is multiplied, without a summation
            steps.append((frozenset[Letter]().union(*remaining), len(remaining) - 2))
        key = sorted(((len(letters), count) for letters, count in steps), reverse=True)
        if best is None or key < least:
            best, least = steps, key
    return best
