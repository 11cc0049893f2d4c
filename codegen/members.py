"""Stacks of layers as callers see them: every member by its own name, in text whose length is that of one.

In: a parameter, or a stack of them. Out: entries of dictionaries and names in lists, `"b": …` or
`**{f"W{layer}": … for layer in range(1, 13)}`. Members of a stack are neighbours in the flat vector.
"""

from __future__ import annotations

from collections.abc import Iterable

from codegen.targets.text import quoted
from derive.program import Tensor
from derive.repeat.members import plain

LAYER = "_layer"  # no name of a model begins so


def single(t: Tensor) -> Tensor:
    """A member of a stack, as to its shape; any other tensor is itself."""
    return t if t.layers is None else t.like(axes=t.axes[1:], layers=None)


def key(t: Tensor) -> str:
    """The name of a parameter, or of the member number ``_layer``, as Python text.

    >>> key(Tensor("b", ())), key(Tensor("W", (), layers=(1, 3)))
    ('"b"', 'f"W{_layer}"')
    """
    return quoted(t.name) if t.layers is None else f'f"{plain(t.name, "{" + LAYER + "}")}"'


def rounds(t: Tensor) -> str:
    """``for _layer in range(1, 4)``."""
    assert t.layers is not None
    first, count = t.layers
    return f"for {LAYER} in range({first}, {first + count})"


def entry(t: Tensor, value: str) -> str:
    """An entry of a dictionary, ``value`` under the name of each member."""
    return f"{key(t)}: {value}" if t.layers is None else f"**{{{key(t)}: {value} {rounds(t)}}}"


def offset(t: Tensor, start: int, size: int) -> str:
    """Where a parameter begins in the flat vector; for a member by its number.

    >>> offset(Tensor("W", (), layers=(2, 3)), 30, 15)
    '20 + 5 * _layer'
    """
    if t.layers is None:
        return str(start)
    first, count = t.layers
    step = size // count
    base = start - first * step
    return f"{base} + {step} * {LAYER}" if base else f"{step} * {LAYER}"


def listed(tensors: Iterable[Tensor]) -> str:
    """A list of names, those of all members included."""
    return f"[{', '.join(key(t) if t.layers is None else f'*({key(t)} {rounds(t)})' for t in tensors)}]"
