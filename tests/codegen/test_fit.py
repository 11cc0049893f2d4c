"""`fit` against plain NumPy, step by step: rules, schedules, clipping, decay, averages, groups, frozen parameters."""

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import source
from derive.errors import GradcError
from derive.language.optimizers import catalogue
from derive.library.schedules import SCHEDULES

COUNT, EPOCHS, SIZE = 7, 3, 3  # the last batch of an epoch is a single sample
LAST = EPOCHS * 3
ROWS = [slice(0, 3), slice(3, 6), slice(6, 7)] * EPOCHS

TARGETS = pytest.mark.parametrize("target", ["numba", "numpy"])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def data(dtype):
    rng = np.random.default_rng(5)
    return {"X": rng.normal(size=(COUNT, 2)).astype(dtype), "y": rng.normal(size=COUNT).astype(dtype)}


def separate(names, lines, more="", frozen=()):
    """A model that fits each of its parameters by itself, and the lines that say how."""
    declared = [f"param {n} : [d]{' frozen' if n in frozen else ''} ~ normal(0, 1)" for n in names]
    loss = " + ".join(f"mse(y, X @ {n})" for n in names)
    head = ["dims d = 2", "batch n", "input X : [n, d]", "target y : [n]", *declared]
    return "\n".join([*head, more, f"minimize {loss}", *lines])


def fitted(text, target, dtype, **given):
    net = codegen.compile(derive.parse(text), target=target, dtype=dtype)
    params = net.init_params(3)
    start = {k: a.copy() for k, a in params.items()}
    net.fit(params, data(dtype), epochs=EPOCHS, batch_size=SIZE, shuffle=False, **given)
    return start, params


def gradient(w, rows):
    """The gradient of the mean squared error by the weights, of these samples in float64."""
    d = data("float64")
    x, y = d["X"][rows], d["y"][rows]
    return 2 * x.T @ (x @ w - y) / len(y)


def trained(w, step):
    """The weights after all steps of ``step(w, g, t)``."""
    w = w.astype(np.float64)
    for t, rows in enumerate(ROWS, 1):
        w = step(w, gradient(w, rows), t)
    return w


def close(dtype, found, expected):
    np.testing.assert_allclose(
        found, expected, rtol=1e-11 if dtype == "float64" else 2e-4, atol=1e-5 * (dtype != "float64")
    )


# --- the catalogue ---------------------------------------------------------------------------------------------


def textbook(name):
    """The update of an optimizer as its paper has it: a function of w, g and t that keeps its own state."""
    m, v, u = np.zeros(2), np.zeros(2), np.zeros(2)

    def step(w, g, t):
        nonlocal m, v, u
        if name == "sgd":
            return w - 0.01 * g
        if name in ("momentum", "nesterov"):
            m = 0.9 * m + g
            return w - 0.01 * (m if name == "momentum" else g + 0.9 * m)
        if name == "adagrad":
            v = v + g**2
            return w - 0.01 * g / (np.sqrt(v) + 1e-8)
        if name == "rmsprop":
            v = 0.9 * v + 0.1 * g**2
            return w - 0.001 * g / (np.sqrt(v) + 1e-8)
        if name == "adadelta":
            v = 0.9 * v + 0.1 * g**2
            delta = np.sqrt(u + 1e-6) / np.sqrt(v + 1e-6) * g
            u = 0.9 * u + 0.1 * delta**2
            return w - delta
        if name == "lion":
            w = w - 1e-4 * np.sign(0.9 * m + 0.1 * g)
            m = 0.99 * m + 0.01 * g
            return w
        m = 0.9 * m + 0.1 * g
        if name == "adamax":
            v = np.maximum(0.999 * v, np.abs(g) + 1e-8)
            return w - 0.002 / (1 - 0.9**t) * m / v
        v = 0.999 * v + 0.001 * g**2
        root = np.sqrt(v / (1 - 0.999**t)) + 1e-8
        if name == "nadam":
            return w - 0.001 * (0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)) / root
        decay = 0.001 * 0.01 * w if name == "adamw" else 0
        return w - decay - 0.001 * m / (1 - 0.9**t) / root

    return step


@TARGETS
@DTYPES
def test_every_optimizer_follows_its_paper(target, dtype):
    names = [f"w_{name}" for name in catalogue()]
    lines = [f"optimizer {name}() for w_{name}" for name in catalogue()]
    start, params = fitted(separate(names, lines), target, dtype)
    for name in catalogue():
        close(dtype, params[f"w_{name}"], trained(start[f"w_{name}"], textbook(name)))


