"""The report: complete in itself, true to the formulas, safe against what a model says, and the same each time."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

import derive
from codegen import cli
from codegen.report import Run, drawing, graph, report
from codegen.train import Epoch, Measure
from codegen.verify import CheckResult, Row
from derive.errors import GradcError

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
CHECKED = CheckResult("<m>", (Row("W", (2, 3), "differences", 0.5, (0, 1), 1.0, 2.0, "dW = <x>"),), {"d": 2})


@pytest.fixture(scope="module")
def model() -> derive.ParsedModel:
    return derive.load(EXAMPLES / "xor.gc")


@pytest.fixture(scope="module")
def page(model) -> str:
    return report(model)


class Tags(HTMLParser):
    """The tags of a page, and that each one that opens closes."""

    EMPTY = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def part(page: str, title: str) -> str:
    return re.split(r"<h2>", page.partition(f"<h2>{title}")[2])[0]


def test_the_page_is_complete_in_itself(page):
    tags = Tags(page).seen
    assert {t for t, _ in tags}.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base"})
    assert "<script" not in page
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.findall(r"url\((?!#)|@import|@font-face", page)
    assert not [k for _, found in tags for k in found if k.startswith("on")]


def test_ids_are_unique_and_every_reference_is_met(page):
    tags = Tags(page).seen
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids)) > 10
    references = [a["href"] for _, a in tags if "href" in a] + [f"#{x}" for x in re.findall(r"url\(#(\w+)\)", page)]
    assert {r[1:] for r in references} == set(ids)


def test_each_formula_stands_there_once_and_is_drawn(model, page):
    gradient = model.gradient()
    below = re.sub(r"<details>.*?</details>", "", part(page, "Backward"), flags=re.DOTALL)
    assert len(gradient.formulas) == below.count("<svg") > 4
    for f in gradient.formulas:
        assert below.count(f'aria-label="{escape(f.matrix or f.index)}"') == 1
    named = [a["class"] for t, a in Tags(page).seen if t == "div" and "wanted" in (a.get("class") or "")]
    assert len(named) == len(gradient)


def test_the_steps_of_each_gradient_unfold_under_it(model, page):
    steps = model.gradient().steps()
    assert part(page, "Backward").count("<tr><td>") == len(steps) > 10
    for rule in {s.rule for s in steps}:
        assert f"<tr><td>{escape(rule)}</td>" in page


def test_a_model_without_a_point_to_test_steps_at_says_so():
    found = report(derive.parse("dims d\nparam w : [d]\nminimize sum(log(-1 - w^2))\n"))
    assert "No steps are told: " in found
    assert "how it is found" not in found
    Tags(found)


def test_what_simplification_did_stands_there_with_its_saving(page):
    digits = report(derive.load(EXAMPLES / "digits_rows.gc"))
    assert "Σ Y = 1 (one_hot)</td><td>5 s² + 2 s + 1</td><td>2 s + 1</td>" in part(digits, "What simplified them")


def test_the_same_model_gives_the_same_page(page):
    assert report(derive.load(EXAMPLES / "xor.gc")) == page


def test_a_hostile_text_stays_text():
    text = (
        "# </pre><script>alert('&amp;')</script>{{ 7 * 7 }}\nmodel m # <img src=x onerror=y>\n"
        "dims d\nparam w : [d]\nminimize sum(w^2) # <b>\n"
    )
    found = report(derive.parse(text), check=CHECKED)
    tags = {t for t, _ in Tags(found).seen}
    assert tags.isdisjoint({"script", "img", "b", "x", "m"})
    assert "&lt;/pre&gt;&lt;script&gt;alert(&#39;&amp;amp;&#39;)" in found
    assert "{{ 7 * 7 }}" in found


def test_the_check_stands_there_only_if_it_was_made(model, page):
    assert "Check against" not in page
    found = part(report(model, check=CHECKED), "Check against numerical gradients")
    assert found.count("FAILED") == 1
    assert "gradients of &lt;m&gt; at d = 2" in found
    assert "dW = &lt;x&gt;" in found


def test_the_command_writes_the_page_and_says_whether_the_check_holds(tmp_path, capsys):
    out = tmp_path / "a.html"
    assert cli.run(["report", str(EXAMPLES / "linear_regression.gc"), "-o", str(out), "--size", "d=3"]) == 0
    assert "complex step" in out.read_text(encoding="utf-8")
    assert cli.run(["report", str(EXAMPLES / "linear_regression.gc"), "-o", str(out), "--no-check"]) == 0
    assert "complex step" not in out.read_text(encoding="utf-8")
    assert cli.run(["report", str(EXAMPLES / "absent.gc"), "-o", str(out)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_symbolic_depth_stands_there_with_its_loops_and_with_the_steps_of_this_depth():
    model = derive.parse(
        "dims L = 3, h\nbatch m\ninput X : [m, h]\nA{0} = X\nrepeat l = 1..L\n  param W{l} : [h, h]\n"
        "  Z{l} = A{l-1} @ W{l}\n  A{l} = tanh(Z{l})\nend\nminimize sum(A{L})\n"
    )
    page = report(model)
    Tags(page)
    general, special = part(page, "Backward"), part(page, "Backward at this depth")
    assert general.count('<p class="loop">for l = ') == 2
    assert "how it is found" not in general
    gradient = model.gradient()
    for found, formulas in ((general, gradient.symbolic.formulas), (special, gradient.formulas)):
        for f in formulas:
            assert f'aria-label="{escape(f.matrix or f.index)}"' in found
    assert special.count("how it is found") == len(gradient.formulas)


def test_a_missing_package_is_named(monkeypatch, model):
    monkeypatch.setattr(drawing, "Math", None)
    with pytest.raises(GradcError, match="ziamath"):
        report(model)


def test_what_cannot_be_drawn_is_written():
    assert drawing.Drawings().formula(r"\frac{", "a < b") == "<code>a &lt; b</code>"


def test_every_formula_of_the_zoo_is_drawn(zoo, numeric):
    program = numeric.derived(zoo).program
    for e in program.equations:
        drawn = drawing.Drawings().formula(numeric.derived(zoo).notation.latex(e), "text")
        sizes = re.findall(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', drawn)
        assert sizes
        assert all(float(high) < 150 for _, high in sizes)


def test_parentheses_around_a_sum_are_as_high_as_it():
    high = re.findall(r' height="([\d.]+)"', drawing.picture(r"\left(Q - \sum_{j} P_{j}\right)"))[0]
    assert 30 < float(high) < 90


def test_long_formulas_take_several_lines():
    drawn = drawing.Drawings().formula(" + ".join(f"x_{{{k}}}" for k in range(60)), "text")
    assert drawn.count("<svg") > 1
    assert drawn.count('aria-label="text"') == 1
    assert all(float(w) <= 1.3 * drawing.WIDEST for w in re.findall(r'<svg[^>]* width="([\d.]+)"', drawn))


def test_layers_go_down_and_boxes_lie_apart(zoo, numeric):
    program = numeric.parsed(zoo).program
    edges = graph.edges_of(program)
    layer = graph.layers_of(edges)
    assert all(layer[a] < layer[b] for a, b in edges)
    rows, ways = graph.rows_of(layer, edges)
    assert [(w[0], w[-1]) for w in ways] == edges
    assert sorted(map(id, layer)) == sorted(id(n) for row in rows for n in row if n in layer)
    assert all(t in layer for t in program.parameters)
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', graph.graph_svg(program))
    for x, y, w in (map(float, b) for b in boxes):
        others = [float(b[0]) for b in boxes if float(b[1]) == y and float(b[0]) > x]
        assert all(other > x + w for other in others)


def pixels(png: bytes) -> tuple[int, int, int]:
    """Width, height, and how many different bytes the picture holds."""
    width, height = struct.unpack(">II", png[16:24])
    data, at = b"", 8
    while at < len(png):
        length = struct.unpack(">I", png[at : at + 4])[0]
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return width, height, len(set(zlib.decompress(data)))


def browse(folder: Path, page: str, *flags: str) -> str:
    """What Chromium prints of a page that it opens."""
    (folder / "a.html").write_text(page, encoding="utf-8")
    always = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    always += ["--disable-component-update", "--disable-sync", f"--user-data-dir={folder}/profile"]
    command = [str(CHROMIUM), *always, *flags, f"{folder}/a.html"]
    return subprocess.run(command, check=True, capture_output=True, timeout=120, text=True).stdout


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it(page, tmp_path, scheme):
    flags = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    browse(tmp_path, page, *flags, "--window-size=900,1400", f"--screenshot={tmp_path}/a.png")
    width, height, colours = pixels((tmp_path / "a.png").read_bytes())
    assert (width, height) == (900, 1400)
    assert colours > 50


@needs_chromium
@pytest.mark.parametrize("width", [390, 1100])
def test_nothing_reaches_beyond_the_page(model, tmp_path, width):
    losses = tuple(Epoch(k, Measure(5.0 / k, 0.5), Measure(6.0 / k, 0.5)) for k in range(1, 30))
    page = report(model, check=CHECKED, run=Run("x" * 30, 7, losses)).replace("<details>", "<details open>")
    measure = "document.title = f.contentDocument.documentElement.scrollWidth"
    frame = f'<iframe id="f" style="width: {width}px; height: 800px; border: 0" srcdoc="{escape(page)}"></iframe>'
    whole = f"<!DOCTYPE html><title></title>{frame}<script>onload = () => {{ {measure} }}</script>"
    found = re.findall(r"<title>(\d+)</title>", browse(tmp_path, whole, "--dump-dom", "--window-size=1200,900"))
    assert 0 < int(found[0]) <= width
