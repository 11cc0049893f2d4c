"""The notebooks of the examples: whole, run in order, free of what differs between machines, and true to the code.

That running them again gives the stored outputs is part of what tests/test_generated.py compares.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import codegen
import derive
from codegen.notebooks import alike, executed, run

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
KEYS = {
    "markdown": {"cell_type", "id", "metadata", "source"},
    "code": {"cell_type", "id", "metadata", "source", "execution_count", "outputs"},
    "stream": {"output_type", "name", "text"},
    "execute_result": {"output_type", "data", "metadata", "execution_count"},
}
TEXT = "dims d\nparam w : [d]\ninput x : [d]\ns = w @ x\nminimize s^2\n"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_there_is_one():
    assert [p.name for p in NOTEBOOKS] == ["backpropagation.ipynb"]


@each_notebook
def test_it_is_a_notebook_whose_cells_were_run_in_order(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    ids = [c["id"] for c in notebook["cells"]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", i) for i in ids)
    for c in notebook["cells"]:
        assert set(c) == KEYS[c["cell_type"]]
        assert c["metadata"] == {}
        assert "".join(c["source"]).strip()
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    for c in cells:
        assert c["outputs"]
        for o in c["outputs"]:
            assert set(o) == KEYS[o["output_type"]]  # which knows of no error
            if o["output_type"] == "execute_result":
                assert o["execution_count"] == c["execution_count"]
                assert "text/plain" in o["data"]


@each_notebook
def test_jupyter_takes_it(path):
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(path, as_version=4))


@each_notebook
def test_it_holds_no_place_and_no_time(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"[\"' ](?:/\w|[A-Z]:\\\\)|\b20\d\d\b| at 0x|\b\d+(?:\.\d+)? (?:m?s|seconds)\b", text)


@each_notebook
def test_jupyter_gives_the_same_outputs(path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = json.loads(path.read_text(encoding="utf-8"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    found = json.loads(nbformat.writes(notebook))
    for a, b in zip(stored["cells"], found["cells"], strict=True):
        assert alike(a.get("outputs"), b.get("outputs")), a["id"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX compiler is installed")
@each_notebook
def test_what_it_typesets_is_latex(path, tmp_path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = ["".join(o["data"]["text/latex"]) for c in cells for o in c.get("outputs", []) if "text/latex" in str(o)]
    assert len(shown) >= 8
    head = "\\documentclass{article}\\usepackage[landscape,margin=1cm]{geometry}\\usepackage[utf8]{inputenc}\n"
    parts = [head, "\\usepackage{amsmath,textcomp}\\begin{document}", *shown, "\\end{document}\n"]
    (tmp_path / "a.tex").write_text("\n\n".join(parts), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_a_cell_gives_what_it_prints_and_its_last_value():
    names: dict[str, object] = {}
    assert run("x = 2\nprint(x)\nprint('a')", names, 1) == [
        {"name": "stdout", "output_type": "stream", "text": ["2\n", "a\n"]}
    ]
    assert run("x + 1", names, 2)[0]["data"] == {"text/plain": ["3"]}
    assert run("None", names, 3) == run("", names, 4) == []
    names["g"] = derive.parse(TEXT).gradient()
    found = run("g", names, 5)[0]
    assert set(found["data"]) == {"text/plain", "text/html", "text/latex"}
    assert "".join(found["data"]["text/plain"]) == str(names["g"])
    assert found["execution_count"] == 5


def test_a_cell_that_fails_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run("1 / 0", {}, 1)


def test_outputs_are_rewritten_only_where_more_than_rounding_differs(tmp_path):
    def stored(outputs: list[object]) -> str:
        cell = {
            "cell_type": "code", "id": "a", "metadata": {}, "source": ["print('1.3e-12')"],
            "execution_count": 1, "outputs": outputs,
        }  # fmt: skip
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(notebook, indent=1, sort_keys=True) + "\n"

    path, right = tmp_path / "a.ipynb", {"name": "stdout", "output_type": "stream", "text": ["1.3e-12\n"]}
    rounded = {**right, "text": ["8.0e-13\n"]}
    for before, after in (
        ([], [right]),
        ([right], [right]),
        ([rounded], [rounded]),
        ([{**right, "name": "x"}], [right]),
    ):
        path.write_text(stored(before), encoding="utf-8")
        assert executed(path) == stored(after)


def test_a_check_shows_the_same_table_in_all_ways():
    result = codegen.check(derive.parse(TEXT), target="numpy")
    tex, html = result._repr_latex_(), result._repr_html_()
    assert repr(result) == str(result)
    assert tex.startswith("$$\\begin{array}{lllll}\n")
    assert tex.count(r"\\") == len(result.rows) == html.count("<tr>") - 1 == 3
    for row in result.rows:
        for text in (tex, html, str(result)):
            assert row.method in text
            assert f"{row.error:.1e}" in text
