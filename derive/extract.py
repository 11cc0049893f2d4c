"""From the normal form to the shortest formula: factoring, by the symbolic cost.

In: a normal expression. Out: an equal one that costs no more: common factors in front, Horner's scheme on the
factor that saves most, sums joined where they share an indexed factor, a common denominator where it pays.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import gcd, isqrt, lcm

from derive.absolutes import absolutes
from derive.cost import cost
from derive.expr import (
    ONE,
    Add,
    Call,
    Compare,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Pow,
    Reduce,
    add,
    compare,
    fresh_like,
    mul,
    num,
    power,
    select,
    split_coefficient,
    split_power,
    sum_over,
)
from derive.hoist import split_scale
from derive.numeric import numeric
from derive.rational import cancel, has_sum_below
from derive.rewrite import factors, map_children, substitute, terms, walk
from derive.together import together

LARGEST_NUMBER = 10**6
_ABSENT = Fraction(0)


def extract(e: Expr) -> Expr:
    """The cheapest of the forms tried; ``e`` itself if none is cheaper.

    >>> from derive.program import Tensor
    >>> a, b, c = (Tensor(x, ()).at(()) for x in "abc")
    >>> extract(a * b + a * c)
    a·(c + b)
    """
    choices = dict.fromkeys((e, _divided(e), absolutes(e)))
    forms = (extrema(absolutes(_negative_exponents(_extract(form)))) for form in choices)
    return together(min(forms, key=cost))


def _divided(e: Expr) -> Expr:
    """1/(1 + e^−x) for e^x/(e^x + 1)."""
    e = map_children(e, _divided)
    for below in e.args if isinstance(e, Mul) else ():
        base, exponent = split_power(below)
        if isinstance(base, Add) and exponent == num(-1):
            for u in e.args:
                whole = all(t == u or isinstance(t, Num) for t in base.args)
                if isinstance(u, Call) and u.function.name == "exp" and whole:
                    rest = (f for f in e.args if f not in (u, below))
                    return mul(*rest, power(add(*(mul(t, power(u, -1)) for t in base.args)), -1))
    return e


def extrema(e: Expr) -> Expr:
    """[0 < x]·x as max(0, x)."""
    e = map_children(e, extrema)
    for m in e.args if isinstance(e, Mul) else ():
        if isinstance(m, Compare) and m.op == "<":
            apart = add(m.right, mul(-1, m.left))
            for f in factors(e):
                base, exponent = split_power(f)
                if base in (apart, mul(-1, apart)) and isinstance(exponent, Num) and exponent.value > 0:
                    chosen = compare("<=", base, 0) if base == apart else compare("<=", 0, base)
                    others = (x for x in factors(e) if x not in (m, f))
                    return extrema(mul(*others, power(select(chosen, 0, base), exponent)))
    return e


def _extract(e: Expr) -> Expr:
    e = map_children(e, _extract)
    return _shortest(e) if isinstance(e, Add) else e


@lru_cache(maxsize=8192)
def _shortest(e: Expr) -> Expr:
    """The cheapest form of a sum; at equal cost the one with fewer fraction lines, then the factored one."""
    if not isinstance(e, Add):
        return e
    found: list[Expr] = []
    for form in dict.fromkeys((e, _join_sums(e))):
        found += [_horner(form, False), _horner(form, True), form]
    found.append(_square(e))
    if has_sum_below(e):
        found.append(_over_one_line(e))
    candidates = list(dict.fromkeys(found))
    costs = [cost(c) for c in candidates]
    least = min(costs)
    return min((c for c, own in zip(candidates, costs, strict=True) if own == least), key=_divisions)


def _over_one_line(e: Expr) -> Expr:
    """Everything over one denominator, common factors cancelled: 1 − r/(1 + r) is 1/(1 + r)."""
    joined = cancel(e)
    return _horner(joined, False) if len(terms(joined)) < len(terms(e)) else joined


def _square(e: Expr) -> Expr:
    """a² ± 2ab + b² as (a ± b)², and the negative of it."""
    for sign in (1, -1):
        found = _square_of(terms(mul(sign, e)))
        if found is not None:
            return mul(sign, power(found, 2))
    return e


def _square_of(parts: tuple[Expr, ...]) -> Expr | None:
    if len(parts) == 3:
        for k, cross in enumerate(parts):
            a, b = (_root(t) for t in parts[:k] + parts[k + 1 :])
            for sign in (1, -1):
                if a is not None and b is not None and cross == mul(2 * sign, a, b):
                    return add(a, mul(sign, b))
    return None


def _root(t: Expr) -> Expr | None:
    """The monomial whose square is ``t``, if there is one."""
    coefficient, _ = split_coefficient(t)
    numerator, denominator = isqrt(max(coefficient.numerator, 0)), isqrt(coefficient.denominator)
    powers = _powers(t)
    if Fraction(numerator**2, denominator**2) != coefficient or any(x % 2 for x in powers.values()):
        return None
    return mul(Fraction(numerator, denominator), *(power(b, x / 2) for b, x in powers.items()))


def _divisions(e: Expr) -> int:
    nodes = dict.fromkeys(walk(e))
    below = {n for n in nodes if isinstance(n, Pow) and isinstance(n.exponent, Num) and n.exponent.value < 0}
    return sum(not below.isdisjoint(p.children) for p in nodes) if below else 0


def _negative_exponents(e: Expr) -> Expr:
    """e^−x for 1/e^x, unless e^x stands there too."""
    e_to_the = {n for n in _outside_powers(e) if isinstance(n, Call) and n.function.name == "exp"}

    def visit(node: Expr) -> Expr:
        node = map_children(node, visit)
        match node:
            case Pow(base=Call(function=f, arguments=(x,)) as u) if f.name == "exp" and u not in e_to_the:
                return Call(f, mul(node.exponent, x))
        return node

    return visit(e)


def _outside_powers(e: Expr) -> list[Expr]:
    """The nodes that are not the base of a power."""
    found = [e]
    for c in e.children:
        found += _outside_powers(c) if not isinstance(e, Pow) else [n for d in c.children for n in _outside_powers(d)]
    return found


def _powers(t: Expr) -> dict[Expr, Fraction]:
    """A term's factors as base → exponent; symbolic powers are bases of their own."""
    out: dict[Expr, Fraction] = {}
    for f in factors(split_coefficient(t)[1]):
        base, exponent = split_power(f)
        if isinstance(exponent, Num):
            out[base] = out.get(base, Fraction(0)) + exponent.value
        else:
            out[f] = Fraction(1)
    out.pop(ONE, None)
    return out


