"""Scalar functions: what a call in an expression refers to.

A primitive is known to SymPy by its name and has no definition here. Everything else is defined by an
expression over its parameters; its derivative follows from that definition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from derive.expr import Call, Expr, compare, select
from derive.rewrite import map_children, substitute


class Parameter(Expr):
    """A parameter of a scalar function, inside the function's definition."""

    __slots__ = ()
    rank = 14

    @property
    def name(self) -> str:
        """Its name."""
        return self.args[0]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return self.name

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.name)


@dataclass(frozen=True)
class ScalarFunction:
    """A function of real numbers: ``definition`` is None for a primitive, which SymPy differentiates."""

    name: str
    parameters: tuple[str, ...]
    definition: Expr | None = field(default=None, repr=False)
    latex: str | None = field(default=None, compare=False)

    def expand(self, *arguments: Expr) -> Expr:
        """The definition at the arguments (one level; calls inside it stay)."""
        if self.definition is None:
            return Call(self, *arguments)
        table: dict[Expr, Expr] = {Parameter(p): a for p, a in zip(self.parameters, arguments, strict=True)}
        return substitute(self.definition, table)


def expand_calls(e: Expr) -> Expr:
    """``e`` with every defined function replaced by its definition, down to primitives."""
    e = map_children(e, expand_calls)
    if isinstance(e, Call) and e.function.definition is not None:
        return expand_calls(e.function.expand(*e.arguments))
    return e


PRIMITIVES: dict[str, ScalarFunction] = {
    name: ScalarFunction(name, ("x",), latex=latex)
    for name, latex in {
        "exp": r"\exp",
        "log": r"\log",
        "sin": r"\sin",
        "cos": r"\cos",
        "tan": r"\tan",
        "sinh": r"\sinh",
        "cosh": r"\cosh",
        "tanh": r"\tanh",
        "asin": r"\arcsin",
        "acos": r"\arccos",
        "atan": r"\arctan",
        "erf": r"\operatorname{erf}",
    }.items()
}

# Accurate forms of common sub-expressions. They are introduced by `stabilize` after all proofs, and
# known to every printer and to the oracle; a model may also call them, which stands for the definition.
LOG1P = ScalarFunction("log1p", ("x",), Call(PRIMITIVES["log"], 1 + Parameter("x")), r"\operatorname{log1p}")
SIGN = ScalarFunction(
    "sign", ("x",), compare("<", 0, Parameter("x")) - compare("<", Parameter("x"), 0), r"\operatorname{sign}"
)
ABS = ScalarFunction(
    "abs",
    ("x",),
    select(
        compare("<", 0, Parameter("x")),
        Parameter("x"),
        select(compare("==", 0, Parameter("x")), 0, -Parameter("x")),
    ),
)
EXPM1 = ScalarFunction("expm1", ("x",), Call(PRIMITIVES["exp"], Parameter("x")) - 1, r"\operatorname{expm1}")
