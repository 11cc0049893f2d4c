"""`gradc train` and `gradc summary` of models that keep averages, freeze parameters and change their rates."""

import numpy as np
import pytest

import derive
from codegen import cli
from codegen.algorithm import algorithm_of
from codegen.data import Data
from codegen.train import train
from derive.errors import GradcError, SourceError

MODEL = """model tr
dims d = 2
batch n
input X : [n, d]
target y : [n]
param w : [d] ~ normal(0, 1)
param v : [d] ~ normal(0, 1)
param b ~ zeros()
p = X @ w + tanh(X @ v) + b
minimize mse(y, p)
optimizer {}
output p
"""
AVERAGED = MODEL.format("adam(lr=cosine(0.05, warmup=10), ema=0.9, clip_norm=1)")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tr.gc").write_text(AVERAGED)
    (tmp_path / "plain.gc").write_text(MODEL.format("sgd(lr=0.1)"))
    x = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "tr.npz", X=x, y=x @ [1.0, 2.0] + 0.5)
    return tmp_path


def saved(path):
    with np.load(path, allow_pickle=False) as found:
        return {k.removeprefix("param_"): found[k] for k in found.files}


def test_train_freezes_and_saves_the_average(here, capsys):
    more = ["--data", "tr.npz", "--epochs", "4", "--dtype", "float64", "--holdout", "0.25"]
    assert cli.run(["train", "tr.gc", *more, "-o", "p.npz", "--average", "a.npz", "--freeze", "v"]) == 0
    out = capsys.readouterr().out
    assert "with the average of the parameters: loss" in out
    assert out.endswith("saved p.npz\nsaved a.npz\n")
    last, average = saved("p.npz"), saved("a.npz")
    np.testing.assert_array_equal(last["v"], average["v"])
    start = derive.load("tr.gc", freeze=["v"])
    assert [t.name for t in start.program.trained] == ["w", "b"]
    assert np.all(last["w"] != average["w"])
    assert cli.run(["train", "tr.gc", *more, "--freeze", "q"]) == 2
    assert "q is no parameter" in capsys.readouterr().err
    assert cli.run(["train", "plain.gc", *more, "--average", "a.npz"]) == 2
    assert "keeps no average" in capsys.readouterr().err


def test_training_measures_the_average_too():
    x = np.random.default_rng(1).normal(size=(30, 2))
    data = Data({"X": x, "y": x @ [1.0, -1.0]}, {"X": 0, "y": 0}, {}, 30)
    found = train(derive.parse(AVERAGED), data, epochs=2, batch_size=7, dtype="float64", holdout=0)
    net, average = found.module, found.average
    assert found.averaged.loss == pytest.approx(net.loss(average, X=x, y=x @ [1.0, -1.0]))
    assert train(derive.parse(MODEL.format("sgd()")), data, epochs=1, holdout=0).average is None


def test_freezing_a_model_is_a_line_of_its_text():
    line = derive.parse(AVERAGED + "freeze v, b\n")
    given = derive.parse(AVERAGED, freeze=["v", "b"])
    assert line.program.text == given.program.text
    assert line.program.digest == given.program.digest
    with pytest.raises(SourceError, match="v is frozen already"):
        derive.parse(AVERAGED + "freeze v, v\n")
    with pytest.raises(GradcError, match="wx is no parameter"):
        derive.parse(AVERAGED, freeze=["wx"])
    m = derive.Model()
    w = m.param("w")
    m.minimize((w - 1) ** 2)
    m.freeze(w)
    assert m.text().endswith("freeze w\n")
    assert m.program.trained == ()


def test_a_family_and_a_parameter_of_a_layer_are_frozen_by_name():
    layers = "dims h = 2, L = 3\ninput x : [h]\nA{0} = x\nrepeat l = 1..L\n  param W{l} : [h, h] ~ ones()\n"
    layers += "  A{l} = W{l} @ A{l-1}\nend\nparam b : [h] ~ ones()\nminimize sum((A{L} + b)^2)\nfreeze W\n"
    program = derive.parse(layers).program
    assert [(t.name, t.frozen) for t in program.parameters] == [("W1", True), ("W2", True), ("W3", True), ("b", False)]
    block = "block f(x; h)\n  param W : [h] ~ ones()\n  y = x * W\n  return y\nend\ndims h = 2\ninput x : [h]\n"
    program = derive.parse(block + "Y = f(x, h)\nZ = f(Y, h)\nminimize sum(Z)\nfreeze Y_W\n").program
    assert [t.name for t in program.trained] == ["Z_W"]


def test_summary_prints_optimizers_as_they_are_written(here, capsys):
    assert cli.run(["summary", "tr.gc"]) == 0
    out = capsys.readouterr().out
    line = "adam: lr = cosine(0.05, warmup=10), b1 = 0.9, b2 = 0.999, eps = 1e-8, clip_norm = 1, ema = 0.9"
    assert f"optimizer    {line}\n" in out


def test_the_algorithm_names_who_is_updated_how():
    text = MODEL.format("momentum(lr=0.2/t) for w\noptimizer sgd(clip_norm=3)")
    shown = algorithm_of(derive.parse(text).gradient())
    assert "Update each of w as θ with its gradient g." in shown
    assert "with lr = 1/(5 t), beta = 9/10" in shown
    assert "Update every parameter θ with its gradient g." in shown
    assert "norm" in shown
    assert r"\mathrm{norm}" in algorithm_of(derive.parse(text).gradient(), "latex")