def content(parts: tuple[Expr, ...], denominators: bool) -> Expr:
    """What every term has in common; with ``denominators`` also what stands below any of them."""
    return _content(parts, [_powers(t) for t in parts], denominators)


def _content(parts: tuple[Expr, ...], powers: list[dict[Expr, Fraction]], denominators: bool) -> Expr:
    bases = dict.fromkeys(b for p in powers for b in p)
    # a mask keeps its own term from a vanishing denominator: a term without that mask must not come under it
    denominators = denominators and all(b in p for b in bases if isinstance(b, Mask) for p in powers)
    common: list[Expr] = []
    for b in bases:
        exponents = [p.get(b, _ABSENT) for p in powers]
        low, high = min(exponents), max(exponents)
        # e^−x·(e^x − 1) overflows where 1 − e^−x does not
        spread = denominators and not (isinstance(b, Call) and b.function.name == "exp")
        if low > 0 or (spread and low < 0) or high < 0:
            common.append(power(b, num(low if low > 0 or spread else high)))
    return mul(_numeric_content(parts), *common)


def in_front(e: Expr) -> Expr:
    """``e`` with numbers and signs in front of products, and these and extents in front of sums over letters.

    >>> from derive.expr import Dim, fresh
    >>> from derive.program import Tensor
    >>> n = Dim("n"); i = fresh(n, "i"); x, y, z = (Tensor(name, (n,))[i] for name in "xyz")
    >>> in_front(sum_over([i], 1 / n * x * (2 * y + 2 * z))), in_front(x * (-y - z))
    (2·n^-1·(sum[i] (x[i]·(z[i] + y[i]))), -1·x[i]·(z[i] + y[i]))
    """
    e = map_children(e, in_front)
    if isinstance(e, Mul):
        e = _fewer_numbers(e)
    if isinstance(e, Mul):
        numbers = [_numeric_content(f.args) if isinstance(f, Add) else ONE for f in e.args]
        if any(c != ONE for c in numbers):
            scaled = zip(e.args, numbers, strict=True)
            return mul(
                *numbers, *(f if c == ONE else add(*(mul(t, power(c, -1)) for t in terms(f))) for f, c in scaled)
            )
    if isinstance(e, Reduce) and e.op == "sum":
        scale, rest = split_scale(e.body)
        return e if scale == ONE or rest == ONE else mul(scale, sum_over(e.binders, rest))
    return e


