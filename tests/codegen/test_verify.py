"""The check agrees with right gradients, and catches and names a wrong one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import verify
from codegen.compiler import build, load_source
from derive.errors import GradcError
from derive.points import small_sizes

NET = """\
model net
dims d = 64, h = 32, c = 10
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h]
param b1 : [h]
param W2 : [h, c]
Z = X @ W1 + b1
A = relu(Z)
P = softmax(A @ W2, axis=1)
minimize cross_entropy(Y, P)
output P
"""


class Corrupted:
    """An emitted module, one entry of one gradient changed."""

    def __init__(self, module, name: str, index: tuple[int, ...], factor: float) -> None:
        self.module, self.name, self.index, self.factor = module, name, index, factor

    def loss(self, params, /, **inputs):
        return self.module.loss(params, **inputs)

    def loss_and_grad(self, params, /, **inputs):
        loss, gradients = self.module.loss_and_grad(params, **inputs)
        changed = np.array(gradients[self.name])
        changed[self.index] *= self.factor
        return loss, {**gradients, self.name: changed}


def test_a_network_with_kinks_is_right_by_every_method():
    result = verify.check(derive.parse(NET), target="numpy")
    assert result.ok, str(result)
    assert {(r.name, r.method) for r in result.rows} == {
        (name, method) for name in ("W1", "b1", "W2") for method in verify.TOLERANCES
    }
    assert len(set(result.sizes.values())) == len(result.sizes)
    assert max(result.sizes.values()) < 12


@pytest.mark.parametrize("factor", [1.0 + 1e-5, -1.0, 0.0, np.nan])
def test_a_changed_gradient_is_caught_and_named(factor):
    model = derive.parse(NET)
    sizes = small_sizes(model.program, {"d": 3, "h": 5, "c": 2})
    built = {name: size for name, size in sizes.items() if name != "n"}
    double, single = (
        load_source(build(model.program, dtype=dtype, target="numpy", sizes=built)) for dtype in ("float64", "float32")
    )
    formulas = {t.name: f"formula of {t.name}" for t in model.program.parameters}
    assert verify.compare(model.program, double, single, formulas=formulas, sizes=sizes).ok
    wrong = Corrupted(double, "W2", (4, 1), factor)
    result = verify.compare(model.program, wrong, single, formulas=formulas, sizes=sizes)
    assert not result.ok
    assert {r.name for r in result.rows if not r.ok} == {"W2"}
    bad = next(r for r in result.rows if not r.ok)
    assert bad.index == (4, 1)
    assert "dW2[4, 1]" in str(result)
    assert "formula of W2" in str(result)


def test_a_wrong_line_of_an_emitted_module_is_caught():
    model = derive.parse(
        "model m\ndims d\nbatch n\ninput X : [n, d]\nparam w : [d]\nparam b\nz = X @ w + b\nminimize mean(sin(z))\n"
    )
    texts = [build(model.program, dtype=t, target="numpy", sizes={"d": 3}) for t in ("float64", "float32")]
    right = "dw = X.T @ dz"
    assert all(right in t for t in texts)
    double, single = (load_source(t.replace(right, "dw = X.T @ abs(dz)")) for t in texts)
    result = verify.compare(
        model.program, double, single, formulas={"w": "dw = …", "b": "db = …"}, sizes={"d": 3, "n": 5}
    )
    assert [(r.name, r.method) for r in result.rows if not r.ok] == [
        ("w", verify.DIFFERENCES),
        ("w", verify.COMPLEX_STEP),
    ]


MODELS = {
    "gather": "dims v, k\nbatch n\ninput t : [n] labels(v)\nparam E : [v, k]\ny[i, j] = E[t[i], j]\nminimize sum(y^3)",
    "maximum": "dims d\nbatch n\ninput X : [n, d]\nparam W : [d, d]\nminimize mean(max(X @ W, axis=1))",
    "norms": "dims d\nparam x : [d]\nminimize norm(x) + norm(x, 1)",
    "branches": "dims d\nparam x : [d]\nminimize sum(log(x) if x > 0 else 0)",
    "own function": "dims d\nconst a = 0.5\nfn f(x) = x / (1 + a*x^2)\nparam x : [d]\nminimize sum(f(x))",
    "symmetric": "dims d\ninput S : [d, d] symmetric\nparam x : [d]\nminimize x' @ S @ x",
    "counts": "dims d\nbatch n\ninput X : [n, d] positive\ntarget y : [n] counts\nparam w : [d]\nm = exp(X @ w)\n"
    "minimize mean(m - y * log(m))",
    "bounds": "dims d\nparam s : [d] in 0..1\nminimize sum(log(s) + log(1 - s))",
    "hinge": "dims d\nbatch n\ninput X : [n, d]\ntarget y : [n] signs\nparam w : [d]\n"
    "minimize mean(max(0, 1 - y*(X @ w)))",
    "diagonal": "dims d\nparam A : [d, d]\nt = sum[i] A[i, i]\nminimize t^2 + sum(diag(A)^3)",
    "activations": "dims d\nparam x : [d]\nminimize sum(gelu(x) + silu(x) + softplus(x) + elu(x))",
    "labels": "dims d, c\nbatch n\ninput X : [n, d]\ntarget t : [n] labels(c)\nparam W : [d, c]\n"
    "P = softmax(X @ W, axis=1)\nminimize cross_entropy(t, P)",
    "simplex": "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c] simplex\nparam W : [d, c]\n"
    "P = softmax(X @ W, axis=1)\nminimize cross_entropy(Y, P)",
    "number": "param x\nminimize (x - 3)^2",
}


@pytest.mark.parametrize("text", MODELS.values(), ids=MODELS.keys())
def test_models_of_every_kind_are_right(text):
    result = verify.check(derive.parse(text), target="numpy")
    assert result.ok, str(result)


def test_logarithms_are_checked_where_they_are_defined():
    model = derive.parse("dims d = 50\nparam w : [d]\nminimize sum(log(w) + sqrt(w))\n")
    assert verify.check(model, target="numpy").ok


def test_inputs_are_checked_on_request():
    result = verify.check(derive.parse(NET), wrt=["X"], target="numpy")
    assert result.ok, str(result)
    assert {r.name for r in result.rows} == {"X"}


def test_given_sizes_are_kept_and_unknown_ones_refused():
    program = derive.parse(NET).program
    assert small_sizes(program, {"h": 3})["h"] == 3
    assert sorted(small_sizes(program, {"h": 3}).values()) == [2, 3, 5, 7]
    with pytest.raises(GradcError, match="no dim q"):
        small_sizes(program, {"q": 3})


def test_derived_extents_stay_positive():
    text = "dims k = 5, n = 28, o = n-k+1\nparam w : [o]\nminimize sum(w^2)\n"
    sizes = small_sizes(derive.parse(text).program, {})
    assert sizes["n"] - sizes["k"] + 1 > 0


def test_an_access_stays_inside_at_the_sizes_that_are_chosen():
    program = derive.parse("dims d = 9\nparam x : [d]\nminimize sum(x[1:5]^2)\n").program
    assert small_sizes(program, {}) == {"d": 9}
    assert small_sizes(program, {"d": 7}) == {"d": 7}


def test_sizes_differ_from_the_numbers_in_shapes():
    program = derive.parse("dims h\nbatch n\ninput X : [n, 2]\nparam W : [2, h]\nminimize sum(X @ W)\n").program
    assert small_sizes(program, {}) == {"h": 3, "n": 5}


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_a_long_sum_of_both_signs_keeps_its_digits_in_single_precision(monkeypatch, target):
    # dW adds up a thousand products that nearly cancel; added one by one in float32 they miss the tolerance
    monkeypatch.setattr(verify, "_METHODS", {verify.SINGLE: verify._METHODS[verify.SINGLE]})
    model = derive.load(Path(__file__).parents[1] / "models" / "conv2d.gc")
    result = verify.check(model, wrt=["W"], target=target)
    assert result.ok, str(result)
    assert target == "numpy" or result.rows[0].error < 5e-5


def test_the_check_is_the_same_every_time():
    model = derive.parse(NET)
    assert str(verify.check(model, target="numpy")) == str(verify.check(model, target="numpy"))
