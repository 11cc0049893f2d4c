"""What a module is made from: a derived, stable program with its formulas, sizes, a precision, a target.

In: a model or a program. Out: a `Prepared`; templates print it, and `explain` and `bench` tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.emit import planned
from codegen.function import Function
from codegen.targets import TARGETS, Target
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

_READABLE = 90
_DTYPES = ("float64", "float32")
Shown = tuple[Program, Mapping[Tensor, str]]
"""A program, and the formula above each tensor's statements."""


@dataclass(frozen=True)
class Prepared:
    """``sizes`` are those of all dims, without the batch.

    ``inference`` is the stable program of the other form of the model, with its formulas, where there is one, and
    ``product`` that of Hessian products, where they are wanted. The gradient runs on so many ``threads`` at most.
    """

    program: Program
    shown: Mapping[Tensor, str]
    dtype: str
    target: Target
    sizes: Mapping[str, int]
    inference: Shown | None = None
    product: Shown | None = None
    threads: int = 1

    def functions(self, sizes: Mapping[str, int] | None = None) -> dict[str, Function]:
        """The functions of the module by their roles, scheduled and planned."""
        inference, product = (shown and shown[0] for shown in (self.inference, self.product))
        return planned(self.program, self.target, sizes or self.sizes, inference, product, self.threads)


def with_residuals(p: Prepared, way: str) -> Prepared:
    """The same, in which recurrences ``keep`` or ``recompute`` what their rounds found."""
    options = tuple(o for o in p.program.options if o[0] != "residuals")
    return replace(p, program=replace(p.program, options=(*options, ("residuals", way))))


def prepared(
    model: Differentiable,
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    wrt: Sequence[str] | None = None,
    products: bool = False,
    threads: int = 1,
) -> Prepared:
    """What the module of a model is made from; see `prepare`.

    ``sizes`` may concern its depth too (`L=5`, or a list for a family of dims). Layers that are alike become one loop;
    of others, what repeats is derived once for all depths, and its formulas are written out for this one.
    """
    net, left = model.sized(sizes or {})
    stack = None if net.repeated is None or wrt else net.repeated.stacked
    if stack is not None:
        return prepare(stack, dtype=dtype, target=target, sizes=left, products=products, threads=threads)
    derivation = None
    if net.repeated is not None and net.program.objective is not None and (wrt or net.program.trained):
        derivation = net.gradient(*(wrt or ())).derivation
    return prepare(
        net.program,
        dtype=dtype,
        target=target,
        sizes=left,
        wrt=wrt,
        derivation=derivation,
        products=products,
        threads=threads,
    )


def prepare(
    program: Program,
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int] | None = None,
    wrt: Sequence[str] | None = None,
    derivation: Derivation | None = None,
    products: bool = False,
    threads: int = 1,
) -> Prepared:
    """The program derived by ``wrt`` (all parameters); one that is derived already is taken as it is.

    With ``products`` also what the Hessian by all these variables times a direction takes. ``sizes`` replace defaults
    of independent dims; a ``derivation`` is taken where it is given. The dtype is float64 unless the model's options
    say otherwise.
    """
    known = known_sizes(program, sizes or {})
    check_sizes(program, known)  # before the work of deriving
    other = None if program.inference is None else pipeline.forward(program.inference)
    inference = None if other is None else (hoist(other), _texts(other))

    def made(program: Program, shown: Mapping[Tensor, str], product: Shown | None = None) -> Prepared:
        return laid_out(
            program,
            shown,
            dtype=dtype,
            target=target,
            sizes=sizes,
            inference=inference,
            product=product,
            threads=threads,
        )

    if program.gradients:
        return made(program, _texts(program))
    variables = program.trained if wrt is None else tuple(_variable(program, name) for name in wrt)
    if products and (program.objective is None or set(variables) != set(program.trained) or not variables):
        raise GradcError(f"Hessian products are of an objective by all parameters, and {program.name} has none")
    if program.objective is None or not variables:
        value = pipeline.forward(program)
        return made(value, _texts(value))
    derivation = derivation or pipeline.gradient(program, variables)
    shown, exact = _texts(derivation.stable), _texts(derivation.formulas)
    for t, text in shown.items():  # a stable form that nobody would recognize is shown as what it stands for
        if len(text) > _READABLE and len(exact.get(t, text)) < len(text):
            shown[t] = f"{exact[t]}, in a stable form"
    product = None
    if products:
        second = hessian_product(derivation, direction_of(derivation.formulas, variables))
        product = hoist(second.stable), _texts(second.formulas)
    return made(derivation.stable, shown, product)


def laid_out(
    program: Program,
    shown: Mapping[Tensor, str],
    *,
    dtype: str | None = None,
    target: str = "numba",
    sizes: Mapping[str, int] | None = None,
    inference: Shown | None = None,
    product: Shown | None = None,
    threads: int = 1,
) -> Prepared:
    """The same of a derived, stable program and the formula above each tensor's statements."""
    kind = dtype or dict(program.options).get("dtype", "float64")
    if kind not in _DTYPES:
        raise GradcError(f"dtype {kind} is not known; choose one of {', '.join(_DTYPES)}")
    if target not in TARGETS:
        raise GradcError(f"target {target} is not known; choose one of {', '.join(TARGETS)}")
    if threads > 1 and target != "numba":
        raise GradcError(f"threads are of the target numba; {target} has its own")
    known = known_sizes(program, sizes or {})
    return Prepared(hoist(program), shown, kind, TARGETS[target], known, inference, product, threads)


def _texts(program: Program) -> dict[Tensor, str]:
    """The formula of every equation; in a stack of layers that of any one layer."""
    layers = any(t.layers is not None for t in program.tensors)
    return layer_formulas(program) if layers else dict(formulas(program))


def _variable(program: Program, name: str) -> Tensor:
    found = next((t for t in program.declared if t.name == name), None)
    if found is None or found.dtype == "int" or found.kind == "const":
        raise GradcError(f"{name} is no variable of the model: there is no gradient by it")
    return found


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
