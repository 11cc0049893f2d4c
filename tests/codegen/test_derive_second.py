"""`gradc derive` of second derivatives and the like: each prints in every notation, and compiles as a model."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import codegen.compiler
import derive
from codegen import cli
from derive.points import points, small_sizes

TEXT = """model logistic
dims d = 3
batch n
input X : [n, d]
target y : [n] binary
param w : [d]
param b
z = X @ w + b
p = sigmoid(z)
minimize bce(y, p)
"""
WAYS = {
    "--hessian w": lambda m: m.hessian("w"),
    "--diagonal w": lambda m: m.hessian_diagonal("w"),
    "--hvp w": lambda m: m.hvp("w"),
    "--hvp w --hvp b": lambda m: m.hvp("w", "b"),
    "--gauss-newton z w": lambda m: m.gauss_newton("w", of="z"),
    "--per-sample w": lambda m: m.per_sample("w"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gc").write_text(TEXT)


@pytest.mark.parametrize("way", WAYS)
def test_each_prints_in_every_notation(here, capsys, way):
    model = WAYS[way](derive.parse(TEXT))
    for form in ("matrix", "index", "latex", "python", "json"):
        assert cli.run(["derive", "m.gc", *way.split(), "--form", form]) == 0
        out = capsys.readouterr().out
        if form == "json":
            assert "result" in json.dumps(json.loads(out))
        elif form == "matrix" and way != "--hessian w":
            assert all(str(f) in out for f in model.shown)
            assert all(name in out for name in model.directions.values())
        else:
            assert "result" in out or "∂" in out or "partial" in out


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("way", WAYS)
def test_each_compiles(way, target):
    model = WAYS[way](derive.parse(TEXT))
    program = derive.parse(TEXT).program
    values = next(points(program, small_sizes(program, {"d": 3}), 1, lambda p: True))
    values.update(
        {d: np.asarray(np.random.default_rng(0).normal(size=values[x].shape)) for x, d in model.directions.items()}
    )
    net = codegen.compile(model, target=target)
    read = {t.name for t in model.program.data} & set(net._INPUTS)
    given = {k: values[k] for k in read}
    try:
        found = net.forward({"w": values["w"], "b": values["b"]}, **given)
    except ValueError as e:  # what a derivative does not depend on is no argument
        unread = str(e).split("unknown input ")[1].split(";")[0].split(", ")
        given = {k: a for k, a in given.items() if k not in unread}
        found = net.forward({"w": values["w"], "b": values["b"]}, **given)
    want = model.evaluate(values)
    for t in model.program.outputs:
        np.testing.assert_allclose(found[t.name], want[t.name], rtol=1e-10, atol=1e-13)


def test_a_hessian_runs_as_one_product_of_scaled_rows():
    for target, product in (("numba", r"_mat(mul|vec)(_symmetric|_fixed)?\("), ("numpy", " @ ")):
        text = codegen.compiler.source(derive.parse(TEXT).hessian("w"), target=target)
        lines = text[text.index("def _forward(") :].splitlines()
        kernel = [line for line in lines if not line.lstrip().startswith(("#", "def "))]
        assert sum(re.search(product, line) is not None for line in kernel) == 2  # X w, and scaled rows times X
        assert not any("(n, n)" in line for line in kernel)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--hessian w --hvp w", "one derivative at a time"),
        ("--diagonal w --steps", "--steps goes without --diagonal"),
        ("--per-sample w --wrt w", "--wrt goes without --per-sample"),
        ("--hvp w --at 1,:", "--at goes without --hvp"),
        ("--gauss-newton y w", "y is not computed"),
        ("--hvp q", "no tensor q"),
    ],
)
def test_what_does_not_go_together_is_refused(here, capsys, arguments, why):
    assert cli.run(["derive", "m.gc", *arguments.split()]) == 2
    assert why in capsys.readouterr().err
