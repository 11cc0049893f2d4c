"""`verify-formula`: lines of the user's held against the derivation, each for itself.

In: a program and lines. Out: a `Verdict` for each line: proved, refuted with a witness and a reason, or agrees
numerically. A line is compared with the cotangents behind it as they truly are, so that an error is blamed where it was
made and not on the lines that build on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from derive.claims.case import Case, Reason
from derive.claims.kinks import points_at_kinks
from derive.claims.line import Line, Stated, bound_in, cotangents_named, read_line, scalars_of
from derive.claims.locate import locate, mended_by_edit
from derive.claims.numbers import POINTS, Trial, Trials, Witness, agrees, has_values, trial, witness
from derive.claims.reader import Claim, Reader
from derive.claims.truth import Kinks, Truth, with_promise
from derive.display import readable
from derive.errors import GradcError, NotSupportedYet, PlaceError, Source, SourceError
from derive.evaluate import run
from derive.expr import Access
from derive.language import tree
from derive.notation import Notation
from derive.points import fits, points, small_sizes
from derive.prepare import prepare
from derive.program import Equation, Program, Property, Tensor

T = TypeVar("T")
MORE = 12
_MOST = 30  # above it a size is no small prime but a default without which the model has no meaning
PROVED, REFUTED, AGREES = "proved", "refuted", "agrees numerically, not proved"
FOLLOWS, NOTED = "follows", "noted"


@dataclass(frozen=True)
class Verdict:
    """What is said of one line. ``reason`` says how it was proved, or what is wrong; ``witness`` where that shows.

    A line ``follows`` if it would be right were it not for a refuted line before it; a line is ``noted`` if it only
    gives a name to something. ``names`` are definitions of names that gradc gave and that the line mentions; ``where``
    is the place in a file.
    """

    line: str
    status: str
    reason: str
    kind: str | None = None
    witness: Witness | None = None
    names: tuple[str, ...] = ()
    where: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the line itself."""
        return self.status != REFUTED

    def __str__(self) -> str:
        shown = f"{self.status:<8}  {f'{self.where}: ' if self.where else ''}{self.line}"
        below = [self.reason, self.witness, *(f"with {name}" for name in self.names)]
        return "\n".join([shown, *(f"          {x}" for x in below if x)])


