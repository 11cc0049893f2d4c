"""Noise and states in emitted code: what is drawn, and what a training step leaves behind.

In: a tensor with a distribution. Out: the expression that draws it from NumPy's generator ``rng``, which emitted Python
and compiled code both understand. The start of parameters is drawn in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator

from codegen.function import Function, Setting
from codegen.naming import Names
from codegen.targets.shapes import Shapes
from derive.library.initializers import distribution
from derive.program import Program, Tensor

_DRAWS = {
    "constant": "np.full({shape}, {0})",
    "normal": "{rng}.normal({0}, {1}, {shape})",
    "uniform": "{rng}.uniform({0}, {1}, {shape})",
    "bernoulli": "{rng}.random({shape}) < {0}",
}


def drawn(t: Tensor, program: Program, shapes: Shapes, rng: str = "rng", shape: str | None = None) -> str:
    """The expression that draws ``t``, of its own shape if no other is given."""
    kind, arguments = distribution(program, t)
    return _DRAWS[kind].format(*(shapes.real(a) for a in arguments), shape=shape or shapes.tuple(t), rng=rng)


def row(t: Tensor, program: Program, shapes: Shapes, rng: str, dtype: str) -> str:
    """The same inside of compiled code: an array of type ``dtype``, or a number."""
    text = drawn(t, program, shapes, rng, None if t.rank else "(1,)")
    return f"({text}).astype({dtype})" + ("" if t.rank else "[0]")


def next_states(function: Function, setting: Setting, theta: str, names: Names) -> Iterator[str]:
    """The lines that put the next values of states, which the function gave, into the parameters' vector."""
    slices = {s.tensor: s for s in setting.slices}
    for state, after in setting.program.updates:
        if after in function.outputs:
            start, size = slices[state].offset, slices[state].size
            flat = f"{names.tensor(after)}.ravel()" if state.rank > 1 else names.tensor(after)
            yield f"{theta}[{start}:{start + size}] = {flat}"
