"""The Python interface: a model from text or from Python calls becomes a file, a module, a check."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import codegen
import derive
from codegen import compiler

TEXT = """\
model line
dims d = 3
batch n
input X : [n, d]
target y : [n]
param w : [d]
p = X @ w
minimize mse(y, p)
output p
"""


def twin() -> derive.Model:
    m = derive.Model("line")
    m.dims(d=3)
    m.batch("n")
    X, y, w = m.input("X", "n", "d"), m.target("y", "n"), m.param("w", "d")
    p = m.let("p", X @ w)
    m.minimize(m.mse(y, p))
    m.output(p)
    return m


@pytest.mark.parametrize("model", [derive.parse(TEXT), twin()], ids=["text", "calls"])
def test_a_model_compiles_and_gives_its_gradient(model):
    net = codegen.compile(model, target="numpy")
    r = np.random.default_rng(0)
    X, y, w = r.normal(size=(5, 3)), r.normal(size=5), r.normal(size=3)
    loss, gradients = net.loss_and_grad({"w": w}, X=X, y=y)
    assert loss == pytest.approx(np.mean((y - X @ w) ** 2))
    assert np.allclose(gradients["w"], 2 / 5 * X.T @ (X @ w - y))


def test_both_ways_of_writing_give_the_same_bytes():
    assert compiler.build(derive.parse(TEXT).program) == compiler.build(twin().program)


def test_build_writes_a_file_that_imports(tmp_path):
    codegen.build(derive.parse(TEXT), tmp_path / "line.py", target="numpy", sizes={"d": 2}, dtype="float32")
    spec = importlib.util.spec_from_file_location("line", tmp_path / "line.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PARAMS == {"w": (2,)}
    assert module.init_params()["w"].dtype == np.float32


def test_check_answers_for_parameters_and_inputs():
    assert codegen.check(derive.parse(TEXT), target="numpy").ok
    result = codegen.check(derive.parse(TEXT), wrt=["X"], sizes={"d": 4}, target="numpy")
    assert result.ok
    assert result.rows[0].shape[1] == 4


def test_an_unknown_name_of_the_package_is_refused():
    with pytest.raises(AttributeError, match="nothing"):
        _ = codegen.nothing
