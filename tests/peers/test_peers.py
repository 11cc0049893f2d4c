"""Emitted modules against PyTorch and JAX: the same models written there, values and gradients in float64.

    pip install 'gradc[test,peers]'; pytest tests/peers

Where a library is not installed its half is skipped. Every entry of the catalogue has a peer, or says why it has none.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from catalogue import SETTINGS, function_models, loss_models
from layer_models import layer_models
from peers import formulas

import codegen
from derive.library.layers import LAYERS
from derive.library.losses import LOSSES

LIBRARIES = {"torch": "peers.with_torch", "jax": "peers.with_jax"}
TARGET = os.environ.get("GRADC_PEERS_TARGET", "numpy")
WITHOUT = {"dropout": "its mask is drawn", "gaussian_noise": "its noise is drawn"}  # entries without a peer
POSITIVE = {"log", "log1p", "sqrt", "xlogx"}
WITHIN = {"asin", "acos"}
ZOO = ("conv2d", "pool_max", "layer_norm", "attention")
EXAMPLES = ("lenet", "factorization", "char_transformer", "char_gru")
SMALL = {
    "lenet": {"r": 1, "g": 2, "f1": 2, "f2": 3, "h1": 7, "h2": 5, "c": 4},
    "factorization": {"u": 5, "v": 3, "k": 2},
    "char_transformer": {"c": 7, "s": 5, "d": 6, "h": 2, "e": 3, "f": 11},
    "char_gru": {"c": 7, "s": 5, "h": 3},
}


@pytest.fixture(scope="module", params=list(LIBRARIES))
def lib(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip(request.param)
    return importlib.import_module(LIBRARIES[request.param])


def compare(
    lib: Any,
    model: Any,
    values: dict[str, np.ndarray],
    objective: Callable[..., Any],
    sizes: dict[str, int] | None = None,
) -> None:
    """Value and gradients of the emitted module of ``model`` are those of ``objective`` in the library."""
    program = model.program
    net = codegen.compile(model, target=TARGET, sizes=sizes)
    wrt = [t.name for t in program.parameters]
    params = {t.name: values[t.name] for t in (*program.parameters, *program.states)}
    loss, gradients = net.loss_and_grad(params, **{t.name: values[t.name] for t in program.data})
    want, wanted = lib.value_and_gradients(objective, values, wrt)
    np.testing.assert_allclose(loss, want, rtol=1e-11)
    scale = max(float(np.max(np.abs(g), initial=0.0)) for g in wanted.values())
    for name in wrt:
        np.testing.assert_allclose(
            gradients[name], wanted[name], rtol=1e-9, atol=1e-12 * max(scale, 1e-6), err_msg=name
        )


def drawn(numeric: Any, text: str, spread: bool = True) -> tuple[Any, dict[str, np.ndarray]]:
    """A model and values for it; ``spread`` ones are of both signs where nothing is promised."""
    model = numeric.parsed(text)
    values = numeric.draw(model.program)
    rng = np.random.default_rng(7)
    for t in model.program.declared:
        if spread and t.dtype == "real" and not t.properties and t.kind != "const":
            values[t.name] = rng.normal(0, 1.5, values[t.name].shape)
    return model, values


@pytest.mark.parametrize("key", function_models())
def test_functions(lib, numeric, key):
    name = key.removeprefix("function_")
    text = function_models()[key]
    model, values = drawn(numeric, text, name not in POSITIVE | WITHIN)
    line = next(line for line in text.splitlines() if line.startswith("a = "))
    extra = [float(fraction(a)) for a in line.removeprefix(f"a = {name}(w").strip("), ").split(",") if a.strip()]
    compare(lib, model, values, lambda v: (v["G"] * lib.FUNCTIONS[name](v["w"], *extra)).sum())


def fraction(text: str) -> float:
    """The value of ``1/4``."""
    over, _, under = text.strip().partition("/")
    return float(over) / float(under or 1)


@pytest.mark.parametrize("key", loss_models())
def test_losses(lib, numeric, key):
    declared = LOSSES[key.removeprefix("loss_").removesuffix("_softmax")]
    scores = key.endswith("_softmax") and declared.name in lib.FROM_SCORES
    peer = {**lib.LOSSES, **formulas.losses(lib), **(lib.FROM_SCORES if scores else {})}[declared.name]
    model, values = drawn(numeric, loss_models()[key], key.endswith("_softmax"))
    names = [t.name for t in model.program.declared]

    def objective(v: dict[str, Any]) -> Any:
        tensors = [v[name] for name in names]
        if key.endswith("_softmax") and not scores:
            tensors[1] = lib.softmax(tensors[1], 1)
        settings = []
        for name in declared.parameters[len(tensors) :]:
            text = declared.defaults.get(name) or SETTINGS[name]
            settings.append(v["V1"] / 2 if "V" in text else fraction(text))
        return peer(*tensors, *settings)

    compare(lib, model, values, objective)


@pytest.mark.parametrize("key", layer_models())
def test_layers(lib, numeric, key):
    text = layer_models()[key]
    call = next(line for line in text.splitlines() if line.startswith("y = "))
    name = call.removeprefix("y = ").partition("(")[0]
    if name in WITHOUT:
        pytest.skip(WITHOUT[name])
    peer = formulas.layers(lib).get(name) or getattr(lib, name)
    settings: dict[str, Any] = {k: int(a) for k, a in re.findall(r"(stride|pad|dilation|causal)=(\d+)", call)}
    functions = [f for f in re.findall(r"\w+", call.partition("(")[2]) if f in lib.FUNCTIONS]
    takes = inspect.signature(peer).parameters
    if "f" in takes and (functions or takes["f"].default is inspect.Parameter.empty):
        settings["f"] = lib.FUNCTIONS[functions[0] if functions else "identity"]
    quarter = "(x / 4" in call
    model, values = drawn(numeric, text)

    def objective(v: dict[str, Any]) -> Any:
        found = peer({**v, "x": v["x"] / 4} if quarter else v, **settings)
        parts = found if isinstance(found, tuple) else (found,)
        return sum((lib.xp.sin(2 * y) + y**2).sum() for y in parts)

    compare(lib, model, values, objective)


@pytest.mark.parametrize("name", [*ZOO, *(f"example_{e}" for e in EXAMPLES)])
def test_models(lib, numeric, examples, name):
    text = examples[name.removeprefix("example_")] if name.startswith("example_") else numeric.zoo[name]
    sizes = SMALL.get(name.removeprefix("example_"), {})
    model, left = numeric.parsed(text).sized(sizes)
    compare(lib, model, numeric.draw(model.program, **sizes), formulas.zoo(lib)[name], left)


def test_every_layer_has_a_peer(lib):
    assert {name for name in LAYERS if name not in formulas.layers(lib) and not hasattr(lib, name)} <= set(WITHOUT)
