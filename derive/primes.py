"""Named derivatives: where an expression is f′(Z) for a forward equation A = f(Z), its name is shorter.

In: the forward equations. Out: a table from derivative expressions, made by the chain rule's own scalar
derivative, to function and argument. A derivative that is short by itself (a(1 − a), 1 − a²) keeps its form.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

from derive.expr import ONE, Access, Call, Expr, Letter, Mask, Mul, Num, Select, mul, num, sign_ends, split_coefficient
from derive.extract import extract
from derive.functions import ScalarFunction
from derive.normal import Normalizer, TooLargeError
from derive.program import Equation, Tensor
from derive.rewrite import accesses, factors, substitute, walk
from derive.scalar import derivative, operations, shortest_derivative

Found = tuple[ScalarFunction, Access]


class Primes:
    """The derivatives of the scalar functions that forward equations apply.

    >>> Primes().find(Num(1)) is None
    True
    """

    def __init__(self, equations: Iterable[Equation] = ()) -> None:
        self.table: dict[Tensor, list[tuple[ScalarFunction, Access, list[Expr]]]] = {}
        for equation in equations:
            if equation.out.kind == "cotangent":
                continue
            for call in dict.fromkeys(n for n in walk(equation.body) if isinstance(n, Call)):
                argument = _argument(call)
                if argument is None:
                    continue
                output = equation.left if call == equation.body else None
                found = [d for d in _derivatives(call, argument, output) if _is_long(d)]
                if found:
                    self.table.setdefault(argument.tensor, []).append((call.function, argument, found))

    def find(self, e: Expr) -> Found | None:
        """The function and the argument at which ``e``, which is no product, is its derivative."""
        if not self.table or isinstance(e, (Access, Num, Letter, Mul)):
            return None
        for function, argument, form in self._candidates((e,)):
            if form == e:
                return function, argument
        return None

    def find_among(self, parts: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], tuple[Expr, ...], Found] | None:
        """Factors that together are a derivative, the factors that are left, and which derivative it is."""
        if not self.table or len(parts) < 2:
            return None
        present = set(parts)
        for function, argument, form in self._candidates(parts):
            coefficient, core = split_coefficient(form)
            wanted = factors(core)
            if (len(wanted) > 1 or coefficient != 1) and present.issuperset(wanted):
                rest = tuple(p for p in parts if p not in wanted)
                number, others = split_coefficient(mul(*rest)) if coefficient != 1 else (Fraction(1), ONE)
                if coefficient != 1:
                    scale = num(number / coefficient)
                    rest = (*(() if scale == ONE else (scale,)), *(() if others == ONE else factors(others)))
                return factors(form), rest, (function, argument)
        return None

    def _candidates(self, parts: tuple[Expr, ...]) -> Iterable[tuple[ScalarFunction, Access, Expr]]:
        """Every derivative of the table, moved to the places at which its tensor is read here."""
        reads = dict.fromkeys(a for p in parts for a in accesses(p) if a.tensor in self.table)
        for access in reads:
            for function, argument, forms in self.table[access.tensor]:
                moved = dict(zip(argument.places, access.places, strict=True))
                for form in forms:
                    yield function, access, substitute(form, moved)


def _argument(call: Call) -> Access | None:
    """The access that a call is applied to, if all else is numbers."""
    first, *rest = call.arguments
    if not isinstance(first, Access) or not all(isinstance(a, Num) for a in rest):
        return None
    plain = all(isinstance(p, Letter) for p in first.places) and len(set(first.places)) == len(first.places)
    return first if plain else None


@lru_cache(maxsize=2048)  # every notation of a program looks them up
def _derivatives(call: Call, argument: Access, output: Access | None) -> tuple[Expr, ...]:
    """The derivative as differentiation and simplification may give it."""
    found = [derivative(call, argument)]
    if output is not None:
        found.append(shortest_derivative(call, argument, output, operations)[0])
    try:
        found += [Normalizer()(d) for d in tuple(found)]
    except TooLargeError:
        return tuple(found)
    return tuple(dict.fromkeys([*found, *(extract(d) for d in found)]))


def _is_long(e: Expr) -> bool:
    """Whether a name reads better: cases, or the argument more than twice."""
    nodes = list(walk(e))
    if sign_ends(e) is not None:  # which has a name of its own
        return False
    return any(isinstance(n, (Mask, Select)) for n in nodes) or sum(isinstance(n, Access) for n in nodes) > 2
