"""Targets: what a plan can be printed as. Each is a package with a printer and a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codegen.function import Function, Kernel, Setting, Update
from codegen.targets.numba import kernel as numba_kernel
from codegen.targets.numpy import kernel as numpy_kernel


@dataclass(frozen=True)
class Target:
    """``functions`` are the scalar functions that it has of its own; the rest makes text."""

    name: str
    template: str
    functions: Mapping[str, str]
    kernel: Callable[[Function, Setting], Kernel]
    epoch: Callable[[Kernel, Function, Update, Setting], Kernel]


TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target("numba", "numba/module.py.jinja", numba_kernel.FUNCTIONS, numba_kernel.kernel, numba_kernel.epoch),
        Target("numpy", "numpy/module.py.jinja", numpy_kernel.FUNCTIONS, numpy_kernel.kernel, numpy_kernel.epoch),
    )
}
