"""§3, §6, §7: what a declaration becomes, the objective, the outputs, the optimizer, and sizes."""

from fractions import Fraction

import numpy as np
import pytest

from derive.errors import GradcError
from derive.evaluate import evaluate
from derive.expr import ZERO, Call, Dim, num
from derive.functions import Parameter
from derive.language.optimizers import catalogue
from derive.language.parse import parse
from derive.language.read import read
from derive.language.text import digest, text
from derive.program import Initializer, OptimizerCall, Property
from derive.shapes import show_axes, show_extent
from derive.sizes import with_sizes

NET = """model net
dims d = 5, h = 3, c = 2
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h] ~ he_normal()
param b1 : [h] ~ zeros()
param W2 : [h, c] ~ glorot_uniform()
param b2 : [c] ~ zeros()
Z1 = X @ W1 + b1
A1 = relu(Z1)
Z2 = A1 @ W2 + b2
P = softmax(Z2, axis=1)
minimize cross_entropy(Y, P)
optimizer adam(lr=1e-3)
output P
"""


def test_the_dense_net():
    tree = parse(NET)
    program = read(tree)
    assert program.name == "net"
    assert [(d.name, d.default) for d in program.dims] == [("d", 5), ("h", 3), ("c", 2)]
    assert program.batch == Dim("n")
    assert [t.name for t in program.parameters] == ["W1", "b1", "W2", "b2"]
    assert [e.out.name for e in program.equations] == ["Z1", "A1", "Z2", "P", "loss"]
    assert program.objective is program.equations[-1].out
    assert program.objective.axes == ()
    assert program.outputs == (program.tensor("P"),)
    assert program.tensor("Y").properties == (Property("one_hot", axis=1),)
    assert program.tensor("W1").init.name == "he_normal"
    assert program.tensor("Z1").span.line == 10
    hyper = (("lr", "1/1000"), ("b1", "9/10"), ("b2", "999/1000"), ("eps", "1e-8"))
    arguments = tuple((k, num(Fraction(v))) for k, v in hyper)
    assert program.optimizers == (OptimizerCall(catalogue()["adam"], arguments),)
    assert (program.text, program.digest) == (text(tree), digest(tree))


def test_the_dense_net_in_numbers():
    rng = np.random.default_rng(3)
    shapes = {"X": (7, 5), "W1": (5, 3), "b1": (3,), "W2": (3, 2), "b2": (2,)}
    data = {k: rng.normal(size=s) for k, s in shapes.items()}
    data["Y"] = np.eye(2)[rng.integers(0, 2, 7)]
    got = evaluate(read(parse(NET)), data)
    z = np.maximum(data["X"] @ data["W1"] + data["b1"], 0) @ data["W2"] + data["b2"]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(got["P"], p)
    np.testing.assert_allclose(got["loss"], -np.mean(np.sum(data["Y"] * np.log(p), 1)))


def test_scalar_functions_stay_calls():
    body = read(parse(NET)).equations[1].body
    assert isinstance(body, Call)
    assert body.function.name == "relu"


def test_a_dim_is_independent_or_derived():
    program = read(parse("dims n = 5, k, o = n-k+1, s = 2*3\ninput x : [o]\ninput y : [n-k+1]\nz = x + y"))
    assert [(d.name, d.default, d.derived) for d in program.dims] == [
        ("n", 5, None),
        ("k", None, None),
        ("o", None, Dim("n") - Dim("k") + 1),
        ("s", 6, None),
    ]
    assert show_axes(program.tensor("z").axes, program.dims) == "[o]"
    assert show_extent(Dim("n") - Dim("k") + 1) == "n-k+1"


def test_axes_are_equal_as_polynomials():
    read(parse("dims n, k\ninput x : [(n+1)*(k-1)]\ninput y : [n*k - n + k - 1]\nz = x * y"))


def test_properties_resolve_their_axis():
    head = "dims c = 3, s = 5\nbatch n\n"
    for line, axis in {
        "target Y : [n, c] one_hot": 1,
        "target Y : [c, n] one_hot": 0,
        "target Y : [c, n] simplex": 0,
        "target Y : [n, s, c] simplex(s)": 1,
        "target Y : [n, s, c] simplex(axis=-1)": 2,
        "target Y : [n, s, c] simplex(0)": 0,
    }.items():
        (prop,) = read(parse(head + line)).tensor("Y").properties
        assert prop.axis == axis
    labels = read(parse(head + "target y : [n] labels(c)")).tensor("y")
    assert (labels.dtype, labels.properties) == ("int", (Property("labels", extent=Dim("c")),))
    assert read(parse(head + "input A : [s, s] posdef symmetric")).tensor("A").property("symmetric")


