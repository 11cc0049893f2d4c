"""Declarations: dims, inputs, targets, parameters and constants, with their promises and initializers.

In: the syntax of a declaration. Out: a `DimDecl` or a `Tensor`, or an error that says what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from derive.errors import NotSupportedYet, SourceError, Span
from derive.expr import ZERO, Dim, Expr, Num
from derive.language import tree
from derive.language.arguments import axis_of, bind
from derive.language.expressions import Elaborator
from derive.language.families import full_name
from derive.language.initializers import initializer
from derive.language.names import suggest
from derive.language.tensors import element, of_tensor
from derive.language.vocabulary import exact
from derive.numeric import named_constant
from derive.program import DimDecl, Initializer, Program, Property, Tensor, reads
from derive.repeat.members import base_and_offset
from derive.repeat.scheme import DimFamily
from derive.shapes import show_axes, show_extent, size
from derive.starts import distribution


@dataclass(frozen=True)
class Promise:
    """A property of data: its argument (an ``axis``, an ``extent`` or nothing); whether it wants a square."""

    argument: str = ""
    square: bool = False


PROMISES = {
    "one_hot": Promise("axis"),
    "simplex": Promise("axis"),
    "labels": Promise("extent"),
    "binary": Promise(),
    "signs": Promise(),
    "positive": Promise(),
    "counts": Promise(),
    "symmetric": Promise(square=True),
    "posdef": Promise(square=True),
    "diagonal": Promise(square=True),
    "orthogonal": Promise(square=True),
}


_KEPT = {"param": "parameter", "state": "state"}  # what is kept from step to step
_DRAWN = {**_KEPT, "noise": "noise"}  # and what a distribution is written for


def plain_name(name: tree.Name, what: str) -> str:
    """The name, which must not be that of a family's member."""
    if name.index is not None:
        raise SourceError(f"{what} is no member of a family ({name.name}{{…}})", name.span)
    return name.name


def declare_widths(elab: Elaborator, item: tree.DimItem) -> DimFamily:
    """A family of dims: ``n{0..L} = [784, 30, 10]``, independent extents, one for each layer."""
    assert item.family is not None
    name, span = item.name.name, item.span or item.name.span
    first, last = (elab.extent(e) for e in item.family)
    for index, node in zip((first, last), item.family, strict=True):
        if base_and_offset(index) is None:
            raise SourceError(f"{show_extent(index)} is no layer", node.span or span)
    if not isinstance(item.value, tree.ListExpr):
        raise SourceError(f"the widths {name} are a list", span, hint=f"write {name}{{0..L}} = [784, 30, 10]")
    sizes = [exact(i, elab.names) for i in item.value.items]
    bad = next((i for i, v in zip(item.value.items, sizes, strict=True) if v.denominator != 1 or v < 1), None)
    if bad is not None:
        raise SourceError("a width is an integer, at least 1", bad.span or span)
    elab.names.check_new(name, span)
    elab.names.define(name, ZERO, span)
    elab.names.widths.add(name)
    return DimFamily(name, first, last, tuple(int(v) for v in sizes), span)


def declare_dim(elab: Elaborator, item: tree.DimItem) -> DimDecl:
    """One entry of ``dims``: independent, or derived from others."""
    name, span = plain_name(item.name, "an extent"), item.span or item.name.span
    elab.names.check_new(name, span)
    extent = None if item.value is None else elab.extent(item.value)
    value = None if extent is None else size(extent, elab.sizes)
    if value is not None and value < 1:
        raise SourceError(f"the extent {name} is {value}; an extent is at least 1", span)
    if extent is None or isinstance(extent, Num):
        declared = DimDecl(name, None if value is None else int(value), span=span)
        elab.names.define(name, Dim(name), span)
    else:
        declared = DimDecl(name, derived=extent, span=span)
        elab.names.define(name, extent, span)
    elab.dims.append(declared)
    return declared


def shape(elab: Elaborator, nodes: tuple[tree.Expr, ...] | None) -> tuple[Expr, ...]:
    """The axes of a declaration."""
    axes = []
    for node in nodes or ():
        extent = elab.extent(node)
        value = size(extent, elab.sizes)
        if value is not None and value < 1:
            raise SourceError(
                f"the extent {show_extent(extent, elab.dims)} is {value}; an extent is at least 1", node.span
            )
        axes.append(extent)
    return tuple(axes)


