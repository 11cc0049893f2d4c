"""The emitted module against the definitional interpreter, in both targets and both precisions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import numpy as np
import pytest

import derive
from codegen.compiler import build, load_source, render
from codegen.prepared import known_sizes
from derive import pipeline
from derive.errors import GradcError
from derive.evaluate import evaluate

TARGETS = ("numba", "numpy")

ROWS = """model rows
dims d = 7, h = 5, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h] ~ he_normal()
param b1 : [h]
param W2 : [h, c] ~ glorot_uniform()
param b2 : [c]
Z1 = X @ W1 + b1
A1 = relu(Z1)
Z2 = A1 @ W2 + b2
P = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
optimizer adam(lr=1e-2)
output P
"""

COLUMNS = """model columns
dims d = 7, h = 5, c = 3
batch n
input X : [d, n]
target Y : [c, n] one_hot
param W1 : [h, d] ~ he_normal()
param b1 : [h, 1]
param W2 : [c, h] ~ glorot_uniform()
param b2 : [c, 1]
Z1 = W1 @ X + b1
A1 = tanh(Z1)
Z2 = W2 @ A1 + b2
P = softmax(Z2, axis=0)
minimize cross_entropy(Y, P)
optimizer momentum(lr=0.1)
output P
"""

LABELS = """model labelled
dims d = 5, c = 3
batch n
input X : [n, d]
target t : [n] labels(c)
param W : [d, c] ~ normal(0, 0.1)
Z = X @ W
minimize cross_entropy(t, softmax(Z, axis=1))
optimizer sgd(lr=0.1)
output Z
"""

SCALARS = """model line
batch n
input x : [n]
target y : [n]
param w ~ normal(0, 1)
param b ~ constant(0.5)
p = gelu(w * x + b) + elu(x) * w
minimize mse(y, p)
optimizer rmsprop(lr=0.01)
output p
"""

AWKWARD = """model awkward
dims lambda = 5, np = 3, loss = 2
batch theta
input def : [theta, lambda]
param grad : [lambda, np] ~ normal(0, 1)
param work : [np] ~ normal(0, 1)
param range : [np, loss] ~ normal(0, 1)
math = sigmoid(def @ grad + work)
i = math @ range
forward = sum(i^2) / theta
minimize forward
optimizer sgd(lr=0.1)
output math, i
"""

NO_BATCH = """model quadratic
dims d = 5
input A : [d, d]
input c : [d]
param x : [d] ~ normal(0, 1)
minimize x @ A @ x + c @ x + norm(x) + max(x)
"""

INDEXED = """model indexed
dims b = 3, s = 2, d = 5, h = 7
input X : [b, s, d]
param W : [d, h] ~ normal(0, 1)
param V : [h] ~ normal(0, 1)
T[i, t, k] = sum[q] X[i, t, q] * W[q, k]
minimize sum[i, t, k] tanh(T[i, t, k]) * V[k] * W[0, k]
output T
"""

MODELS = {
    "rows": ROWS,
    "columns": COLUMNS,
    "labels": LABELS,
    "scalars": SCALARS,
    "awkward": AWKWARD,
    "no_batch": NO_BATCH,
    "indexed": INDEXED,
}


def data_for(program, dtype, n=11, seed=0):
    """Random values for what a program declares."""
    r = np.random.default_rng(seed)
    sizes = known_sizes(program, {}) | ({program.batch.name: n} if program.batch else {})
    found = {}
    for t in program.declared:
        shape = tuple(1 if not hasattr(a, "name") else sizes[a.name] for a in t.axes)
        if t.property("one_hot"):
            axis = t.property("one_hot").axis
            rank = np.argsort(r.random(shape), axis=axis)
            found[t.name] = (rank == 0).astype(dtype)
        elif t.dtype == "int":
            found[t.name] = r.integers(0, 3, shape)
        elif t.kind in ("input", "target"):
            found[t.name] = r.normal(size=shape).astype(dtype)
    return found


_built: dict[tuple[str, str, str], tuple] = {}


def built(name, target, dtype="float64"):
    """A model, its derivation and its module, built once a session."""
    key = (name, target, dtype)
    if key not in _built:
        program = derive.parse(MODELS[name]).program
        module = load_source(build(program, target=target, dtype=dtype))
        _built[key] = program, pipeline.gradient(program, program.parameters), module
    return _built[key]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_emitted_module_agrees_with_the_definition(name, target):
    program, derivation, module = built(name, target)
    data = data_for(program, np.float64)
    params = module.init_params(3)
    expected = evaluate(derivation.raw, {**data, **params})
    value, gradient = module.loss_and_grad(params, **data)
    assert value == pytest.approx(float(expected[program.objective.name]), rel=1e-12)
    assert value == module.loss(params, **data)
    bars = {v.name: bar.name for v, bar in derivation.raw.gradients}
    assert list(gradient) == [t.name for t in program.parameters]
    for v, g in gradient.items():
        np.testing.assert_allclose(g, expected[bars[v]], rtol=1e-11, atol=1e-12)
    theta = np.concatenate([np.ravel(a) for a in params.values()])
    flat_value, flat = module.loss_and_grad_flat(theta, **data)
    assert flat_value == value
    np.testing.assert_array_equal(flat, np.concatenate([np.ravel(g) for g in gradient.values()]))
    if program.outputs:
        wanted = {t.name for t in program.outputs}
        found = module.forward(params, **{k: a for k, a in data.items() if program.tensor(k).kind == "input"})
        assert set(found) == wanted
        for k, a in found.items():
            np.testing.assert_allclose(a, expected[k], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["rows", "columns", "scalars"])
def test_float32_stays_float32_and_agrees(name, target):
    program, _, double = built(name, target)
    _, _, single = built(name, target, "float32")
    data = data_for(program, np.float64)
    params = double.init_params(3)
    value, gradient = double.loss_and_grad(params, **data)
    cast = {k: a.astype(np.float32) for k, a in params.items()}
    value32, gradient32 = single.loss_and_grad(cast, **{k: a.astype(np.float32) for k, a in data.items()})
    assert value32 == pytest.approx(value, rel=1e-4)
    for k, g in gradient32.items():
        assert g.dtype == np.float32
        np.testing.assert_allclose(g, gradient[k], rtol=1e-4, atol=1e-5)


def test_kernels_in_float32_add_in_double_where_a_sum_gathers_and_nowhere_else():
    program = derive.parse(ROWS).program
    source = build(program, dtype="float32")
    module = load_source(source)
    module._loss_and_grad._cache.disable()  # cached code cannot be inspected
    module.loss_and_grad(module.init_params(0), **data_for(program, np.float32))
    kernel = module._loss_and_grad
    text = kernel.inspect_llvm(kernel.signatures[0])
    arithmetic = r" (fmul|fadd|fsub|fdiv)( \w+)* double"
    assert re.search(arithmetic.replace("double", "float"), text)
    assert {m[1] for m in re.finditer(arithmetic, text)} <= {"fadd", "fsub"}
    lines = source[source.index("def _loss_and_grad(") : source.index("def _epoch(")].splitlines()
    code = "\n".join(line for line in lines if "#" not in line)
    gathered = set(re.findall(r"^ *(\w+) = 0\.0$", code, re.M))
    assert gathered
    for name in gathered:  # whatever reads such a sum takes it in single precision
        uses = re.findall(rf"(\S*)\b{name}\b(?! [-+]?= )", code)
        assert uses
        assert all(before.endswith("real(") for before in uses)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["rows", "columns", "labels", "scalars", "awkward"])
def test_training_lowers_the_loss_and_repeats(name, target):
    program, _, module = built(name, target)
    data = data_for(program, np.float64, n=13)
    runs = []
    for _ in range(2):
        params = module.init_params(1)
        seen = []
        history = module.fit(
            params, data, epochs=8, batch_size=4, seed=5, on_epoch=lambda k, v, seen=seen: seen.append((k, v))
        )
        assert seen == [(h["epoch"], h["loss"]) for h in history]
        runs.append((history, {k: a.copy() for k, a in params.items()}))
    assert runs[0][0] == runs[1][0]
    for k in runs[0][1]:
        np.testing.assert_array_equal(runs[0][1][k], runs[1][1][k])
    assert runs[0][0][-1]["loss"] < runs[0][0][0]["loss"]


@pytest.mark.parametrize("name", ["rows", "columns", "labels"])
def test_targets_train_alike(name):
    results = []
    for target in TARGETS:
        program, _, module = built(name, target)
        params = module.init_params(1)
        history = module.fit(params, data_for(program, np.float64, n=13), epochs=3, batch_size=4, seed=2)
        results.append((history, params))
    assert [h["loss"] for h in results[0][0]] == pytest.approx([h["loss"] for h in results[1][0]], rel=1e-10)
    for k, a in results[0][1].items():
        np.testing.assert_allclose(a, results[1][1][k], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_one_epoch_of_sgd_by_hand(target):
    """Batches in order, the last one short, each divided by its own count."""
    program, _, module = built("labels", target)
    data = data_for(program, np.float64, n=5)
    params, hand = module.init_params(1), module.init_params(1)
    module.fit(params, data, epochs=1, batch_size=2, shuffle=False, lr=0.3)
    for start in (0, 2, 4):
        _, g = module.loss_and_grad(hand, **{k: a[start : start + 2] for k, a in data.items()})
        for k in hand:
            hand[k] -= 0.3 * g[k]
    for k in hand:
        np.testing.assert_allclose(params[k], hand[k], rtol=1e-12)


def test_hand_made_program_builds_without_derivation(two_layers):
    program = two_layers
    for target in TARGETS:
        module = load_source(render(program, {}, target=target))
        data, params = data_for(program, np.float64), module.init_params(0)
        expected = evaluate(program, {**data, **params})
        value, gradient = module.loss_and_grad(params, **data)
        assert value == pytest.approx(float(expected["L"]), rel=1e-12)
        for v, g in gradient.items():
            np.testing.assert_allclose(g, expected[f"d{v}"], rtol=1e-11, atol=1e-13)


def test_gradients_by_inputs():
    program = derive.parse(ROWS).program
    for target in TARGETS:
        module = load_source(build(program, target=target, wrt=["X", "b2"]))
        data, params = data_for(program, np.float64), module.init_params(0)
        both = pipeline.gradient(program, (program.tensor("X"), program.tensor("b2")))
        expected = evaluate(both.raw, {**data, **params})
        _, gradient = module.loss_and_grad(params, **data)
        for v, bar in both.raw.gradients:
            np.testing.assert_allclose(gradient[v.name], expected[bar.name], rtol=1e-11, atol=1e-13)
        assert set(gradient) == {"X", "b2"}
        assert not hasattr(module, "fit")
        assert not hasattr(module, "loss_and_grad_flat")


def test_workspace_is_reused_and_results_are_never_overwritten():
    program, _, module = built("rows", "numba")
    params = module.init_params(0)
    small, large = data_for(program, np.float64, n=3), data_for(program, np.float64, n=17, seed=1)
    first = module.forward(params, X=small["X"])["P"]
    _, grad = module.loss_and_grad(params, **small)
    kept, kept_grad = first.copy(), {k: a.copy() for k, a in grad.items()}
    module.loss_and_grad(params, **large)
    module.forward(params, X=large["X"])
    np.testing.assert_array_equal(first, kept)
    for k, a in grad.items():
        np.testing.assert_array_equal(a, kept_grad[k])


def test_params_need_not_be_views():
    program, _, module = built("rows", "numba")
    data, params = data_for(program, np.float64), module.init_params(0)
    loose = {k: a.copy() for k, a in reversed(params.items())}
    assert module.loss(loose, **data) == module.loss(params, **data)
    module.fit(params, data, epochs=1, batch_size=4)
    module.fit(loose, data, epochs=1, batch_size=4)
    for k, a in params.items():
        np.testing.assert_array_equal(a, loose[k])


def test_save_and_load(tmp_path):
    _, _, module = built("rows", "numpy")
    params = module.init_params(2)
    module.save(tmp_path / "p.npz", params)
    found = module.load(tmp_path / "p.npz")
    assert list(found) == list(params)
    for k, a in params.items():
        np.testing.assert_array_equal(found[k], a)
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]
    _, _, other = built("columns", "numpy")
    with pytest.raises(ValueError, match="W1 has shape"):
        other.load(tmp_path / "p.npz")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_text_is_deterministic_narrow_and_clean(name, target, tmp_path):
    first = build(derive.parse(MODELS[name]).program, target=target)
    assert first == build(derive.parse(MODELS[name]).program, target=target)
    ast.parse(first)
    assert max(map(len, first.splitlines())) <= 120
    path = tmp_path / "m.py"
    path.write_text(first)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "gradc" not in first.split('"""')[2]  # nothing of this project is imported


def test_sizes_replace_defaults_and_mistakes_are_named():
    program = derive.parse(ROWS).program
    module = load_source(build(program, target="numpy", sizes={"h": 2}))
    assert module.DIMS == {"d": 7, "h": 2, "c": 3}
    assert module.PARAMS["W1"] == (7, 2)
    with pytest.raises(GradcError, match="no such extent"):
        build(program, sizes={"q": 2})
    with pytest.raises(GradcError, match="float16"):
        build(program, dtype="float16")
    with pytest.raises(GradcError, match="no default"):
        build(derive.parse("dims d\nparam x : [d]\nminimize sum(x^2)").program)


def test_without_an_optimizer_there_is_no_fit():
    _, _, module = built("no_batch", "numpy")
    assert not hasattr(module, "fit")
    assert "There is no `fit`" in module.__doc__
