"""Building modules: program to source text, text to file, file to module.

`build` is pure and deterministic. Emitted modules are imported from files, never from strings, because
Numba's cache needs a file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from codegen.emit import context
from codegen.files import write_text
from codegen.targets import TARGETS
from codegen.targets.text import quoted, tidy
from derive import pipeline
from derive.differentiable import Differentiable
from derive.errors import GradcError
from derive.evaluate import extent
from derive.hoist import hoist
from derive.notation import formulas
from derive.pipeline import Derivation
from derive.products import direction_of, hessian_product
from derive.program import Program, Tensor
from derive.repeat.layer_formulas import layer_formulas
from derive.sizes import check_sizes

_TEMPLATES = Path(__file__).parent / "targets"
_READABLE = 90
_DTYPES = ("float64", "float32")


def source(
    model: Differentiable,
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    wrt: Sequence[str] | None = None,
    products: bool = False,
    finish: Callable[..., str] | None = None,
) -> str:
    """The source text of the module of a model; see `build`.

    ``sizes`` may concern its depth too (`L=5`, or a list for a family of dims). Layers that are alike become one loop;
    of others, what repeats is derived once for all depths, and its formulas are written out for this one.
    """
    net, left = model.sized(sizes or {})
    stack = None if net.repeated is None or wrt else net.repeated.stacked
    if stack is not None:
        return build(stack, dtype=dtype, target=target, sizes=left, products=products, finish=finish)
    derivation = None
    if net.repeated is not None and net.program.objective is not None and (wrt or net.program.trained):
        derivation = net.gradient(*(wrt or ())).derivation
    given: dict[str, Any] = {"dtype": dtype, "target": target, "sizes": left, "wrt": wrt, "derivation": derivation}
    return build(net.program, **given, products=products, finish=finish)


def build(
    program: Program,
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int] | None = None,
    wrt: Sequence[str] | None = None,
    derivation: Derivation | None = None,
    products: bool = False,
    finish: Callable[..., str] | None = None,
) -> str:
    """The source text of the module that computes a model and its gradient by ``wrt`` (all parameters).

    With ``products`` it also has the Hessian by all these variables times a direction. ``finish`` makes the text of
    the program once it is derived; without it that is `render`.

    ``sizes`` replace defaults of independent dims. A program that is derived already is taken as it is, and so is a
    ``derivation`` where it is given. The dtype is float64 unless the model's ``option dtype`` says otherwise.
    """
    finish = finish or render
    check_sizes(program, known_sizes(program, sizes or {}))  # before the work of deriving
    other = None if program.inference is None else pipeline.forward(program.inference)
    inference = None if other is None else (hoist(other), _texts(other))
    if program.gradients:
        shown = _texts(program)
        return finish(program, shown, dtype=dtype, target=target, sizes=sizes, inference=inference)
    variables = program.trained if wrt is None else tuple(_variable(program, name) for name in wrt)
    if products and (program.objective is None or set(variables) != set(program.trained) or not variables):
        raise GradcError(f"Hessian products are of an objective by all parameters, and {program.name} has none")
    if program.objective is None or not variables:
        value = pipeline.forward(program)
        shown = _texts(value)
        return finish(value, shown, dtype=dtype, target=target, sizes=sizes, inference=inference)
    derivation = derivation or pipeline.gradient(program, variables)
    shown, exact = _texts(derivation.stable), _texts(derivation.formulas)
    for t, text in shown.items():  # a stable form that nobody would recognize is shown as what it stands for
        if len(text) > _READABLE and len(exact.get(t, text)) < len(text):
            shown[t] = f"{exact[t]}, in a stable form"
    product = None
    if products:
        second = hessian_product(derivation, direction_of(derivation.formulas, variables))
        product = hoist(second.stable), _texts(second.formulas)
    return finish(
        derivation.stable, shown, dtype=dtype, target=target, sizes=sizes, inference=inference, product=product
    )


def _texts(program: Program) -> dict[Tensor, str]:
    """The formula of every equation; in a stack of layers that of any one layer."""
    layers = any(t.layers is not None for t in program.tensors)
    return layer_formulas(program) if layers else dict(formulas(program))


def _variable(program: Program, name: str) -> Tensor:
    found = next((t for t in program.declared if t.name == name), None)
    if found is None or found.dtype == "int" or found.kind == "const":
        raise GradcError(f"{name} is no variable of the model: there is no gradient by it")
    return found


def render(
    program: Program,
    shown: Mapping[Tensor, str],
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int] | None = None,
    inference: tuple[Program, Mapping[Tensor, str]] | None = None,
    product: tuple[Program, Mapping[Tensor, str]] | None = None,
) -> str:
    """The source text for a derived, stable program; ``shown`` is the formula above each tensor's statements.

    ``inference`` is the stable program of the other form of the model, with its formulas, where there is one, and
    ``product`` that of Hessian products, where they are wanted.
    """
    kind = dtype or dict(program.options).get("dtype", "float64")
    if kind not in _DTYPES:
        raise GradcError(f"dtype {kind} is not known; choose one of {', '.join(_DTYPES)}")
    if target not in TARGETS:
        raise GradcError(f"target {target} is not known; choose one of {', '.join(TARGETS)}")
    chosen = TARGETS[target]
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
    template = environment.get_template(chosen.template)
    known = known_sizes(program, sizes or {})
    return tidy(template.render(context(hoist(program), chosen, kind, known, shown, inference, product)))


def known_sizes(program: Program, given: Mapping[str, int]) -> dict[str, int]:
    """The extents of a program: given, default or derived."""
    names = {d.name: d for d in program.dims}
    for name in given:
        if name not in names:
            raise GradcError(f"size {name}: the model has no such extent; it has {', '.join(names) or 'none'}")
        if names[name].derived is not None:
            raise GradcError(f"size {name}: the extent is derived and cannot be given")
    known: dict[str, int] = {}
    for d in program.dims:
        if d.derived is None:
            size = given.get(d.name, d.default)
            if size is None:
                raise GradcError(f"the extent {d.name} has no default: give it, as in --size {d.name}=8")
            if size < 1:
                raise GradcError(f"size {d.name} is {size}; an extent is at least 1")
            known[d.name] = int(size)
    for d in program.dims:
        if d.derived is not None:
            known[d.name] = extent(d.derived, known)
    return known


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
