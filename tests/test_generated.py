"""`generated/` is what the examples give today, byte for byte; and the README shows what the tool prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import regenerate

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def files():
    return regenerate.expected()


def test_every_example_has_its_module_and_its_formulas(files):
    names = {p.stem for p in (ROOT / "examples").glob("*.gc")}
    assert len(names) >= 7
    assert {f"{n}.{kind}" for n in names for kind in ("py", "md")} == set(files)


def test_a_rebuild_changes_nothing(files):
    assert regenerate.difference(files) == ""


def test_a_difference_is_seen(files):
    name = sorted(files)[0]
    changed = {**files, name: files[name] + "more\n", "extra.py": "x\n"}
    found = regenerate.difference(changed)
    assert "+more" in found
    assert "rebuilt/extra.py" in found
