"""Elimination of Kronecker deltas: where [i + c == e] stands under a sum over i, e − c takes the place of i.

In: the factors of a product and the letters it is summed over. Out: fewer letters. Plain letters are renamed, affine
places solved, with a guard for each bound that is not known to hold; data-dependent places stay as they are unless
their range is known.
"""

from __future__ import annotations

from derive.digits import digits, flat, matched, span
from derive.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Compare,
    Dim,
    Expr,
    Letter,
    Mul,
    Num,
    Pow,
    add,
    compare,
    fresh,
    mul,
    num,
    split_coefficient,
)
from derive.rewrite import factors, substitute, terms, walk
from derive.shapes import never_negative, polynomial


def eliminate(parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter], bool]:
    """Solve deltas for bound letters until none is left that can be; says whether any was."""
    changed = False
    while True:
        narrow = _narrowed(parts, bound)
        if narrow is not None:
            mask, letter, shorter = narrow
            bound = [shorter if b == letter else b for b in bound]
            parts = [substitute(p, {letter: shorter}) for p in parts if p is not mask]
            changed = True
            continue
        joined = _joined(parts, bound)
        if joined is not None:
            parts, bound = joined
            changed = True
            continue
        found = _solvable(parts, bound)
        if found is None:
            return parts, bound, changed
        delta, letter, value, guards = found
        changed = True
        bound = [b for b in bound if b != letter]
        moved = (substitute(p, {letter: value}) for p in parts if p is not delta)
        # [b·i + j == b·p + q] determines two letters, which is seen only where it is two equations
        parts = [*(f for p in moved for f in factors(decided(p) if isinstance(p, Compare) else p)), *guards]


def _narrowed(parts: list[Expr], bound: list[Letter]) -> tuple[Expr, Letter, Letter] | None:
    """[i < m] under a sum over i below n, m ≤ n: the sum over i below m."""
    for p in parts:
        if isinstance(p, Compare) and p.op == "<" and isinstance(p.left, Letter) and p.left in bound:
            extent = p.right
            if not extent.letters and is_polynomial(extent) and never_negative(add(p.left.extent, mul(-1, extent))):
                return p, p.left, fresh(extent, p.left.hint)
    return None


def _joined(parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]] | None:
    """Summed letters that only ever count through one axis together are one letter: Σ_{i,j} x[b·i + j] is Σ_k x[k]."""
    places = dict.fromkeys(p for part in parts for p in _places(part))
    runs: dict[tuple[Letter, ...], None] = {}
    for letters in (digits(p) for p in places if len(p.letters) > 1):
        for length in range(len(letters or ()), 1, -1):
            for k in range(len(letters or ()) - length + 1):
                runs.setdefault((letters or ())[k : k + length])
    for run in runs:
        if set(run) <= set(bound):
            one = fresh(span(run), run[-1].hint)
            table = {p: q for p in places if (q := _with_run(p, run, one)) != p}
            moved = [substitute(p, table) for p in parts]
            if not any(p.letters & set(run) for p in moved):
                return moved, [*(b for b in bound if b not in run), one]
    return None


def _places(e: Expr) -> list[Expr]:
    """The places of accesses in ``e`` and the sides of its comparisons."""
    found: list[Expr] = []
    for n in walk(e):
        found += n.places if isinstance(n, Access) else (n.left, n.right) if isinstance(n, Compare) else ()
    return found


def _with_run(place: Expr, run: tuple[Letter, ...], one: Letter) -> Expr:
    """The place with one letter for several that count side by side."""
    letters = digits(place) or ()
    for k in range(len(letters) - len(run) + 1):
        if letters[k : k + len(run)] == run:
            new = (*letters[:k], one, *letters[k + len(run) :])
            return flat(new, (x.extent for x in new))
    return place