def test_parameters_have_bounds_and_initializers():
    notices = []
    program = read(parse("dims d = 3\nparam w : [d] in -1/2..2 ~ normal(std=1/100)\nparam b"), notices)
    assert program.tensor("w").bounds == (Fraction(-1, 2), Fraction(2))
    assert program.tensor("w").init == Initializer(
        "normal", (("mu", ZERO), ("std", num(Fraction(1, 100)))), Parameter("z") / 100
    )
    assert program.tensor("b").init == Initializer("zeros")
    assert len(notices) == 1
    assert "b has no initializer" in notices[0]


def test_constants_stand_for_themselves_or_are_tensors():
    program = read(
        parse("dims d = 3\nconst eps = 1e-3\nconst s = d/2\nconst tau = 2*pi\nconst K = [[1, -2], [3, 1/2]]\n"
              "const w : [d] = [1, 2, 3]\ninput x : [d]\nr = x*w*eps/s\nq = sum(K)*tau")
    )  # fmt: skip
    got = evaluate(program, {"x": np.ones(3)})
    np.testing.assert_allclose(got["r"], np.array([1, 2, 3]) * 1e-3 / 1.5)
    np.testing.assert_allclose(got["q"], 2.5 * 2 * np.pi)
    assert program.tensor("K").axes == (num(2), num(2))
    assert program.tensor("K").values == ((Fraction(1), Fraction(-2)), (Fraction(3), Fraction(1, 2)))
    assert [t.name for t in program.declared] == ["K", "w", "x"]


def test_own_functions_and_names():
    program = read(
        parse("const half = 1/2\nfn f(x, lambda) = half*lambda*x^2 if x > 0 else exp(x)\nfn gelu(x) = x\n"
              "dims np = 2, E = 3\ninput beta : [np, E]\ninput a\nd = a\n"
            "f = f(beta, 3) + d*(a-d) + gelu(a)\npi = 3\ng = pi")
    )  # fmt: skip
    beta = np.array([[1.0, -1, 2], [0, 3, -2]])
    got = evaluate(program, {"beta": beta, "a": np.array(4.0)})
    np.testing.assert_allclose(got["f"], np.where(beta > 0, 1.5 * beta**2, np.exp(beta)) + 4)
    assert got["g"] == 3


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("minimize sum(x^2)", "loss"),
        ("loss = sum(x)\nminimize loss + 1", "objective"),
        ("minimize 2*sum(x)\nloss = x", "objective"),
        ("loss = sum(x)\nobjective = x\nminimize loss + 1", "loss1"),
        ("J = sum(x)\nminimize J", "J"),
        ("minimize x[0:1]", "loss"),
    ],
)
def test_the_objective_has_a_name_that_the_user_did_not_take(lines, name):
    program = read(parse("dims d = 3\ninput x : [d]\n" + lines))
    assert program.objective.name == name
    assert program.objective.rank == 0


def test_an_option_changes_a_kink_and_the_digest():
    head = "input x\n"
    for lines, first in {"": "0", "option relu_at_0 = 0\n": "0", "option relu_at_0 = 1\n": "x"}.items():
        program = read(parse(lines + head + "y = relu(x)"))
        definition = program.equations[0].body.function.expand(program.tensor("x").at(()))
        assert repr(definition.chosen) == first
    assert read(parse("option relu_at_0 = 1\ninput x")).options == (("relu_at_0", "1"),)


def test_sizes_replace_defaults_of_independent_dims():
    program = read(parse("dims n = 5, k = 2, o = n-k+1\nbatch b\ninput x : [n]\ninput y : [o]\nz = x[0:3]"))
    resized = with_sizes(program, {"n": 7})
    assert [d.default for d in resized.dims] == [7, 2, None]
    for sizes, message in {
        "o": "follows from others",
        "q": "is not declared",
        "b": "batch axis",
    }.items():
        with pytest.raises(GradcError, match=message):
            with_sizes(program, {sizes: 3})
    for value in (0, -1, 2.5, True):
        with pytest.raises(GradcError, match="positive integer"):
            with_sizes(program, {"n": value})
    with pytest.raises(GradcError, match="the extent o"):
        with_sizes(program, {"n": 3, "k": 5})
    with pytest.raises(GradcError, match="past its axis"):
        with_sizes(program, {"n": 2})


def test_const_lists_hold_their_declared_extent():
    program = read(parse("dims d = 3\nconst w : [d] = [1, 2, 3]"))
    with pytest.raises(GradcError, match="3 entries"):
        with_sizes(program, {"d": 4})


def test_reading_is_deterministic():
    first, second = read(parse(NET)), read(parse(NET))
    assert [repr(e.body) for e in first.equations] == [repr(e.body) for e in second.equations]


def test_a_bound_may_be_missing():
    program = read(parse("param a in 0..inf\nparam b in -inf..2\nparam c in -inf..inf"))
    assert [program.tensor(name).bounds for name in "abc"] == [(0, None), (None, 2), (None, None)]
    own = read(parse("const inf = 7\nparam a in 0..inf"))
    assert own.tensor("a").bounds == (0, 7)
    for line in ("param a in inf..3", "param a in 0..-inf"):
        with pytest.raises(GradcError, match="hold nothing"):
            read(parse(line))
