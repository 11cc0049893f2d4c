"""The syntax tree of a model: what the grammar yields, what the Python twin builds, what `text` prints.

Spans are for messages and lie outside equality. Sums and products are flat lists in source order, so that
depth is bounded by real nesting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from derive.errors import Span


@dataclass(frozen=True)
class Node:
    """A piece of syntax and where it stands."""

    span: Span | None = field(default=None, repr=False, compare=False, kw_only=True)


# --- expressions ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Node):
    """A literal, exact; ``text`` as it was written (``1e-3``), outside equality."""

    value: Fraction
    text: str = field(compare=False)


@dataclass(frozen=True)
class Name(Node):
    """A name; ``index`` is the layer of a family member ``Z{l-1}``; ``builtin`` if it stands in the catalogue."""

    name: str
    index: Expr | None = None
    builtin: bool = field(default=False, repr=False, compare=False, kw_only=True)


@dataclass(frozen=True)
class Unary(Node):
    """``-x`` (op ``-``) or ``not x`` (op ``not``)."""

    op: str
    operand: Expr


@dataclass(frozen=True)
class Chain(Node):
    """``first op1 x1 op2 x2 …`` of one precedence, left to right.

    The ops are from ``+ -``, or from ``* / @``, or ``and``, or ``or``; the pairs keep source order.
    """

    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class Power(Node):
    """``base ^ exponent``."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True)
class Transpose(Node):
    """``x'`` or ``x.T``."""

    operand: Expr


@dataclass(frozen=True)
class Slice(Node):
    """``start:stop`` in an index; either may be missing."""

    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True)
class Index(Node):
    """``x[items | padding]``; padding is None, the string ``"edge"`` or an expression."""

    operand: Expr
    items: tuple[Expr | Slice, ...]
    padding: Expr | str | None = None


