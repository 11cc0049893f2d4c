"""Models that many tests run over, data for them, and derivatives by numbers alone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalogue import function_models, loss_models
from layer_models import layer_models
from layers import Layered

import derive
from derive.evaluate import evaluate, extent
from derive.pipeline import Derivation
from derive.program import Program, Tensor

EXAMPLES = Path(__file__).parent.parent / "examples"
MODELS = Path(__file__).parent / "models"

ZOO = {p.stem: p.read_text(encoding="utf-8") for p in sorted(MODELS.glob("*.gc"))}
ZOO |= function_models() | loss_models() | layer_models()  # every entry of the catalogue is checked because it exists


@cache
def parsed(text: str) -> derive.ParsedModel:
    return derive.parse(text, "test")


@cache
def derived(text: str) -> derive.Gradient:
    return parsed(text).gradient()


def pytest_configure() -> None:
    """Garbage is looked for less often: nearly all that a derivation makes, its memos keep."""
    gc.set_threshold(100_000, 20, 20)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``zoo`` is every model of the zoo and of the examples, as text."""
    if "zoo" in metafunc.fixturenames:
        examples = {p.stem: p.read_text(encoding="utf-8") for p in sorted(EXAMPLES.glob("*.gc"))}
        models = {**ZOO, **{f"example_{k}": v for k, v in examples.items()}}
        metafunc.parametrize("zoo", models.values(), ids=list(models))


def sample(t: Tensor, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Data that keeps the promises of a declaration; arguments stay where every function is defined."""
    shape = tuple(extent(a, sizes) for a in t.axes)
    x: np.ndarray = rng.uniform(0.1, 0.95, size=shape) if t.kind == "param" else rng.uniform(0.2, 0.9, size=shape)
    if t.kind == "param" and x.size > 100:
        x *= 20 / x.size  # long sums of them stay where exp of them is finite, also before anything is made stable
    if t.property("labels"):
        return rng.integers(0, extent(t.property("labels").extent, sizes), size=shape)
    if t.property("one_hot"):
        return (x == x.max(t.property("one_hot").axis, keepdims=True)).astype(float)
    if t.property("simplex"):
        return x / x.sum(t.property("simplex").axis, keepdims=True)
    if t.property("binary"):
        return (x > 0.5).astype(float)
    if t.property("signs"):
        return np.where(x > 0.5, 1.0, -1.0)
    if t.property("counts"):
        return np.floor(5 * x)
    if t.property("symmetric"):
        return x + x.T
    return x


def draw(program: Program, seed: int = 0, **extents: int) -> dict[str, np.ndarray]:
    """Values for all that a program declares; extents above 7 are cut to 11, the batch has 7."""
    sizes = {d.name: min(d.default, 11) for d in program.dims if d.default is not None}
    if program.batch is not None:
        sizes[program.batch.name] = 7
    sizes |= extents
    rng = np.random.default_rng(seed)
    return {t.name: sample(t, sizes, rng) for t in program.declared if t.kind != "const"}


def complex_step(program: Program, values: Mapping[str, Any], name: str, result: str) -> np.ndarray:
    """The derivative of a number by one tensor, exact to rounding for an analytic program."""
    x = np.asarray(values[name])
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1e-30j
        found[place] = np.sum(evaluate(program, {**values, name: moved})[result].imag) / 1e-30
    return found


def complex_slope(program: Program, values: Mapping[str, Any], name: str, result: str, along: np.ndarray) -> float:
    """The derivative of a number along a direction of one tensor, exact to rounding for an analytic program."""
    moved = {**values, name: np.asarray(values[name]) + 1e-30j * along}
    return float(np.sum(np.asarray(evaluate(program, moved)[result]).imag)) / 1e-30


def central(program: Program, values: Mapping[str, Any], name: str, result: str, step: float = 1e-6) -> np.ndarray:
    """The derivative of a number by one tensor, by central differences."""
    x = np.asarray(values[name], dtype=float)
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append(float(np.sum(evaluate(program, {**values, name: moved})[result])))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


class Numeric:
    """What the tests of every module need; asked for as the fixture ``numeric``."""

    zoo = ZOO
    parsed = staticmethod(parsed)
    derived = staticmethod(derived)
    draw = staticmethod(draw)
    complex_step = staticmethod(complex_step)
    complex_slope = staticmethod(complex_slope)
    central = staticmethod(central)

    @staticmethod
    def stages(derivation: Derivation) -> dict[str, Program]:
        return {"raw": derivation.raw, "formulas": derivation.formulas, "stable": derivation.stable}

    @staticmethod
    def gradients(program: Program, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The cotangent of each variable, by the definition."""
        found = evaluate(program, values)
        return {variable.name: found[bar.name] for variable, bar in program.gradients}


@pytest.fixture(scope="session")
def numeric() -> Numeric:
    return Numeric()


@pytest.fixture(scope="session")
def layered(numeric: Any) -> Callable[..., Layered]:
    """A model with repetitions, by its text, and statements about any of its layers."""
    return lambda text, *wrt: Layered(numeric, text, *wrt)
