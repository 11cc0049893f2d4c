"""One claim and all that is known of it, and what is said of it in the end.

In: a claim, the derivation and trial points. Out: a kind and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from derive.claims.numbers import Trial, Trials
from derive.claims.reader import Claim, Reader
from derive.claims.truth import Kinks, Truth
from derive.program import Property, Tensor


@dataclass(frozen=True)
class Reason:
    """What is wrong with a line: the kind of slip, and a sentence; ``mended`` is the line put right, where known."""

    kind: str
    words: str
    mended: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}" + (f"; right is {self.mended}" if self.mended else "")


@dataclass(frozen=True, eq=False)
class Case:
    """All that is known of one claim. ``promised`` gives trial points at which a tensor keeps a further promise."""

    claim: Claim
    truth: Truth
    reader: Reader
    trials: Trials
    promised: Callable[[Tensor, Property], Iterator[Trial]]
    kinks: Kinks | None = None
