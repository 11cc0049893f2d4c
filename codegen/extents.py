"""How large things are where a choice depends on it: sizes as far as they are known, a usual one for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive.expr import Letter
from derive.shapes import size

LEAST = 512  # multiplications that are worth a call
FAR = 4  # how many times larger an operand is than what it is made of
NEAR = 1 << 16  # numbers that stay in a cache
USUAL = 64  # an extent that is not known


def volume(letters: Iterable[Letter], sizes: Mapping[str, int]) -> int:
    """How many elements a tensor with these letters has."""
    total = 1
    for x in letters:
        known = size(x.extent, sizes)
        total *= USUAL if known is None else int(known)
    return total