# --- rules of one's own --------------------------------------------------------------------------------------

OWN = """
const half = 1/2
fn soft(x, a) = x / (1 + abs(x)/a)
rule heavy_ball(lr=0.01, mu=0.9)
  v = mu*v - lr*g
  w = w + v
end
rule odd(rate, power=3)
  last = w
  push = soft(g, half) if t < 4 else g^power/T
  s = max(s, abs(push))
  w = w - rate*push/(s + norm)
  drift = w - last
  total = total + drift
end
"""


@TARGETS
@DTYPES
def test_rules_of_ones_own(target, dtype):
    lines = ["optimizer heavy_ball(lr=0.05) for a", "optimizer odd(0.1, power=2)"]
    start, params = fitted(separate(["a", "b", "c"], lines, OWN), target, dtype)
    v = np.zeros(2)

    def heavy_ball(w, g, _):
        nonlocal v
        v = 0.9 * v - 0.05 * g
        return w + v

    close(dtype, params["a"], trained(start["a"], heavy_ball))
    w, s = {k: start[k].astype(np.float64) for k in "abc"}, {k: np.zeros(2) for k in "bc"}
    v = np.zeros(2)
    for t, rows in enumerate(ROWS, 1):
        g = {k: gradient(w[k], rows) for k in "abc"}
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        w["a"] = heavy_ball(w["a"], g["a"], t)
        for k in "bc":
            push = g[k] / (1 + np.abs(g[k]) / 0.5) if t < 4 else g[k] ** 2 / LAST
            s[k] = np.maximum(s[k], np.abs(push))
            w[k] = w[k] - 0.1 * push / (s[k] + norm)
    for k in "abc":
        close(dtype, params[k], w[k])


@TARGETS
def test_a_name_for_the_parameter_keeps_its_value_when_it_changes(target):
    rule = "rule pull(lr=0.1)\n  before = w\n  w = w - lr*g + d/2\n  d = w - before\nend"
    start, params = fitted(separate(["a"], ["optimizer pull()"], rule), target, "float64")
    d = np.zeros(2)

    def pull(w, g, _):
        nonlocal d
        after = w - 0.1 * g + d / 2
        d = after - w
        return after

    close("float64", params["a"], trained(start["a"], pull))


# --- schedules -------------------------------------------------------------------------------------------------


