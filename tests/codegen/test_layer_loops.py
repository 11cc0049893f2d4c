"""Layers that are alike as one loop: the numbers of the layers written out, in a module that does not grow."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import build, load_source, source
from derive.repeat.stacked import stacked

MODELS = Path(__file__).parents[1] / "models"

DENSE = """model deep
dims L = 3, d = 2, h = 5, c = 3
batch m
input X : [m, d]
target Y : [m, c] one_hot
param K : [d, h] ~ normal(0, 1)
param V : [h, c] ~ normal(0, 1)
A{0} = tanh(X @ K)
repeat l = 1..L
  param W{l} : [h, h] ~ he_normal()
  param b{l} : [h] ~ zeros()
  Z{l} = A{l-1} @ W{l} + b{l}
  A{l} = tanh(Z{l})
end
P = softmax(A{L} @ V, axis=1)
minimize cross_entropy(Y, P)
optimizer sgd(lr=0.1)
output P, A{2}
"""

WIDTHS = """model widths
dims L = 5, n{0..L} = [7, 3, 3, 3, 3, 2]
batch m
input X : [m, n{0}]
target Y : [m, n{L}]
A{0} = X
repeat l = 1..L
  param W{l} : [n{l-1}, n{l}] ~ glorot_uniform()
  param b{l} : [n{l}] ~ zeros()
  Z{l} = A{l-1} @ W{l} + b{l}
  A{l} = sigmoid(Z{l})
