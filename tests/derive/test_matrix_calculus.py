"""The problems of `tests/matrix_calculus`: printed, counted, and checked by number in two ways."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import sympy
from matrix_calculus import PROBLEMS
from matrix_calculus.page import PAGE, page
from matrix_calculus.problem import GRADIENT, HESSIAN, JACOBIAN, Problem
from matrix_calculus.sympy_cases import CASES, VERSION, Case

import codegen
from derive.claims.line import read_line, scalars_of
from derive.claims.reader import Reader
from derive.cost import Cost, cost
from derive.differentiable import DerivedModel
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.points import points
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor

COUNTED = [p for p in PROBLEMS if p.textbook]
OPERATION = re.compile(r"[+−⊙⊘⊗/√]|[ᵀ⁻¹²³⁴]+|\w(?=\()|(?<=[^\s+−⊙⊘⊗/,]) (?=[^\s+−⊙⊘⊗/])")


def sizes_of(problem: Problem) -> dict[str, int]:
    """Distinct primes."""
    return dict(zip((d.name for d in problem.model.program.dims), (3, 2, 5, 7), strict=False))


def point_of(problem: Problem) -> dict[str, Any]:
    """Random values that keep what is promised, at which everything is finite."""
    program, sizes = problem.model.program, sizes_of(problem)
    root = program.objective or program.outputs[0] if program.outputs or program.objective else program.tensors[-1]

    def good(point: dict[str, Any]) -> bool:
        with np.errstate(all="ignore"):
            return bool(np.all(np.isfinite(evaluate(program, point, sizes)[root.name])))

    return next(points(program, sizes, 0, good))


def stepped(program: Program, point: dict[str, Any], sizes: dict[str, int], by: str, out: str) -> Any:
    """The derivative of ``out`` by complex steps of the definitions; axes of ``out`` first."""
    columns = []
    for place in np.ndindex(point[by].shape):
        moved = point[by].astype(complex)
        moved[place] += 1e-30j
        columns.append(evaluate(program, {**point, by: moved}, sizes)[out].imag / 1e-30)
    found = np.stack(columns, axis=-1)
    return found.reshape((*found.shape[:-1], *point[by].shape))


def as_shown(value: Any, rank: int) -> Any:
    """A derivative by vec: the entries of y down, those of x across, the first index fastest."""
    y, x = value.shape[:rank], value.shape[rank:]
    turned = value.transpose((*reversed(range(rank)), *reversed(range(rank, value.ndim))))
    return turned.reshape(int(np.prod(y)), int(np.prod(x)))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_problem(problem: Problem) -> None:
    """It is printed as the table says, and formula, code's program, closed form and complex steps agree."""
    assert problem.shown == problem.printed
    program, sizes, point = problem.model.program, sizes_of(problem), point_of(problem)
    found = evaluate(problem.computed, point, sizes)[problem.result.name]
    taken = re.findall(r"\w+", ",".join(problem.closed.__code__.co_varnames[: problem.closed.__code__.co_argcount]))
    closed = np.asarray(problem.closed(**{name: point[name] for name in taken}))
    scale = max(1.0, float(np.abs(found).max()))
    rank = found.ndim - point[problem.by].ndim
    whole = found if problem.kind == GRADIENT else as_shown(found, rank)
    np.testing.assert_allclose(np.broadcast_to(closed, whole.shape), whole, rtol=1e-8, atol=1e-10 * scale)
    if problem.kind == HESSIAN:
        first = problem.model.gradient(problem.by).derivation
        steps = stepped(first.stable, point, sizes, problem.by, first.results[0].name)
    else:
        root = program.objective.name if program.objective is not None else "Y"
        steps = stepped(program, point, sizes, problem.by, root)
    np.testing.assert_allclose(found, steps.reshape(found.shape), rtol=1e-8, atol=1e-10 * scale)
    equation, outer = problem.equation, problem.answer.program
    shown = evaluate(outer.with_equations((*outer.equations, renamed(equation))), point, sizes)["as_printed"]
    np.testing.assert_allclose(shown.reshape(found.shape), found, rtol=1e-8, atol=1e-10 * scale)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.kind != GRADIENT], ids=lambda p: p.name)
