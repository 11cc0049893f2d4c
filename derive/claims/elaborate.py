"""The language's elaborator, as lenient as formulas on paper are.

In: syntax. Out: a `Value`. A number beside a matrix multiplies it, whatever sign stands between; ``I`` is the identity
of the size that fits; in a line about a vector a row and a vector are added entry by entry.
"""

from __future__ import annotations

from dataclasses import replace

from derive.errors import Span
from derive.expr import Expr, Num, compare
from derive.language import tree
from derive.language.expressions import Elaborator
from derive.language.indices import Range, Scope
from derive.language.tensors import Value

MATRIX_POWER = "matrix_power"
"""What NumPy calls X X X: of what is no square matrix, each entry is raised."""
MOST = 20
"""The highest power that is written out as a product."""


class Formulas(Elaborator):
    """Elaborates both sides of formulas.

    ``identity`` is the extent of ``I``, where a line has one. ``vector`` says that a line is about a vector, in which
    ``rᵀ A + 1ᵀ B`` is one, whatever lies and whatever stands: the language, which broadcasts, would ask.
    """

    identity: Expr | None = None
    vector = False

    def fresh(self) -> None:
        """Forget what was read: names may have got other meanings."""
        self._read: dict[int, tuple[tree.Expr, Value]] = {}

    def value(self, node: tree.Expr, scope: Scope | None = None) -> Value:
        """What the expression denotes; an operand is looked at often, and read once."""
        if scope is not None:
            return super().value(node, scope)
        known = self._read.get(id(node))
        if known is None:
            chain = isinstance(node, tree.Chain) and any(op == "@" for op, _ in node.rest)
            value = super().value(self._plain_products(node) if chain else node)  # type: ignore[arg-type]
            known = self._read[id(node)] = (node, value)  # the node is kept, so that its id stays its own
        return known[1]

    def _plain_products(self, node: tree.Chain) -> tree.Chain:
        """``*`` for ``@`` beside a number."""
        rest: list[tuple[str, tree.Expr]] = []
        for op, operand in node.rest:
            if op == "@":
                before = super().value(replace(node, rest=tuple(rest)) if rest else node.first)
                if 0 in (before.rank, self.value(operand).rank):
                    op = "*"
            rest.append((op, operand))
        return replace(node, rest=tuple(rest))

    def _sum(self, node: tree.Chain, scope: Scope | None) -> Value:
        operands = [node.first, *(x for _, x in node.rest)]
        if self.vector and scope is None:
            values = [self.value(x) for x in operands]
            if all(v.rank < 2 for v in values) and any(v.is_vector for v in values):
                self._read |= {id(x): (x, replace(v, row=False)) for x, v in zip(operands, values, strict=True)}
        return super()._sum(node, scope)

    def _name(self, node: tree.Name, scope: Scope | None) -> Value:
        if node.name == "I" and scope is None and self.identity is not None and self.names.get("I") is None:
            n = self.identity
            return Value((n, n), lambda places, hints: compare("==", places[0], places[1]), text="I")
        return super()._name(node, scope)

    def _value(self, node: tree.Expr, scope: Scope | None) -> Value:
        if isinstance(node, tree.CallExpr) and node.function == MATRIX_POWER and len(node.arguments) == 2:
            return self._matrix_power(node.arguments[0].value, node.arguments[1].value, node.span, scope)
        if isinstance(node, tree.CallExpr) and node.function == "eye" and scope is None and len(node.arguments) == 1:
            n = self.extent(node.arguments[0].value)
            return Value((n, n), lambda places, hints: compare("==", places[0], places[1]), text="eye(…)")
        if isinstance(node, tree.Comparison) and node.op in ("==", "!=") and scope is not None:
            ranges = [scope.ranges.get(x.name) for x in (node.left, node.right) if isinstance(x, tree.Name)]
            if len(ranges) == 2 and all(r is not None for r in ranges):
                return _delta(node.op, *(r for r in ranges if r is not None))
        return super()._value(node, scope)

    def _matrix_power(self, base: tree.Expr, exponent: tree.Expr, span: Span | None, scope: Scope | None) -> Value:
        axes, x = self.value(base, scope).axes, self.extent(exponent)
        count = abs(x.value.numerator) if isinstance(x, Num) else 0
        if scope is not None or len(axes) != 2 or axes[0] != axes[1] or not 1 <= count <= MOST:
            return super()._value(tree.Power(base, exponent, span=span), scope)
        if isinstance(x, Num) and x.value < 0:
            base = tree.CallExpr("inv", (tree.Argument(base),), span=span)
        rest = (("@", base),) * (count - 1)
        return self.value(tree.Chain(base, rest, span=span) if rest else base)


def _delta(op: str, a: Range, b: Range) -> Value:
    """Two letters compared, though an extent may have the name of one: an extent is equal to no place."""
    a.used = b.used = True
    return Value((), lambda places, hints: compare(op, a.place(), b.place()))
