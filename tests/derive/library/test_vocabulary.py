"""The catalogue: every function, loss, initializer and optimizer against its textbook definition in NumPy."""

import numpy as np
import pytest
from scipy import special

import derive
from derive.evaluate import evaluate
from derive.expr import Dim, Num, num
from derive.functions import PRIMITIVES
from derive.language import initializers
from derive.language.optimizers import catalogue
from derive.language.parse import parse
from derive.language.read import read
from derive.language.vocabulary import Vocabulary
from derive.library.functions import FUNCTIONS
from derive.starts import distribution, fans

Z = np.array([-2.5, -0.3, 0.0, 0.4, 1.7])
TEXTBOOK = {
    "sqrt(z^2)": np.abs(Z),
    "abs(z)": np.abs(Z),
    "sign(z)": np.sign(Z),
    "log1p(z^2)": np.log1p(Z**2),
    "expm1(z)": np.expm1(Z),
    "sigmoid(z)": special.expit(Z),
    "softplus(z)": np.logaddexp(0, Z),
    "identity(z)": Z,
    "softsign(z)": Z / (1 + np.abs(Z)),
    "relu(z)": np.maximum(Z, 0),
    "xlogx(abs(z))": special.xlogy(np.abs(Z), np.abs(Z)),
    "squared_relu(z)": np.maximum(Z, 0) ** 2,
    "log_sigmoid(z)": np.log(special.expit(Z)),
    "tanhshrink(z)": Z - np.tanh(Z),
    "prelu(z, 1/5)": np.where(Z > 0, Z, Z / 5),
    "leaky_relu(z)": np.where(Z > 0, Z, 0.01 * Z),
    "leaky_relu(z, 0.2)": np.where(Z > 0, Z, 0.2 * Z),
    "leaky_relu(z, a=1/4)": np.where(Z > 0, Z, 0.25 * Z),
    "elu(z)": np.where(Z > 0, Z, np.expm1(Z)),
    "selu(z)": 1.0507009873554805 * np.where(Z > 0, Z, 1.6732632423543772 * np.expm1(Z)),
    "silu(z)": Z * special.expit(Z),
    "mish(z)": Z * np.tanh(np.logaddexp(0, Z)),
    "gelu(z)": Z * special.ndtr(Z),
    "clip(z, -1, 1/2)": np.clip(Z, -1, 0.5),
    "hard_tanh(z)": np.clip(Z, -1, 1),
    "hard_sigmoid(z)": np.clip(Z / 6 + 0.5, 0, 1),
    "hard_swish(z)": Z * np.clip(Z / 6 + 0.5, 0, 1),
    **{f"{f}(z/4)": getattr(np, n)(Z / 4) for f, n in zip(
        ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "asin", "acos", "atan"),
        ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "arcsin", "arccos", "arctan"), strict=True)},
    "erf(z)": special.erf(Z),
    "log(z^2 + 1)": np.log(Z**2 + 1),
}  # fmt: skip


@pytest.mark.parametrize("expression", TEXTBOOK)
def test_scalar_function(expression):
    program = read(parse(f"dims m = 5\ninput z : [m]\nR = {expression}"))
    np.testing.assert_allclose(evaluate(program, {"z": Z})["R"], TEXTBOOK[expression], rtol=1e-12, atol=1e-15)


def test_the_slope_of_prelu_is_an_argument_and_learned_like_any():
    text = "dims m = 5, h = 3\ninput z : [h, m]\nparam a : [m]\ninput G : [h, m]\nminimize sum(G * prelu(z, a))"
    formula = derive.parse(text).gradient("a")["a"].index
    assert formula == "da[m] = Σ_h G[h,m] min(0, z[h,m])", formula


def test_every_function_has_a_textbook_value():
    called = {e.split("(")[0] for e in TEXTBOOK}
    assert called >= set(FUNCTIONS) | set(PRIMITIVES)


def test_definitions_are_closed_and_named():
    vocabulary = Vocabulary()
    for name in FUNCTIONS:
        function = vocabulary.find(name).function
        assert function.name == name
        assert function.definition is not None
        assert not function.definition.letters


# --- losses ----------------------------------------------------------------------------------------------

