"""What a well-formed program is, after each stage: the contract between the stages, as something that runs.

In: a program and the stage that made it. Out: nothing, or a `SpecError` that says which equation breaks which rule.
Tests run it after every stage; nothing runs it when models are derived or built.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.errors import GradcError
from derive.expr import (
    Access,
    Add,
    Call,
    Compare,
    Const,
    Dim,
    Expr,
    Letter,
    Mask,
    Mul,
    Not,
    Num,
    Pow,
    Reduce,
    Select,
)
from derive.functions import PRIMITIVES, Parameter
from derive.hoist import split_scale
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.program import Equation, Program, Tensor
from derive.recurrence import recurring
from derive.rewrite import terms, walk

STAGES = ("read", "prepared", "raw", "simplified", "stable")
LINEAR = frozenset({"prepared", "raw", "stable"})
REDUCTIONS = frozenset({"sum", "max", "min", "prod", "argmax", "argmin", *MATRIX_FUNCTIONS})
RELATIONS = frozenset({"<", "<=", "==", "!="})
CONSTANTS = frozenset({"pi", "e"})
DECLARED = frozenset({"input", "target", "param", "const", "noise", "state"})


class SpecError(AssertionError):
    """A program that no stage may hand on: a defect of gradc, not of a model."""


def check(program: Program, stage: str) -> None:
    """Refuse a program that is not well formed after ``stage``, one of `STAGES`.

    >>> from derive.expr import fresh
    >>> n, i = Dim("n"), fresh(Dim("m"), "i")
    >>> bad = Equation(Tensor("a", (n,)), (i,), Num(1))
    >>> check(Program("p", batch=n, equations=(bad,)), "read")
    Traceback (most recent call last):
    derive.spec.SpecError: a[i]: the letter i runs over m, the axis over n
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; known are {', '.join(STAGES)}")
    dims = {d.name for d in program.dims} | ({program.batch.name} if program.batch is not None else set())
    _check_names(program, stage)
    known: set[Tensor] = set()
    for t in program.declared:
        _require(t.kind in DECLARED, t.name, f"is declared, but of kind {t.kind}")
        known.add(t)
    for t in program.tensors:
        for axis in t.axes:
            _check_extent(axis, dims, t.name)
    rounds = _rounds(program)
    for equation in program.equations:
        _check_equation(equation, known | rounds.get(equation.out, set()), dims)
        if stage in LINEAR:
            _check_linear(equation)
        known.add(equation.out)
    _check_results(program, known)


def _rounds(program: Program) -> dict[Tensor, set[Tensor]]:
    """The tensors of a recurrence, which read each other at other places, and all of them."""
    try:
        return {t: set(loop.letters) for t, loop in recurring(program.equations).items()}
    except GradcError:
        return {}


def _require(condition: bool, where: object, problem: str) -> None:
    if not condition:
        raise SpecError(f"{where}: {problem}")


def _check_names(program: Program, stage: str) -> None:
    seen: set[str] = set()
    for t in program.tensors:
        _require(t.name not in seen, t.name, "two tensors have this name")
        seen.add(t.name)
    if stage in ("read", "prepared"):
        _require(not program.gradients, program.name, f"has gradients after the stage {stage}")
        for e in program.equations:
            _require(e.out.kind in ("value", "update"), e.out.name, f"is of kind {e.out.kind} after the stage {stage}")


def _check_results(program: Program, known: set[Tensor]) -> None:
    j = program.objective
    if j is not None:
        _require(j in known, j.name, "is the objective, but not defined")
        _require(all(a == Num(1) for a in j.axes), j.name, f"is the objective and has the axes {list(j.axes)}")
    for t in program.outputs:
        _require(t in known, t.name, "is an output, but not defined")
    for variable, bar in program.gradients:
        _require(variable in known, variable.name, "has a gradient, but is not defined")
        _require(bar in program.defined, bar.name, "is a gradient, but not defined")
        own = bar.axes[len(bar.axes) - variable.rank :]
        _require(own == variable.axes, bar.name, f"has the axes {bar.axes}, its variable {variable.axes}")


