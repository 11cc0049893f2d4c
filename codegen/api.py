"""What Python programs call: a model to a file, or to an imported module.

In: a model (anything with a program). Out: the emitted module. The choices are those of `codegen.compiler.source`:
``sizes``, ``dtype``, ``target``, ``wrt``.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from codegen.compiler import load_source, source
from codegen.files import write_text
from derive.differentiable import Differentiable


def build(model: Differentiable, path: str | Path, **choices: Any) -> None:
    """Write the module of ``model`` to ``path``, whole or not at all."""
    write_text(path, source(model, **choices))


def compile(model: Differentiable, **choices: Any) -> ModuleType:
    """The module of ``model``, built and imported.

    ``compile(derive.load("net.gc")).loss_and_grad(params, X=X, Y=Y)`` is the shortest way to a gradient.
    """
    return load_source(source(model, **choices))
