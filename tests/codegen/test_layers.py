"""Models of any depth on the command line and in emitted modules; backpropagation as an algorithm, and its cost."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import codegen
import derive
from codegen import cli
from codegen.accumulation import costs, layer_costs
from codegen.algorithm import algorithm_of
from codegen.sheets import formulas_of, steps_of

EXAMPLES = Path(__file__).parents[2] / "examples"
COLUMNS = str(EXAMPLES / "deep_columns.gc")
SMALL = ("--size", "L=2", "--size", "n=3,5,2")


def test_the_formulas_hold_for_any_layer():
    text = formulas_of(derive.load(COLUMNS).gradient(), deltas=True)
    assert text.partition("backward\n")[2].splitlines() == [
        "  δᴸ = (P − Y)/m                    [n{L}, m]",
        "  for l = L−1, …, 1:",
        "    δˡ = ((Wˡ⁺¹)ᵀ δˡ⁺¹) ⊙ relu′(Zˡ)   [n{l}, m]",
        "  for l = 1, …, L:",
        "    dWˡ = δˡ (Aˡ⁻¹)ᵀ                  [n{l}, n{l-1}]",
        "    dbˡ = δˡ 1                        [n{l}]",
    ]


def test_the_command_line_takes_depth_and_widths(capsys, tmp_path):
    assert cli.run(["check", COLUMNS, *SMALL, "--target", "numpy"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^W2 ", shown, re.MULTILINE)
    assert "W3" not in shown
    out = tmp_path / "net.py"
    assert cli.run(["build", COLUMNS, *SMALL, "--target", "numpy", "-o", str(out)]) == 0
    source = out.read_text(encoding="utf-8")
    assert "# dW1 = dZ1 A0ᵀ" in source
    assert "W3" not in source.partition('"""')[2].partition('"""')[2]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (["--size", "L=5"], "n{0..5} has 6 entries, and 4 are given"),
        (["--size", "q=1,2"], "the size q is a list, and no family of dims is called so"),
        (["--size", "n=1,x"], "is not a size such as h=256, or a list such as n=784,30,10"),
    ],
)
def test_sizes_that_do_not_fit_are_bad_input(capsys, sizes, message):
    assert cli.run(["check", COLUMNS, *sizes]) == 2
    assert message in capsys.readouterr().err


def test_where_the_depth_cannot_stay_a_symbol_one_is_told(capsys, tmp_path):
    path = tmp_path / "m.gc"
    path.write_text(
        "dims L = 2, h = 3\ninput x : [h]\nA{0} = x\nrepeat l = 1..L\n  param w{l} : [h] ~ zeros()\n"
        "  A{l} = tanh(A{l-1} * w{l})\nend\nminimize sum(A{L} + A{1})\n",
        encoding="utf-8",
    )
    assert cli.run(["derive", str(path)]) == 0
    found = capsys.readouterr()
    assert "dw1 = " in found.out
    assert "note: derived layer by layer, for this depth only: A{1} is read after the repetition" in found.err


def test_a_module_of_another_depth_computes_what_the_definition_says():
    model = derive.load(COLUMNS)
    net = codegen.compile(model, sizes={"L": 3, "n": [3, 5, 4, 2]}, target="numpy")
    assert list(net.PARAMS) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    params = net.init_params(3)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 7)), np.ascontiguousarray(np.eye(2)[:, rng.integers(0, 2, size=7)])
    values = {**params, "X": x, "Y": y}
    at_depth, _ = model.sized({"L": 3, "n": [3, 5, 4, 2]})
    np.testing.assert_allclose(net.loss(params, X=x, Y=y), at_depth.evaluate(values)["loss"], rtol=1e-12)
    _, grads = net.loss_and_grad(params, X=x, Y=y)
    found = derive.evaluate.evaluate(at_depth.gradient().derivation.formulas, values)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, found[f"d{name}"], rtol=1e-10, atol=1e-13)


def test_steps_are_told_of_any_layer_and_each_is_tested():
    gradient = derive.load(COLUMNS).gradient()
    text = steps_of(gradient)
    assert "dZˡ = dAˡ ⊙ relu′(Zˡ)" in text
    assert "= Row_k((Wˡ⁺¹)ᵀ)·Col_m(dZˡ⁺¹)" in text
    assert gradient.symbolic is not None
    targets = dict.fromkeys(s.target.name for s in gradient.symbolic.steps())
    assert list(targets) == ["P", "Z{L}", "A{L-1}", "Z{L-1}", "A{l}", "Z{l}", "b{l}", "W{l}"]


def test_the_algorithm_of_one_depth_and_of_any():
    plain = algorithm_of(derive.load(EXAMPLES / "digits_rows.gc").gradient())
    assert [line for line in plain.splitlines() if re.match(r"\d\.", line)] == [
        "1. Feed forward, and keep P, A1, Z1.",
        "2. Compute the cost.",
        "3. Find the cotangents behind the last layer.",
        "4. Go back through the layers.",
        "5. Find the gradients by b2, b1.",
        "6. Find the gradients by W2, W1.",
        "7. Update every parameter θ with its gradient g.",
    ]
    latex = algorithm_of(derive.load(COLUMNS).gradient(), "latex")
    assert r"for $l = L-1, \dots, 1$:" in latex
    assert r"\delta^{l} &= \left(\left(W^{l+1}\right)^{\top}\,\delta^{l+1}\right) \odot" in latex


def test_the_algorithm_command_and_what_it_is_not_combined_with(capsys):
    assert cli.run(["derive", COLUMNS, "--algorithm"]) == 0
    shown = capsys.readouterr().out
    assert "Through layer l\n  a cotangent back: " in shown
    assert "times as many" in shown
    assert cli.run(["derive", COLUMNS, "--algorithm", "--steps"]) == 2


def test_backwards_costs_no_more_than_forwards():
    model = derive.load(EXAMPLES / "digits_rows.gc")
    found = costs(model)
    sizes = {d.name: d.default for d in model.program.dims if d.default} | {"n": 1}
    ratio = found.ratio(sizes)
    assert ratio is not None
    assert 100 < ratio < 20_000
    assert layer_costs(derive.load(COLUMNS).repeated) is not None