def _solvable(parts: list[Expr], bound: list[Letter]) -> tuple[Expr, Letter, Expr, list[Expr]] | None:
    """A delta, the letter it determines, what that letter is, and the guards.

    A letter whose value needs no guard comes first, then the one that runs furthest: a convolution's cotangent stays
    a sum over the small kernel. Beside a stride, [k == 2i + p], nothing is solved under guards: over i and p
    the sum visits what there is, while over i alone most of its terms are 0.
    """
    affine: list[tuple[tuple[int, int], tuple[Expr, Letter, Expr, list[Expr]]]] = []
    for p in parts:
        if not isinstance(p, Compare) or p.op != "==":
            continue
        strided = any(s in bound for t in terms(add(p.left, mul(-1, p.right))) for s in _strided(t))
        for side, other in ((p.left, p.right), (p.right, p.left)):
            for letter in bound:
                value = _solved(side, other, letter)
                guards = None if value is None else guards_for(value, letter.extent)
                if value is None or guards is None:
                    continue
                if not guards:
                    return p, letter, value, []
                if not strided:
                    affine.append((_reach(letter.extent), (p, letter, value, guards)))
    return max(affine, key=lambda a: a[0])[1] if affine else None


def _strided(term: Expr) -> frozenset[Letter]:
    """The letters of a term with another coefficient than 1 and -1."""
    coefficient, rest = split_coefficient(term)
    return frozenset() if abs(coefficient) == 1 and isinstance(rest, Letter) else term.letters


def _reach(extent: Expr) -> tuple[int, int]:
    """What orders extents where sizes are not known: numbers by their value, then dims, then sums such as n-k+1."""
    return (0, int(extent.value)) if isinstance(extent, Num) else (2 if isinstance(extent, Add) else 1, 0)


def _solved(side: Expr, other: Expr, letter: Letter) -> Expr | None:
    """The letter from side == other, where it stands on that side alone and with the coefficient ±1."""
    if letter in other.letters or letter not in side.letters:
        return None
    own = [t for t in terms(side) if letter in t.letters]
    coefficient, rest = split_coefficient(own[0])
    if len(own) != 1 or rest != letter or abs(coefficient) != 1:
        return None
    remaining = add(*(t for t in terms(side) if t is not own[0]))
    return mul(coefficient, add(other, mul(-1, remaining)))


def guards_for(value: Expr, extent: Expr) -> list[Expr] | None:
    """The masks under which an integer expression lies in 0 … extent−1; none where that is known, None if unknown.

    >>> from derive.expr import Dim, fresh
    >>> i = fresh(Dim("n"), "i"); guards_for(i, Dim("n")), guards_for(i - 1, Dim("n"))
    ([], [[1 <= i]])
    """
    if isinstance(value, Access) and _count(value) is None:
        return None
    if not is_place(value):
        return None
    low, high = bounds(value)
    guards = []
    if not never_negative(low):
        guards.append(at_least_zero(value))
    if not never_negative(add(extent, -1, mul(-1, high))):
        guards.append(at_least_zero(add(extent, -1, mul(-1, value))))
    return guards


def decided(e: Compare) -> Expr:
    """A comparison of integer expressions in letters and extents, where it holds for all of them or for none.

    >>> from derive.expr import Dim, fresh
    >>> i = fresh(Dim("n"), "i"); decided(Compare("<", i, Dim("n"))), decided(Compare("<=", i + 1, i))
    (1, 0)
    >>> k = fresh(num(1), "k"); decided(Compare("==", num(0), k)), decided(Compare("==", i, Dim("n")))
    (1, 0)

    Where both sides count through one grid, it is one of letters: [b·i + j == b·p + q] is [i == p][j == q].
    """
    if not all(is_place(side) for side in (e.left, e.right)):
        return e
    pairs = matched(e.left, e.right) if e.op == "==" else None
    if pairs is not None:
        return mul(*(compare("==", a, b) for a, b in pairs))
    low, high = bounds(add(e.right, mul(-1, e.left), -1 if e.op == "<" else 0))
    if e.op in ("==", "!="):
        if low == high == ZERO:  # an axis of one place: [0 == i]
            return ONE if e.op == "==" else ZERO
        apart = never_negative(add(low, -1)) or never_negative(add(mul(-1, high), -1))
        return (ZERO if e.op == "==" else ONE) if apart else e
    if never_negative(low):
        return ONE
    return ZERO if never_negative(add(mul(-1, high), -1)) else e