def _check_equation(equation: Equation, known: set[Tensor], dims: set[str]) -> None:
    out, where = equation.out, repr(equation.left)
    _require(
        out.kind in ("value", "update", "cotangent", "tangent"),
        where,
        f"is defined by an equation, but of kind {out.kind}",
    )
    _require(len(set(equation.letters)) == out.rank, where, "its letters are not one an axis")
    for letter, axis in zip(equation.letters, out.axes, strict=True):
        _require(letter.extent == axis, where, f"the letter {letter} runs over {letter.extent}, the axis over {axis}")
    loose = equation.body.letters - set(equation.letters)
    _require(not loose, where, f"the letters {sorted(map(repr, loose))} are neither free nor bound")
    for node in walk(equation.body):
        _check_node(node, known, dims, where)
    _check_scopes(equation.body, frozenset(equation.letters), where)


def _check_node(node: Expr, known: set[Tensor], dims: set[str], where: str) -> None:
    match node:
        case Access():
            t = node.tensor
            _require(t in known, where, f"reads {t.name}, which is not defined before it")
            _require(len(node.places) == t.rank, where, f"{node} has {len(node.places)} places for {t.rank} axes")
            for place in node.places:
                _require(_is_integer(place), where, f"{node}: the place {place} is not an integer")
        case Letter():
            _check_extent(node.extent, dims, where)
        case Dim():
            _check_extent(node, dims, where)
        case Const():
            _require(node.value is not None or node.name in CONSTANTS, where, f"{node.name} is no constant")
        case Call():
            f = node.function
            _require(f.definition is not None or f.name in PRIMITIVES, where, f"{f.name} has no definition")
            _require(len(f.parameters) == len(node.arguments), where, f"{f.name} has {len(f.parameters)} parameters")
        case Compare():
            _require(node.op in RELATIONS, where, f"the relation {node.op} is not in normal order")
        case Not():
            _require(is_condition(node.args[0]), where, f"{node.args[0]} is negated and is no condition")
        case Select():
            _require(is_condition(node.mask), where, f"{node.mask} chooses a branch and is no condition")
        case Reduce():
            _require(node.op in REDUCTIONS, where, f"{node.op} is no reduction")
            _require(len(set(node.binders)) == len(node.binders) > 0, where, f"{node} binds a letter twice, or none")
            for b in node.binders:
                _check_extent(b.extent, dims, where)
        case Parameter():
            raise SpecError(f"{where}: the parameter {node.name} of a function stands outside it")


def _check_scopes(e: Expr, bound: frozenset[Letter], where: str) -> None:
    """No letter is bound where it has a meaning already."""
    if isinstance(e, Reduce):
        again = bound & set(e.binders)
        _require(not again, where, f"{e} binds {sorted(map(repr, again))} once more")
        bound |= set(e.binders)
    for child in e.children:
        _check_scopes(child, bound, where)


def is_condition(e: Expr) -> bool:
    """Whether ``e`` is 0 or 1 by its form: a mask, or a product of masks."""
    if isinstance(e, Mul):
        return all(is_condition(f) for f in e.args)
    return isinstance(e, Mask)


def _is_integer(e: Expr) -> bool:
    match e:
        case Num():
            return e.value.denominator == 1
        case Letter() | Dim():
            return True
        case Access():
            return e.tensor.dtype == "int"
        case Add() | Mul():
            return all(_is_integer(c) for c in e.args)
        case Pow():
            return _is_integer(e.base) and isinstance(e.exponent, Num) and e.exponent.value >= 0
        case Reduce():
            return e.op.startswith("arg")
    return False


def _check_extent(e: Expr, dims: set[str], where: str) -> None:
    for node in walk(e):
        allowed = isinstance(node, (Num, Dim, Add, Mul, Pow))
        _require(allowed, where, f"the extent {e} is no polynomial in dims")
        if isinstance(node, Dim):
            _require(node.name in dims, where, f"the extent {node.name} is not declared")


def _check_linear(equation: Equation) -> None:
    """Reductions stand only as additive terms, scaled by numbers and extents, over bodies without reductions."""
    for term in terms(equation.body):
        rest = split_scale(term)[1]
        inner: Iterable[Expr] = rest.children if isinstance(rest, Reduce) else (rest,)
        deep = next((n for c in inner for n in walk(c) if isinstance(n, Reduce)), None)
        _require(deep is None, repr(equation.left), f"{deep} does not stand in a linear position")
        if isinstance(rest, Reduce) and rest.op.startswith("arg"):
            _require(equation.out.dtype == "int", repr(equation.left), f"{rest} is an integer, the tensor is not")