def _fewer_numbers(e: Mul) -> Expr:
    """The product with its number in a sum where that leaves fewer of them: a + b/4 for (4 a + b)/4."""
    number, rest = split_coefficient(e)
    for f in factors(rest) if abs(number) != 1 else ():
        if isinstance(f, Add):
            inside = add(*(mul(number, t) for t in f.args))
            before, after = (sum(abs(split_coefficient(t)[0]) != 1 for t in terms(s)) for s in (f, inside))
            if after <= before:
                return mul(*(g for g in factors(rest) if g is not f), inside)
    return e


def _numeric_content(parts: tuple[Expr, ...]) -> Num:
    """The greatest common divisor of the coefficients; negative where most of them are."""
    values = [split_coefficient(t)[0] for t in parts]
    if max(max(abs(v.numerator), v.denominator) for v in values) > LARGEST_NUMBER:
        return num(1)
    scale = Fraction(gcd(*(v.numerator for v in values)), lcm(*(v.denominator for v in values)))
    scale = -scale if all(v < 0 for v in values) else scale
    numbers = sum(abs(v) != 1 for v in values)
    return num(scale if sum(abs(v / scale) != 1 for v in values) + (abs(scale) != 1) <= numbers else 1)


def _horner(e: Expr, denominators: bool) -> Expr:
    parts = terms(e)
    if len(parts) < 2:
        return e
    powers = [_powers(t) for t in parts]
    front = _content(parts, powers, denominators)
    if front != ONE:
        inner = add(*(mul(t, power(front, -1)) for t in parts))
        return mul(front, _shortest(inner))
    exponents: dict[Expr, list[Fraction]] = {}
    for own in powers:
        for b, x in own.items():
            if x > 0:
                exponents.setdefault(b, []).append(x)
    choices = [b for b, xs in exponents.items() if len(xs) > 1]
    if not choices:
        return e
    best = max(choices, key=lambda b: (len(exponents[b]) * 3 ** len(b.letters), b.key))
    group = [t for t, own in zip(parts, powers, strict=True) if own.get(best, 0) > 0]
    rest = [t for t, own in zip(parts, powers, strict=True) if own.get(best, 0) <= 0]
    factor = power(best, num(min(exponents[best])))
    if isinstance(best, Mask):  # a mask has no inverse: take it out factor by factor
        inside = add(*(mul(*(f for f in factors(t) if f != best)) for t in group))
    else:
        inside = add(*(mul(t, power(factor, -1)) for t in group))
    remainder = add(*rest)
    for sign in (1, -1):  # (1 + b) ± a·(1 + b)
        if inside == mul(sign, remainder):
            return mul(add(1, mul(sign, factor)), _shortest(remainder))
    inner, outer = _shortest(inside), _shortest(remainder)
    for f in factors(outer):
        if isinstance(f, Add) and mul(-1, f) in factors(inner):  # c·(a − b) − d·(b − a)
            others = mul(-1, factor, *(x for x in factors(inner) if x != mul(-1, f)))
            return mul(f, add(mul(*(x for x in factors(outer) if x != f)), others))
    done = add(mul(factor, inner), outer)
    again = content(terms(done), False)  # a·(c + d) + b·(c + d)
    if not isinstance(done, Add) or all(isinstance(f, Num) for f in factors(again)):
        return done
    return mul(again, add(*(mul(t, power(again, -1)) for t in terms(done))))


