"""Solving finds the minimum by every method, keeps bounds and frozen parameters, and says why it ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

import derive
from codegen import cli, data
from codegen.commands import solve as command
from codegen.compiler import build, load_source
from codegen.solve import METHODS, solve
from codegen.sources import Source

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
LOGISTIC = ["solve", str(EXAMPLES / "logistic_regression.gc"), "--data", str(EXAMPLES / "two_classes.csv")]
LOGISTIC += ["--target", "class"]
SQUARES = """model squares
dims d = 5
batch n
input  X : [n, d]
target y : [n]
param  w : [d] {bounds} ~ ones()
param  b frozen ~ constant(1/2)
p = X @ w + b
minimize mse(y, p)
output p
"""


def squares(bounds: str | None) -> tuple[derive.Differentiable, data.Data]:
    model = derive.parse(SQUARES.format(bounds=f"in {bounds}" if bounds else ""))
    r = np.random.default_rng(0)
    X = r.normal(size=(23, 5))
    y = X @ [1.0, -2.0, 0.5, 3.0, -1.0] + r.normal(size=23)
    return model, data.arrange(Source("drawn", {"X": X, "y": y}), model.program)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum(method):
    model = derive.load(EXAMPLES / "logistic_regression.gc")
    found = data.load(str(EXAMPLES / "two_classes.csv"), model.program, targets=["class"])
    solution = solve(model, found, method=method, target="numpy", tol=1e-7)
    assert solution.converged
    assert not solution.interrupted
    assert solution.iterates[-1].loss == pytest.approx(0.1953871832, abs=1e-10)
    assert solution.iterates[-1].slope <= 1e-7
    losses = [i.loss for i in solution.iterates]
    assert losses == sorted(losses, reverse=True)
    assert (solution.iterates[-1].products > 0) == METHODS[method].products
    assert solution.measured.accuracy == pytest.approx(0.9125)


def test_a_frozen_parameter_stays_and_the_rest_is_least_squares():
    model, found = squares(None)
    for method in ("lbfgsb", "trust-ncg"):
        solution = solve(model, found, method=method, target="numpy", tol=1e-9)
        X, y = found.arrays["X"], found.arrays["y"]
        np.testing.assert_allclose(solution.params["w"], np.linalg.lstsq(X, y - 0.5)[0], atol=1e-7)
        assert solution.params["b"] == 0.5


@pytest.mark.parametrize("method", ["lbfgsb", "trust-constr"])
def test_bounds_are_kept_and_those_that_hold_are_told(method):
    model, found = squares("0..inf")
    solution = solve(model, found, method=method, target="numpy", tol=1e-8)
    want, _ = nnls(found.arrays["X"], found.arrays["y"] - 0.5)
    np.testing.assert_allclose(solution.params["w"], want, atol=1e-6)
    assert (solution.params["w"] >= 0).all()
    if method == "lbfgsb":  # the barrier of trust-constr stays inside
        assert solution.active == {"w": (int((want == 0).sum()), 0)}
        assert solution.active["w"][0] > 0


def test_a_start_outside_of_the_bounds_is_brought_inside():
    model, found = squares("-1..1/4")
    solution = solve(model, found, target="numpy")
    assert solution.params["w"].max() == 0.25
    assert solution.params["w"].min() == -1
    assert solution.active["w"] == (1, 2)


def test_a_method_that_keeps_no_bounds_is_refused():
    model, found = squares("0..1")
    with pytest.raises(derive.GradcError, match=r"w has bounds, which newton does not keep.*lbfgsb, trust-constr"):
        solve(model, found, method="newton")


def test_what_cannot_be_solved_is_refused():
    r = np.random.default_rng(0)
    plain = derive.parse("dims d = 2\nbatch n\ninput x : [n, d]\nminimize sum(x^2)")
    found = data.arrange(Source("drawn", {"x": r.normal(size=(3, 2))}), plain.program)
    with pytest.raises(derive.GradcError, match="no parameters"):
        solve(plain, found)
    normed = derive.load(Path(__file__).resolve().parent.parent / "models" / "two_forms.gc")
    program = normed.program
    with pytest.raises(derive.GradcError, match="use gradc train"):
        solve(normed, data.Data({}, {}, {}, 1))
    assert program.updates


WELL = "param w : [1] ~ constant(3)\ninput x : [1]\nminimize sum(x*w - log(w))"


def test_a_step_to_where_the_loss_is_no_number_is_taken_back():
    model = derive.parse(WELL)
    found = data.Data({"x": np.ones(1)}, {"x": None}, {}, 1)
    solution = solve(model, found, method="trust-ncg", target="numpy")
    assert solution.converged
    assert solution.params["w"] == pytest.approx(1, abs=1e-6)


def test_a_loss_that_is_no_number_ends_the_search(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("well.gc").write_text(WELL.replace("constant(3)", "constant(-1)"))
    np.savez("x.npz", x=np.ones(1))
    assert cli.run(["solve", "well.gc", "--data", "x.npz"]) == 3
    assert "no finite number at the start" in capsys.readouterr().err


def test_the_command_prints_the_way_and_saves_what_the_module_loads(tmp_path, capsys):
    path = tmp_path / "found.npz"
    assert cli.run([*LOGISTIC, "-o", str(path)]) == 0
    out = capsys.readouterr().out
    assert "iteration    0   loss 0.6931471806" in out
    assert "no entry of the gradient is above 1e-06" in out
    assert "accuracy  91.25%" in out
    net = load_source(build(derive.load(EXAMPLES / "logistic_regression.gc").program))
    assert set(net.load(path)) == {"w", "b"}


def test_a_search_that_is_not_done_is_exit_3_and_saves_what_it_has(tmp_path, capsys):
    path = tmp_path / "found.npz"
    assert cli.run([*LOGISTIC, "-o", str(path), "--max-iterations", "2"]) == 3
    assert "2 iterations are over" in capsys.readouterr().err
    with np.load(path) as found:
        assert np.abs(found["param_w"]).max() > 0


def test_an_interruption_is_exit_130_and_loses_nothing(tmp_path, capsys, monkeypatch):
    path = tmp_path / "found.npz"

    def interrupted(self: command._Table, iterate: command.Iterate) -> None:
        if iterate.number == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command._Table, "__call__", interrupted)
    assert cli.run([*LOGISTIC, "-o", str(path)]) == 130
    captured = capsys.readouterr()
    assert "3 iterations" in captured.out
    assert "interrupted" in captured.err
    with np.load(path) as found:
        assert np.abs(found["param_w"]).max() > 0


def test_samples_may_be_held_out(capsys):
    assert cli.run([*LOGISTIC, "--holdout", "0.25"]) == 0
    assert "held out: loss" in capsys.readouterr().out


def test_noise_is_drawn_once():
    text = (EXAMPLES / "logistic_regression.gc").read_text().replace("z = X @ w", "z = dropout(X, 0.3) @ w")
    model = derive.parse(text)
    found = data.load(str(EXAMPLES / "two_classes.csv"), model.program, targets=["class"])
    first, again = (solve(model, found, target="numpy", method="trust-ncg") for _ in range(2))
    assert first.converged
    assert np.array_equal(first.params["w"], again.params["w"])