def declare(elab: Elaborator, node: tree.Declaration) -> Tensor:
    """An ``input``, ``target``, ``param``, ``state`` or ``noise``."""
    name, span = full_name(elab.names, node.name), node.name.span or node.span
    elab.names.check_new(name, span)
    axes = shape(elab, node.shape)
    tensor = elab.families.define(name, Tensor(name, axes, node.kind, span=span))
    kept = _KEPT.get(node.kind)
    if kept is not None and elab.batch is not None and any(_mentions(a, elab.batch) for a in axes):
        raise SourceError(
            f"the {kept} {name} {show_axes(axes, elab.dims)} has the batch axis {elab.batch.name}",
            span,
            hint=f"the batch changes from step to step; a {kept} does not",
        )
    tensor.properties = _promises(elab, node, tensor)
    if tensor.property("labels"):
        tensor.dtype = "int"
    tensor.bounds = _bounds(elab, node)
    tensor.init = _initializer(elab, node, name)
    elab.names.define(name, of_tensor(tensor, dims=tuple(elab.dims)), span)
    return tensor


def _mentions(e: Expr, dim: Dim) -> bool:
    return e == dim or any(_mentions(c, dim) for c in e.children)


def _promises(elab: Elaborator, node: tree.Declaration, tensor: Tensor) -> tuple[Property, ...]:
    found: list[Property] = []
    for call in node.properties:
        span = call.span or node.span
        if call.function == "frozen":
            _freeze(call, tensor, span)
            continue
        promise = PROMISES.get(call.function)
        if promise is None:
            hint = suggest(call.function, PROMISES) or f"the properties are {', '.join(PROMISES)}"
            raise SourceError(f"unknown property {call.function}", span, hint=hint)
        if node.kind in _DRAWN:
            why = " until constrained gradients exist" if promise.square and node.kind == "param" else ""
            raise SourceError(
                f"{call.function} is a promise about data; a {_DRAWN[node.kind]} is not given it{why}",
                span,
                hint="bounds of a parameter are written: in a..b" if node.kind == "param" else None,
            )
        if any(p.name == call.function for p in found):
            raise SourceError(f"{call.function} stands twice", span)
        found.append(_promise(elab, call, promise, tensor, span))
    return tuple(found)


def _freeze(call: tree.CallExpr, tensor: Tensor, span: Span | None) -> None:
    """``frozen``: a parameter that is not trained."""
    bind(call, ())
    if tensor.kind != "param":
        raise SourceError(f"frozen is for parameters, and {tensor.name} is none", span)
    if tensor.frozen:
        raise SourceError("frozen stands twice", span)
    tensor.frozen = True


def _promise(elab: Elaborator, call: tree.CallExpr, promise: Promise, tensor: Tensor, span: Span | None) -> Property:
    value = of_tensor(tensor, dims=tuple(elab.dims))
    if promise.square and (tensor.rank != 2 or tensor.axes[0] != tensor.axes[1]):
        raise SourceError(f"{call.function} needs a square matrix, the same axis twice; {value.show()} is not", span)
    if promise.argument == "extent":
        extent = elab.extent(bind(call, ("classes",))["classes"])
        if elab.batch is not None and _mentions(extent, elab.batch):
            raise SourceError(
                f"{call.function} takes an extent that is known when the code is built; {elab.batch.name} is the batch",
                span,
            )
        return Property(call.function, extent=extent)
    if not promise.argument:
        bind(call, ())
        return Property(call.function)
    given = bind(call, (), ("axis",)).get("axis")
    if given is not None:
        return Property(call.function, axis=axis_of(elab.extent(given), value, given.span or span))
    others = [k for k, a in enumerate(tensor.axes) if a != elab.batch]
    if not others:
        raise SourceError(
            f"{call.function} speaks of an axis of classes, and {value.show()} has none",
            span,
            hint="integer class numbers are declared labels(c)",
        )
    return Property(call.function, axis=others[-1])


