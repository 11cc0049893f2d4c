"""Rules, initializers and optimizers in a text: what they say, how they are refused, and the Python twin."""

import pytest

import derive
from derive import Model
from derive.errors import SourceError
from derive.expr import Dim, Num
from derive.functions import Parameter
from derive.language.parse import parse
from derive.language.text import digest, text

RULE = "rule f(lr=0.1)\n  {}\nend\n"
TWO = "param q ~ ones()\nparam r ~ ones()\nminimize q^2 + r^2\n"

REFUSED = {
    # rules
    RULE.format("w = w - lr*sum(g)"): ("sum(…) has no meaning here", "sum(g)"),
    RULE.format("w = w - lr*g'"): ("' has no meaning here", "g'"),
    RULE.format("w = w - lr*norm(g)"): ("norm(…) has no meaning here", "norm(g)"),
    RULE.format("w = w - lr*sum[i] g[i]"): ("a reduction has no meaning here", "sum[i] g[i]"),
    RULE.format("w = w @ g"): ("@ has no meaning here", "w @ g"),
    RULE.format("w[i] = w - g"): ("its names have no indices", "w"),
    RULE.format("w = w - g*x"): ("unknown name x", "x"),
    RULE.format("w = w - training*g"): ("unknown name training", "training"),
    RULE.format("w = w - g\n  w = w - g"): ("w is defined twice in f: first on line 2", "w"),
    RULE.format("g = 2*g\n  w = w - g"): ("g is given in this rule", "g"),
    RULE.format("lr = 2*lr\n  w = w - lr*g"): ("lr is a hyperparameter in this rule", "lr"),
    RULE.format("v = g"): ("does not say what becomes of w", None),
    RULE.format("minimize w"): ("a rule holds equations only", "minimize w"),
    RULE.format("w = w - g") * 2: ("the rule f is defined twice", None),
    "rule f(3)\n  w = w - g\nend": ("a hyperparameter is a name", "3"),
    "rule f(t=1)\n  w = w - g\nend": ("t is given in a rule", "t=1"),
    "rule f(lr=x)\n  w = w - g\nend": ("unknown name x", "x"),
    "rule f(lr=1)\n  w = w - g": ("`rule` is never closed", "rule"),
    "repeat l = 1..2\n  " + RULE.format("w = w - g") + "end": ("a repetition holds declarations and equations", None),
    # the line
    TWO + "optimizer sdg()": ("unknown optimizer sdg", "sdg()"),
    TWO + "optimizer sgd(rate=1)": ("sgd has no argument rate", "rate=1"),
    TWO + "rule f(lr)\n  w = w - lr*g\nend\noptimizer f()": ("f needs lr", "f()"),
    TWO + "rule f(mu)\n  w = w - mu*g\nend\noptimizer f(1, weight_decay=1)": (
        "weight_decay needs a hyperparameter lr",
        "1",
    ),
    TWO + "optimizer sgd(clip_norm=0)": ("clip_norm is above 0, not 0", "0"),
    TWO + "optimizer sgd(clip_value=-1)": ("clip_value is above 0, not -1", "-1"),
    TWO + "optimizer sgd(ema=1)": ("ema is at least 0 and below 1, not 1", "1"),
    TWO + "optimizer sgd(lr=q)": ("lr is a number, or an expression in t and T; q is a tensor", "q"),
    TWO + "optimizer sgd(lr=0.1*tt)": ("unknown name tt", "tt"),
    TWO + "optimizer sgd(lr=stp(1, every=2))": ("unknown function stp", "stp(1, every=2)"),
    TWO + "optimizer sgd(lr=step(1))": ("step needs every", "step(1)"),
    TWO + "dims T = 3\noptimizer sgd(lr=0.1*T)": ("T is the number of steps here, and a name of the model too", None),
    TWO + "batch n\noptimizer sgd(lr=1/n)": ("lr is the same for every batch", "1/n"),
    # groups
    TWO + "optimizer sgd() for s": ("s is no parameter", "s"),
    TWO + "optimizer sgd() for q{1}": ("q{1} is no parameter", "q{1}"),
    TWO + "optimizer sgd() for q": ("nothing trains r", None),
    TWO + "optimizer sgd() for q, q": ("q has an optimizer already", "q"),
    TWO + "optimizer sgd() for q, r\noptimizer adam()": ("every parameter has an optimizer of its own", None),
    TWO + "optimizer sgd()\noptimizer adam()": ("one optimizer for all other parameters; the first is on line 4", None),
    "param q frozen ~ ones()\nminimize q^2\noptimizer sgd() for q": ("q is frozen and has no optimizer", "q"),
    "input x frozen\ny = x": ("frozen is for parameters", "frozen"),
    "param q frozen frozen ~ ones()": ("frozen stands twice", "frozen"),
}


@pytest.mark.parametrize("lines", list(REFUSED))
def test_refused(lines):
    with pytest.raises(SourceError) as caught:
        derive.parse(lines)
    message, marked = REFUSED[lines]
    assert message in caught.value.message
    span = caught.value.span
    assert span is not None
    if marked is not None:
        assert span.source.line(span.line)[span.column - 1 : span.end_column - 1] == marked