def verify_formulas(
    program: Program, lines: Iterable[str | Stated], *, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> list[Verdict]:
    """A verdict for each line, ``dW1 = X' @ dZ1`` or ``dW1[i,j] = …``; ``sizes`` and ``seed`` choose the points.

    Raises SourceError where a line cannot be read, GradcError where it speaks of what the model has not.
    """
    prepared = prepare(program)  # so that what gradc names can be spoken of
    stated = [s if isinstance(s, Stated) else Stated(s.strip(), Source(s.strip(), "<formula>")) for s in lines]
    return _Session(prepared, stated, _sizes(program, sizes or {}), seed).verdicts()


def _sizes(program: Program, given: Mapping[str, int]) -> dict[str, int]:
    """Distinct sizes from 3 on: an extent of 2 is easily taken for a number, and arrays of 2 are special by chance."""
    smallest = small_sizes(program, given)
    chosen = small_sizes(program, {k: v for k, v in smallest.items() if k in given or v > _MOST}, least=3)
    return chosen if fits(program, chosen) else smallest


def _truth(program: Program, lines: list[Line]) -> Truth:
    """The derivation; of a model that has none, for lines that need none, the forward equations."""
    try:
        return Truth(program, cotangents_named(program, lines, all_of_them=True))
    except GradcError:
        return Truth(program, cotangents_named(program, lines))


class _Session:
    """One derivation and one set of points for all lines."""

    def __init__(self, program: Program, stated: list[Stated], sizes: Mapping[str, int], seed: int) -> None:
        self.program, self.stated, self.sizes, self.seed = program, stated, sizes, seed
        scalars = scalars_of(program)
        lines = [self._placed(s, lambda s=s: read_line(s.text, scalars)) for s in stated]  # type: ignore[misc]
        self.truth = _truth(program, lines)
        self.reader = Reader(program, self.truth.cotangents)
        self.noted: dict[int, str] = {}
        self._drawn: tuple[tuple[Equation, ...], Trials] | None = None
        self.lines = self._with_own_names(lines)
        self.wrong: dict[Tensor, Claim] = {}
        self.alike: dict[str, bool] = {}

    def verdicts(self) -> list[Verdict]:
        claims = [self._claim(k) for k in range(len(self.lines))]
        self.truth.learn(self.reader.added)
        return [
            self._dressed(k, self._placed(self.stated[k], lambda k=k, c=c: self._answer(k, c)))  # type: ignore[misc]
            for k, c in enumerate(claims)
        ]

    def _placed(self, stated: Stated, made: Callable[[], T]) -> T:
        """What is made, errors told at the line's place."""
        try:
            return made()
        except SourceError as error:
            raise stated.error(error) from None

    def _dressed(self, k: int, verdict: Verdict) -> Verdict:
        """The verdict with what it takes to read it."""
        line, stated = self.lines[k], self.stated[k]
        defined, explained = self.program.defined, self.reader.explained(line) if verdict.status != NOTED else []
        hidden = [defined[t] for t in explained if t in defined and t.name != line.name]
        notation = Notation(self.program) if hidden else None
        names = tuple(notation.formula(readable(e, self.program)) for e in hidden) if notation is not None else ()
        where = None if stated.source.name.startswith("<") else f"{stated.source.name}:{stated.number}"
        return replace(verdict, names=names, where=where)

    def _with_own_names(self, lines: list[Line]) -> list[Line]:
        """Lines that only give a name to something are noted; later lines that mention it take it with them."""
        own: dict[str, Line] = {}
        out = []
        for k, line in enumerate(lines):
            wanted, stack = dict[str, Line](), [line]
            while stack:
                found = {n: own[n] for n in sorted(stack.pop().names) if n in own and n not in wanted}
                wanted.update(found)
                stack += found.values()
            wanted.pop(line.name, None)
            line = replace(line, definitions=(*line.definitions, *wanted.values()))
            out.append(line)
            if self._is_own(line, lines[k + 1 :]):
                own[line.name] = replace(line, definitions=())
                self.noted[k] = line.name
        return out

    def _is_own(self, line: Line, later: list[Line]) -> bool:
        """Whether the name on the left is the user's: later lines use it, and it is none of the model's or gradc's."""
        name = line.left.operand if isinstance(line.left, tree.Index) else line.left
        if not isinstance(name, tree.Name) or not any(name.name in other.names for other in later):
            return False
        if name.name not in self.reader.hidden:
            return self.reader.elab.names.get(name.name) is None
        claim = self._claimed(line)
        return isinstance(claim, SourceError) or not (claim.fits and agrees(claim, self.trials))

    @property
    def trials(self) -> Trials:
        """What is known by number; drawn once for all equations that are known so far."""
        if self._drawn is None or self._drawn[0] is not self.truth.equations:
            drawn = points(self.program, self.sizes, self.seed, lambda point: True)
            self._drawn = self.truth.equations, Trials(self.program, self.truth.equations, drawn, self.sizes)
        return self._drawn[1]

    def _claim(self, k: int) -> Claim | SourceError | None:
        if k in self.noted:
            self._placed(self.stated[k], lambda: self.reader.meaning(self.lines[k]))
            return None
        return self._claimed(self.lines[k])

    def _claimed(self, line: Line) -> Claim | SourceError:
        try:
            return self.reader.claim(line)
        except SourceError as error:
            return error

    def _answer(self, k: int, claim: Claim | SourceError | None) -> Verdict:
        if claim is None:
            return Verdict(self.lines[k].text, NOTED, f"{self.noted[k]} is a name of yours, for the lines below")
        if isinstance(claim, SourceError):
            return self._misfit(self.lines[k], claim)
        verdict = self._verdict(claim)
        if verdict.status != REFUTED:
            return verdict
        blamed = sorted({c.line.name for c in self.wrong.values()})
        if claim.fits and self._follows(claim):
            words = f"right if {' and '.join(blamed)} were as refuted above: mend that, then this"
            verdict = Verdict(verdict.line, FOLLOWS, words)
        left = claim.left
        if claim.fits and isinstance(left, Access) and left.places == claim.letters:
            self.wrong[left.tensor] = claim
        return verdict

    def _follows(self, claim: Claim) -> bool:
        """Whether the line is right where refuted lines before it are taken for true."""
        own = claim.left.tensor if isinstance(claim.left, Access) else None
        wrong = {t: c for t, c in self.wrong.items() if t is not own}
        if not wrong:
            return False
        return agrees(claim, (self._as_claimed(trial, wrong) for trial in islice(self.trials, 2 * POINTS)))

    def _as_claimed(self, trial: Trial, wrong: Mapping[Tensor, Claim]) -> Trial:
        """The trial as it would be, were the wrong lines right."""
        found = Trial(dict(trial.arrays), trial.sizes)
        changed = False
        for e in self.truth.equations:
            claim = wrong.get(e.out)
            if claim is not None:
                value = found.value(claim.right, claim.letters)
                if value is not None:
                    found.arrays[e.out], changed = value, True
            elif changed:
                run([e], found.arrays, found.sizes)
        return found

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
        loose = next((n for n in sorted(bound_in(line)) if re.search(rf"\b{n}\b", error.message)), None)
        if error.message.startswith("unknown name") and loose is not None:
            hint = f"{loose} has a meaning in its sum only, which ends at + and -, if and else: write brackets"
            raise SourceError(error.message, error.span, hint=hint)
        found = mended_by_edit(line, self.reader, self.trials)
        if found is None and isinstance(error, PlaceError):  # it may be right: its masks can keep the place inside
            raise error
        found = found or Reason("shape", "")
        words = "; ".join(w for w in (error.message, found.words) if w)
        return Verdict(line.text, REFUTED, str(replace(found, words=words)), found.kind)

    def _proof(self, claim: Claim) -> str | None:
        """By way of gradc's names where the line defines them alike, so that nothing need be unfolded; or without."""
        line = claim.line
        alike = {d.name for d in line.definitions if self._is_alike(d)}
        while wrong := {d.name for d in line.definitions if d.name in alike and d.names & (line.defined - alike)}:
            alike -= wrong
        if alike:
            named = self._claimed(replace(line, definitions=tuple(d for d in line.definitions if d.name not in alike)))
            proof = self.truth.proof(named.left, named.right) if isinstance(named, Claim) and named.fits else None
            if proof is not None:
                return proof
        return self.truth.proof(claim.left, claim.right)

    def _is_alike(self, definition: Line) -> bool:
        """Whether a definition of the line's own says what gradc means by that name, the names in it being gradc's."""
        if definition.name not in self.reader.hidden:
            return False
        if definition.text not in self.alike:
            claim = self._claimed(replace(definition, definitions=()))
            self.alike[definition.text] = (
                isinstance(claim, Claim)
                and claim.fits
                and agrees(claim, islice(self.trials, POINTS))
                and self.truth.proof(claim.left, claim.right) is not None
            )
        return self.alike[definition.text]

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
            proof = self._proof(claim)
            if proof is not None:
                return Verdict(text, PROVED, proof)
            left_there, right_there = map(self.truth.norms.meant, (claim.left, claim.right))
            kinks = self.truth.kinks(left_there, right_there)
            found = witness(replace(claim, left=left_there, right=right_there), self._at_kinks(kinks), poles=False)
            if found is None:
                return Verdict(text, AGREES, f"at {len(self.trials.known)} points to nine digits")
        else:
            found = witness(claim, self.trials) if claim.fits and not claim.expands else None
        reason: Reason = locate(Case(claim, self.truth, self.reader, self.trials, self._promised, kinks))
        return Verdict(text, REFUTED, str(reason), reason.kind, found)