end
minimize mse(Y, A{L}) + sum(W{2}^2) / 7
output A{L}
"""

BLOCKS = """model transformer
dims L = 3, s = 5, d = 3, h = 7
input X : [s, d]
target Y : [s, d]
param g : [d] ~ ones()
A{0} = X
repeat l = 1..L
  param Q{l} : [d, d] ~ glorot_normal()
  param K{l} : [d, d] ~ glorot_normal()
  param U{l} : [d, h] ~ glorot_normal()
  param W{l} : [h, d] ~ glorot_normal()
  P{l} = softmax(A{l-1} @ Q{l} @ (A{l-1} @ K{l})' / sqrt(d), axis=1)
  B{l} = A{l-1} + P{l} @ A{l-1} / l
  C{l} = B{l} - col(mean(B{l}, axis=1))
  N{l} = g * C{l} / col(sqrt(mean(C{l}^2, axis=1) + 1e-5))
  A{l} = N{l} + gelu(N{l} @ U{l}) @ W{l}
end
minimize mse(Y, A{L})
"""


def _pair(text: str, target: str = "numpy", dtype: str = "float64", **sizes: int) -> tuple[ModuleType, ModuleType]:
    """The module of a model, and that of the model with all layers written out."""
    model = derive.parse(text)
    net, left = model.sized(sizes)
    assert net.repeated is not None
    assert net.repeated.stacked is not None
    looped = source(model, target=target, dtype=dtype, sizes=sizes)
    return load_source(looped), load_source(build(net.program, target=target, dtype=dtype, sizes=left))


def _point(net: ModuleType, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    data = {}
    for name, (_, shape, _) in net._INPUTS.items():
        data[name] = rng.normal(size=shape(11)).astype(net.DTYPE)
        if any("one_hot" in message for _, message in net._PROMISES.get(name, ())):
            data[name] = np.eye(shape(11)[-1], dtype=net.DTYPE)[rng.integers(0, shape(11)[-1], 11)]
    params = {k: (rng.normal(size=shape) / 2).astype(net.DTYPE) for k, shape in sorted(net.PARAMS.items())}
    return params, data


def _same(looped: ModuleType, written: ModuleType, tolerance: float = 1e-12) -> None:
    assert {k: looped.PARAMS[k] for k in written.PARAMS} == written.PARAMS
    assert len(looped.PARAMS) == len(written.PARAMS)
    params, data = _point(written)
    one, other = looped.loss_and_grad(params, **data), written.loss_and_grad(params, **data)
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    assert looped.loss(params, **data) == pytest.approx(other[0], rel=tolerance)
    assert set(one[1]) == set(other[1])
    for name, gradient in other[1].items():
        np.testing.assert_allclose(one[1][name], gradient, rtol=0, atol=tolerance * max(1, abs(gradient).max()))
    if hasattr(written, "forward"):
        given = {k: v for k, v in data.items() if k != "Y"}
        found, expected = looped.forward(params, **given), written.forward(params, **given)
        assert list(found) == list(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("depth", [3, 5, 7])
@pytest.mark.parametrize("text", [DENSE, BLOCKS], ids=["dense", "blocks"])
def test_a_loop_over_layers_gives_the_numbers_of_layers_written_out(text: str, depth: int) -> None:
    _same(*_pair(text, L=depth))


def test_rounds_of_other_widths_stand_beside_the_loop() -> None:
    looped, written = _pair(WIDTHS)
    _same(looped, written)
    assert "for _layer in range(2, 5)" in Path(looped.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "depth"), [("layers_tied", 5), ("layers_block", 3)])
def test_what_every_layer_shares_stays_shared(name: str, depth: int) -> None:
    _same(*_pair((MODELS / f"{name}.gc").read_text(encoding="utf-8"), L=depth))


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("text", [DENSE, BLOCKS], ids=["dense", "blocks"])
def test_the_source_does_not_grow(text: str, target: str) -> None:
    model = derive.parse(text)
    few, many = (source(model, target=target, sizes={"L": depth}).splitlines() for depth in (3, 12))
    assert len(few) == len(many)


def test_compiled_loops_give_the_same_numbers() -> None:
    _same(*_pair(DENSE, "numba", L=5))


def test_single_precision() -> None:
    _same(*_pair(DENSE, dtype="float32", L=5), tolerance=1e-5)


def test_members_are_trained_saved_and_started_by_their_names(tmp_path: Path) -> None:
    looped, written = _pair(DENSE, L=5)
    params, data = _point(written)
    mine, theirs = ({k: v.copy() for k, v in params.items()} for _ in range(2))
    one = looped.fit(mine, data, epochs=3, batch_size=4)
    other = written.fit(theirs, data, epochs=3, batch_size=4)
    assert one[-1]["loss"] == pytest.approx(other[-1]["loss"])
    for name in params:
        np.testing.assert_allclose(mine[name], theirs[name], atol=1e-12)
    start = looped.init_params(3)
    looped.save(tmp_path / "p.npz", start)
    again = written.load(tmp_path / "p.npz")
    for name, value in start.items():
        np.testing.assert_array_equal(again[name], value)
    assert 0.5 < np.std([start[f"W{k}"] for k in range(1, 6)]) / np.sqrt(2 / 5) < 1.5  # the fan of one layer
    assert not np.any(start["b4"])


def test_flat_gradients_stand_in_the_order_of_params() -> None:
    looped, _ = _pair(DENSE)
    params, data = looped.init_params(1), _point(looped)[1]
    flat = np.concatenate([params[k].ravel() for k in looped.PARAMS])
    value, vector = looped.loss_and_grad_flat(flat, **data)
    loss, grads = looped.loss_and_grad(params, **data)
    assert value == loss
    np.testing.assert_array_equal(vector, np.concatenate([grads[k].ravel() for k in looped.PARAMS]))


def test_the_check_is_of_the_loop() -> None:
    assert codegen.check(derive.parse(DENSE), target="numpy").ok


def test_the_loop_is_told_as_a_layer() -> None:
    text = source(derive.parse(DENSE), target="numpy")
    for formula in ("# Zˡ = Aˡ⁻¹ Wˡ + bˡ", "# Aˡ = tanh(Zˡ)", "# dZˡ = dAˡ ⊙ (1 − (Aˡ)∘²)", "# dWˡ = (Aˡ⁻¹)ᵀ dZˡ"):
        assert formula in text
    assert text.count("dWˡ = ") == 2  # in the docstring and above its loop


@pytest.mark.parametrize("name", ["layers_two_back", "layers_last_apart", "block_repeats"])
def test_rounds_that_are_not_alike_are_written_out(name: str) -> None:
    model = derive.load(MODELS / f"{name}.gc")
    assert model.repeated is None or model.repeated.stacked is None
    assert "_layer" not in source(model, target="numpy")


@pytest.mark.parametrize(
    ("old", "new"),
    [("L = 3", "L = 2"), ("  A{l} = tanh(Z{l})\n", "  A{l} = tanh(Z{l})\n  R{l} = A{l}^2\n")],
    ids=["two layers", "a result of each layer"],
)
def test_what_a_stack_could_not_say(old: str, new: str) -> None:
    text = DENSE.replace(old, new).replace("output P, A{2}\n", "")
    repeated = derive.parse(text).repeated
    assert repeated is not None
    assert stacked(repeated.scheme) is None
    codegen.compile(derive.parse(text), target="numpy")