def _join_sums(e: Expr) -> Expr:
    """c·Σ f·g + d·Σ f·h as Σ f·(c·g + d·h), where f is indexed by a binder and the outer factors agree."""
    parts = list(terms(e))
    out: list[Expr] = []
    while parts:
        first = parts.pop(0)
        for k, second in enumerate(parts):
            joined = _join(first, second)
            if joined is not None:
                parts[k] = joined
                break
        else:
            out.append(first)
    return add(*out)


def _split_sum(t: Expr) -> tuple[list[Expr], Reduce] | None:
    sums = [f for f in factors(t) if isinstance(f, Reduce) and f.op == "sum"]
    if len(sums) != 1:
        return None
    return [f for f in factors(t) if f is not sums[0]], sums[0]


def _join(one: Expr, two: Expr) -> Expr | None:
    a, b = _split_sum(one), _split_sum(two)
    if a is None or b is None:
        return None
    if len(a[1].binders) < len(b[1].binders):
        a, b = b, a
    (outer_a, sum_a), (outer_b, sum_b) = a, b
    alike = len(sum_a.binders) == len(sum_b.binders)
    free_a = [f for f in outer_a if numeric(f) is None]
    free_b = [f for f in outer_b if numeric(f) is None]
    common_outer = [f for f in free_a if f in free_b]
    alike = alike and free_a == common_outer and free_b == common_outer
    letters: dict[Expr, Expr] = {b: fresh_like(b) for b in sum_a.binders}
    new = list(letters.values())
    parts_a = _primitive(substitute(sum_a.body, letters))
    best: tuple[int, list[Expr], list[Expr]] | None = None
    for order in _matchings(sum_b.binders, new):
        parts_b = _primitive(substitute(sum_b.body, order))
        shared = [f for f in parts_a if f in parts_b and f.letters & set(new)]
        saved = sum(3 ** len(f.letters) for f in shared)
        if (shared or alike) and (best is None or saved > best[0]):
            best = saved, shared, parts_b
    if best is None:
        return None
    _, shared, parts_b = best
    bound = frozenset[Letter]().union(*(f.letters for f in shared)) & set(new) if shared else frozenset(sum_a.binders)
    rests = []
    for outer, parts in ((outer_a, parts_a), (outer_b, parts_b)):
        rest = mul(*(f for f in parts if f not in shared))
        used = frozenset[Letter]().union(*(f.letters for f in parts))
        inner = tuple(x for x in new if isinstance(x, Letter) and x in used and shared and x not in bound)
        rests.append(mul(*(f for f in outer if f not in common_outer), sum_over(inner, rest)))
    binders = tuple(x for x in new if isinstance(x, Letter) and (x in bound or not shared))
    joined = [*shared, *factors(_shortest(add(*rests)))]
    inside = [f for f in joined if f.letters & set(binders)]
    outside = [f for f in joined if not f.letters & set(binders)]
    return mul(*common_outer, *outside, sum_over(binders, mul(*inside)))


def _primitive(e: Expr) -> list[Expr]:
    """The factors, each sum among them with the number that its terms share in front of it: −x − y is −1 and x + y."""
    out: list[Expr] = []
    for f in factors(e):
        if isinstance(f, Add):
            parts = terms(f)
            size = abs(_numeric_content(parts).value)
            number = num(size if split_coefficient(parts[0])[0] > 0 else -size)
            out += [number, add(*(mul(t, power(number, -1)) for t in parts))] if number != ONE else [f]
        else:
            out.append(f)
    return out


def _matchings(binders: tuple[Letter, ...], targets: list[Expr]) -> list[dict[Expr, Expr]]:
    """The ways to rename binders to targets of the same extents."""
    if not binders:
        return [{}]
    found = []
    for t in targets:
        if isinstance(t, Letter) and t.extent == binders[0].extent:
            for rest in _matchings(binders[1:], [x for x in targets if x is not t]):
                found.append({binders[0]: t, **rest})
    return found
