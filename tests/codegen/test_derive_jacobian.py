"""`gradc derive --jacobian`: the element, the structure and the matrix, in every notation, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import derive
from codegen import cli
from codegen.jacobians import Jacobian

SOFTMAX = "model soft\ndims n\ninput z : [n]\np = softmax(z)\noutput p\n"
BATCH = "model rows\ndims d, c\nbatch n\ninput X : [n, d]\nparam W : [d, c]\nZ = X @ W\nA = sigmoid(Z)\noutput A\n"
LOSS = "model loss\ndims d, h\ninput x : [d]\nparam W : [h, d]\nz = W @ x\nminimize sum(z^2)\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("soft", SOFTMAX), ("rows", BATCH), ("loss", LOSS)):
        Path(f"{name}.gc").write_text(text, encoding="utf-8")
    return tmp_path


def printed(capsys, *arguments: str) -> str:
    assert cli.run(["derive", *arguments]) == 0
    return capsys.readouterr().out


def test_the_three_ways_to_write_it(here, capsys):
    model = derive.parse(SOFTMAX).jacobian("p", "z")
    out = printed(capsys, "soft.gc", "--jacobian", "p", "z")
    assert out.splitlines()[2:6] == ["element", f"  {model.element}", "", "structure"]
    assert "diag(p) − p pᵀ" in out
    assert all(f"  {line}" in out.splitlines() for line in str(model.expanded()).splitlines())
    assert "⋱" in out


def test_sizes_write_it_in_full(here, capsys):
    out = printed(capsys, "soft.gc", "--jacobian", "p", "z", "--size", "n=3")
    assert "⋱" not in out
    assert "−p_3 p_2" in out or "−p_2 p_3" in out


def test_layouts_of_the_gradient_of_a_number(here, capsys):
    rows, own = (printed(capsys, "loss.gc", "--jacobian", "loss", "W", "--layout", x) for x in ("numerator", "shape"))
    assert printed(capsys, "loss.gc", "--jacobian", "loss", "W") == rows != own
    model = derive.parse(LOSS).jacobian("loss", "W")
    for out, layout in ((rows, "numerator"), (own, "shape")):
        assert str(model.expanded(layout)).splitlines()[0].strip() in out
        assert f"  {model.partial.structure(layout=layout)}" in out.splitlines()


def test_more_than_two_axes_need_places(here, capsys):
    out = printed(capsys, "rows.gc", "--jacobian", "A", "W")
    assert "its axes are [n, c, d, c]: fix all but two, as in --at 1,:,1,:" in out
    assert "∂vec(A)/∂vec(W) = diag(vec(A ⊙ (1 − A))) (I ⊗ X)" in out
    assert derive.parse(BATCH).jacobian("A", "W").element in out
    fixed = printed(capsys, "rows.gc", "--jacobian", "A", "W", "--at", "1,:,1,:")
    assert "its axes are" not in fixed
    want = derive.parse(BATCH).jacobian("A", "W").expanded(at=(1, None, 1, None))
    assert all(line in fixed for line in str(want).splitlines())
    letters = printed(capsys, "rows.gc", "--jacobian", "A", "W", "--at", "n, :, i, :")
    assert "⋱" in letters
    assert letters != fixed


def test_every_form(here, capsys):
    model = derive.parse(SOFTMAX).jacobian("p", "z")
    arguments = ["soft.gc", "--jacobian", "p", "z"]
    assert printed(capsys, *arguments, "--form", "index") == f"{model.index}\n"
    assert printed(capsys, *arguments, "--form", "python").startswith("result = ")
    assert json.loads(printed(capsys, *arguments, "--form", "json"))
    tex = printed(capsys, *arguments, "--form", "latex")
    assert tex.count(r"\[") == tex.count(r"\]") == 3
    assert model.expanded().latex() in tex
    assert printed(capsys, *arguments, "--steps").count("Jacobian") == 1
    assert json.loads(printed(capsys, *arguments, "--steps", "--form", "json"))[0]["rule"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jacobian", "p", "nothing"], "nothing"),
        (["--jacobian", "p", "z", "--at", "1"], "1 places"),
        (["--jacobian", "p", "z", "--at", "1,oops"], "oops"),
        (["--jacobian", "p", "z", "--wrt", "z"], "--wrt goes without --jacobian"),
        (["--jacobian", "p", "z", "--shapes"], "--shapes goes without --jacobian"),
        (["--at", "1,1"], "--at goes with --jacobian"),
        (["--layout", "shape"], "--layout goes with --jacobian"),
        (["--size", "n=3"], "--size n goes with --jacobian"),
        (["--jacobian", "p"], "--jacobian"),
    ],
)
def test_what_is_wrong_is_said(here, capsys, arguments, message):
    assert cli.run(["derive", "soft.gc", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX compiler is installed")
@pytest.mark.parametrize("sizes", [{}, {"n": 12}])
def test_its_article_compiles(tmp_path, sizes):
    found = Jacobian(derive.parse(SOFTMAX).jacobian("p", "z"), sizes=sizes)
    (tmp_path / "a.tex").write_text(found.article(steps=True), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
    assert b"Overfull" not in run.stdout