rng = np.random.default_rng(5)
P = rng.dirichlet(np.ones(3), size=7)
LABELS = np.array([2, 0, 1, 1, 2, 0, 0])
Y = np.eye(3)[LABELS]
SOFT = rng.dirichlet(np.ones(3), size=7)
HEAD = "dims c = 3, s = 5\nbatch n\ninput P : [n, c]\n"


def loss(lines, **data):
    program = read(parse(HEAD + lines))
    return evaluate(program, {"P": P, **data})["loss"]


EXPECTED = -np.mean(np.log(P[np.arange(7), LABELS]))


def test_cross_entropy_in_every_kind_of_target():
    np.testing.assert_allclose(loss("target Y : [n, c] one_hot\nminimize cross_entropy(Y, P)", Y=Y), EXPECTED)
    np.testing.assert_allclose(loss("target Y : [n] labels(c)\nminimize cross_entropy(Y, P)", Y=LABELS), EXPECTED)
    soft = -np.mean(np.sum(SOFT * np.log(P), 1))
    for kind in ("simplex", "", "one_hot(1)"):
        np.testing.assert_allclose(loss(f"target Y : [n, c] {kind}\nminimize cross_entropy(Y, P)", Y=SOFT), soft)


def test_cross_entropy_with_the_batch_last():
    lines = "target Y : [c, n] {}\nminimize cross_entropy({})"
    for kind in ("one_hot", ""):
        np.testing.assert_allclose(loss(lines.format(kind, "Y, P'"), Y=Y.T), EXPECTED)
        np.testing.assert_allclose(loss(lines.format(kind, "Y', P"), Y=Y.T), EXPECTED)
    np.testing.assert_allclose(loss("target y : [n] labels(c)\nminimize cross_entropy(y, P')", y=LABELS), EXPECTED)


def test_the_class_axis_survives_a_name():
    np.testing.assert_allclose(loss("target Y : [c, n] one_hot\nT = Y'\nminimize cross_entropy(T, P)", Y=Y.T), EXPECTED)


def test_labels_are_compared_with_the_letter_of_the_class():
    program = read(parse(HEAD + "target y : [n] labels(c)\nminimize cross_entropy(y, P)"))
    assert "[y[n] == c]" in repr(program.equations[-1].body) or "[c == y[n]]" in repr(program.equations[-1].body)


def test_cross_entropy_averages_over_all_other_axes():
    p = rng.dirichlet(np.ones(3), size=(7, 5))
    t = rng.integers(0, 3, size=(7, 5))
    got = loss("input Q : [n, s, c]\ntarget t : [n, s] labels(c)\nminimize cross_entropy(t, Q)", Q=p, t=t)
    np.testing.assert_allclose(got, -np.mean(np.log(np.take_along_axis(p, t[..., None], -1))))


def test_one_sample_without_a_batch():
    program = read(parse("dims c = 3\ninput p : [c]\ntarget y : [c] one_hot\nminimize cross_entropy(y, p)"))
    np.testing.assert_allclose(evaluate(program, {"p": P[0], "y": Y[0]})["loss"], -np.log(P[0] @ Y[0]))


# --- initializers ----------------------------------------------------------------------------------------

NET = """dims d = 5, h = 3, v = 7
batch n
input X : [n, d]
input V : [d, n]
input t : [n] labels(v)
const half = 1/2
init wide(a) = a*z/sqrt(fan_in)
init turned() = 1 - u
init mirrored() = 2*half - 2*z
param W : [d, h] ~ {init}
param U : [h, d] ~ {init}
param E : [v, h] ~ {init}
param w : [d] ~ {init}
param b : [h] ~ {init}
param s ~ {init}
R = sum(W^2)
A = X @ W + b
B = U @ V
C[i, k] = E[t[i], k]
q = X @ w + s
"""


def test_fans_follow_from_the_use_of_a_parameter():
    program = read(parse(NET.format(init="zeros()")))
    d, h, v = Dim("d"), Dim("h"), Dim("v")
    expected = {"W": (d, h), "U": (d, h), "E": (v, h), "w": (d, num(1)), "b": (h, h), "s": (num(1), num(1))}
    assert {t.name: fans(program, t) for t in program.parameters} == expected


