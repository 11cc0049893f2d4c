"""The article: whole, readable for LaTeX whatever a model says, and nothing of it wider than its page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import derive
from codegen import cli
from codegen.article import article, pieces, plain

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
PDFLATEX = shutil.which("pdflatex")
HOSTILE = (
    "# \\end{document} \\input{/etc/passwd} $x$ {{ }} % & # _ ^ ~ \" ' ` <> -- ñ ß £\n"
    "#\ta tab, Greek δ Σ Ο ς λ, signs ∂ ⊙ √ − → ², ᵀ ₁, and those that LaTeX has not: 中 Ϝ ά \x7f 😀\n"
    f"# {'word ' * 60}{'x+' * 90}\n"
    "model m_1\ndims d\nparam w : [d]\nminimize sum(w^2)  # \\undefined\n"
)
LONG = "dims d\n" + "".join(f"param w{k} : [d]\n" for k in range(12))
SUM = LONG + "minimize sum(" + " + ".join(f"w{k} * w{k + 1} * exp(w{k + 2})" for k in range(10)) + ")\n"
PRODUCT = LONG + "minimize sum(" + " * ".join(f"exp(sin(w{k}) + cos(w{k}))" for k in range(12)) + ")\n"

needs_latex = pytest.mark.skipif(PDFLATEX is None, reason="no LaTeX compiler is installed")


def compiled(text: str, folder: Path) -> list[float]:
    """By how many points the boxes are too wide that are."""
    (folder / "a.tex").write_text(text, encoding="utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    log = (folder / "a.log").read_text(encoding="utf-8", errors="replace")
    assert run.returncode == 0, log[-2000:]
    return [float(x) for x in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log)]


@needs_latex
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.gc")), ids=lambda p: p.stem)
def test_every_example_compiles_with_steps_and_shapes_within_the_page(path, tmp_path):
    gradient = derive.load(path).gradient()
    assert max([0.0, *compiled(article(gradient, steps=True, shapes=True), tmp_path)]) < 3


@needs_latex
@pytest.mark.parametrize("name", ["attention", "layer_norm", "max_pool", "norms", "columns"])
def test_so_do_larger_models(name, tmp_path, numeric):
    gradient = numeric.derived(numeric.zoo[name])
    assert max([0.0, *compiled(article(gradient, steps=True, deltas=True), tmp_path)]) < 3


@needs_latex
@pytest.mark.parametrize("text", [HOSTILE, SUM, PRODUCT], ids=["hostile", "sum", "product"])
def test_what_a_model_says_neither_breaks_nor_overflows_it(text, tmp_path):
    assert max([0.0, *compiled(article(derive.parse(text).gradient()), tmp_path)]) < 3


@needs_latex
def test_what_form_latex_prints_can_be_pasted(tmp_path, capsys):
    assert cli.run(["derive", str(EXAMPLES / "xor.gc"), "--form", "latex", "--shapes"]) == 0
    found = capsys.readouterr().out
    assert found.count(r"\begin{align*}") == found.count(r"\end{align*}") == 2
    assert "documentclass" not in found
    compiled(
        f"\\documentclass{{article}}\n\\usepackage{{amsmath}}\n\\begin{{document}}\n{found}\\end{{document}}\n",
        tmp_path,
    )


def test_it_holds_every_formula_and_every_step():
    gradient = derive.load(EXAMPLES / "digits_rows.gc").gradient()
    text = article(gradient, steps=True)
    for f in gradient.formulas:
        left, _, right = f.latex().partition(" = ")
        assert rf"\formula{{{left}}}{{{pieces(right)}}}" in text
    steps = gradient.steps()
    assert len(re.findall(r"^\\step\{", text, re.MULTILINE)) == len(steps) > 30
    for s in steps:
        assert pieces(s.tex[1]) in text
    assert len(re.findall(r"^\\subsubsection\{", text, re.MULTILINE)) == len({s.target for s in steps})
    assert r"\step" not in article(gradient).partition(r"\begin{document}")[2]
    assert article(gradient, steps=True) == text


def test_a_side_that_goes_on_is_not_repeated():
    text = article(derive.load(EXAMPLES / "digits_rows.gc").gradient("W1"), steps=True)
    assert r"\step{rows and columns}{}{\piece{ = " in text


def test_shapes_stand_under_the_factors_or_beside_the_formula():
    gradient = derive.load(EXAMPLES / "xor.gc").gradient()
    assert r"\formula{\bar{W}_{2}}{\piece{ = A_{1}^{\top}\,\bar{z}_{2}}}{h \times 1}" in article(gradient)
    assert r"\underset{h\times n}{A_{1}^{\top}}" in article(gradient, shapes=True)


def test_deltas_name_the_layers():
    assert r"\formula{\delta^{2}}" in article(derive.load(EXAMPLES / "xor.gc").gradient(), deltas=True)


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a_b", r"a\_b"),
        ("n′ ≠ n", r"n$'$ $\ne$ n"),
        ("Xᵀ", r"X\textsuperscript{T}"),
        ("δΛΟ", r"$\delta$$\Lambda$$\mathrm{O}$"),
        ("中", r"\unknown{4E2D}"),
    ],
)
def test_words_become_latex(text, tex):
    assert plain(text) == tex


def test_the_command_writes_it_whole_or_not_at_all(tmp_path, capsys):
    model, out = str(EXAMPLES / "xor.gc"), tmp_path / "xor.tex"
    assert cli.run(["derive", model, "--latex-document", "--steps", "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert cli.run(["derive", model, "--latex-document", "--steps"]) == 0
    assert capsys.readouterr().out == out.read_text(encoding="utf-8")
    assert cli.run(["derive", model, "--latex-document", "-o", str(tmp_path / "absent" / "a.tex")]) == 2
    assert "absent" in capsys.readouterr().err
    assert cli.run(["derive", model, "--latex-document", "--form", "json"]) == 2
    assert "--form json" in capsys.readouterr().err


DEEP = """\
dims L = 3, n{0..L} = [5, 7, 3, 2]
batch m
input X : [m, n{0}]
target Y : [m, n{L}]
A{0} = X
repeat l = 1..L
  param W{l} : [n{l-1}, n{l}] ~ glorot_uniform()
  Z{l} = A{l-1} @ W{l}
  A{l} = sigmoid(Z{l})
end
minimize sum((A{L} - Y)^2) / (2*m)
"""


def test_a_symbolic_depth_has_its_loops():
    gradient = derive.parse(DEEP).gradient()
    text = article(gradient, steps=True)
    assert r"\loopheading{for $l = 1, \dots, L$}" in text
    assert r"\loopheading{for $l = L-1, \dots, 1$}" in text
    for f in gradient.symbolic.formulas:
        assert rf"\formula{{{f.latex().partition(' = ')[0]}}}" in text
    assert r"{n_{l-1} \times n_{l}}" in text
    assert "\\subsection{Steps}\n" in text


@needs_latex
def test_and_compiles(tmp_path):
    text = article(derive.parse(DEEP).gradient(), steps=True, shapes=True)
    assert max([0.0, *compiled(text, tmp_path)]) < 3
