"""What a layer of the catalogue is declared by: the text of a block, and a sentence about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class LayerDecl:
    r"""A block in the model language; ``about`` says what it is, in words.

    >>> LayerDecl("twice(x)", "y = 2 * x\nreturn y", "twice its input").text
    'block twice(x)\n  y = 2 * x\n  return y\nend'
    """

    head: str
    body: str
    about: str

    @cached_property
    def name(self) -> str:
        """What it is called."""
        return self.head.partition("(")[0]

    @cached_property
    def text(self) -> str:
        """The block."""
        lines = [f"  {line.strip()}" for line in self.body.strip().splitlines()]
        return "\n".join([f"block {self.head}", *lines, "end"])
