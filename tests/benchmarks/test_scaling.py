"""The chart of scaling: slopes are exponents, and the chart that is committed is that of the numbers."""

from __future__ import annotations

import json

import pytest

from benchmarks.scaling import DOCS, RANGES, drawn, slope, workload


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_a_slope_is_an_exponent(exponent):
    sizes = [3, 5, 11, 17]
    assert slope(sizes, [7 * s**exponent for s in sizes]) == pytest.approx(exponent)


def test_the_chart_is_that_of_the_numbers_and_states_every_slope():
    found = json.loads((DOCS / "scaling.json").read_text(encoding="utf-8"))
    text = (DOCS / "scaling.svg").read_text(encoding="utf-8")
    assert text == drawn(found)
    assert {what: tuple(map(int, times)) for what, times in found.items()} == RANGES
    for times in found.values():
        assert f"slope {slope(list(map(int, times)), list(times.values())):.2f}<" in text


@pytest.mark.parametrize("what", RANGES)
def test_only_one_thing_grows(what):
    first, second = (workload(what, size) for size in RANGES[what][:2])
    if what == "samples":
        assert (first[0], 2 * first[1]) == (second[0], second[1])
    else:
        assert (first[0].batch != second[0].batch) == (what == "batch")
        assert (len(first[0].widths) != len(second[0].widths)) == (what == "depth")
