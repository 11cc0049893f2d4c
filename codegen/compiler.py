"""Building modules: program to source text, text to file, file to module.

`build` is pure and deterministic. Emitted modules are imported from files, never from strings, because
Numba's cache needs a file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from codegen.emit import context
from codegen.files import write_text
from codegen.prepared import Prepared, laid_out, prepare, prepared
from codegen.targets.text import quoted, tidy
from derive.differentiable import Differentiable
from derive.program import Program, Tensor

_TEMPLATES = Path(__file__).parent / "targets"


def source(model: Differentiable, **choices: Any) -> str:
    """The source text of the module of a model; the choices are those of `codegen.prepared.prepared`."""
    return text_of(prepared(model, **choices))


def build(program: Program, **choices: Any) -> str:
    """The source text of the module of a program; the choices are those of `codegen.prepared.prepare`."""
    return text_of(prepare(program, **choices))


def render(program: Program, shown: Mapping[Tensor, str], **choices: Any) -> str:
    """The source text for a derived, stable program; the choices are those of `codegen.prepared.laid_out`."""
    return text_of(laid_out(program, shown, **choices))


def text_of(p: Prepared) -> str:
    """The source text of a module: one file that needs nothing of gradc."""
    template = _environment().get_template(p.target.template)
    return tidy(
        template.render(context(p.program, p.target, p.dtype, p.sizes, p.shown, p.inference, p.product, p.threads))
    )


@cache
def _environment() -> jinja2.Environment:
    """Where templates are found; each is compiled once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["repr"] = quoted
    environment.filters["digest"] = lambda text: hashlib.sha256(text.encode()).hexdigest()[:8]
    return environment


def write(source: str, path: str | Path) -> Path:
    """Write ``source`` to ``path``, whole or not at all."""
    write_text(path, source)
    return Path(path)


def load_source(source: str, name: str | None = None) -> ModuleType:
    """The module that ``source`` is, imported from a file in the user's cache; the same text, the same file."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:20]
    title = name or f"gradc_{digest}"
    path = cache_folder() / digest / f"{title}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(source, path)
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module
    spec.loader.exec_module(module)
    return module


def cache_folder() -> Path:
    """Where imported modules and their compiled code are kept."""
    chosen = os.environ.get("GRADC_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradc"
