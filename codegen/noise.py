"""Noise and states in emitted code: what is drawn, and what a training step leaves behind.

In: a tensor with a distribution. Out: the expression that draws it from NumPy's generator ``rng``, which emitted Python
and compiled code both understand. The start of parameters is drawn in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codegen.function import Function, Setting
from codegen.naming import Names
from codegen.targets.numpy.printer import NumpyPrinter
from codegen.targets.shapes import Shapes
from derive.expr import Expr
from derive.functions import Parameter
from derive.language.rules import KEPT
from derive.program import Program, Tensor
from derive.rewrite import walk
from derive.starts import distribution

_DRAWS = {
    "constant": "np.full({shape}, {0})",
    "normal": "{rng}.normal({0}, {1}, {shape})",
    "uniform": "{rng}.uniform({0}, {1}, {shape})",
    "bernoulli": "{rng}.random({shape}) < {0}",
}


def drawn(t: Tensor, program: Program, shapes: Shapes, rng: str = "rng", shape: str | None = None) -> str:
    """The expression that draws ``t``, of its own shape if no other is given."""
    kind, arguments = distribution(program, t)
    if kind == "own":
        return _own(arguments[0], shapes, shape or shapes.tuple(t), rng)
    return _DRAWS[kind].format(*(shapes.real(a) for a in arguments), shape=shape or shapes.tuple(t), rng=rng)


def _own(e: Expr, shapes: Shapes, shape: str, rng: str) -> str:
    """An expression in draws, each of them drawn once."""
    printer = NumpyPrinter(Names(), shapes.extents)
    drawn = sorted({x.name for x in walk(e) if isinstance(x, Parameter)}, reverse=True)
    printer.parameters = {name: name for name in drawn}
    given = [{"z": f"{rng}.standard_normal({shape})", "u": f"{rng}.random({shape})"}[name] for name in drawn]
    return f"(lambda {', '.join(drawn)}: {printer.real(e)})({', '.join(given)})"


def row(t: Tensor, program: Program, shapes: Shapes, rng: str, dtype: str) -> str:
    """The same inside of compiled code: an array of type ``dtype``, or a number."""
    text = drawn(t, program, shapes, rng, None if t.rank else "(1,)")
    return f"({text}).astype({dtype})" + ("" if t.rank else "[0]")


def next_states(
    function: Function, setting: Setting, theta: str, state: Mapping[str, str], names: Names
) -> Iterator[str]:
    """The lines that put the next values of states, which the function gave, beside the parameters.

    ``state`` is that of the optimizers: a running average of the parameters has the states as they are.
    """
    vectors = (theta, *(name for s, name in state.items() if s == KEPT))
    slices = {s.tensor: s for s in setting.slices}
    for kept, after in setting.program.updates:
        if after in function.outputs:
            start, size = slices[kept].offset, slices[kept].size
            flat = f"{names.tensor(after)}.ravel()" if kept.rank > 1 else names.tensor(after)
            yield from (f"{vector}[{start}:{start + size}] = {flat}" for vector in vectors)
