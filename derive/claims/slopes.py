"""Derivatives of scalar functions by name: ``relu_prime`` is relu′, as gradc prints it.

In: the functions of a model. Out: the same, and the derivative of each by its first argument, made by differentiation.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.expr import Call, Expr, Num
from derive.functions import Parameter, ScalarFunction
from derive.language.calls import Functions, Signature
from derive.program import Equation, Tensor
from derive.rewrite import substitute, walk
from derive.scalar import derivative

SUFFIX = "_prime"


class Slopes:
    """Functions, with ``f_prime`` for each ``f``; a function of the model with such a name comes first.

    Of further parameters ``f_prime`` knows what the ``equations`` give to ``f``, where that is always the same.
    """

    def __init__(self, functions: Functions, equations: Iterable[Equation] = ()) -> None:
        self.functions = functions
        self._given: dict[str, set[tuple[Expr, ...]]] = {}
        for call in (n for e in equations for n in walk(e.body) if isinstance(n, Call)):
            self._given.setdefault(call.function.name, set()).add(call.arguments[1:])

    def find(self, name: str) -> Signature | None:
        """The scalar function of that name."""
        found = self.functions.find(name)
        if found is not None or not name.endswith(SUFFIX):
            return found
        base = self.functions.find(name.removesuffix(SUFFIX))
        if base is None:
            return None
        given = self._given.get(base.function.name, set())
        further = next(iter(given)) if len(given) == 1 else ()
        known = {p: a for p, a in zip(base.function.parameters[1:], further, strict=False) if isinstance(a, Num)}
        return Signature(_slope(base.function, name), {**base.defaults, **known})

    def known(self) -> list[str]:
        """The names of all scalar functions."""
        return self.functions.known()

    def builtin(self) -> Functions:
        """Those of the catalogue alone."""
        return self.functions.builtin()


def _slope(f: ScalarFunction, name: str) -> ScalarFunction:
    """The derivative by the first parameter, the others held fixed."""
    stand_ins = [Tensor(p, ()).at(()) for p in f.parameters]
    body = derivative(f.expand(*stand_ins), stand_ins[0])
    table: dict[Expr, Expr] = {x: Parameter(p) for x, p in zip(stand_ins, f.parameters, strict=True)}
    return ScalarFunction(name, f.parameters, substitute(body, table))
