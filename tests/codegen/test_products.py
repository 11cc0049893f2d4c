"""The module's Hessian products: by names and as vectors, of plain models, loops over layers, noise, what is frozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codegen
import derive
from codegen import cli
from derive.points import small_sizes
from derive.promises import draw

ROOT = Path(__file__).resolve().parent.parent.parent
DROPOUT = """dims d, h = 3
batch n
input x : [n, d]
target y : [n]
param w : [d] ~ normal(0, 1)
param s ~ ones()
p = s*tanh(dropout(x, 0.3) @ w)
minimize mse(y, p)
"""


def against_differences(model: derive.Differentiable, target: str, **moved: float) -> None:
    """``moved`` parameters have another length of direction than 1."""
    sizes = small_sizes(model.program, {})
    built = {k: v for k, v in sizes.items() if model.program.batch is None or k != model.program.batch.name}
    net = codegen.compile(model, sizes=built, target=target, products=True)
    r = np.random.default_rng(2)
    given = {t.name: draw(t, sizes, r) for t in model.program.declared if t.kind in ("input", "target")}
    params, direction = net.init_params(1), net.init_params(0)
    for name in params:
        params[name][...] = r.normal(0, 0.5, params[name].shape)
        direction[name][...] = r.normal(size=params[name].shape)
    theta, v = (next(iter(p.values())).base for p in (params, direction))
    found = net.hvp(params, direction, **given)
    np.testing.assert_array_equal(net.hvp_flat(theta, v, **given), next(iter(found.values())).base)
    for name, length in moved.items():
        direction[name] *= length

    def slope(step: float) -> np.ndarray:
        return net.loss_and_grad_flat(theta + step * v, **given)[1]

    h = 1e-3
    near, far = (slope(h) - slope(-h)) / (2 * h), (slope(2 * h) - slope(-2 * h)) / (4 * h)
    want, flat = (4 * near - far) / 3, net.hvp_flat(theta, v, **given)
    np.testing.assert_allclose(flat, want, rtol=0, atol=1e-8 * max(1.0, np.abs(want).max()))
    assert np.abs(want).max() > 1e-3


@pytest.mark.parametrize("name", ["attention", "labels", "rnn", "layers_block"])
def test_products_are_differences_of_gradients(name):
    against_differences(derive.load(ROOT / "tests" / "models" / f"{name}.gc"), "numpy")


def test_compiled_products_with_layers_as_a_loop():
    against_differences(derive.load(ROOT / "examples" / "deep_rows.gc"), "numba")


def test_noise_is_drawn_by_the_seed():
    against_differences(derive.parse(DROPOUT), "numpy")


def test_what_is_frozen_neither_moves_nor_counts():
    against_differences(derive.parse(DROPOUT.replace("param s", "param s frozen")), "numpy", s=0.0)


def test_a_model_may_use_the_words_of_the_module():
    text = "dims v = 2, product = 3\nparam direction : [v, product]\nparam hvp : [product]\ninput theta : [v]\n"
    against_differences(derive.parse(text + "minimize sum(tanh(theta @ direction + hvp)^2)"), "numpy")


def test_wrong_directions_are_refused():
    net = codegen.compile(derive.parse(DROPOUT), sizes={"d": 2}, target="numpy", products=True)
    data = {"x": np.ones((3, 2)), "y": np.ones(3)}
    params = net.init_params(0)
    with pytest.raises(ValueError, match="missing"):
        net.hvp(params, {"w": params["w"]}, **data)
    with pytest.raises(ValueError, match="direction has shape"):
        net.hvp_flat(np.zeros(3), np.zeros(2), **data)


def test_without_an_objective_or_parameters_there_are_none():
    with pytest.raises(derive.GradcError, match="Hessian products"):
        codegen.compile(derive.parse("dims d = 2\ninput x : [d]\ny = 2*x\noutput y"), products=True)


def test_the_command_builds_them(tmp_path):
    path = tmp_path / "net.py"
    arguments = ["build", str(ROOT / "examples" / "logistic_regression.gc"), "--hessian", "-o", str(path)]
    assert cli.run(arguments) == 0
    assert "def hvp_flat(theta, direction, /, **inputs):" in path.read_text()
