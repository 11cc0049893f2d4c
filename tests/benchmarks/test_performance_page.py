"""The page and the chart that are made of measurements: that they say what was measured, also what was missed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks.training import results
from benchmarks.training.chart import chart
from benchmarks.training.page import CHART, PAGE, RESULTS, page, scaled
from benchmarks.training.workload import ONE


def row(workload, dtype, threads, ours, peers, unit="step", **more):
    way = {"minimum": 1.0, "first": 1.0, "gap": 1e-6}
    ways = {name: way | more | {"median": t} for name, t in {"gradc": ours, **peers}.items()}
    return {"workload": workload, "title": f"the net {workload}", "dtype": dtype, "threads": threads, "unit": unit,
            "steps": 5, "rounds": 3, "epoch": 30.0, "ways": ways}  # fmt: skip


@pytest.fixture
def found():
    made = results.empty({"processor": "one", "numpy": "2.0"})
    for each in (
        row("D32", "float32", 1, 10.0, {"NumPy": 90.0, "jax": 60.0}),
        row("C16", "float32", 2, 12.0, {ONE: 10.0, "NumPy": 90.0}),
        row("C16", "float32", 1, 10.0, {"NumPy": 90.0, "jax": 35.0}),
        row("H1000", "float32", 1, 100.0, {"jax": 500.0}),
        row("H1000", "float32", 2, 50.0, {ONE: 100.0, "jax": 500.0}),
        row("logistic", "float64", 1, 1000.0, {"NumPy": 5000.0}, "solve", evaluations=20),
    ):
        known = {"products": 500_000, "peak": 1e11} if each["workload"] == "C16" else {}
        made = results.add(made, each | known)
    return made


def test_a_row_replaces_the_one_of_the_same_and_keeps_the_order(found):
    assert [r["workload"] for r in found["rows"]] == ["C16", "D32", "H1000", "logistic", "C16", "H1000"]
    again = results.add(found, row("C16", "float32", 1, 5.0, {"NumPy": 90.0}))
    assert len(again["rows"]) == 6
    assert again["rows"][0]["ways"]["gradc"]["median"] == 5.0


def test_results_are_kept_and_those_of_another_machine_refused(found, tmp_path):
    path = tmp_path / "results.json"
    assert results.load(path, {"processor": "one"}) == results.empty({"processor": "one"})
    results.save(path, found)
    assert results.load(path, found["machine"]) == found
    with pytest.raises(SystemExit, match="another numpy, processor"):
        results.load(path, {"processor": "two"})


def test_the_page_tells_of_the_strongest_peer_and_of_what_is_missed(found):
    text = page(found)
    assert "| processor | one |" in text
    assert "| C16 | the net C16 | 10.0 | 1.00 | 5.00 | jax | 35.0 | 3.50 | 4.0 | **missed** |" in text
    assert "| D32 | the net D32 | 10.0 | 1.00 |  | jax | 60.0 | 6.00 | 5.0 | reached |" in text
    assert "| C16 | float32 | 10.0 | 12.0 | 0.83 | 1.0 | **missed** |" in text
    assert "| H1000 | float32 | 100 | 50.0 | 2.00 | 1.35 | reached |" in text
    best = "7.00 if a step was nothing but its products, at the peak"
    assert f"- **C16**: float32: 3.50 of 4.0 asked for, beside jax ({best}); float32: 0.83 times as fast" in text
    assert "5,000 (20 evaluations of 250)" in text
    assert "- **D32**" not in text
    assert "Not measured: A32 in float32, A32 in float64" in text
    assert page(found) == text


def test_two_threads_are_held_against_one(found):
    assert [(row["workload"], round(times, 2)) for row, times in scaled(found["rows"])] == [
        ("C16", 0.83),
        ("H1000", 2.0),
    ]
    assert results.strongest(found["rows"][-2]) == "NumPy"  # not gradc on one thread, which is quicker


def test_the_chart_has_a_bar_for_each_workload_and_precision(found):
    text = chart([r for r in found["rows"] if r["threads"] == 1])
    words = [e.text for e in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert [w for w in words if w in ("C16", "D32", "H1000", "logistic")] == ["C16", "D32", "H1000", "logistic"]
    assert {"3.50", "6.00", "5.00", "float32", "float64"} <= set(words)


def test_the_page_that_is_there_is_that_of_the_results_that_are_there():
    found = results.load(RESULTS)
    assert PAGE.read_text(encoding="utf-8") == page(found)
    assert CHART.read_text(encoding="utf-8") == chart([r for r in found["rows"] if r["threads"] == 1])
