"""A function of the catalogue in what somebody has written out: 1/(1 + e^−z) is σ(z).

In: an expression. Out: an equal one with calls in the place of what the catalogue declares. Reciprocals are sought,
such as σ is: their derivatives are short in terms of themselves, σ(1 − σ), and long without.
"""

from __future__ import annotations

from functools import cache

from derive.expr import ONE, Add, Call, Expr, Mul, Num, Pow, add, call, mul, num, power, split_coefficient, split_power
from derive.functions import PRIMITIVES, Parameter, ScalarFunction
from derive.language.vocabulary import Vocabulary
from derive.library.functions import FUNCTIONS
from derive.program import Program
from derive.rewrite import map_children, terms, walk


@cache
def reciprocals() -> tuple[ScalarFunction, ...]:
    """The functions of the catalogue that are declared as one over something with a function in it.

    >>> [f.name for f in reciprocals()]
    ['sigmoid']
    """
    vocabulary = Vocabulary()
    read = (vocabulary.find(name) for name in FUNCTIONS)
    found = (s.function for s in read if s is not None and len(s.function.parameters) == 1)
    return tuple(f for f in found if f.definition is not None and _is_reciprocal(f.definition))


def _is_reciprocal(e: Expr) -> bool:
    return isinstance(e, Pow) and e.exponent == num(-1) and any(isinstance(n, Call) for n in walk(e.base))


def known_in(program: Program) -> tuple[ScalarFunction, ...]:
    """The reciprocals whose names mean in this program what they mean in the catalogue."""
    if not any(isinstance(n, Call) for e in program.equations for n in walk(e.body)):
        return ()
    used = {n.function for e in program.equations for n in walk(e.body) if isinstance(n, Call)}
    own = {f.name for f in used - set(reciprocals())}
    return tuple(f for f in reciprocals() if f.name not in own)


def recognized(e: Expr, functions: tuple[ScalarFunction, ...], *, upright: bool = False) -> Expr:
    """``e`` with calls of these functions; only of arguments with no minus in front where they are to be ``upright``.

    >>> from derive.program import Tensor
    >>> z = Tensor("z", ()).at(()); exp = call(PRIMITIVES["exp"], z)
    >>> recognized(1 / (1 + 1 / exp), reciprocals()), recognized(exp / (1 + exp), reciprocals())
    (sigmoid(z), sigmoid(z))
    """
    if not functions:
        return e
    e = _divided(e) if isinstance(e, Mul) else e
    return _called(map_children(e, lambda c: recognized(c, functions, upright=upright)), functions, upright)


def _called(e: Expr, functions: tuple[ScalarFunction, ...], upright: bool) -> Expr:
    if isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value < 0:
        for f in functions:
            assert f.definition is not None
            z = _argument(f.definition, power(_inverted(e.base), -1))
            if z is not None and not (upright and split_coefficient(terms(z)[0])[0] < 0):
                return power(Call(f, z), num(-e.exponent.value))
    return e


def _argument(pattern: Expr, e: Expr) -> Expr | None:
    """What the parameter stands for where ``e`` is the pattern; the parameter stands in it once."""
    if isinstance(pattern, Parameter):
        return e
    if type(pattern) is not type(e) and not isinstance(pattern, (Mul, Add)):
        return None
    match pattern:
        case Call():
            assert isinstance(e, Call)
            same = pattern.function == e.function and len(e.arguments) == 1
            return _argument(pattern.arguments[0], e.arguments[0]) if same else None
        case Pow():
            assert isinstance(e, Pow)
            return _argument(pattern.base, e.base) if pattern.exponent == e.exponent else None
        case Mul() | Add():
            inner = [p for p in pattern.args if any(isinstance(n, Parameter) for n in walk(p))]
            if len(inner) != 1:
                return None
            rest = [p for p in pattern.args if p is not inner[0]]
            if isinstance(pattern, Mul):
                return _argument(inner[0], mul(power(mul(*rest), -1), e))
            return _argument(inner[0], add(e, mul(-1, add(*rest))))
    return None


def _inverted(e: Expr) -> Expr:
    """1 + e^−z for 1 + 1/e^z."""
    exp = PRIMITIVES["exp"]

    def inverse(t: Expr) -> Expr:
        base, exponent = split_power(t)
        below = isinstance(base, Call) and base.function == exp and isinstance(exponent, Num)
        return call(exp, mul(exponent, base.arguments[0])) if below and isinstance(base, Call) else t

    return add(*(inverse(t) for t in terms(e)))


def _divided(e: Mul) -> Expr:
    """s^p (1 − s)^(q−p) with s = 1/(1 + 1/u) for u^p/(1 + u)^q, where u is an exponential and p ≤ q."""
    exp = PRIMITIVES["exp"]
    for below in e.args:
        base, q = split_power(below)
        if not isinstance(base, Add) or not isinstance(q, Num) or q.value >= 0 or len(base.args) != 2:
            continue
        u = next((t for t in base.args if isinstance(t, Call) and t.function == exp), None)
        if u is None or ONE not in base.args:
            continue
        for above in e.args:
            inner, p = split_power(above)
            if not isinstance(inner, Call) or inner.function != exp or not isinstance(p, Num):
                continue
            if inner == u and 0 < p.value <= -q.value:
                rest = [f for f in e.args if f is not above and f is not below]
                s = power(add(1, call(exp, mul(-1, u.arguments[0]))), -1)
                return mul(*rest, power(s, p), power(add(1, mul(-1, s)), num(-q.value - p.value)))
    return e
