"""Sizes other than those under which a model was read: checked before anything is made for them.

In: a program and sizes of its independent dims. Out: the program with these defaults, or an error that says which
extent, constant or access breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from derive.errors import GradcError
from derive.expr import ONE
from derive.program import DimDecl, Program, Tensor
from derive.ranges import leaving
from derive.shapes import default_sizes, show_axes, show_extent, size


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
    check_sizes(out, default_sizes(out))
    return out


def check_sizes(program: Program, known: Mapping[str, int]) -> None:
    """Refuse sizes under which an extent is not positive, a constant does not fit, or an access leaves its axis."""
    for declared in program.dims:
        value = size(declared.derived, known) if declared.derived is not None else None
        if value is not None and (value < 1 or value.denominator != 1):
            raise GradcError(
                f"the extent {declared.name} = {show_extent(declared.derived or ONE)} is {value} with these sizes"
            )
    for tensor in program.tensors:
        _check_tensor(tensor, known, program.dims)
    for equation in program.equations:
        if equation.out.kind in ("cotangent", "tangent"):
            continue  # what is derived reads where the model reads, under masks that follow from it
        for access, axis, distance in leaving(equation.body, known):
            over = size(distance, known)
            if over is not None:
                shown = f"{access.tensor.name} {show_axes(access.tensor.axes, program.dims)}"
                have = size(access.tensor.axes[axis], known)
                raise GradcError(f"with these sizes {shown} is read {-over} past its axis of {have}")


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
