"""`generated/` is what the examples give today, byte for byte; and the README shows what the tool prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen import regenerate

ROOT = Path(__file__).resolve().parent.parent
OTHERS = {"README.md", "examples/backpropagation.ipynb"}


@pytest.fixture(scope="module")
def files(pytestconfig):
    with pytest.MonkeyPatch.context() as patch:  # what the notebooks compile stays with the tests
        patch.setenv("GRADC_CACHE", str(pytestconfig.cache.mkdir("gradc")))
        return regenerate.expected()


def test_every_example_has_its_module_and_its_formulas(files):
    names = {p.stem for p in (ROOT / "examples").glob("*.gc")}
    assert len(names) >= 7
    assert {f"generated/{n}.{kind}" for n in names for kind in ("py", "md")} | OTHERS == set(files)


def test_a_rebuild_changes_nothing(files):
    assert regenerate.difference(regenerate.present(), files) == ""


def test_the_readme_shows_a_model_and_its_gradient(files):
    assert (ROOT / "examples" / "digits_rows.gc").read_text() in files["README.md"]
    assert "dZ2 = (P − Y)/n" in files["README.md"]


def test_a_difference_is_seen():
    found = regenerate.difference({"a": "1\n2\n", "b": "x\n"}, {"a": "1\n3\n", "c": "y\n"})
    assert "-2\n+3\n" in found
    assert "rebuilt/c" in found
