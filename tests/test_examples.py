"""The larger examples at small sizes: gradients, a few epochs of training, and the baselines they are held against."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codegen
import derive
from codegen import verify
from derive.points import small_sizes
from derive.promises import draw

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL = {
    "lenet": {"r": 1, "g": 1, "f1": 2, "f2": 3, "h1": 5, "h2": 7, "c": 4},
    "factorization": {"u": 5, "v": 3, "k": 2},
    "char_transformer": {"L": 1, "c": 5, "s": 3, "d": 4, "h": 2, "e": 3, "f": 7},
    "char_gru": {"c": 5, "s": 4, "h": 3},
}


def script(name: str) -> Any:
    """A script of the examples, imported."""
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SMALL)
def test_every_gradient_is_right_by_every_method(name):
    result = verify.check(derive.load(EXAMPLES / f"{name}.gc"), SMALL[name], target="numpy")
    assert result.ok, str(result)


@pytest.mark.parametrize("name", SMALL)
def test_a_few_epochs_lower_the_loss(name):
    model, left = derive.load(EXAMPLES / f"{name}.gc").sized(SMALL[name])
    program, rng = model.program, np.random.default_rng(1)
    sizes = {**small_sizes(program, left), **left, program.batch.name: 12}
    net = codegen.compile(model, sizes=left, target="numpy", dtype="float64")
    data = {t.name: draw(t, sizes, rng) for t in program.declared if t.kind in ("input", "target")}
    params = net.init_params(0)
    before = net.loss(params, **data)
    net.fit(params, data, epochs=8, batch_size=4)
    assert net.loss(params, **data) < before


def test_bigrams_are_probabilities_and_their_perplexity_is_that_of_a_count():
    characters = script("characters")
    rng = np.random.default_rng(0)
    text = rng.integers(0, 5, 400)
    p = characters.bigrams(text, 6)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert (p > 0).all()
    every = [p[a, b] for a, b in pairwise(text)]
    np.testing.assert_allclose(characters.bigram_perplexity(text, text, 6), np.prod(1 / np.array(every)) ** (1 / 399))


def test_windows_cover_the_text_and_foretell_the_next_character():
    characters = script("characters")
    for name in ("char_gru", "char_transformer"):
        model = derive.load(EXAMPLES / f"{name}.gc")
        text = np.arange(70) % 11
        arrays = characters.windows(model, text, 32).arrays
        time_first = name == "char_gru"
        now, following = (a.T if time_first else a for a in (arrays["t"], arrays["y"]))
        assert now.shape == (2, 32)
        np.testing.assert_array_equal(now.ravel(), text[:64])
        np.testing.assert_array_equal(following.ravel(), text[1:65])


def test_baselines_of_a_matrix_of_low_rank():
    factorization = script("factorization")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 17)) + rng.normal(size=17)
    missing = rng.random(matrix.shape) < 0.1
    found = factorization.baselines(matrix, missing, rank=2, rounds=500)
    errors = [factorization.error(filled, matrix, missing) for filled in found.values()]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3
