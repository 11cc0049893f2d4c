"""Every stage keeps the contract, for every model; and the contract refuses what it should."""

from __future__ import annotations

import pytest

from derive.expr import Compare, Dim, Num, Reduce, Select, call, fresh, num, sum_over
from derive.functions import PRIMITIVES, Parameter, ScalarFunction
from derive.pipeline import forward
from derive.prepare import prepare
from derive.program import DimDecl, Equation, Program, Tensor
from derive.spec import STAGES, SpecError, check

n, m = Dim("n"), Dim("m")
i, j, k = fresh(n, "i"), fresh(m, "j"), fresh(n, "k")
x, A = Tensor("x", (n,), "input"), Tensor("A", (n, m), "param")


def test_every_stage_of_every_model(zoo, numeric):
    source = numeric.parsed(zoo).program
    check(source, "read")
    check(prepare(source), "prepared")
    check(forward(source), "stable")
    derivation = numeric.derived(zoo).derivation
    check(derivation.prepared, "prepared")
    check(derivation.raw, "raw")
    check(derivation.formulas, "simplified")
    check(derivation.stable, "stable")


@pytest.mark.parametrize(("name", "y", "x"), [("rows", "P", "Z2"), ("attention", "P", "Q"), ("columns", "A1", "W1")])
def test_every_stage_of_a_jacobian(name, y, x, numeric):
    derivation = numeric.parsed(numeric.zoo[name]).jacobian(y, x).derivation
    for stage, program in (("raw", derivation.raw), ("simplified", derivation.formulas), ("stable", derivation.stable)):
        check(program, stage)


@pytest.mark.parametrize("name", ["logistic_regression", "quadratic", "one_sample", "gate"])
def test_every_stage_of_second_derivatives(name, numeric):
    model = numeric.parsed(numeric.zoo[name])
    for derivation in (
        (model.hessian(model.program.parameters[0].name).derivation, model.hvp("b2").derivation)
        if (name == "one_sample")
        else (model.hessian(model.program.parameters[0].name).derivation,)
    ):
        check(derivation.raw, "raw")
        check(derivation.formulas, "simplified")
        check(derivation.stable, "stable")


def equation(body, letters=(i,), out=None, **kind):
    t = out if out is not None else Tensor("y", tuple(a.extent for a in letters), **kind)
    return Equation(t, letters, body)


s, t = Tensor("s", ()), Tensor("t", (n,))
WRONG = {
    "two tensors have this name": [equation(x[i], out=Tensor("x", (n,)))],
    "which is not defined before it": [equation(t[i])],
    "neither free nor bound": [equation(A[i, j])],
    "binds ['i'] once more": [equation(sum_over((i,), x[i]))],
    "is not an integer": [equation(x[i / 2 + num(0)])],
    "the letter k runs over n, the axis over m": [Equation(Tensor("y", (m,)), (k,), num(1))],
    "the extent q is not declared": [equation(sum_over((fresh(Dim("q"), "q"),), num(1)), ())],
    "is no polynomial in dims": [equation(num(1), (fresh(t[0 * i], "a"),))],
    "chooses a branch and is no condition": [equation(Select(x[i], num(1), num(2)))],
    "is not in normal order": [equation(Compare(">", x[i], Num(0)))],
    "is no reduction": [equation(Reduce("median", (k,), x[k]), ())],
    "binds a letter twice, or none": [equation(Reduce("sum", (k, k), x[k]), ())],
    "but of kind input": [equation(num(1), kind="input")],
    "of a function stands outside it": [equation(Parameter("z"))],
    "has no definition": [equation(call(ScalarFunction("mystery", ("z",)), x[i]))],
    "has 1 parameters": [equation(call(PRIMITIVES["exp"], x[i], x[i]))],
    "is of kind cotangent after the stage read": [equation(num(1), kind="cotangent")],
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_refused_at_every_stage(message):
    program = Program("p", (DimDecl("n"), DimDecl("m")), declared=(x, A), equations=tuple(WRONG[message]))
    with pytest.raises(SpecError) as caught:
        check(program, "read" if "stage read" in message else "simplified")
    assert message in str(caught.value)


@pytest.mark.parametrize("stage", STAGES)
def test_reductions_are_linear_where_derivation_needs_it(stage):
    nested = equation(call(PRIMITIVES["exp"], sum_over((j,), A[i, j])))
    program = Program("p", (DimDecl("n"), DimDecl("m")), declared=(x, A), equations=(nested,))
    if stage in ("read", "simplified"):
        check(program, stage)
    else:
        with pytest.raises(SpecError, match="linear position"):
            check(program, stage)


def test_what_a_program_hands_out_is_defined():
    base = Program("p", (DimDecl("n"), DimDecl("m")), declared=(x, A))
    with pytest.raises(SpecError, match="is declared, but of kind value"):
        check(Program("p", declared=(s,)), "read")
    for changes, message in (
        ({"objective": s}, "is the objective, but not defined"),
        ({"objective": x}, "has the axes"),
        ({"outputs": (t,)}, "is an output, but not defined"),
        ({"gradients": ((x, t),)}, "is a gradient, but not defined"),
    ):
        with pytest.raises(SpecError, match=message):
            check(base.with_equations((), **changes), "raw")
    wrong = equation(num(0), (i, j), kind="cotangent")
    with pytest.raises(SpecError, match="its variable"):
        check(base.with_equations((wrong,), gradients=((x, wrong.out),)), "raw")


def test_an_unknown_stage():
    with pytest.raises(ValueError, match="unknown stage"):
        check(Program("p"), "lifted")
