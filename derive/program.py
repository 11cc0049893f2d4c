"""Programs: named tensors and the index equations that define them, in order.

An `Equation` is `out[letters] = body`. A `Program` is what every stage after reading takes and gives:
declarations, equations, the objective, the outputs, and (after derivation) which tensor is the
cotangent of which. Names and spans are for people; identity is the `Tensor` object.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from derive.errors import Span
from derive.expr import Access, Dim, Expr, Letter, fresh

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Property:
    """A promise about data: ``one_hot``, ``simplex``, ``binary``, ``labels`` …

    ``axis`` is the axis number that it speaks of (one_hot, simplex); ``extent`` the number of classes of
    ``labels``.
    """

    name: str
    axis: int | None = None
    extent: Expr | None = None


@dataclass(frozen=True)
class Initializer:
    """How a parameter starts: the name of a declaration and its arguments, ``normal(0, 1/100)``.

    ``value`` is what it is declared to be, an expression in dims, ``fan_in``, ``fan_out`` and the draws ``z`` (normal)
    and ``u`` (uniform); None stands for the catalogue's.
    """

    name: str
    arguments: tuple[tuple[str, Expr], ...] = ()
    value: Expr | None = None


@dataclass(eq=False)
class Tensor:
    """A named array. Two tensors are the same only if they are the same object.

    kind is ``input``, ``target``, ``param``, ``const``, ``noise`` (drawn from ``init`` where it is not given),
    ``state`` (kept beside the parameters), ``value`` (defined by an equation), ``update`` (the next value of the
    state ``primal``), ``cotangent`` or ``tangent`` (of ``primal``).
    ``axes`` are extents: integer polynomials in dims. ``dtype`` is ``real`` or ``int``. ``values`` are the exact
    entries of a const, nested lists. ``bounds`` are a parameter's. ``hidden`` tensors were named by gradc, not by the
    user. ``range`` is the extent below which the entries of an integer
    tensor stay, where that is known. A member of a family has the ``family``'s name and the ``index`` of its layer.
    A stack of members has them along its first axis; ``layers`` are the number of the first one and how many there are.
    A ``frozen`` parameter is not trained.
    ``symmetric`` says that an equation was found to make it so.
    What a round of a recurrence finds is ``ahead`` of another tensor: its values one place later along that axis.
    A derivative of a tensor that gradc carries along says of which tensor it is and ``along`` which variables.
    """

    name: str
    axes: tuple[Expr, ...]
    kind: str = "value"
    properties: tuple[Property, ...] = ()
    init: Initializer | None = None
    primal: Tensor | None = None
    dtype: str = "real"
    values: Any = None
    bounds: tuple[Fraction | None, Fraction | None] | None = None
    range: Expr | None = None
    hidden: bool = False
    span: Span | None = field(default=None, repr=False)
    latex: str | None = None
    family: str | None = None
    index: Expr | None = None
    layers: tuple[int, int] | None = None
    frozen: bool = False
    ahead: tuple[Tensor, int] | None = field(default=None, repr=False)
    symmetric: bool = False
    along: tuple[Tensor, tuple[Tensor, ...]] | None = field(default=None, repr=False)
    number: int = field(default_factory=lambda: next(_numbers))

    def __repr__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.axes)

    def __getitem__(self, places: Expr | tuple[Expr, ...]) -> Access:
        return Access(self, places if isinstance(places, tuple) else (places,))

    def at(self, letters: Iterable[Expr]) -> Access:
        """The access at these places."""
        return Access(self, tuple(letters))

    def like(self, **changes: Any) -> Tensor:
        """Another tensor, the same but for the changes."""
        return replace(self, number=next(_numbers), **changes)

    @property
    def is_symmetric(self) -> bool:
        """Whether it equals its transpose, by a promise or by its equation."""
        return self.symmetric or any(p.name in ("symmetric", "posdef", "diagonal") for p in self.properties)

    def property(self, name: str) -> Property | None:
        """The promise of that name, if it was made."""
        return next((p for p in self.properties if p.name == name), None)


@dataclass(frozen=True, eq=False)
class Equation:
    """``out[letters] = body``; the letters are distinct and run over the axes of ``out``.

    ``source`` is the model line it comes from; ``note`` says in words what the equation is, where the name
    does not (``"row-wise maximum"``).
    """

    out: Tensor
    letters: tuple[Letter, ...]
    body: Expr
    span: Span | None = field(default=None, repr=False)
    note: str | None = None

    def __post_init__(self) -> None:
        assert len(self.letters) == len(self.out.axes), (self.out, self.letters)
        assert len(set(self.letters)) == len(self.letters)

    @property
    def left(self) -> Access:
        """``out[letters]``."""
        return Access(self.out, self.letters)

    def with_body(self, body: Expr) -> Equation:
        """The same left side with another body."""
        return replace(self, body=body)


@dataclass(frozen=True)
class DimDecl:
    """An extent of the model. ``default`` is None where it must be given; ``derived`` is its polynomial."""

    name: str
    default: int | None = None
    derived: Expr | None = None
    span: Span | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Rule:
    """How an optimizer changes an element of a parameter: equations in order, each a name and a right side.

    A right side is over `derive.functions.Parameter`s: ``w`` and its derivative ``g``, the step ``t`` from 1, the
    number of steps ``T``, the ``norm`` of the whole gradient, hyperparameters (``hyper``, with defaults), and what
    equations before it define. ``state`` are the names that are kept from step to step; they start at 0, but
    ``average`` starts at the parameter.
    """

    name: str
    hyper: tuple[tuple[str, Expr | None], ...]
    state: tuple[str, ...]
    equations: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class OptimizerCall:
    """``optimizer adam(lr=1e-3) for W, b``: a rule, the values of its hyperparameters, whom it trains.

    A value is a number, an expression in dims, or one in the step ``t`` and the number of steps ``T``; ``written``
    holds those of the last kind as text. Without names (of parameters or families) it is for all other parameters.
    """

    rule: Rule
    arguments: tuple[tuple[str, Expr], ...] = ()
    written: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name


@dataclass(frozen=True)
class Choice:
    """How ``out`` = d(of, by) is made, what a training step takes so, and the next best way."""

    out: Tensor
    of: Tensor
    by: Tensor
    way: str
    operations: int
    other: str
    instead: int


@dataclass(frozen=True, eq=False)
class Program:
    """A whole model, at any stage.

    ``equations`` stand in an order in which each reads only what stands before it. ``gradients`` pairs a
    variable with its cotangent, once derivation has run. ``constants`` are the names of those that formulas
    write by name. ``text`` is the canonical model text that the
    program comes from, ``digest`` its SHA-256. The program is the training form of the model; ``inference`` is the
    other form, over the same declared tensors, where the model makes a difference. ``choices`` tell how derivatives
    inside the model are made.
    """

    name: str
    dims: tuple[DimDecl, ...] = ()
    batch: Dim | None = None
    declared: tuple[Tensor, ...] = ()
    equations: tuple[Equation, ...] = ()
    objective: Tensor | None = None
    outputs: tuple[Tensor, ...] = ()
    optimizers: tuple[OptimizerCall, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    gradients: tuple[tuple[Tensor, Tensor], ...] = ()
    constants: tuple[str, ...] = ()
    text: str = ""
    digest: str = ""
    inference: Program | None = field(default=None, repr=False)
    choices: tuple[Choice, ...] = ()

    @property
    def numbers(self) -> set[str]:
        """The names of extents and constants."""
        batch = {self.batch.name} if self.batch is not None else set()
        return {d.name for d in self.dims}.union(self.constants, batch)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The parameters, in order of declaration."""
        return tuple(t for t in self.declared if t.kind == "param")

    @property
    def trained(self) -> tuple[Tensor, ...]:
        """The parameters that are not frozen: gradients are by them unless one asks for others."""
        return tuple(t for t in self.parameters if not t.frozen)

    @property
    def states(self) -> tuple[Tensor, ...]:
        """What is kept beside the parameters and not differentiated, in order of declaration."""
        return tuple(t for t in self.declared if t.kind == "state")

    @property
    def data(self) -> tuple[Tensor, ...]:
        """What a caller gives, or lets be drawn: inputs, targets and noise, in order of declaration."""
        return tuple(t for t in self.declared if t.kind in ("input", "target", "noise"))

    @property
    def updates(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """The states that a training step changes, each with its next value."""
        return tuple((e.out.primal, e.out) for e in self.equations if e.out.kind == "update" and e.out.primal)

    @property
    def defined(self) -> dict[Tensor, Equation]:
        """Which equation defines a tensor."""
        return {e.out: e for e in self.equations}

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor: declared, then defined."""
        return self.declared + tuple(e.out for e in self.equations)

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name; KeyError if there is none."""
        found = next((t for t in self.tensors if t.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def with_equations(self, equations: Iterable[Equation], **changes: Any) -> Program:
        """The same program with other equations (and other fields)."""
        return replace(self, equations=tuple(equations), **changes)


def reads(e: Expr) -> list[Tensor]:
    """The tensors that an expression reads, in order of appearance."""
    found: dict[Tensor, None] = {}
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, Access):
            found.setdefault(node.tensor)
        stack.extend(reversed(node.children))
    return list(found)


def needed(program: Program, wanted: Iterable[Tensor]) -> tuple[Equation, ...]:
    """The equations that ``wanted`` rests on, in the program's order."""
    defined, keep, stack = program.defined, set[Tensor](), list(wanted)
    while stack:
        t = stack.pop()
        if t in defined and t not in keep:
            keep.add(t)
            stack.extend(reads(defined[t].body))
    return tuple(e for e in program.equations if e.out in keep)


def letters_for(axes: Iterable[Expr], hints: Mapping[int, str] | None = None) -> tuple[Letter, ...]:
    """Fresh letters, one for each axis."""
    return tuple(fresh(a, (hints or {}).get(k, "ijklmnpq"[k % 8])) for k, a in enumerate(axes))
