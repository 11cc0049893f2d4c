"""`verify-formula`: lines of the user's held against the derivation, each for itself.

In: a program and lines. Out: a `Verdict` for each line: proved, refuted with a witness and a reason, or agrees
numerically. A line is compared with the cotangents behind it as they truly are, so that an error is blamed where it was
made and not on the lines that build on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice

from derive.claims.kinks import points_at_kinks
from derive.claims.line import Line, cotangents_named, read_line, scalars_of
from derive.claims.locate import Case, Reason, locate, mended_by_edit
from derive.claims.numbers import Trial, Trials, Witness, agrees, has_values, trial, witness
from derive.claims.reader import Claim, Reader
from derive.claims.truth import Kinks, Truth, with_promise
from derive.errors import GradcError, NotSupportedYet, SourceError
from derive.points import points, small_sizes
from derive.prepare import prepare
from derive.program import Program, Property, Tensor

MORE = 12
_MOST = 30  # above it a size is no small prime but a default without which the model has no meaning
PROVED, REFUTED, AGREES = "proved", "refuted", "agrees numerically, not proved"


@dataclass(frozen=True)
class Verdict:
    """What is said of one line. ``reason`` says how it was proved, or what is wrong; ``witness`` where that shows."""

    line: str
    status: str
    reason: str
    kind: str | None = None
    witness: Witness | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the line."""
        return self.status != REFUTED

    def __str__(self) -> str:
        shown = f"{self.status:<8}  {self.line}"
        return "\n".join([shown, *(f"          {x}" for x in (self.reason, self.witness) if x)])


def verify_formulas(
    program: Program, lines: Iterable[str], *, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> list[Verdict]:
    """A verdict for each line, ``dW1 = X' @ dZ1`` or ``dW1[i,j] = …``; ``sizes`` and ``seed`` choose the points.

    Raises SourceError where a line cannot be read, GradcError where it speaks of what the model has not.
    """
    prepared = prepare(program)  # so that what gradc names can be spoken of
    read = [read_line(line, scalars_of(prepared)) for line in lines]
    return _Session(prepared, read, _sizes(program, sizes or {}), seed).verdicts()


def _sizes(program: Program, given: Mapping[str, int]) -> dict[str, int]:
    """Distinct primes from 3 on: an extent of 2 is easily taken for a number, and arrays of 2 are special by chance."""
    smallest = small_sizes(program, given)
    larger = {k: v for k, v in smallest.items() if k in given or v > _MOST}
    primes = (p for p in count(3, 2) if all(p % q for q in range(3, p)) and p not in larger.values())
    ordered = sorted((v, k) for k, v in smallest.items() if k not in larger)
    return small_sizes(program, {**larger, **{k: p for (_, k), p in zip(ordered, primes, strict=False)}})


class _Session:
    """One derivation and one set of points for all lines."""

    def __init__(self, program: Program, lines: list[Line], sizes: Mapping[str, int], seed: int) -> None:
        self.program, self.lines, self.sizes, self.seed = program, lines, sizes, seed
        self.truth = Truth(program, cotangents_named(program, lines))
        self.reader = Reader(program, self.truth.cotangents)

    def verdicts(self) -> list[Verdict]:
        claims = [self._claim(line) for line in self.lines]
        self.truth.learn(self.reader.added)
        drawn = points(self.program, self.sizes, self.seed, lambda point: True)
        self.trials = Trials(self.program, self.truth.equations, drawn, self.sizes)
        return [
            self._misfit(line, c) if isinstance(c, SourceError) else self._verdict(c)
            for line, c in zip(self.lines, claims, strict=True)
        ]

    def _claim(self, line: Line) -> Claim | SourceError:
        try:
            return self.reader.claim(line)
        except SourceError as error:
            return error

    def _at_kinks(self, kinks: Kinks | None) -> Iterator[Trial]:
        """Trials where numbers meet exactly, those first that the difference of both sides asks for."""
        masks = [] if kinks is None else kinks.masks
        for point in points_at_kinks(masks, self.truth, self.program, self.trials.first):
            yield trial(self.program, self.truth.equations, point, self.sizes)

    def _promised(self, tensor: Tensor, promise: Property) -> Iterator[Trial]:
        """Many points, for small arrays may keep another promise by chance; drawn as far as they are asked for."""
        promised = Tensor(tensor.name, tensor.axes, tensor.kind, (promise,))
        drawn = points(with_promise(self.program, tensor, promised), self.sizes, self.seed, lambda point: True)
        for point in islice(drawn, MORE):
            yield trial(self.program, self.truth.equations, point, self.sizes)

    def _misfit(self, line: Line, error: SourceError) -> Verdict:
        """A line that has no meaning as it stands: refuted where one edit gives it one that is right."""
        if isinstance(error, NotSupportedYet) or not self.reader.knows(line):
            raise error
        found = mended_by_edit(line, self.reader, self.trials) or Reason("shape", "")
        words = "; ".join(w for w in (error.message, found.words) if w)
        return Verdict(line.text, REFUTED, str(replace(found, words=words)), found.kind)

    def _verdict(self, claim: Claim) -> Verdict:
        text, kinks = claim.line.text, None
        left, right = has_values(claim, self.trials)
        if not left:
            raise GradcError(f"{claim.line.name} is finite at none of the points tried: nothing can be said of it")
        if not right:
            return Verdict(
                text, REFUTED, "undefined: the right side is finite at none of the points tried", "undefined"
            )
        if claim.fits and agrees(claim, self.trials):
            proof = self.truth.proof(claim.left, claim.right)
            if proof is not None:
                return Verdict(text, PROVED, proof)
            kinks = self.truth.kinks(claim.left, claim.right)
            found = witness(claim, self._at_kinks(kinks))
            if found is None:
                return Verdict(text, AGREES, f"at {len(self.trials.known)} points to nine digits")
        else:
            found = witness(claim, self.trials) if claim.fits and not claim.expands else None
        reason: Reason = locate(Case(claim, self.truth, self.reader, self.trials, self._promised, kinks))
        return Verdict(text, REFUTED, str(reason), reason.kind, found)