@dataclass(frozen=True)
class Comparison(Node):
    """``left op right``; comparisons do not chain."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Conditional(Node):
    """``chosen if condition else other``."""

    chosen: Expr
    condition: Expr
    other: Expr


@dataclass(frozen=True)
class Binder(Node):
    """A letter that a reduction binds, with its extent where given: ``p:2``."""

    name: str
    extent: Expr | None = None


@dataclass(frozen=True)
class Reduction(Node):
    """``sum[j, k:3] body``; op is sum, mean, max, min or prod."""

    op: str
    binders: tuple[Binder, ...]
    body: Expr


@dataclass(frozen=True)
class Argument(Node):
    """An argument of a call, named or not."""

    value: Expr
    name: str | None = None


@dataclass(frozen=True)
class CallExpr(Node):
    """``f(args)``; ``builtin`` means the f of the catalogue, whatever the model calls so."""

    function: str
    arguments: tuple[Argument, ...]
    builtin: bool = field(default=False, repr=False, compare=False, kw_only=True)


@dataclass(frozen=True)
class ListExpr(Node):
    """``[a, b, …]``."""

    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Dots(Node):
    """``..`` in a block: the axes that the shape of an input leaves open, or a letter for each of them."""


Expr = (
    Number
    | Name
    | Unary
    | Chain
    | Power
    | Transpose
    | Index
    | Comparison
    | Conditional
    | Reduction
    | CallExpr
    | ListExpr
    | Dots
)

# --- statements ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelName(Node):
    """``model mnist2``."""

    name: str


@dataclass(frozen=True)
class Include(Node):
    """``include "block.gc"``."""

    path: str


@dataclass(frozen=True)
class Option(Node):
    """``option relu_at_0 = 1``; the value as it is printed."""

    name: str
    value: str


@dataclass(frozen=True)
class DimItem(Node):
    """One entry of ``dims``: ``d = 784``, ``o = n-k+1``, or a family ``h{1..3} = [4, 5, 6]``."""

    name: Name
    value: Expr | None = None
    family: tuple[Expr, Expr] | None = None


@dataclass(frozen=True)
class Dims(Node):
    """``dims d = 784, h, c = 10``."""

    items: tuple[DimItem, ...]


@dataclass(frozen=True)
class Batch(Node):
    """``batch n``."""

    name: str


@dataclass(frozen=True)
class Declaration(Node):
    """A tensor that is declared, of a ``kind`` (``input``, ``target``, ``param``, ``state``, ``noise``).

    It has a shape, properties, bounds and an initializer, as far as they are written.
    """

    kind: str
    name: Name
    shape: tuple[Expr, ...] | None = None
    properties: tuple[CallExpr, ...] = ()  # a bare property is a call without arguments
    bounds: tuple[Expr, Expr] | None = None
    initializer: CallExpr | None = None


@dataclass(frozen=True)
class ConstDecl(Node):
    """``const sigma : [3] = [1, 2, 3]``."""

    name: str
    value: Expr
    shape: tuple[Expr, ...] | None = None


@dataclass(frozen=True)
class Function(Node):
    """``fn f(x, a) = expr``."""

    name: str
    parameters: tuple[str, ...]
    body: Expr


@dataclass(frozen=True)
class Place(Node):
    """A place on the left of an index equation: ``i``, ``i:extent``, ``t+1``, ``0``."""

    value: Expr
    extent: Expr | None = None


@dataclass(frozen=True)
class Assignment(Node):
    """``Z = expr`` (places None) or ``C[i, j] = expr``."""

    name: Name
    places: tuple[Place, ...] | None
    value: Expr


@dataclass(frozen=True)
class Update(Node):
    """``update mu = expr`` (places None) or ``update mu[j] = expr``: the next value of a state."""

    name: Name
    places: tuple[Place, ...] | None
    value: Expr


@dataclass(frozen=True)
class Minimize(Node):
    """``minimize expr``."""

    value: Expr


@dataclass(frozen=True)
class Optimizer(Node):
    """``optimizer adam(lr=1e-3) for W, b``."""

    call: CallExpr
    names: tuple[Name, ...] = ()


@dataclass(frozen=True)
class Freeze(Node):
    """``freeze W, b``."""

    names: tuple[Name, ...]


@dataclass(frozen=True)
class Rule(Node):
    """``rule name(hyperparameters) … end``; a hyperparameter without a default is a bare name."""

    name: str
    parameters: tuple[Argument, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Init(Node):
    """``init name(arguments) = expr``; an argument without a default is a bare name."""

    name: str
    parameters: tuple[Argument, ...]
    value: Expr


@dataclass(frozen=True)
class Output(Node):
    """``output P, Z``."""

    names: tuple[Name, ...]


@dataclass(frozen=True)
class Repeat(Node):
    """``repeat l = 1..L … end``."""

    letter: str
    start: Expr
    stop: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Block(Node):
    """``block name(inputs; sizes) … return names end``.

    An input may have a shape, ``x : [.., d]``; ``shapes`` has one entry for each input. The last sizes may have
    defaults, ``stride = 1``.
    """

    name: str
    inputs: tuple[str, ...]
    sizes: tuple[str, ...]
    body: tuple[Statement, ...]
    returns: tuple[str, ...]
    shapes: tuple[tuple[Expr, ...] | None, ...] = ()
    defaults: tuple[Expr, ...] = ()


Statement = (
    ModelName
    | Include
    | Option
    | Dims
    | Batch
    | Declaration
    | ConstDecl
    | Function
    | Assignment
    | Update
    | Minimize
    | Optimizer
    | Freeze
    | Rule
    | Init
    | Output
    | Repeat
    | Block
)


@dataclass(frozen=True)
class Tree(Node):
    """A whole model text."""

    statements: tuple[Statement, ...]


def children(node: Node) -> list[Node]:
    """The nodes directly below a node, in source order.

    >>> children(Unary("-", Name("x")))
    [Name(name='x', index=None)]
    """
    found: list[Node] = []
    stack = [getattr(node, name) for name in reversed(node.__dataclass_fields__) if name != "span"]
    while stack:
        value = stack.pop()
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple):
            stack.extend(reversed(value))
    return found
