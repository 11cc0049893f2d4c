"""How a derived scheme is set out: loops over the layers, forwards and backwards.

In: equations with their texts and the repetition that each stands in. Out: lines, those of a repetition below its
heading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive.expr import Expr
from derive.program import Equation, Tensor
from derive.repeat.scheme import Repeat
from derive.shapes import show_extent


def heading(repeat: Repeat, *, latex: bool = False) -> str:
    """``for l = L−1, …, 1``."""
    ends = (repeat.last, repeat.first) if repeat.descending else (repeat.first, repeat.last)
    if latex:
        return rf"for ${repeat.letter} = {show_extent(ends[0])}, \dots, {show_extent(ends[1])}$"
    return f"for {repeat.letter} = {plain_index(ends[0])}, …, {plain_index(ends[1])}"


def plain_index(e: Expr) -> str:
    """An index with a proper minus sign."""
    return show_extent(e).replace("-", "−")


def grouped(lines: Iterable[tuple[Equation, str]], loops: Mapping[Tensor, Repeat], indent: str = "  ") -> list[str]:
    """The lines in order, each run of lines of one repetition below its heading."""
    out: list[str] = []
    around: Repeat | None = None
    for equation, text in lines:
        here = loops.get(equation.out)
        if here is not None and here is not around:
            out.append(f"{heading(here)}:")
        around = here
        out += [(indent if here is not None else "") + line for line in text.splitlines()]
    return out