def test_what_a_rule_keeps_is_what_it_reads_before_it_says_it():
    lines = "move = mu*v - lr*g\nv = move\nlast = w\nw = w + move\naverage = (average + w)/2\ns = s + last"
    source = "rule f(lr, mu=1/2)\n" + lines + "\nend\nparam q\nminimize q^2\noptimizer f(0.1)"
    (call,) = derive.parse(source).program.optimizers
    assert call.rule.state == ("v", "average", "s")
    assert dict(call.arguments) == {"lr": Num(1) / 10, "mu": Num(1) / 2}


def test_additions_stand_around_the_rule():
    (call,) = derive.parse(TWO + "optimizer momentum(clip_norm=1, ema=0.9, lr=0.1*t)").program.optimizers
    assert [name for name, _ in call.rule.equations] == ["g", "m", "w", "average"]
    assert call.rule.state == ("m", "average")
    assert call.written == (("lr", "0.1 * t"),)
    assert dict(call.arguments)["lr"] == Parameter("t") / 10


def test_the_model_s_own_names_come_first():
    own = "rule sgd(lr=1)\n  w = w - lr*g/2\nend\nfn step(t) = 1/t\n"
    (call,) = derive.parse(TWO + own + "optimizer sgd(lr=step(t))").program.optimizers
    assert dict(call.arguments)["lr"] == 1 / Parameter("t")
    assert call.rule.equations[0][1] == Parameter("w") - Parameter("lr") * Parameter("g") / 2


def test_rule_and_init_and_for_are_ordinary_names():
    program = derive.parse("param rule ~ ones()\nparam init ~ ones()\nfor = rule + init\nminimize for^2").program
    assert [t.name for t in program.tensors] == ["rule", "init", "for", "loss"]


WRITTEN = """model all
dims d = 3
fn ramp(t) = min(1, t / 10)
init wide(s=1) = s * z / sqrt(fan_in)
rule slow(lr=0.1, mu)
  v = mu * v + g
  w = w - lr * v
end
param W : [d] frozen ~ wide()
param E : [d] ~ wide(s=1 / d)
param b
minimize sum((W + E)^2) + b^2
optimizer slow(mu=0.5, lr=ramp(t) * cosine(0.1, warmup=5)) for E, b
"""


def test_the_canonical_text_is_read_back():
    loose = WRITTEN.replace("mu=0.5, lr", "mu = 1/2, lr").replace(" = ", "=").replace("lr=0.1, mu)", "mu, lr=0.1)")
    source = WRITTEN.replace("lr=0.1, mu)", "mu, lr=0.1)")
    assert text(parse(source)) == source
    assert text(parse(loose)).replace("1 / 2", "0.5") == source
    derive.parse(source)


def test_the_python_twin_says_the_same():
    m = Model("all")
    d = m.dims(d=3)[0]
    m.fn("ramp", lambda t: m.min(1, t / 10))
    m.initializer("wide(s=1)", "s*z/sqrt(fan_in)")
    m.rule("slow(mu, lr=0.1)", v="mu*v + g", w="w - lr*v")
    W = m.param("W", d, properties="frozen", init="wide")
    E = m.param("E", d, init=m.wide(s=1 / d))
    b = m.param("b")
    m.minimize(m.sum((W + E) ** 2) + b**2)
    m.optimizer("slow", E, "b", mu="0.5", lr="ramp(t) * cosine(0.1, warmup=5)")
    assert m.digest() == digest(parse(WRITTEN.replace("lr=0.1, mu)", "mu, lr=0.1)")))
    assert [t.name for t in m.program.trained] == ["E", "b"]


def test_rules_and_initializers_are_included(tmp_path):
    (tmp_path / "own.gc").write_text(RULE.format("w = w - lr*g") + "init wide() = 2*z\n")
    (tmp_path / "m.gc").write_text('include "own.gc"\nparam q ~ wide()\nminimize q^2\noptimizer f()\n')
    program = derive.load(tmp_path / "m.gc").program
    assert program.optimizers[0].name == "f"
    assert program.tensor("q").init.name == "wide"


def test_a_group_may_name_a_family():
    lines = "dims h = 2, L = 3\ninput x : [h]\nA{0} = x\nrepeat l = 1..L\n  param W{l} : [h, h] ~ ones()\n"
    lines += "  param b{l} : [h] ~ ones()\n  A{l} = W{l} @ A{l-1} + b{l}\nend\nminimize sum(A{L}^2)\n"
    model = derive.parse(lines + "optimizer sgd() for W\noptimizer adam()\n")
    assert [c.names for c in model.program.optimizers] == [("W",), ()]
    sized = "dims h = 2, L = 3, k{0..L} = [2, 3, 4, 5]\n"
    model = derive.parse(lines.replace("dims h = 2, L = 3\n", sized) + "optimizer sgd(lr=t/(L*k{L}))\n")
    assert dict(model.program.optimizers[0].arguments)["lr"] == Parameter("t") / (3 * Dim("k3"))
    with pytest.raises(SourceError, match="nothing trains b"):
        derive.parse(lines + "optimizer sgd() for W\n")


def test_several_losses_and_several_outputs():
    model = derive.parse(
        "dims d = 2\nbatch n\ninput X : [n, d]\ntarget y : [n]\nparam w : [d] ~ ones()\np = X @ w\nq = tanh(p)\n"
        "data = mse(y, p)\nsize = l2(w)\nminimize data + 0.5*size + mse(y, q)\noutput q, p, data"
    )
    assert [t.name for t in model.program.outputs] == ["q", "p", "data"]
    assert "dw" in str(model.gradient())
