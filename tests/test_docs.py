"""The documents speak of what is there: files exist, models in them can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import derive
from codegen import cli
from codegen.sheets import formulas_of
from derive.language import initializers, optimizers
from derive.library.optimizers import ADDITIONS
from derive.library.schedules import SCHEDULES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_YET = {
    "a recurrence within a `repeat`": "dims T, L = 2\ninput x : [T]\nrepeat l = 1..L\nh{l}[0] = 0\nend",
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_names_exists(path):
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:derive|codegen|tests|examples|benchmarks|docs)/[\w./]*\w", text))
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert not [link for link in links if not (path.parent / link).exists()]


def test_the_model_of_the_language_page_is_one():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    model = re.findall(r"```\n(model .*?)```", text, re.DOTALL)[0]
    assert set(derive.parse(model).gradient()) == {"w", "b"}


def test_the_model_of_the_training_page_is_one():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    model = derive.parse(re.findall(r"```\n(model .*?)```", text, re.DOTALL)[0])
    assert set(model.gradient()) == {"W1", "b1", "W2", "b2"}
    for lines in re.findall(r"```\n(init .*?)```", text, re.DOTALL):
        derive.parse(lines)
    [lines] = re.findall(r"```\n(optimizer .*?)```", text, re.DOTALL)
    for line in lines.splitlines():
        derive.parse(f"fn ramp(t) = min(1, t/9)\nparam q\nminimize q^2\n{line}")


def test_the_model_of_the_page_on_forms_is_one():
    text = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
    model = derive.parse(re.findall(r"```\n(model .*?)```", text, re.DOTALL)[0])
    assert set(model.gradient()) == {"W", "V"}
    shown = re.findall(r"```\n(# after .*?)```", text, re.DOTALL)[0]
    assert formulas_of(model.gradient()).endswith(shown.rstrip())


def test_the_training_page_names_the_catalogues():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for name in (*optimizers.catalogue(), *initializers.catalogue(), *SCHEDULES, *ADDITIONS):
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", text), name


def test_the_readme_lists_the_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {f"gradc {name}" for name in cli.COMMANDS} <= set(re.findall(r"gradc [\w-]+", text))


@pytest.mark.parametrize("name", NOT_YET)
def test_what_is_said_to_be_missing_is_refused_by_name(name):
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    assert name in text
    with pytest.raises(derive.NotSupportedYet, match="not supported yet"):
        derive.parse(NOT_YET[name])