def _bounds(elab: Elaborator, node: tree.Declaration) -> tuple[Fraction | None, Fraction | None] | None:
    if node.bounds is None:
        return None
    if node.kind in _DRAWN and node.kind != "param":
        span = node.bounds[0].span or node.span
        raise SourceError(f"bounds are for parameters and data, {node.name.name} is a {node.kind}", span)
    ends = node.bounds[0], node.bounds[1]
    signs = [_infinite(end, elab) for end in ends]
    low, high = (None if sign else exact(end, elab.names) for end, sign in zip(ends, signs, strict=True))
    if signs[0] > 0 or signs[1] < 0 or (low is not None and high is not None and low > high):
        left, right = (("", "inf", "-inf")[sign] or str(b) for sign, b in zip(signs, (low, high), strict=True))
        raise SourceError(f"the bounds {left}..{right} hold nothing", ends[0].span or node.span)
    return low, high


def _infinite(end: tree.Expr, elab: Elaborator) -> int:
    """1 for ``inf``, -1 for ``-inf``, 0 for anything else, such as an ``inf`` of the model's own."""
    if isinstance(end, tree.Unary) and end.op == "-":
        return -_infinite(end.operand, elab)
    return int(isinstance(end, tree.Name) and end.name == "inf" and "inf" not in elab.names.entries)


def _initializer(elab: Elaborator, node: tree.Declaration, name: str) -> Initializer | None:
    call = node.initializer
    if node.kind not in _DRAWN:
        if call is None:
            return None
        raise SourceError(f"an initializer is for parameters, {name} is data", call.span or node.span)
    if call is None and node.kind == "noise":
        hint = f"noise {name} ~ normal(0, 1), or bernoulli(p), or uniform(a, b)"
        raise SourceError(f"the noise {name} does not say how it is drawn", node.span, hint=hint)
    if call is None:
        where = f"{node.span}: " if node.span is not None else ""
        what = f"{_KEPT[node.kind]} {name}"
        elab.notices.append(f"{where}the {what} has no initializer and starts at zero; write ~ zeros()")
        return Initializer("zeros")
    start = initializer(elab, call)
    if node.kind == "noise" and distribution(Program(""), Tensor(name, (), init=start))[0] == "own":
        raise NotSupportedYet(f"noise drawn by {call.function}", call.span or node.span)
    return start


def declare_const(elab: Elaborator, node: tree.ConstDecl) -> Tensor | None:
    """A ``const``: a number has its name or stands for itself, as an expression in dims does; a list is a tensor."""
    elab.names.check_new(node.name, node.span)
    if not isinstance(node.value, tree.ListExpr):
        if node.shape:
            raise SourceError(
                f"the constant {node.name} has a shape, so its value is a list", node.value.span or node.span
            )
        elab.names.define(node.name, named_constant(node.name, _scalar_const(elab, node)), node.span)
        return None
    values = _entries(elab, node.value)
    lengths = _lengths(values, node.value.span or node.span)
    axes = shape(elab, node.shape) if node.shape is not None else tuple(Num(Fraction(k)) for k in lengths)
    known = [size(a, elab.sizes) for a in axes]
    if len(axes) != len(lengths) or any(k is not None and k != n for k, n in zip(known, lengths, strict=True)):
        shown = ", ".join(map(str, lengths))
        raise SourceError(f"{node.name} is declared {show_axes(axes, elab.dims)}, and the list is [{shown}]", node.span)
    tensor = Tensor(node.name, axes, "const", values=values, span=node.span)
    elab.names.define(node.name, of_tensor(tensor, dims=tuple(elab.dims)), node.span)
    return tensor


def _scalar_const(elab: Elaborator, node: tree.ConstDecl) -> Expr:
    value = elab.value(node.value)
    body = element(value) if not value.rank else None
    if body is None or reads(body):
        raise SourceError(
            f"a constant is a number, an expression in dims, or a list; {value.text} is none",
            node.value.span or node.span,
            hint=f"drop the word const: {node.name} = …",
        )
    return body


def _entries(elab: Elaborator, node: tree.Expr) -> Any:
    if isinstance(node, tree.ListExpr):
        return tuple(_entries(elab, i) for i in node.items)
    return exact(node, elab.names)


def _lengths(values: Any, span: Span | None) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        return ()
    inner = {_lengths(v, span) for v in values}
    if len(inner) != 1:
        raise SourceError("the rows of the list differ in length", span)
    return (len(values), *inner.pop())
