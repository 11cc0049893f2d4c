"""The loss in the report: drawn to scale, of the training that `gradc train` does, and missing in words where it is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import derive
from codegen import cli
from codegen.report import Run, report
from codegen.report.curve import curve_svg, epoch_axis, log_axis, plain_axis
from codegen.train import Epoch, Measure

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
MODEL, DATA = str(EXAMPLES / "linear_regression.gc"), ["--data", str(EXAMPLES / "plane.csv"), "--target", "y"]
SHORT = ["--epochs", "7", "--no-check"]


def epochs(losses: list[float], held: list[float] | None = None) -> list[Epoch]:
    others = [None] * len(losses) if held is None else [Measure(x, 0.5) for x in held]
    return [Epoch(k, Measure(x, None), o) for k, (x, o) in enumerate(zip(losses, others, strict=True), 1)]


def drawn(svg: str, kind: str) -> list[tuple[float, float]]:
    found = re.search(rf'<polyline class="{kind}" points="([^"]*)"', svg)
    assert found is not None
    return [(float(x), float(y)) for x, y in (p.split(",") for p in found[1].split())]


def scale(svg: str) -> list[tuple[float, float]]:
    """The height of each tick of the loss, and its number."""
    found = re.findall(r'<text class="up" x="[\d.]+" y="([\d.]+)">([^<]*)</text>', svg)
    return [(float(y) - 4, float(text)) for y, text in found]


@pytest.mark.parametrize("losses", [[2.0, 1.0, 0.5, 0.75], [700.0, 3.0, 0.02], [5.0, 5.0], [-3.0, -4.0], [0.3]])
def test_points_lie_where_the_ticks_say(losses):
    svg = curve_svg(epochs(losses))
    ElementTree.fromstring(svg)
    logarithmic = "logarithmic" in svg
    assert logarithmic == (min(losses) > 0 and max(losses) > 100 * min(losses))
    (y0, v0), (y1, v1) = scale(svg)[0], scale(svg)[-1]
    f = math.log if logarithmic else float
    for (_, y), loss in zip(drawn(svg, "train"), losses, strict=True):
        assert y == pytest.approx(y0 + (f(loss) - f(v0)) * (y1 - y0) / (f(v1) - f(v0)), abs=0.2)
    x = [x for x, _ in drawn(svg, "train")]
    assert x == sorted(x)
    width, height = (float(n) for n in re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    assert all(0 <= x <= width and 0 <= y <= height for x, y in drawn(svg, "train"))


def test_what_was_held_out_has_a_curve_and_a_key():
    svg = curve_svg(epochs([3.0, 2.0], [3.5, 2.5]))
    assert len(drawn(svg, "held")) > 0
    assert "held out" in svg
    assert "held out" not in curve_svg(epochs([3.0, 2.0]))


def test_no_epoch_no_curve():
    assert curve_svg([]) == ""


@pytest.mark.parametrize("axis", [plain_axis, log_axis])
@pytest.mark.parametrize(("low", "high"), [(0.02, 3.0), (1e-9, 1e-3), (40.0, 12345.0)])
def test_an_axis_has_few_ticks_and_covers_its_values(axis, low, high):
    found = axis(low, high)
    assert 3 <= len(found.ticks) <= 9
    assert 0 <= found.place(low) < found.place(high) <= 1
    assert all(0 <= found.place(v) <= 1 for v in found.ticks)


@pytest.mark.parametrize("last", [1, 2, 7, 25, 400, 12345])
def test_epochs_are_counted_from_the_first_to_the_last(last):
    found = epoch_axis(1, last)
    assert found.ticks[0] == 1
    assert len(found.ticks) <= 8
    assert all(int(k) == k <= last for k in found.ticks)


def test_the_command_draws_the_loss_that_train_prints(tmp_path, capsys):
    out = tmp_path / "a.html"
    assert cli.run(["report", MODEL, "-o", str(out), *DATA, *SHORT]) == 0
    page = out.read_text(encoding="utf-8")
    assert len(re.findall(r'<circle class="train"', page)) == len(re.findall(r'<circle class="held"', page)) == 7
    assert "60 samples of <code>plane.csv</code>, 7 epochs" in page
    capsys.readouterr()
    assert cli.run(["train", MODEL, *DATA, "--epochs", "7"]) == 0
    printed = re.search(r"epoch   7   train: loss ([\d.]+)   held out: loss ([\d.]+)", capsys.readouterr().out)
    shown = re.findall(r"<tr><td>(?:trained on|held out)</td><td>([\d.]+)</td></tr>", page)
    assert [f"{float(x):.3f}" for x in shown] == [f"{float(x):.3f}" for x in printed.groups()]
    assert cli.run(["report", MODEL, "-o", str(out), *DATA, *SHORT, "--seed", "0"]) == 0
    assert out.read_text(encoding="utf-8") == page
    assert cli.run(["report", MODEL, "-o", str(out), *DATA, *SHORT, "--seed", "1"]) == 0
    assert out.read_text(encoding="utf-8") != page


def test_without_data_it_says_so(tmp_path):
    out = tmp_path / "a.html"
    assert cli.run(["report", MODEL, "-o", str(out), "--no-check"]) == 0
    page = out.read_text(encoding="utf-8")
    assert "No data were given" in page
    assert 'class="curve"' not in page


def test_a_training_that_stops_is_shown_as_far_as_it_went(tmp_path, capsys):
    text = Path(MODEL).read_text(encoding="utf-8").replace("lr=0.1", "lr=1e30")
    (tmp_path / "wild.gc").write_text(text, encoding="utf-8")
    out = tmp_path / "a.html"
    assert cli.run(["report", str(tmp_path / "wild.gc"), "-o", str(out), *DATA, *SHORT]) == 3
    assert "smaller learning rate" in capsys.readouterr().err
    assert "It stopped: " in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("", ["--data", "absent.csv"], "absent.csv"),
        ("", [*DATA, "--holdout", "1"], "held out"),
        ("optimizer sgd(lr=0.1)", DATA, "optimizer"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(tmp_path, capsys, change, arguments, message):
    text = Path(MODEL).read_text(encoding="utf-8")
    (tmp_path / "m.gc").write_text(text.replace(change, "") if change else text, encoding="utf-8")
    out = tmp_path / "a.html"
    assert cli.run(["report", str(tmp_path / "m.gc"), "-o", str(out), "--no-check", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not out.exists()


def test_the_name_of_the_data_is_escaped():
    found = report(derive.load(MODEL), run=Run("<b>.csv", 3, tuple(epochs([1.0, 0.5]))))
    assert "&lt;b&gt;.csv" in found
    assert "<b>" not in found
