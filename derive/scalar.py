"""Scalar derivatives by SymPy, and their shortest forms in terms of the output.

In: a pointwise body and one access in it. Out: the derivative, as an expression again. SymPy sees only small
scalar bodies: accesses, masks and reductions are opaque symbols to it. Reusing the output o = g(x)
(sigmoid' = o(1 - o)) is allowed only under the reuse law: no denominator that is new and may vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import sympy as sp

from derive.expr import (
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
    add,
    call,
    compare,
    mul,
    negate,
    power,
    select,
)
from derive.functions import PRIMITIVES, Parameter
from derive.rewrite import walk

_TO_SYMPY: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "erf": sp.erf,
}
_FROM_SYMPY = {function: PRIMITIVES[name] for name, function in _TO_SYMPY.items()}
_QUOTIENTS = ((sp.sinh, sp.cosh, sp.tanh), (sp.sin, sp.cos, sp.tan))  # by definition; the third cannot overflow
_CONSTANTS = {"pi": sp.pi, "e": sp.E}


class Symbols:
    """The correspondence between opaque expressions and SymPy symbols, one for a conversion to and fro."""

    def __init__(self) -> None:
        self.symbols: dict[Expr, sp.Symbol] = {}
        self.meaning: dict[sp.Symbol, Expr] = {}

    def symbol(self, e: Expr) -> sp.Symbol:
        """The symbol of ``e``; symbols are real, those of extents positive integers, those of constants positive."""
        if e not in self.symbols:
            name = f"s{len(self.symbols)}"
            known = {"integer": True, "positive": True} if isinstance(e, Dim) else {"real": True}
            s = sp.Symbol(name, **({"positive": True} if isinstance(e, Const) else known))
            self.symbols[e], self.meaning[s] = s, e
        return self.symbols[e]

    def to_sympy(self, e: Expr) -> Any:
        """``e`` for SymPy; defined functions are expanded, a conditional becomes masks times branches."""
        match e:
            case Num():
                return sp.Rational(e.value.numerator, e.value.denominator)
            case Const() if e.value is None:
                return _CONSTANTS[e.name]
            case Add():
                return sp.Add(*(self.to_sympy(t) for t in e.args))
            case Mul():
                return sp.Mul(*(self.to_sympy(f) for f in e.args))
            case Pow():
                return sp.Pow(self.to_sympy(e.base), self.to_sympy(e.exponent))
            case Call() if e.function.name in _TO_SYMPY:
                return _TO_SYMPY[e.function.name](*(self.to_sympy(a) for a in e.arguments))
            case Call() if e.function.definition is not None:
                return self.to_sympy(e.function.expand(*e.arguments))
            case Select():
                yes, no = self.symbol(e.mask), self.symbol(negate(e.mask))
                return yes * self.to_sympy(e.chosen) + no * self.to_sympy(e.other)
            case Access() | Mask() | Dim() | Const() | Letter() | Reduce() | Parameter():
                return self.symbol(e)
        raise TypeError(f"{type(e).__name__} is not a scalar expression")

    def from_sympy(self, s: Any) -> Expr:
        """The expression that ``s`` stands for."""
        if s.is_Symbol:
            return self.meaning[s]
        if s.is_Rational:
            return Num(Fraction(int(s.p), int(s.q)))
        if s is sp.pi or s is sp.E:
            return Const("pi" if s is sp.pi else "e")
        if s.is_Mul:
            s = _quotients(s)
        arguments = [self.from_sympy(a) for a in s.args]
        if s.is_Add:
            return add(*arguments)
        if s.is_Mul:
            return mul(*arguments)
        if s.is_Pow:
            if s.base is sp.E:
                return call(PRIMITIVES["exp"], arguments[1])
            return power(*arguments)
        if s.func in _FROM_SYMPY:
            return call(_FROM_SYMPY[s.func], *arguments)
        if s.func is sp.Abs:
            return select(compare("<=", 0, arguments[0]), arguments[0], -arguments[0])
        if s.func is sp.sign:
            x = arguments[0]
            return add(compare("<", 0, x), mul(-1, compare("<", x, 0)))
        raise TypeError(f"SymPy answered with {s.func.__name__}, which has no place in an expression")


def exact(e: Call) -> Num | None:
    """The value of a function at numbers where that is a number: 1 of exp(0). None where it is none, or not rational.

    >>> from derive.expr import num
    >>> [exact(call(PRIMITIVES[name], num(0))) for name in ("exp", "tanh", "log")]
    [1, 0, None]
    """
    if not all(isinstance(a, Num) for a in e.arguments) or e.function.name not in _TO_SYMPY:
        return None
    value = Symbols().to_sympy(e)
    return Num(Fraction(int(value.p), int(value.q))) if value.is_Rational else None


def _quotients(product: Any) -> Any:
    """sinh(x)/cosh(x) as tanh(x), and sin(x)/cos(x) as tan(x): so SymPy leaves the slope of log(cosh(x))."""
    for over, under, quotient in _QUOTIENTS:
        for f in product.args:
            if f.func is over and 1 / under(*f.args) in product.args:
                product = sp.Mul(*(g for g in product.args if g not in (f, 1 / under(*f.args))), quotient(*f.args))
    return product


_DIFF: dict[tuple[Any, Any], Any] = {}


def _diff(body: Any, x: Any) -> Any:
    if (body, x) not in _DIFF:
        _DIFF[body, x] = sp.diff(body, x)
    return _DIFF[body, x]


def derivative(body: Expr, wrt: Expr) -> Expr:
    """The partial derivative of a pointwise body by one access, every other access held fixed.

    >>> from derive.program import Tensor
    >>> x = Tensor("x", ()).at(()); derivative(x**3, x)
    3·x^2
    """
    symbols = Symbols()
    g = symbols.to_sympy(body)
    return symbols.from_sympy(_diff(g, symbols.symbol(wrt)))


def shortest_derivative(body: Expr, wrt: Expr, output: Expr, cost: Callable[[Expr], int]) -> tuple[Expr, bool]:
    """The cheapest admissible form of the derivative, and whether it reuses ``output`` = ``body``.

    >>> from derive.program import Tensor
    >>> z, a = Tensor("z", ()).at(()), Tensor("a", ()).at(())
    >>> shortest_derivative(call(PRIMITIVES["tanh"], z), z, a, operations)
    (-1·a^2 + 1, True)
    """
    definition = body.function.definition if isinstance(body, Call) else None
    if isinstance(body, Call) and definition is not None and isinstance(_by_cases(definition), Select):
        body = body.function.expand(*body.arguments)
    body = _by_cases(body)
    if isinstance(body, Select):  # within a branch the output is that branch
        chosen, one = shortest_derivative(body.chosen, wrt, output, cost)
        other, two = shortest_derivative(body.other, wrt, output, cost)
        return add(mul(body.mask, chosen), mul(negate(body.mask), other)), one or two
    symbols = Symbols()
    g, x, o = symbols.to_sympy(body), symbols.symbol(wrt), symbols.symbol(output)
    key = (g, x, o)
    if key not in _SHORTEST:
        d = _diff(g, x)
        if d.is_Rational or (x not in d.free_symbols and not _kernels(d)):
            candidates = [d]
        else:
            candidates = list(_candidates(g, d, x, o))
        _SHORTEST[key] = candidates
    found = [symbols.from_sympy(c) for c in _SHORTEST[key]]
    best = min(range(len(found)), key=lambda k: (cost(found[k]), k))
    return found[best], output in set(walk(found[best]))


_SHORTEST: dict[Any, list[Any]] = {}


def _by_cases(e: Expr) -> Expr:
    """c·(a if m else b) as (c·a if m else c·b); anything else as it is."""
    choices = [f for f in e.args if isinstance(f, Select)] if isinstance(e, Mul) else []
    if not isinstance(e, Mul) or len(choices) != 1:
        return e
    others = [f for f in e.args if f is not choices[0]]
    return select(choices[0].mask, mul(*others, choices[0].chosen), mul(*others, choices[0].other))


def _kernels(e: Any) -> list[Any]:
    """The transcendental functions and non-integer powers in ``e``, outermost first."""
    found = [n for n in sp.preorder_traversal(e) if n.func in _FROM_SYMPY or (n.is_Pow and not n.exp.is_Integer)]
    return list(dict.fromkeys(found))


def _candidates(g: Any, d: Any, x: Any, o: Any) -> Iterator[Any]:
    yield d
    old = _denominators(d) | _denominators(g)
    u = sp.Dummy("u", real=True)
    for kernel in _kernels(g):
        gu, value = _in_kernel(g, kernel, u), o
        while gu.func is sp.log:  # o = log h gives h = e^o
            gu, value = gu.args[0], sp.exp(value)
        du = sp.together(_in_kernel(d, kernel, u))
        numerator, denominator = sp.fraction(sp.together(gu))
        equation = sp.expand(numerator - value * denominator)
        if not equation.is_polynomial(u) or sp.degree(equation, u) != 1:
            continue
        solution = -equation.coeff(u, 0) / equation.coeff(u, 1)
        short = sp.cancel(du.subs(u, solution))
        if not short.free_symbols <= d.free_symbols | {o}:  # e^y from o = e^y − 13x would bring x in, and cancellation
            continue
        for answer in (short, sp.expand(short)):
            if _admissible(answer, o, g, old):
                yield answer
    plain = sp.cancel(d)
    if _denominators(plain) <= old:
        yield plain
    replaced = d.subs(g, o)
    if replaced != d and _admissible(replaced, o, g, old):
        yield replaced
    if g != 0:
        ratio = sp.cancel(d / g)
        if _admissible(ratio, o, g, old):
            yield o * ratio


def _in_kernel(e: Any, kernel: Any, u: Any) -> Any:
    """``e`` with the kernel written u; e^x and its integer powers are one kernel."""
    if kernel.func is not sp.exp:
        return e.xreplace({kernel: u})
    x = kernel.args[0]
    powers = {n: sp.cancel(n.args[0] / x) for n in e.atoms(sp.exp)}
    return e.xreplace({n: u**k for n, k in powers.items() if k.is_Integer})


def _admissible(answer: Any, o: Any, g: Any, old: set[Any]) -> bool:
    """The reuse law: every denominator is an old one or cannot vanish."""
    for factor in _denominators(answer):
        plain = factor.subs(o, g)
        if factor in old or (plain.base if plain.is_Pow else plain) in old:
            continue
        back = sp.together(plain)
        numerator = sp.fraction(back)[0]
        if back in old:
            continue
        if not (numerator.is_nonzero or _positive(numerator)):
            return False
    return True


def _positive(e: Any) -> bool:
    return bool(e.is_positive) or (e.is_Mul and all(f.is_nonzero or _positive(f) for f in e.args))


def _denominators(e: Any) -> set[Any]:
    """The bases that stand in a denominator of ``e``, exact powers of e aside."""
    return {
        n.base
        for n in sp.preorder_traversal(e)
        if n.is_Pow and n.exp.is_number and n.exp.is_negative and not n.base.is_number and n.base is not sp.E
    }


def operations(e: Expr) -> int:
    """A weighted count of scalar operations: a kernel is 10, division 2, everything else 1.

    >>> operations(2 * Dim("n") + 1)
    2
    """
    total = 0
    for node in walk(e):
        match node:
            case Add() | Mul():
                total += len(node.args) - 1
            case Pow():
                total += _power_cost(node)
            case Call():
                total += 10
            case Mask() | Select():
                total += 1
    return total


def _power_cost(e: Pow) -> int:
    if not isinstance(e.exponent, Num):
        return 10
    v = e.exponent.value
    if v.denominator != 1:
        return 10
    n = abs(int(v))
    return (n - 1 if n < 4 else 3) + (1 if v < 0 else 0)
