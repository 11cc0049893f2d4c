"""Losses: values in NumPy, gradients as mathematics, finite far out, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from catalogue import loss_models
from scipy import special

import derive
from derive.claims import PROVED, verify_formulas
from derive.errors import SourceError
from derive.evaluate import evaluate
from derive.library.functions import FUNCTIONS
from derive.library.losses import LOSSES

HEAD = "dims c = 3\nbatch n\n"
rng = np.random.default_rng(7)
Y, Z, S = (rng.normal(size=(7, 3)) for _ in range(3))
P, Q = rng.dirichlet(np.ones(3), size=7), rng.dirichlet(np.ones(3), size=7)
LABELS = np.array([2, 0, 1, 1, 2, 0, 0])
H = np.eye(3)[LABELS]
B = np.array([1.0, 0, 0, 1, 1, 0, 1])
SIGNS = np.sign(Y)
R = Z - Y
D1, D2 = np.sum((Y - Z) ** 2, 1), np.sum((Y - S) ** 2, 1)
M = (P + Q) / 2
LOGITS = Y @ Z.T
SMOOTH = 0.9 * H + 0.1 / 3
HOT = "target y : [n, c] one_hot\n"
SOFT = "target y : [n, c] simplex\n"
ANY = "target y : [n, c]\n"
LABEL = "target y : [n] labels(c)\n"

TEXTBOOK = {
    "mse(y, z)": (ANY, {"y": Y, "z": Z}, np.mean(R**2)),
    "mae(y, z)": (ANY, {"y": Y, "z": Z}, np.mean(np.abs(R))),
    "huber(y, z)": (ANY, {"y": Y, "z": Z}, np.mean(special.huber(1, R))),
    "huber(y, z, delta=1/4)": (ANY, {"y": Y, "z": Z}, np.mean(special.huber(0.25, R))),
    "log_cosh(y, z)": (ANY, {"y": Y, "z": Z}, np.mean(np.log(np.cosh(R)))),
    "quantile(y, z, 1/5)": (ANY, {"y": Y, "z": Z}, np.mean(np.maximum(-0.2 * R, 0.8 * R))),
    "poisson_nll(y, z)": (ANY, {"y": Y, "z": Z}, np.mean(np.exp(Z) - Y * Z)),
    "gaussian_nll(y, z, s)": (ANY, {"y": Y, "z": Z, "s": S}, np.mean((S + R**2 / np.exp(S)) / 2)),
    "gaussian_nll(y, z, log_var=1/2)": (ANY, {"y": Y, "z": Z}, np.mean((0.5 + R**2 / np.exp(0.5)) / 2)),
    "bce(y, p)": (ANY, {"y": Q, "p": P}, -np.mean(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    "hinge(y, z)": ("target y : [n, c] signs\n", {"y": SIGNS, "z": Z}, np.mean(np.maximum(0, 1 - SIGNS * Z))),
    "squared_hinge(y, z)": (
        "target y : [n, c] signs\n",
        {"y": SIGNS, "z": Z},
        np.mean(np.maximum(0, 1 - SIGNS * Z) ** 2),
    ),
    "dice(y, p)": (HOT, {"y": H, "p": P}, 1 - (2 * np.sum(H * P) + 1) / (H.sum() + P.sum() + 1)),
    "dice(y, p, eps=0)": (HOT, {"y": H, "p": P}, 1 - 2 * np.sum(H * P) / (H.sum() + P.sum())),
    "cross_entropy(y, p)": (SOFT, {"y": Q, "p": P}, -np.mean(np.sum(Q * np.log(P), 1))),
    "cross_entropy(y, p, smoothing=1/10)": (HOT, {"y": H, "p": P}, -np.mean(np.sum(SMOOTH * np.log(P), 1))),
    "cross_entropy(y, p, 1/10)": (LABEL, {"y": LABELS, "p": P}, -np.mean(np.sum(SMOOTH * np.log(P), 1))),
    "focal(y, p)": (HOT, {"y": H, "p": P}, -np.mean(np.sum(H * (1 - P) ** 2 * np.log(P), 1))),
    "focal(y, p, gamma=3)": (LABEL, {"y": LABELS, "p": P}, -np.mean(np.sum(H * (1 - P) ** 3 * np.log(P), 1))),
    "focal(y, p, gamma=0)": (HOT, {"y": H, "p": P}, -np.mean(np.sum(H * np.log(P), 1))),
    "kl(y, p)": (SOFT, {"y": Q, "p": P}, np.mean(special.rel_entr(Q, P).sum(1))),
    "kl(y, q)": (HOT, {"y": H, "q": P}, -np.mean(np.log(P[H > 0]))),
    "js(y, p)": (SOFT, {"y": Q, "p": P}, np.mean(special.rel_entr(P, M) + special.rel_entr(Q, M)) * 3 / 2),
    "js(y, q)": (HOT, {"y": H, "q": H[::-1]}, np.log(2) * np.mean(np.any(H[::-1] != H, axis=1))),
    "cosine(y, z)": (
        ANY,
        {"y": Y, "z": Z},
        1 - np.mean(np.sum(Y * Z, 1) / np.linalg.norm(Y, axis=1) / np.linalg.norm(Z, axis=1)),
    ),
    "triplet(y, z, s)": (ANY, {"y": Y, "z": Z, "s": S}, np.mean(np.maximum(0, D1 - D2 + 1))),
    "triplet(y, z, s, margin=4)": (ANY, {"y": Y, "z": Z, "s": S}, np.mean(np.maximum(0, D1 - D2 + 4))),
    "contrastive(b, z, y, margin=2)": (
        ANY,
        {"y": Y, "z": Z, "b": B},
        np.mean(B * D1 + (1 - B) * np.maximum(0, 2 - np.sqrt(D1)) ** 2) / 2,
    ),
    "info_nce(y, z)": (ANY, {"y": Y, "z": Z}, -np.mean(np.diag(special.log_softmax(LOGITS, axis=1)))),
    "info_nce(y, z, t=1/2)": (ANY, {"y": Y, "z": Z}, -np.mean(np.diag(special.log_softmax(2 * LOGITS, axis=1)))),
    "l1(z)": ("", {"z": Z}, np.sum(np.abs(Z))),
    "l2(z)": ("", {"z": Z}, np.sum(Z**2)),
    "elastic_net(z, 1/3, 2)": ("", {"z": Z}, np.sum(np.abs(Z)) / 3 + 2 * np.sum(Z**2)),
}


@pytest.mark.parametrize("call", TEXTBOOK)
def test_value(call):
    target, data, want = TEXTBOOK[call]
    inputs = "".join(
        f"input {name} : {'[n]' if x.ndim == 1 else '[n, c]'}\n"
        for name, x in data.items()
        if f" {name} " not in target
    )
    model = derive.parse(f"{HEAD}{target}{inputs}minimize {call}\n")
    assert float(evaluate(model.program, data)["loss"]) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("call", [c for c, (_, data, _) in TEXTBOOK.items() if all(x.ndim == 2 for x in data.values())])
def test_with_samples_in_columns_it_is_the_same(call):
    target, data, want = TEXTBOOK[call]
    turned = target.replace("[n, c]", "[c, n]")
    inputs = "".join(f"input {name} : [c, n]\n" for name in data if f" {name} " not in target)
    model = derive.parse(f"{HEAD}{turned}{inputs}minimize {call}\n")
    assert float(evaluate(model.program, {k: x.T for k, x in data.items()})["loss"]) == pytest.approx(want, rel=1e-12)


def test_every_loss_has_a_value_of_its_own_and_says_what_it_averages():
    assert {call.split("(")[0] for call in TEXTBOOK} == set(LOSSES)
    for declared in LOSSES.values():
        assert "mean" in declared.about or "sum" in declared.about, declared.name
        assert f"loss_{declared.name}" in loss_models()


def test_every_loss_and_function_stands_in_the_documentation():
    text = (Path(__file__).parents[3] / "docs" / "language.md").read_text(encoding="utf-8")
    for declared in LOSSES.values():
        (call,) = re.findall(rf"`{declared.name}\(([^`]*)\)`", text)[:1]
        written = [a.strip() for a in call.split(",")]
        assert written[len(declared.letters) :] == declared.settings.split(), declared.name
        assert len(written) == len(declared.parameters), declared.name
    words = set(re.findall(r"\w+", text))
    assert set(FUNCTIONS) <= words, set(FUNCTIONS) - words


# --- gradients as mathematics ---------------------------------------------------------------------------

BEHIND = "param Z : [n, c]\nP = softmax(Z, axis=1)\n"
PLAIN = "param Z : [n, c]\n"
VARIANCE = f"{ANY}{PLAIN}input M : [n, c]\ninput V : [n, c]\nparam s\n"
UNIT = f"{ANY}{PLAIN}q[i] = sqrt(sum[k] y[i,k]^2)\nr[i] = sqrt(sum[k] Z[i,k]^2)\nv[i] = sum[k] y[i,k]*Z[i,k]\n"
PAIRS = "param Z : [n, c]\ninput V : [n, c]\ninput U : [n, c]\n"
FORMULAS = {
    "mae(y, Z)": (ANY + PLAIN, "dZ = sign(Z - y) / (n*c)"),
    "huber(y, Z)": (ANY + PLAIN, "dZ = (1 if Z - y > 1 else -1 if Z - y < -1 else Z - y) / (n*c)"),
    "huber(y, Z, delta=2)": (ANY + PLAIN, "dZ = (2 if Z - y > 2 else -2 if Z - y < -2 else Z - y) / (n*c)"),
    "log_cosh(y, Z)": (ANY + PLAIN, "dZ = tanh(Z - y) / (n*c)"),
    "quantile(y, Z, tau=1/5)": (ANY + PLAIN, "dZ = ((y < Z) - 1/5) / (n*c)"),
    "poisson_nll(y, Z)": (ANY + PLAIN, "dZ = (exp(Z) - y) / (n*c)"),
    "gaussian_nll(y, Z, V)": (VARIANCE, "dZ = (Z - y) * exp(-V) / (n*c)"),
    "gaussian_nll(y, M, Z)": (VARIANCE, "dZ = (1 - (y - M)^2 * exp(-Z)) / (2*n*c)"),
    "gaussian_nll(y, M, log_var=s)": (VARIANCE, "ds = (1 - mean((y - M)^2) * exp(-s)) / 2"),
    "hinge(y, Z)": (ANY + PLAIN, "dZ = -y * (y*Z < 1) / (n*c)"),
    "squared_hinge(y, Z)": (ANY + PLAIN, "dZ = -2 * y * max(0, 1 - y*Z) / (n*c)"),
    "cross_entropy(y, P, smoothing=1/10)": (SOFT + BEHIND, "dZ = (P - ((1 - 1/10)*y + (1/10)/c)) / n"),
    "kl(y, P)": (SOFT + BEHIND, "dZ = (P - y) / n"),
    "focal(y, P, gamma=0)": (HOT + BEHIND, "dZ = (P - y) / n"),
    "focal(y, P)": (
        f"{HOT}{BEHIND}l[i] = sum[k] y[i,k]*log(P[i,k])\nq = exp(l)\n",
        "dZ[i,j] = (2*q[i]*(1 - q[i])*l[i] - (1 - q[i])^2) * (y[i,j] - P[i,j]) / n",
    ),
    "js(y, Z)": (SOFT + PLAIN, "dZ = (Z > 0) * (log(Z) - log((y + Z)/2)) / (2*n)"),
    "cosine(y, Z)": (UNIT, "dZ[i,j] = -(y[i,j]/(q[i]*r[i]) - v[i]*Z[i,j]/(q[i]*r[i]^3)) / n"),
    "triplet(Z, V, U)": (
        f"{PAIRS}m[i] = sum[k] (Z[i,k] - V[i,k])^2 - (sum[k] (Z[i,k] - U[i,k])^2) + 1\n",
        "dZ[i,j] = 2*(m[i] > 0)*(U[i,j] - V[i,j]) / n",
    ),
    "info_nce(Z, V)": (
        f"{PAIRS}P = softmax(Z @ V', axis=1)\n",
        "dZ[i,k] = ((sum[j] P[i,j]*V[j,k]) - V[i,k]) / n",
    ),
    "dice(y, Z)": (
        ANY + PLAIN,
        "dZ = (2*sum(y*Z) + 1)/(sum(y) + sum(Z) + 1)^2 - 2*y/(sum(y) + sum(Z) + 1)",
    ),
    "l1(Z)": (PLAIN, "dZ = sign(Z)"),
    "l2(Z)": (PLAIN, "dZ = 2*Z"),
    "elastic_net(Z, 1/3, 2)": (PLAIN, "dZ = sign(Z)/3 + 4*Z"),
}


@pytest.mark.parametrize("call", FORMULAS)
def test_gradient_is_the_textbook_one(call):
    lines, formula = FORMULAS[call]
    model = derive.parse(f"{HEAD}{lines}minimize {call}\n".replace("param Z : [n, c]", "input Z : [n, c]"))
    (found,) = verify_formulas(model.program, [formula])
    assert found.status == PROVED, str(found)


def test_hubers_gradient_is_the_clipped_residual():
    model = derive.parse(f"{HEAD}{ANY}input Z : [n, c]\nminimize huber(y, Z, delta=2)\n")
    residuals = np.array([[-3.0, -2.0, -1.0], [0.0, 1.0, 2.0], [2.5, -2.5, 4.0]])
    program = model.gradient("Z").derivation.stable
    found = evaluate(program, {"y": 0 * residuals, "Z": residuals})[program.gradients[0][1].name]
    np.testing.assert_allclose(found, np.clip(residuals, -2, 2) / 9, rtol=1e-15)


# --- what is refused ------------------------------------------------------------------------------------

DECLARED = (
    f"{HEAD}dims d = 2, h = 5\ntarget Y : [n, c]\ninput Z : [n, c]\ninput V : [n, d]\ntarget b : [n] binary\n"
    "input v : [c]\ninput T : [n, c, d]\n"
)
REFUSED = {
    "quantile(Y, Z)": "quantile needs tau",
    "huber(Y, Z, 1, 2)": "huber takes 3 arguments, not 4",
    "huber(Y, Z, width=2)": "huber has no argument width",
    "huber(Y, V)": r"huber compares Y \[n, c\] with V \[n, d\]: the axes differ",
    "huber(v, v, delta=Y)": r"Y \[n, c\] has more axes than v \[c\]",
    "triplet(Y, Z, V)": r"triplet compares Y \[n, c\] with V \[n, d\]",
    "cross_entropy(Y, Z, smoothing=v)": r"cross_entropy takes a number, and v \[c\] is none",
    "elastic_net(Y, v, 1)": r"elastic_net takes a number, and v \[c\] is none",
    "contrastive(Y, Z, Z)": r"contrastive takes a number for each vector of Z \[n, c\], and Y \[n, c\] has other axes",
    "info_nce(v, v)": r"info_nce takes matrices; v \[c\] is none",
    "info_nce(T, T)": "info_nce takes matrices",
    "cosine(b, b)": "cosine sums over a class axis",
}


@pytest.mark.parametrize("call", REFUSED)
def test_refusals_name_what_is_wrong(call):
    with pytest.raises(SourceError, match=REFUSED[call]):
        derive.parse(f"{DECLARED}minimize {call}\n")


def test_an_own_function_hides_a_loss():
    text = "fn huber(r) = r^2\ndims d = 2\nparam w : [d]\nminimize sum(huber(w))\n"
    assert derive.parse(text).gradient("w")["w"].matrix == "dw = 2 w"


def test_settings_are_given_by_name_in_python_too():
    m = derive.Model("m")
    m.dims(d=2)
    y, w = m.target("y", "d"), m.param("w", "d")
    m.minimize(m.huber(y, w, delta=2) + m.l2(w))
    text = "model m\ndims d = 2\ntarget y : [d]\nparam w : [d]\nminimize huber(y, w, delta=2) + l2(w)\n"
    assert m.program.digest == derive.parse(text).program.digest
