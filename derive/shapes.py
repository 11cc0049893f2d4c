"""Extents: integer polynomials in dims, compared, bounded, printed, and given sizes.

In: extents as `Expr` over `Dim`. Out: one expanded form, so that equal extents are equal expressions, and
programs with other default sizes. An axis *is* its polynomial: two dims never match, however large they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from derive.errors import GradcError
from derive.expr import ONE, Add, Dim, Expr, Letter, Mul, Num, Pow, add, mul, power
from derive.program import DimDecl, Program, Tensor
from derive.rewrite import accesses, terms, walk


def polynomial(e: Expr) -> Expr:
    """``e`` with products of sums multiplied out.

    >>> n = Dim("n"); polynomial((n + 1) * (n - 1)) == n**2 - 1
    True
    """
    if isinstance(e, Add):
        return add(*(polynomial(t) for t in e.args))
    if isinstance(e, Mul):
        out: Expr = ONE
        for factor in e.args:
            other = polynomial(factor)
            out = add(*(mul(a, b) for a in terms(out) for b in terms(other)))
        return out
    if isinstance(e, Pow) and isinstance(e.exponent, Num):
        base = polynomial(e.base)
        if not isinstance(base, Add):
            return power(base, e.exponent)
        out = ONE
        for _ in range(int(e.exponent.value)):
            out = polynomial(mul(out, base)) if isinstance(out, Num) else _product(out, base)
        return out
    return e


def _product(a: Expr, b: Expr) -> Expr:
    return add(*(mul(s, t) for s in terms(a) for t in terms(b)))


def size(extent: Expr, sizes: Mapping[str, int]) -> Fraction | None:
    """The number that an extent is under ``sizes``; None where a size is not known.

    >>> size(Dim("n") * 2 - 1, {"n": 5})
    Fraction(9, 1)
    """
    if isinstance(extent, Num):
        return extent.value
    if isinstance(extent, Dim):
        return Fraction(sizes[extent.name]) if extent.name in sizes else None
    parts = [size(c, sizes) for c in extent.children]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    if isinstance(extent, Add):
        return sum(known, Fraction(0))
    if isinstance(extent, Pow):
        return Fraction(known[0] ** int(known[1]))
    out = Fraction(1)
    for factor in known:
        out *= factor
    return out


def never_negative(e: Expr) -> bool:
    """Whether the polynomial is at least 0 for all dims that are at least 1 (a sufficient test).

    >>> never_negative(Dim("n") - 1), never_negative(Dim("n") - 2)
    (True, False)
    """
    dims = sorted({n.name for n in walk(e) if isinstance(n, Dim)})
    shifted = polynomial(_shift(e, dims))
    return all(_coefficient(t) >= 0 for t in terms(shifted))


def _shift(e: Expr, dims: Iterable[str]) -> Expr:
    if isinstance(e, Dim) and e.name in dims:
        return e + 1
    return e if isinstance(e, (Num, Dim)) else e.rebuild(tuple(_shift(c, dims) for c in e.children))


def _coefficient(term: Expr) -> Fraction:
    head = term.args[0] if isinstance(term, Mul) else term
    return head.value if isinstance(head, Num) else Fraction(1)


def show_extent(extent: Expr, dims: Iterable[DimDecl] = ()) -> str:
    """An extent as the user names it: a derived dim by its name, else the polynomial.

    >>> show_extent(2 * Dim("n") - 1)
    '2*n-1'
    """
    for declared in dims:
        if declared.derived == extent:
            return declared.name
    if isinstance(extent, Add):
        # terms in letters first: `n-k+1`
        shown = [show_extent(t) for t in sorted(extent.args, key=lambda t: (isinstance(t, Num), _coefficient(t) < 0))]
        return "".join(s if k == 0 or s.startswith("-") else f"+{s}" for k, s in enumerate(shown))
    if isinstance(extent, Mul):
        shown = [show_extent(f) for f in extent.args]
        return "-" + "*".join(shown[1:]) if shown[0] == "-1" else "*".join(shown)
    if isinstance(extent, Pow):
        return f"{show_extent(extent.base)}^{show_extent(extent.exponent)}"
    return repr(extent)


def show_axes(axes: Iterable[Expr], dims: Iterable[DimDecl] = ()) -> str:
    """Axes as they are written in a declaration: ``[n, d]``."""
    declared = tuple(dims)
    return "[" + ", ".join(show_extent(a, declared) for a in axes) + "]"


def default_sizes(program: Program) -> dict[str, int]:
    """The default of every independent dim that has one."""
    return {d.name: d.default for d in program.dims if d.default is not None}


def with_sizes(program: Program, sizes: Mapping[str, int]) -> Program:
    """The program with other defaults of independent dims; refused where an extent or an access breaks."""
    independent = {d.name for d in program.dims if d.derived is None}
    for name, value in sizes.items():
        if program.batch is not None and name == program.batch.name:
            raise GradcError(f"{name} is the batch axis: its extent is that of the data, not a size to set")
        if name not in independent:
            derived = any(d.name == name for d in program.dims)
            why = (
                "follows from others" if derived else f"is not declared; the dims are {', '.join(sorted(independent))}"
            )
            raise GradcError(f"the size {name} cannot be set: it {why}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise GradcError(f"the size {name} must be a positive integer, not {value!r}")
    dims = tuple(replace(d, default=sizes[d.name]) if d.name in sizes else d for d in program.dims)
    out = replace(program, dims=dims)
    check_sizes(out)
    return out


def check_sizes(program: Program) -> None:
    """Refuse sizes under which an extent is not positive, a constant does not fit, or an access leaves its axis."""
    known = default_sizes(program)
    for declared in program.dims:
        value = size(declared.derived, known) if declared.derived is not None else None
        if value is not None and (value < 1 or value.denominator != 1):
            raise GradcError(
                f"the extent {declared.name} = {show_extent(declared.derived or ONE)} is {value} with these sizes"
            )
    for tensor in program.tensors:
        _check_tensor(tensor, known, program.dims)
    for equation in program.equations:
        for access in accesses(equation.body):
            for place, axis in zip(access.places, access.tensor.axes, strict=True):
                extent = place.extent if isinstance(place, Letter) else place + 1
                if extent == axis or not _only_dims(extent):
                    continue
                need, have = size(extent, known), size(axis, known)
                if need is not None and have is not None and need > have:
                    shown = f"{access.tensor.name} {show_axes(access.tensor.axes, program.dims)}"
                    raise GradcError(f"with these sizes {shown} is read at {need - 1}, past its axis of {have}")


def _check_tensor(tensor: Tensor, known: Mapping[str, int], dims: tuple[DimDecl, ...]) -> None:
    values = tensor.values
    for axis in tensor.axes:
        value = size(axis, known)
        if value is not None and (value < 1 or value.denominator != 1):
            raise GradcError(f"an axis of {tensor.name} {show_axes(tensor.axes, dims)} is {value} with these sizes")
        if isinstance(values, (list, tuple)):
            if value is not None and value != len(values):
                raise GradcError(
                    f"the constant {tensor.name} has {len(values)} entries along {show_extent(axis, dims)} = {value}"
                )
            values = values[0] if values else None


def _only_dims(e: Expr) -> bool:
    return all(isinstance(n, (Num, Dim, Add, Mul, Pow)) for n in walk(e))