def test_emitted(problem: Problem) -> None:
    """What is no gradient of a number is emitted, and the module runs: results of any order."""
    assert isinstance(problem.answer, DerivedModel)
    sizes, point = sizes_of(problem), point_of(problem)
    module = codegen.compile(problem.answer, target="numpy", sizes=sizes)
    expected = evaluate(problem.computed, point, sizes)[problem.result.name]
    found = module.forward({}, **point)
    np.testing.assert_allclose(found["result"] if isinstance(found, dict) else found, expected, rtol=1e-9, atol=1e-12)


def renamed(equation: Equation) -> Equation:
    """The equation under a name of its own."""
    return Equation(Tensor("as_printed", equation.out.axes), equation.letters, equation.body)


def count(problem: Problem, text: str) -> Cost:
    """The operations of a formula as it is written."""
    program = prepare(problem.model.program)
    wanted = problem.result.like(name="wanted")
    behind = [(t.name, t) for t in problem.answer.program.tensors if t.kind == "cotangent"]
    claim = Reader(program, [(wanted.name, wanted), *behind]).claim(read_line(f"wanted = {text}", scalars_of(program)))
    return cost(claim.right)


def written(text: str) -> int:
    """The signs that stand for operations in a formula, a product's space too.

    >>> [written(x) for x in ("A + Aᵀ", "2 Aᵀ A", "−Yᵀ ⊗ Y", "diag(vec(Y)) (I ⊗ A)", "Aᵀ diag(b ⊙ exp(A x)) A")]
    [2, 3, 3, 4, 7]
    """
    return len(OPERATION.findall(text))


@pytest.mark.parametrize("problem", COUNTED, ids=lambda p: p.name)
def test_no_operation_more_than_in_the_literature(problem: Problem) -> None:
    """What is printed takes no operation more than the source's formula, but for what the table calls longer.

    Of gradients the operations count that it takes to compute them. Of Jacobians and Hessians those count that are
    written, as of vec and ⊗ nobody forms the matrix, and of those that are matrices the ones to compute them too.
    """
    longer, ours = False, []
    with suppress(SourceError):  # in indices of gradc's
        ours.append(count(problem, problem.printed))
    if problem.kind == GRADIENT:
        ours = ours or [cost(problem.equation.body)]
    else:
        assert isinstance(problem.answer, DerivedModel)
        ours.append(cost(problem.answer.partial.equation.body))  # names in it stand for what is computed once
        longer = written(problem.printed) > written(problem.textbook)
    if problem.result.rank == 2 and "⊗" in problem.textbook:  # which is no formula that can be counted: it is the same
        longer = longer or problem.printed != problem.textbook
    elif problem.kind == GRADIENT or (problem.result.rank == 2 and "1ₙ" not in problem.textbook):
        longer = longer or min(ours) > count(problem, problem.textbook)
    assert longer == problem.longer


def test_gradients_hessians_and_jacobians_are_counted() -> None:
    assert Counter(p.kind for p in COUNTED if not p.longer) > Counter({GRADIENT: 100, HESSIAN: 15, JACOBIAN: 30})


def test_there_are_enough() -> None:
    assert len(PROBLEMS) >= 150
    assert len({p.name + p.given for p in PROBLEMS}) == len(PROBLEMS)
    assert sum(not p.longer for p in COUNTED) >= 100
    assert all(p.source for p in PROBLEMS)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.asked)
def test_sympy_and_gradc(case: Case) -> None:
    """gradc's answer, and SymPy's as long as it is the wrong one of the table."""
    assert case.gradc() == case.right
    answer = case.sympy()
    if answer != case.answer:
        pytest.fail(
            f"SymPy {sympy.__version__} no longer answers {case.answer} to {case.asked}, but {answer}: if that is "
            f"right, take the case out of tests/matrix_calculus/sympy_cases.py, which was made with {VERSION}"
        )


def test_page() -> None:
    """docs/matrix_calculus.md is what the tables say."""
    assert PAGE.read_text(encoding="utf-8") == page()
