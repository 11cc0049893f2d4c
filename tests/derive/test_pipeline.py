"""The stages in order, and the same answer every time: in one process and in two."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import derive
from derive.errors import GradcError
from derive.evaluate import evaluate
from derive.notation import Notation
from derive.pipeline import forward, gradient, jacobian, vector_jacobian
from derive.program import Tensor

FEW = ["columns", "attention", "norms", "log_softmax"]  # two processes take their time to import
NAMES = ["rows", "columns", "attention", "layer_norm", "norms", "general_target", "labels", "gate", "log_softmax"]


def everything(text: str) -> str:
    """All that is printed about a model: every formula of every stage, in every notation, and the reports."""
    made = derive.parse(text).gradient()
    lines = [str(made.report), *made.derivation.stabilizations]
    for program in (made.derivation.raw, made.derivation.formulas, made.derivation.stable):
        notation = Notation(program)
        for form in ("matrix", "index", "latex", "python"):
            lines += [line for _, line in notation.formulas(form)]
    return "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_two_derivations_in_one_process_are_identical(name, numeric):
    assert everything(numeric.zoo[name]) == everything(numeric.zoo[name])


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tests_of import everything
for text in sys.stdin.read().split(chr(0)):
    print(everything(text))
    import codegen.compiler, derive
    print(codegen.compiler.build(derive.parse(text).program))
"""


def test_two_processes_with_different_hash_seeds_are_identical(numeric, tmp_path):
    (tmp_path / "tests_of.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    root = str(Path(__file__).parents[2])
    texts = "\0".join(numeric.zoo[name] for name in FEW)
    answers = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), root],
            input=texts,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]
    assert answers[0].count("def loss_and_grad(") == len(FEW)


def test_stages_keep_what_was_asked_for(numeric):
    program = derive.parse(numeric.zoo["rows"]).program
    wrt = program.parameters
    derivation = gradient(program, wrt)
    assert derivation.source is program
    assert [v for v, _ in derivation.formulas.gradients] == list(wrt)
    assert [bar for _, bar in derivation.formulas.gradients] == list(derivation.results)
    assert {e.out for e in derivation.derived} <= {e.out for e in derivation.raw.equations}
    assert derivation.stable.outputs == program.outputs
    assert derivation.stable.digest == program.digest
    defined = derivation.stable.defined
    assert all(bar in defined for bar in derivation.results)
    assert program.objective in defined


def test_the_source_is_not_changed(numeric):
    model = derive.parse(numeric.zoo["rows"])
    before = repr([(e.left, e.body) for e in model.program.equations])
    model.gradient()
    model.jacobian("P", "Z1")
    assert repr([(e.left, e.body) for e in model.program.equations]) == before


def test_forward_computes_outputs_and_objective_only(numeric):
    model = derive.parse(numeric.zoo["rows"])
    program = forward(model.program)
    assert not program.gradients
    values = numeric.draw(model.program)
    found, want = evaluate(program, values), evaluate(model.program, values)
    for name in ("P", model.program.objective.name):
        np.testing.assert_allclose(found[name], want[name], rtol=1e-12)


def test_without_an_objective():
    program = derive.parse("param x\ny = x^2\n").program
    with pytest.raises(GradcError, match="no objective"):
        gradient(program, program.parameters)


def test_a_jacobian_contracted_is_a_vector_jacobian(numeric):
    model = derive.parse("dims a=2, b=3\ninput X:[a,b]\nparam w:[b]\ny = softmax(tanh(X @ w))\n")
    program = model.program
    y, w = program.tensor("y"), program.tensor("w")
    values = numeric.draw(program)
    J = jacobian(program, y, w)
    matrix = evaluate(J.formulas, values)[J.results[0].name]
    seed = Tensor("v", y.axes, "input")
    with_seed = replace(program, declared=(*program.declared, seed))
    back = vector_jacobian(with_seed, y, seed, w)
    v = np.array([0.7, -1.3])
    for stage in (back.raw, back.formulas, back.stable):
        np.testing.assert_allclose(evaluate(stage, {**values, "v": v})[back.results[0].name], v @ matrix, atol=1e-14)
