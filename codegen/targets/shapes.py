"""Shapes, extents and plain numbers as Python text.

In: a tensor and the identifiers of the extents. Out: text for the functions around kernels, and for what they draw.
"""

from __future__ import annotations

from typing import ClassVar

from codegen.targets.scalar import ScalarPrinter
from derive.program import Tensor


class Shapes(ScalarPrinter):
    """Shapes and the like as text, in the module's names."""

    functions: ClassVar[dict[str, str]] = {name: f"math.{name}" for name in ("sqrt", "exp", "log")}

    def axes(self, t: Tensor) -> str:
        return f"[{', '.join(self.integer(a) for a in t.axes)}]"

    def tuple(self, t: Tensor) -> str:
        inner = ", ".join(self.integer(a) for a in t.axes)
        return f"({inner},)" if t.rank == 1 else f"({inner})"

    def call(self, t: Tensor, batch: str | None) -> str:
        return f"lambda {batch or '_'}: {self.tuple(t)}"
