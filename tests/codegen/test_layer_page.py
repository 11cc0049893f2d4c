"""The page of layers is made from the catalogue, and is the one that stands in the documentation."""

from __future__ import annotations

import re

import pytest

from codegen import layer_page
from derive.library.layers import FAMILIES, LAYERS


def test_the_page_is_as_a_rebuild_gives_it():
    assert layer_page.PAGE.read_text(encoding="utf-8") == layer_page.page()


def test_every_layer_stands_on_the_page_with_its_equations():
    text = layer_page.PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == list(LAYERS)
    assert all(d.text in text for d in LAYERS.values())
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(FAMILIES)


@pytest.mark.parametrize("name", LAYERS)
def test_its_example_is_a_use_of_the_layer(name):
    lines = layer_page.example(LAYERS[name])
    assert f"Y = {name}(" in lines
    assert layer_page.program(lines).tensors
