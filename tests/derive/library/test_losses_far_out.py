"""Losses far out, where a plain form overflows, and at their kinks: the form that code is made of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import derive
from derive.evaluate import evaluate

FAR = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.5, -0.5], [-1e4, -1e4, -1e4], [710.0, 709.0, -745.0]])
RIGHT, WRONG = np.eye(3)[[0, 2, 1, 1, 2]], np.eye(3)[[1, 0, 2, 0, 0]]
SCORES = "param Z : [5, c]\nP = softmax(Z, axis=1)\n"
FINITE = [
    f"target Y : [5, c] {promise}\nminimize {call}\n"
    for promise, calls in {
        "one_hot(1)": ["focal(Y, P)", "focal(Y, P, gamma=1)", "cross_entropy(Y, P, smoothing=1/10)"],
        "simplex(1)": ["kl(Y, P)", "js(Y, P)", "cosine(Y, P)"],
        "": [
            *("huber(Y, Z)", "mae(Y, Z)", "log_cosh(Y, Z)", "quantile(Y, Z, 1/3)", "squared_hinge(Y, Z)"),
            *("poisson_nll(Y, min(Z, 700))", "gaussian_nll(Y, Z, max(Z, -600))", "dice(Y, sigmoid(Z))"),
            *("triplet(Z, Y, Z)", "info_nce(Z, Z)", "hinge(Y, Z)"),
        ],
    }.items()
    for call in calls
]


def stable(text, values):
    """The objective and its gradients by what code is made of."""
    program = derive.parse(text).gradient().derivation.stable
    found = evaluate(program, values)
    return float(found["loss"]), {v.name: found[bar.name] for v, bar in program.gradients}


@pytest.mark.parametrize("lines", FINITE, ids=[f.split("minimize ")[1].strip() for f in FINITE])
@pytest.mark.parametrize("target", [RIGHT, WRONG], ids=["right", "wrong"])
def test_losses_far_out_are_finite(lines, target):
    loss, gradients = stable(f"dims c = 3\n{SCORES}{lines}", {"Z": FAR, "Y": target})
    assert np.isfinite(loss)
    assert np.isfinite(gradients["Z"]).all()


def test_losses_far_out_are_right():
    probability = special.softmax(FAR, axis=1)
    text = f"dims c = 3\n{SCORES}target Y : [5, c] one_hot(1)\nminimize {{}}\n"
    loss, gradients = stable(text.format("cross_entropy(Y, P, smoothing=1/10)"), {"Z": FAR, "Y": WRONG})
    smooth = 0.9 * WRONG + 0.1 / 3
    assert loss == pytest.approx(-np.sum(smooth * special.log_softmax(FAR, axis=1)) / 5, rel=1e-12)
    np.testing.assert_allclose(gradients["Z"], (probability - smooth) / 5, atol=1e-15)
    loss, gradients = stable(text.format("kl(Y, P)"), {"Z": FAR, "Y": WRONG})
    np.testing.assert_allclose(gradients["Z"], (probability - WRONG) / 5, atol=1e-15)
    loss, gradients = stable(text.format("focal(Y, P)"), {"Z": FAR, "Y": WRONG})
    q, log_q = np.sum(WRONG * probability, 1), np.sum(WRONG * special.log_softmax(FAR, axis=1), 1)
    assert loss == pytest.approx(-np.mean((1 - q) ** 2 * log_q), rel=1e-12)
    slope = 2 * q * (1 - q) * log_q - (1 - q) ** 2
    np.testing.assert_allclose(gradients["Z"], slope[:, None] * (WRONG - probability) / 5, atol=1e-14)


KINKS = {
    "mae(Y, Z)": 0,
    "huber(Y, Z)": 0,
    "huber(Y, Z + 1)": 1,
    "huber(Y, Z - 1)": -1,
    "hinge(1 + Y, 1 + Z)": 0,
    "quantile(Y, Z, 1/4)": -0.25,
    "triplet(Y, Z, Z + 1)": 0,
    "triplet(Y, Z + 1, Y)": 2,
    "contrastive(0, Y, Z)": 0,
    "l1(Z)": 0,
}


@pytest.mark.parametrize("call", KINKS)
def test_slopes_at_kinks_are_those_that_are_stated(call):
    head = "target Y : [1]\nparam Z : [1]\n".replace("[1]", "[m]")
    _, gradients = stable(f"dims m = 1\n{head}minimize {call}\n", {"Z": np.zeros(1), "Y": np.zeros(1)})
    assert gradients["Z"] == pytest.approx(KINKS[call])