def is_polynomial(e: Expr) -> bool:
    """Whether ``e`` is a polynomial in letters and extents with whole coefficients."""
    return all(
        isinstance(n, (Add, Mul, Letter, Dim))
        or (isinstance(n, Num) and n.value.denominator == 1)
        or (isinstance(n, Pow) and isinstance(n.base, Dim) and isinstance(n.exponent, Num) and n.exponent.value > 0)
        for n in walk(e)
    )


def is_place(e: Expr) -> bool:
    """Whether ``e`` is a polynomial in letters, extents and integers of the data whose range is known.

    >>> from derive.program import Property, Tensor
    >>> n, c = Dim("n"), Dim("c"); i = fresh(n, "i")
    >>> t, u = Tensor("t", (n,), dtype="int", properties=(Property("labels", extent=c),)), Tensor("u", (n,))
    >>> is_place(2 * t[i] + i), is_place(u[i] + i), bounds(2 * t[i] + i)
    (True, False, (0, 2·c + n + -3))
    """
    if isinstance(e, (Add, Mul)):
        return all(is_place(c) for c in e.args)
    return _count(e) is not None or is_polynomial(e)


def _count(e: Expr) -> Expr | None:
    """Below which extent a letter or an integer of the data stays."""
    if isinstance(e, Letter):
        return e.extent
    if isinstance(e, Access) and e.tensor.dtype == "int":
        labels = e.tensor.property("labels")
        return labels.extent if labels is not None else e.tensor.range
    return None


def bounds(value: Expr) -> tuple[Expr, Expr]:
    """The least and the largest value over the ranges of its letters.

    >>> from derive.expr import Dim, fresh
    >>> n = Dim("n"); i = fresh(n, "i"); bounds(2 * i + 1), bounds(n * i)
    ((1, 2·n + -1), (0, -1·n + n^2))
    """
    counted = digits(value)
    if counted is not None:
        return ZERO, add(span(counted), -1)
    low: Expr = num(0)
    high: Expr = num(0)
    for t in _by_letters(value):
        counts = {x: n for x in factors(terms(t)[0]) if (n := _count(x)) is not None}
        last = polynomial(substitute(t, {x: add(n, -1) for x, n in counts.items()}))
        coefficient = substitute(t, dict.fromkeys(counts, ONE))
        if not counts:
            low, high = add(low, t), add(high, t)
        elif never_negative(coefficient):
            high = add(high, last)
        elif never_negative(mul(-1, coefficient)):
            low = add(low, last)
        else:  # a coefficient such as h-r+1, of which nothing is known, one term at a time
            above = add(*(x for x in terms(last) if split_coefficient(x)[0] > 0))
            low, high = add(low, last, mul(-1, above)), add(high, above)
    return low, high


def _by_letters(value: Expr) -> list[Expr]:
    """The terms of a polynomial, those with the same letters together."""
    groups: dict[tuple[Expr, ...], Expr] = {}
    for t in terms(polynomial(value)):
        letters = tuple(f for f in factors(t) if _count(f) is not None)
        groups[letters] = add(groups.get(letters, ZERO), t)
    return list(groups.values())


def at_least_zero(e: Expr) -> Expr:
    """[0 ≤ e], with negative terms on the other side: [1 ≤ i], [i + 1 ≤ n] as [i < n]."""
    above = [t for t in terms(e) if split_coefficient(t)[0] > 0]
    below = [mul(-1, t) for t in terms(e) if split_coefficient(t)[0] < 0]
    left, right = add(*below), add(*above)
    one = isinstance(left, Add) and any(isinstance(t, Num) and t.value == 1 for t in left.args)
    return compare("<", add(left, -1), right) if one else compare("<=", left, right)
