"""`gradc verify-formula`: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import cli

MODEL = """\
dims d = 3
batch n
input X : [n, d]
target y : [n]
param w : [d]
p = X @ w
minimize mse(y, p)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.gc").write_text(MODEL)
    return tmp_path


def test_what_is_right_is_exit_0(here, capsys):
    assert cli.run(["verify-formula", "m.gc", "dp = 2 * (p - y) / n", "dw = X' @ dp"]) == 0
    out = capsys.readouterr().out
    assert out.count("proved  ") == 2
    assert "refuted" not in out


def test_what_is_wrong_is_exit_1_with_a_witness_and_a_reason(here, capsys):
    assert cli.run(["verify-formula", "m.gc", "dp = 2 * (y - p) / n", "dw = X' @ dp"]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("refuted   dp = ")
    assert rest[0].strip().startswith("sign: ")
    assert "the line gives" in rest[1]
    assert rest[2].startswith("proved")


def test_formulas_come_from_a_file_too(here, capsys):
    Path("lines.txt").write_text("# the residual\ndp = 2 * (p - y) / n\n\ndw = X' @ dp  # and the weights\n")
    assert cli.run(["verify-formula", "m.gc", "-f", "lines.txt"]) == 0
    assert capsys.readouterr().out.count("proved") == 2


@pytest.mark.parametrize(
    "arguments",
    [["m.gc"], ["m.gc", "dw = X' @ dq"], ["m.gc", "dw"], ["m.gc", "dw = ("], ["no.gc", "dw = X"], ["m.gc", "-f", "no"]],
)
def test_bad_input_is_exit_2_and_a_message(here, capsys, arguments):
    assert cli.run(["verify-formula", *arguments]) == 2
    err = capsys.readouterr().err
    assert "error" in err
    assert "Traceback" not in err


def test_sizes_and_seed_choose_the_witness(here, capsys):
    assert cli.run(["verify-formula", "m.gc", "dp = p - y", "--size", "n=4", "--seed", "3"]) == 1
    assert "n = 4" in capsys.readouterr().out


def test_a_file_of_formulas_needs_no_option_and_its_lines_are_named(here, capsys):
    Path("lines.txt").write_text("# mine\n\ndp = p - y\nr = p - y\ndw = X' @ r\n")
    assert cli.run(["verify-formula", "m.gc", "lines.txt"]) == 1
    out = capsys.readouterr().out
    assert "refuted   lines.txt:3: dp = p - y" in out
    assert "noted     lines.txt:4: r = p - y" in out
    assert "follows   lines.txt:5: dw = X' @ r" in out


def test_what_derive_prints_is_a_file_of_formulas(here, capsys):
    assert cli.run(["derive", "m.gc"]) == 0
    Path("printed.txt").write_text(capsys.readouterr().out)
    assert cli.run(["verify-formula", "m.gc", "printed.txt"]) == 0
    assert capsys.readouterr().out.count("proved  ") == 4


def test_an_error_names_the_line_of_the_file(here, capsys):
    Path("lines.txt").write_text("dp = 2 * (p - y) / n\ndw = X' @ dq\n")
    assert cli.run(["verify-formula", "m.gc", "lines.txt"]) == 2
    assert "lines.txt:2:11: error: unknown name dq" in capsys.readouterr().err
