"""Layers: each one block of the model language, which says what shapes its inputs have.

In: nothing. Out: declarations that `derive.language.definitions` reads when a model uses them. They are forward
mathematics and nothing else. A parameter of a layer is one of the model, and is called after the result of the use.
"""

from __future__ import annotations

from derive.library.layers import (
    attention,
    cells,
    convolution,
    dense,
    normalization,
    pooling,
    regularization,
    sequences,
)
from derive.library.layers.declaration import LayerDecl

__all__ = ["FAMILIES", "LAYERS", "LayerDecl"]

FAMILIES: dict[str, tuple[LayerDecl, ...]] = {
    "Dense layers": dense.DECLARED,
    "Convolutions": convolution.DECLARED,
    "Pooling": pooling.DECLARED,
    "Normalization": normalization.DECLARED,
    "Regularization": regularization.DECLARED,
    "Attention": attention.DECLARED,
    "Cells": cells.DECLARED,
    "Recurrent layers": sequences.DECLARED,
}
LAYERS: dict[str, LayerDecl] = {d.name: d for family in FAMILIES.values() for d in family}