@pytest.mark.parametrize(
    ("init", "kind", "values"),
    [
        ("zeros()", "constant", (0,)),
        ("ones()", "constant", (1,)),
        ("constant(1/4)", "constant", (0.25,)),
        ("normal()", "normal", (0, 1)),
        ("normal(1, std=1/2)", "normal", (1, 0.5)),
        ("uniform(-1, 2)", "uniform", (-1, 2)),
        ("glorot_uniform()", "uniform", (-np.sqrt(6 / 8), np.sqrt(6 / 8))),
        ("glorot_normal()", "normal", (0, np.sqrt(2 / 8))),
        ("he_uniform()", "uniform", (-np.sqrt(6 / 5), np.sqrt(6 / 5))),
        ("he_normal()", "normal", (0, np.sqrt(2 / 5))),
        ("lecun_uniform()", "uniform", (-np.sqrt(3 / 5), np.sqrt(3 / 5))),
        ("lecun_normal()", "normal", (0, np.sqrt(1 / 5))),
        ("bernoulli(0.9)", "bernoulli", (0.9,)),
        ("normal(0, sqrt(2/(d+h)))", "normal", (0, np.sqrt(2 / 8))),
        ("uniform(1, -half)", "uniform", (-0.5, 1)),
        ("wide(3)", "normal", (0, 3 / np.sqrt(5))),
        ("turned()", "uniform", (0, 1)),
        ("mirrored()", "normal", (1, 2)),
    ],
)
def test_distributions(init, kind, values):
    program = read(parse(NET.format(init=init)))
    for name in ("W", "U"):
        got, expressions = distribution(program, program.tensor(name))
        assert got == kind
        numbers = [number(e, {"d": 5, "h": 3, "v": 7}) for e in expressions]
        np.testing.assert_allclose(numbers, values)


def test_every_initializer_of_the_catalogue_is_a_known_distribution():
    for name, declared in initializers.catalogue().items():
        given = "1/3" if set(declared.function.parameters) - set(declared.defaults) else ""
        program = read(parse(NET.format(init=f"{name}({given})")))
        assert distribution(program, program.tensor("W"))[0] in ("constant", "normal", "uniform", "bernoulli")


def number(e, table):
    """The value of an expression without letters."""
    name = type(e).__name__
    if name == "Num":
        return float(e.value)
    if name in ("Dim", "Parameter"):
        return table[e.args[0]]
    parts = [number(c, table) for c in e.children]
    return {"Add": sum, "Mul": np.prod, "Pow": lambda p: p[0] ** p[1]}[name](parts)


# --- optimizers ------------------------------------------------------------------------------------------


def run(name, gradient, w, steps, **given):
    declared = catalogue()[name]
    state = {**{k: number(v, {}) for k, v in declared.hyper}, **given, **dict.fromkeys(declared.state, 0.0), "w": w}
    for t in range(1, steps + 1):
        state.update(g=gradient(state["w"]), t=t)
        for target, right in declared.equations:
            state[target] = number(right, state)
    return state["w"]


def adam(gradient, w, steps, decay):
    m = v = 0.0
    for t in range(1, steps + 1):
        g = gradient(w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.001 * ((m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + decay * w)
    return w


def test_optimizers_follow_their_papers():
    def gradient(w):
        return 2 * (w - 3)

    assert run("sgd", gradient, 1.0, 1, lr=0.1) == pytest.approx(1.4)
    assert run("momentum", gradient, 1.0, 2, lr=0.1, beta=0.5) == pytest.approx(1.4 + 0.1 * (3.2 + 2))
    assert run("nesterov", gradient, 1.0, 1, lr=0.1, beta=0.5) == pytest.approx(1 + 0.1 * (4 + 2))
    assert run("rmsprop", gradient, 1.0, 1, lr=0.1, rho=0.9, eps=0) == pytest.approx(1 + 0.1 / np.sqrt(0.1))
    assert run("adam", gradient, 1.0, 5) == pytest.approx(adam(gradient, 1.0, 5, 0))
    assert run("adamw", gradient, 1.0, 5) == pytest.approx(adam(gradient, 1.0, 5, 0.01))


def test_optimizers_assign_state_and_the_parameter_last():
    assert set(catalogue()) >= {"sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"}
    for declared in catalogue().values():
        targets = [target for target, _ in declared.equations]
        assert [t for t in targets if t in declared.state] == list(declared.state)
        assert targets[-1] == "w"
        assert all(isinstance(value, Num) for _, value in declared.hyper)