def rates():
    """Learning rates as they are written, and what they are at step t."""
    T = LAST

    def warm(t, steps, then):
        return 0.1 * t / steps if t <= steps else then(t - 1 - steps)

    return {
        "step(0.1, every=2)": lambda t: 0.1 * 0.1 ** ((t - 1) // 2),
        "step(0.1, every=T/3, factor=1/2)": lambda t: 0.1 * 0.5 ** ((t - 1) // 3),
        "exponential(0.1, every=4, factor=0.5)": lambda t: 0.1 * 0.5 ** ((t - 1) / 4),
        "linear(0.1)": lambda t: 0.1 * (T - t + 1) / T,
        "linear(0.1, low=0.02, warmup=2)": lambda t: warm(t, 2, lambda k: 0.1 - 0.08 * k / (T - 2)),
        "cosine(0.1)": lambda t: 0.05 * (1 + np.cos(np.pi * (t - 1) / T)),
        "cosine(0.1, warmup=4, low=0.01)": lambda t: warm(
            t, 4, lambda k: 0.01 + 0.045 * (1 + np.cos(np.pi * k / (T - 4)))
        ),
        "inverse_sqrt(0.1, warmup=4)": lambda t: 0.1 * min(t / 4, np.sqrt(4 / t)),
        "one_cycle(0.1, rise=1/3)": lambda t: (
            0.1
            * (
                1 / 25 + 24 / 25 * (1 - np.cos(np.pi * (t - 1) / 3)) / 2
                if t <= 4
                else 1e-4 + (1 - 1e-4) * (1 + np.cos(np.pi * (t - 4) / 6)) / 2
            )
        ),
        "warmup(5)*step(0.1, every=6)": lambda t: min(1, t / 5) * (0.1 if t <= 6 else 0.01),
        "0.1*ramp(t)": lambda t: 0.1 * min(1, t / 3) ** 2,
        "d^(-1/2)*(0.1 if t < T/2 else 0.01)/k": lambda t: (0.1 if t < T / 2 else 0.01) / np.sqrt(2) / 2,
    }


@TARGETS
@DTYPES
def test_schedules(target, dtype):
    names = [f"w{k}" for k in range(len(rates()))]
    lines = [f"optimizer sgd(lr={rate}) for {n}" for rate, n in zip(rates(), names, strict=True)]
    text = separate(names, lines, "const k = 2\nfn ramp(t) = min(1, t/3)^2")
    start, params = fitted(text, target, dtype)
    for name, rate in zip(names, rates().values(), strict=True):
        close(dtype, params[name], trained(start[name], lambda w, g, t, rate=rate: w - rate(t) * g))


def test_every_schedule_is_tested():
    assert all(any(f"{name}(" in rate for rate in rates()) for name in SCHEDULES)


def test_a_schedule_is_readable_in_the_module_and_is_no_keyword():
    model = derive.parse(separate(["a"], ["optimizer sgd(lr=cosine(0.1, warmup=5))"]))
    for target in ("numba", "numpy"):
        text = source(model, target=target)
        assert "def _lr_at(t, T):\n    # lr at step t of T: cosine(0.1, warmup=5)\n    return " in text
        assert "\n    lr=" not in text


# --- what any optimizer can be given -------------------------------------------------------------------------


def group_step(w, g, kind, norm):
    """One step of gradient descent with rate 0.1, with what the group asks for."""
    if kind == "norm":
        return w - 0.1 * g * min(1, 0.5 / norm)
    if kind == "value":
        return w - 0.1 * np.clip(g, -0.3, 0.3)
    if kind == "decay":
        w = w - 0.1 * 0.2 * w
    if kind == "all":
        w, g = w - 0.1 * 0.2 * w, np.clip(g * min(1, 2 / norm), -0.3, 0.3)
    return w - 0.1 * g


ASKED = {
    "norm": "clip_norm=0.5",
    "value": "clip_value=0.3",
    "decay": "weight_decay=0.2",
    "all": "weight_decay=0.2, clip_value=0.3, clip_norm=2, ema=0.9",
    "none": "ema=0.5",
}


@TARGETS
@DTYPES
def test_clipping_decay_and_averages(target, dtype):
    names = ["norm", "value", "decay", "still", "all", "none", "more"]  # `none` trains `more` too: two pieces
    names.insert(1, "hold")
    lines = [f"optimizer sgd(lr=0.1, {asked}) for {n}" for n, asked in ASKED.items() if n != "none"]
    text = separate(names, [*lines, f"optimizer sgd(lr=0.1, {ASKED['none']})"], frozen=("still",))
    average = {}
    start, params = fitted(text, target, dtype, average=average)
    w = {k: a.astype(np.float64) for k, a in start.items()}
    mean = {k: a.copy() for k, a in w.items()}
    for rows in ROWS:
        g = {k: gradient(a, rows) for k, a in w.items() if k != "still"}
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        for k in g:
            w[k] = group_step(w[k], g[k], k, norm)
            decay = {"all": 0.9, "none": 0.5, "more": 0.5, "hold": 0.5}.get(k, 0)
            mean[k] = decay * mean[k] + (1 - decay) * w[k]
    assert set(average) == set(params) == set(names)
    for k in names:
        close(dtype, params[k], w[k])
        close(dtype, average[k], mean[k])
    np.testing.assert_array_equal(params["still"], start["still"])
    np.testing.assert_array_equal(average["still"], start["still"])


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_one_optimizer_with_everything_stays_one_loop(target):
    asked = "lr=cosine(0.1), clip_norm=1, weight_decay=0.01, ema=0.99"
    text = separate(["a", "b"], [f"optimizer adam({asked})"])
    emitted = source(derive.parse(text), target=target)
    epoch = emitted[emitted.index("def _epoch") :]
    if target == "numba":
        assert epoch.count("for p in range(theta.shape[0]):") == 2  # the norm, and everything else
        assert epoch.count("math.sqrt(squares)") == 1
    assert epoch.count("_lr_at(") == 1


def test_hyperparameters_of_groups_are_keywords():
    lines = ["optimizer sgd(lr=0.3) for a, b", "optimizer momentum(weight_decay=0.1)"]
    text = separate(["a", "b", "c"], lines)
    start, params = fitted(text, "numpy", "float64", lr_a=0.05, lr=0.02, beta=0.5, weight_decay=0)
    m = np.zeros(2)

    def momentum(w, g, _):
        nonlocal m
        m = 0.5 * m + g
        return w - 0.02 * m

    close("float64", params["b"], trained(start["b"], lambda w, g, _: w - 0.05 * g))
    close("float64", params["c"], trained(start["c"], momentum))


@pytest.mark.parametrize("word", ["epochs", "lambda", "size", "data", "average"])
def test_a_hyperparameter_may_have_any_name(word):
    if word == "average":
        with pytest.raises(GradcError, match="average is given in a rule"):
            derive.parse(separate(["a"], [], f"rule r({word}=0.1)\n  w = w - {word}*g\nend"))
        return
    text = separate(["a"], ["optimizer r()"], f"rule r({word}=0.1)\n  w = w - {word}*g\nend")
    start, params = fitted(text, "numpy", "float64", **{f"{word}_2": 0.03})
    close("float64", params["a"], trained(start["a"], lambda w, g, _: w - 0.03 * g))


# --- frozen parameters ---------------------------------------------------------------------------------------

FROZEN = separate(["a", "b"], ["optimizer momentum(lr=0.1)"], frozen=("a",))


@TARGETS
def test_frozen_parameters_have_gradients_only_where_one_asks(target):
    model = derive.parse(FROZEN)
    net = codegen.compile(model, target=target)
    params, given = net.init_params(1), data("float64")
    value, grads = net.loss_and_grad(params, **given)
    assert list(net.PARAMS) == ["a", "b"]
    assert list(grads) == ["b"]
    again, flat = net.loss_and_grad_flat(np.concatenate([params["a"], params["b"]]), **given)
    assert again == value
    np.testing.assert_array_equal(flat[:2], 0)
    np.testing.assert_array_equal(flat[2:], grads["b"])
    asked = codegen.compile(model, target=target, wrt=["a", "b"])
    _, both = asked.loss_and_grad(params, **given)
    np.testing.assert_allclose(both["a"], gradient(params["a"], slice(None)))
    before = params["a"].copy()
    asked.fit(params, given, epochs=1)
    np.testing.assert_array_equal(params["a"], before)


def test_frozen_parameters_of_a_model():
    model = derive.parse(FROZEN)
    assert [t.name for t in model.program.trained] == ["b"]
    assert "da" not in str(model.gradient())
    assert "da" in str(model.gradient("a"))
    all_frozen = derive.parse("param q frozen ~ ones()\nminimize q^2\noptimizer sgd()")
    assert "has nothing to train" in source(all_frozen)


# --- starts ----------------------------------------------------------------------------------------------------

STARTS = """
dims d = 200, h = 50, L = 2, k{0..L} = [3, 4, 5]
const s = 1/2
init cut(std=1) = std*clip(z, -2, 2)
init sparse(p) = s*z if u < p else 0
param C : [d, h] ~ cut(1/d)
param S : [d, h] ~ sparse(0.25)
param N : [d, h] ~ normal(0, sqrt(2/(d+h)))
repeat l = 1..L
  param W{l} : [k{l-1}, k{l}] ~ constant(k{l}/(L*k{l-1}))
end
minimize sum(C^2) + sum(S^2) + sum(N^2) + sum(W{1}^2) + sum(W{2}^2)
"""


@TARGETS
def test_initializers_of_ones_own(target):
    net = codegen.compile(derive.parse(STARTS), target=target, dtype="float32")
    params = net.init_params(7)
    r = np.random.default_rng(7)
    np.testing.assert_allclose(params["C"], np.clip(r.standard_normal((200, 50)), -2, 2) / 200, rtol=1e-6)
    z, u = r.standard_normal((200, 50)), r.random((200, 50))
    np.testing.assert_allclose(params["S"], np.where(u < 0.25, z / 2, 0), rtol=1e-6)
    np.testing.assert_allclose(params["N"], r.normal(0, np.sqrt(2 / 250), (200, 50)), rtol=1e-6)
    np.testing.assert_allclose(params["W1"], np.full((3, 4), 4 / 6), rtol=1e-6)
    np.testing.assert_allclose(params["W2"], np.full((4, 5), 5 / 8), rtol=1e-6)
    deeper = codegen.compile(derive.parse(STARTS), target="numpy", sizes={"L": 3, "k": [3, 4, 5, 6]})
    assert deeper.init_params()["W3"][0, 0] == pytest.approx(6 / 15)
