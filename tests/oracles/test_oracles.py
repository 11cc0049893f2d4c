"""Random programs through the three oracles.

A model text is drawn: products of matrices, transposes, broadcasts, reductions, element-wise functions, conditionals,
softmax, index sums. Its raw cotangents are checked against complex steps (and central differences where it is smooth),
the simplified program against the raw one, the stable against the simplified, the emitted module against `evaluate`.

The default run is small and always the same. For a campaign, with other programs each time:

    GRADC_CAMPAIGN=2000 pytest tests/oracles
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import codegen
import derive
from derive.evaluate import evaluate
from derive.program import Program, needed, reads
from derive.spec import check

CAMPAIGN = int(os.environ.get("GRADC_CAMPAIGN", "0"))
SIZES = {"a": 2, "b": 3, "c": 5, "n": 7}


def budget(examples: int) -> settings:
    return settings(
        max_examples=CAMPAIGN or examples,
        deadline=None,
        derandomize=not CAMPAIGN,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


def read(drawn: Any) -> derive.ParsedModel:
    note(drawn.text)
    return derive.parse(drawn.text)


def draw_values(program: Program, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out: dict[str, np.ndarray] = {}
    for t in program.declared:
        shape = tuple(SIZES[repr(a)] for a in t.axes)
        x = rng.uniform(-1.1, 1.2, shape)
        if t.property("one_hot") is not None:
            x = (x == x.max(1, keepdims=True)).astype(float)
        elif t.property("simplex") is not None:
            x = np.abs(x) / np.abs(x).sum(1, keepdims=True)
        elif t.property("binary") is not None:
            x = (x > 0).astype(float)
        elif (labels := t.property("labels")) is not None:
            x = rng.integers(0, SIZES[repr(labels.extent)], shape)
        out[t.name] = np.asarray(x)
    return out


def close(found: np.ndarray, wanted: np.ndarray, what: str, rtol: float = 1e-10) -> None:
    scale = max(1e-3, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * scale, err_msg=what)


def gradients(program: Program, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = evaluate(program, values)
    return {v.name: np.asarray(found[bar.name]) for v, bar in program.gradients}


def directional(program: Program, values: dict[str, np.ndarray], name: str, v: np.ndarray, h: complex) -> complex:
    assert program.objective is not None
    moved = {**values, name: values[name] + h * v}
    return complex(np.sum(evaluate(program, moved)[program.objective.name]))


@budget(40)
@given(data=st.data())
def test_random_programs_through_the_oracles(random_models: Any, data: Any) -> None:
    drawn = data.draw(random_models)
    model = read(drawn)
    program = model.program
    variables = [t.name for t in program.declared if t.kind in ("param", "input")]
    check(program, "read")
    derivation = model.gradient(*variables).derivation
    for stage, made in (("prepared", derivation.prepared), ("raw", derivation.raw), ("stable", derivation.stable)):
        check(made, stage)
    check(derivation.formulas, "simplified")
    values = draw_values(program, drawn.seed)
    objective = float(directional(program, values, variables[0], np.zeros(()), 0).real)
    assume(np.isfinite(objective) and abs(objective) < 1e6)

    raw = gradients(derivation.raw, values)
    rng = np.random.default_rng(drawn.seed)
    for name in variables:
        v = rng.uniform(0.5, 1.5, values[name].shape) * rng.choice([-1, 1], values[name].shape)
        want = directional(program, values, name, v, 1e-30j).imag / 1e-30
        scale = max(1e-3, float(np.sum(np.abs(raw[name] * v))))
        assert abs(float(np.sum(raw[name] * v)) - want) < 1e-10 * scale, f"raw, by {name}, against a complex step"
        if drawn.smooth:
            h = 1e-5
            ends = [directional(program, values, name, v, s * h).real for s in (1, -1)]
            assert abs((ends[0] - ends[1]) / (2 * h) - want) < 1e-5 * max(scale, abs(objective)), f"differences, {name}"

    simplified = gradients(derivation.formulas, values)
    stable = gradients(derivation.stable, values)
    for name in variables:
        close(simplified[name], raw[name], f"simplified, by {name}")
        close(stable[name], simplified[name], f"stable, by {name}")
    assert program.objective is not None
    again = evaluate(derivation.stable, values)[program.objective.name]
    close(np.asarray(again), np.asarray(objective), "the objective, stable")


def emitted(drawn: Any, target: str) -> None:
    model = read(drawn)
    program = model.program
    values = draw_values(program, drawn.seed)
    variables = [t.name for t in program.parameters]
    derivation = model.gradient(*variables).derivation
    want = gradients(derivation.formulas, values)
    assume(all(np.all(np.isfinite(w)) for w in want.values()))
    net = codegen.compile(model, target=target)
    params = {name: values[name] for name in variables}
    assert program.objective is not None
    used = {t.name for e in needed(program, [program.objective]) for t in reads(e.body)} - set(variables)
    loss, grads = net.loss_and_grad(params, **{name: values[name] for name in values if name in used})
    close(np.asarray(loss), evaluate(program, values)[program.objective.name], "the emitted loss")
    for name in variables:
        close(np.asarray(grads[name]), want[name], f"the emitted gradient by {name}")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory):
    """Modules of random programs are not kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADC_CACHE", str(tmp_path_factory.mktemp("modules")))
        yield


@budget(25)
@given(data=st.data())
def test_emitted_numpy_modules(random_models: Any, data: Any) -> None:
    drawn = data.draw(random_models)
    emitted(drawn, "numpy")


@settings(budget(2), max_examples=max(2, CAMPAIGN // 50))
@given(data=st.data())
def test_emitted_numba_modules(random_models: Any, data: Any) -> None:
    drawn = data.draw(random_models)
    emitted(drawn, "numba")


@budget(10)
@given(data=st.data())
def test_hessian_vector_products(random_models: Any, data: Any) -> None:
    """Differentiating what differentiation gave: H·v against a complex step of the gradient."""
    drawn = data.draw(random_models)
    model = read(drawn)
    name = next(t.name for t in model.program.parameters)
    product = model.hvp(name)
    assert product.direction is not None
    values = draw_values(model.program, drawn.seed)
    v = np.random.default_rng(drawn.seed).uniform(-1, 1, values[name].shape)
    first = model.gradient(name).derivation.raw
    moved = {**values, name: values[name] + 1e-30j * v}
    want = gradients(first, moved)[name].imag / 1e-30
    assume(np.all(np.isfinite(want)) and np.max(np.abs(want), initial=0.0) < 1e6)
    close(product.result({**values, product.direction: v}), want, f"H v, by {name}", 1e-9)
