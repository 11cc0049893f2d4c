"""Products with a sign: x sign(x) is |x|, |x| sign(x) is x, and c [0 < x] − c [x < 0] is c sign(x).

In: an expression. Out: an equal one, in which signs stand together and absolute values for their products. In real
arithmetic, with sign(0) = 0, all of this is exact.
"""

from __future__ import annotations

from derive.expr import (
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Expr,
    Mul,
    Num,
    add,
    call,
    compare,
    mul,
    num,
    power,
    sign_ends,
    split_coefficient,
    split_power,
)
from derive.functions import ABS, SIGN
from derive.program import Tensor
from derive.rewrite import factors, map_children, walk
from derive.vanishing import Signs

_SIGNS = Signs({})


def absolutes(e: Expr) -> Expr:
    """The expression with signs and absolute values.

    >>> from derive.program import Tensor
    >>> x = Tensor("x", ()).at(()); absolutes(x * compare("<", 0, x) - x * compare("<", x, 0))
    abs(x)
    """
    if not any(isinstance(n, Compare) or (isinstance(n, Call) and n.function == SIGN) for n in walk(e)):
        return e
    e = map_children(e, absolutes)
    return _signed(e) if isinstance(e, Mul) else _paired(e) if isinstance(e, Add) else e


def _paired(e: Add) -> Expr:
    """Terms that differ in the sign of a mask and of the number in front, as one with a sign."""
    for term in e.args:
        for mask in factors(term):
            if not isinstance(mask, Compare) or mask.op != "<" or mask.left != ZERO:
                continue
            rest = mul(*(f for f in factors(term) if f is not mask))
            sign = add(mask, mul(-1, compare("<", mask.right, mask.left)))
            other = mul(-1, rest, compare("<", mask.right, mask.left))
            if other in e.args and (len(e.args) > 2 or rest not in (num(1), num(-1))):  # the sign alone is that sum
                left = add(*(t for t in e.args if t is not term and t != other))
                whole = mul(rest, call(SIGN, mask.right)) if isinstance(rest, Num) else _signed(mul(rest, sign))
                both = add(left, whole)
                return _paired(both) if isinstance(both, Add) else both
    return e


def _signed(e: Expr) -> Expr:
    """A product with the sign of something, or with where it is not 0, and a power of it, or of its absolute value."""
    for mask in factors(e):
        x, signed = _argument(mask)
        if x is None:
            continue
        turned = not isinstance(x, Add) and split_coefficient(x)[0] < 0
        x, sign = (mul(-1, x), -1) if turned else (x, 1)
        others = [g for g in factors(e) if g is not mask]
        for f in others:
            base, k = split_power(f)
            inside = base.arguments[0] if isinstance(base, Call) and base.function == ABS else base
            rest = [g for g in others if g is not f]
            if (inside != x and add(inside, x) != ZERO) or not all(map(_is_finite, rest)):
                continue
            if not isinstance(k, Num) or k.value <= 0 or k.value.denominator != 1:
                continue
            if not signed:
                value = f
            elif inside is not base:
                value = mul(sign, x, power(base, add(k, -1)))
            elif k.value % 2:
                value = mul(sign if base == x else -sign, power(call(ABS, x), k))
            else:
                value = mul(sign, x, power(base, add(k, -2)), call(ABS, x))
            return _signed(mul(*rest, value))
    return e


def _argument(mask: Expr) -> tuple[Expr | None, bool]:
    """The x of sign(x), or of [0 < x] + [x < 0], and whether it is the sign; None for anything else."""
    if isinstance(mask, Call) and mask.function == SIGN:
        return mask.arguments[0], True
    ends = sign_ends(mask)
    signed = ends is not None
    if ends is None and isinstance(mask, Add) and len(mask.args) == 2:
        first, second = mask.args
        if isinstance(first, Compare) and first.op == "<" and second == compare("<", first.right, first.left):
            ends = (first.left, first.right)
    return None if ends is None else add(ends[1], mul(-1, ends[0])), signed


def _is_finite(e: Expr) -> bool:
    """Whether it has a value where x is 0, as far as it can be seen: 0 times what has none is no 0."""
    return _SIGNS.is_finite(_as_data(e))


def _as_data(e: Expr) -> Expr:
    """The expression with data for what the model names, and x² for |x|, which is as little below 0."""
    e = map_children(e, _as_data)
    if isinstance(e, Access) and not e.tensor.hidden:
        return Tensor(e.tensor.name, e.tensor.axes, "input").at(e.places)
    return power(e.arguments[0], 2) if isinstance(e, Call) and e.function == ABS else e
