"""Stories with the bench that tested them, one for each model that the tests of steps ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import derive
from derive.pipeline import Derivation
from derive.steps.bench import Bench
from derive.steps.directions import story_of
from derive.steps.step import Step

MODELS = Path(__file__).parents[2] / "models"
Told = tuple[list[Step], Bench]

CHAIN = "param v : [2]\ng = [v[0]^2 + v[1], v[1]^3]\nf = [sin(g[0]), log(g[1])]\noutput f\n"
LAYER = "dims d = 3, h = 2\ninput x : [d]\nparam W : [h, d]\nparam b : [h]\nz = W @ x + b\na = sigmoid(z)\noutput a\n"
IGNORED = "dims d = 3\nparam x : [d]\nparam y : [d]\nminimize sum(x^2)\n"
PLAIN = "dims d = 3\nparam x : [d]\ninput A : [d, d]\nminimize sum(exp(A @ x))\n"


def derivation_of(name: str) -> Derivation:
    """By the name of a model file, or by what is asked of one of the texts above."""
    match name:
        case "jacobian":
            return derive.parse(LAYER).jacobian("a", "x").derivation
        case "matrices":
            return derive.parse(CHAIN).jacobian("f", "v").derivation
        case "itself":
            return derive.parse(LAYER).jacobian("a", "a").derivation
        case "ignored":
            return derive.parse(IGNORED).gradient("y").derivation
        case "tangent":
            return derive.parse(PLAIN).tangent("x").derivation
        case "hvp":
            return derive.parse(PLAIN).hvp("x").derivation
    return derive.load(MODELS / f"{name}.gc").gradient().derivation


@functools.cache
def _told(name: str) -> Told:
    story = story_of(derivation_of(name))
    return list(story.told()), story.teller.bench


@pytest.fixture
def told() -> Callable[[str], Told]:
    return _told


@pytest.fixture
def retold() -> Callable[[str], list[Step]]:
    """The story from the start, after something was broken."""
    return lambda name: list(story_of(derivation_of(name)).told())
