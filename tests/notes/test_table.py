"""Every row of the notes' tables has a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROWS = {0: 11, 1: 19, 2: 15, 3: 9, 4: 24}


def rows_of(name: str) -> set[tuple[int, int]]:
    """The rows that a test is named for: ``rows_2_6_to_2_8`` stands for three, ``rows_3_6_3_7_and_3_9`` for three."""
    head = re.match(r"(?:_?(?:and|to)?_\d+_\d+)+", name.removeprefix("test_rows").removeprefix("test_row"))
    found: set[tuple[int, int]] = set()
    last = (0, 0)
    for word, table, row in re.findall(r"(and|to)?_(\d+)_(\d+)", head.group() if head else ""):
        here = int(table), int(row)
        first = last[1] + 1 if word == "to" else here[1]
        found |= {(here[0], k) for k in range(first, here[1] + 1)}
        last = here
    return found


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_row_0_1_mean_squared_error", {(0, 1)}),
        ("test_rows_2_6_to_2_8_a_layer", {(2, 6), (2, 7), (2, 8)}),
        ("test_rows_3_6_3_7_and_3_9_batches", {(3, 6), (3, 7), (3, 9)}),
        ("test_the_counter", set()),
    ],
)
def test_names_are_read(name, rows):
    assert rows_of(name) == rows


@pytest.mark.parametrize("table", ROWS)
def test_every_row_has_a_test(table):
    source = (Path(__file__).parent / f"test_00{table}.py").read_text(encoding="utf-8")
    tested = set[tuple[int, int]]().union(*map(rows_of, re.findall(r"^def (test_\w+)", source, re.MULTILINE)))
    assert tested == {(table, k) for k in range(1, ROWS[table] + 1)}
