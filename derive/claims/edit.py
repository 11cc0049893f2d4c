"""An edit of a formula: the types that edits are made of, and small pieces of syntax.

In: syntax. Out: syntax. What edits there are is said in `edits` and `spots`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from derive.expr import Expr
from derive.language import tree
from derive.language.text import expression_text

# The kinds in the order in which they are tried: what is said of a line is the simplest thing that mends it.
KINDS = (
    "extra case",
    "sign",
    "wrong index",
    "transpose",
    "extra function",
    "swapped case",
    "order of a product",
    "kind of product",
    "missing sum",
    "brackets",
    "wrong operand",
    "wrong function",
    "wrong range",
    "extra factor",
    "extra term",
    "inverted factor",
    "exponent",
    "missing factor",
    "missing term",
)


@dataclass(frozen=True)
class Known:
    """What may stand in an edit: tensors by name with their axes, integer tensors, functions, letters of the left.

    ``slopes`` are the derivatives of the model's element-wise functions at their arguments, ``relu′(Z1)``.
    """

    axes: Mapping[str, tuple[Expr, ...]] = field(default_factory=dict)
    integers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    slopes: tuple[tree.Expr, ...] = ()
    letters: tuple[str, ...] = ()

    def others(self, name: str) -> list[str]:
        """The tensors that may stand for one: those of its axes, where it has any."""
        own = self.axes.get(name)
        return [k for k, v in self.axes.items() if v == own and k != name] if own else []


@dataclass(frozen=True)
class Edit:
    """An edited right side, the kind of slip it mends, and the slip in words."""

    node: tree.Expr
    kind: str
    words: str


def flipped(node: tree.Expr) -> tree.Expr:
    """The transpose, or what it is the transpose of."""
    return node.operand if isinstance(node, tree.Transpose) else tree.Transpose(node)


def chain(first: tree.Expr, rest: tuple[tuple[str, tree.Expr], ...]) -> tree.Expr:
    """A chain, or its first operand where there is no other."""
    return tree.Chain(first, rest) if rest else first


def along(function: str, value: tree.Expr, axis: int) -> tree.Expr:
    """A function along an axis."""
    return tree.CallExpr(function, (tree.Argument(value), tree.Argument(number(Fraction(axis)), "axis")))


def number(value: Fraction) -> tree.Expr:
    """A literal."""
    return tree.Number(abs(value), str(abs(value))) if value >= 0 else tree.Unary("-", tree.Number(-value, str(-value)))


def shown(node: tree.Expr) -> str:
    """The text of a piece of syntax."""
    return expression_text(node)
