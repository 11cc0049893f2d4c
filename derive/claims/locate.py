"""Where a refuted line goes wrong: the simplest thing that, mended, makes it right.

In: a claim, the derivation and trial points. Out: a kind and a sentence. Each explanation is tested by numbers: the
mended line agrees at every point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from fractions import Fraction
from itertools import combinations, islice, product

import numpy as np

from derive.claims.cases import Cases
from derive.claims.edits import KINDS, Edit, Known, edits
from derive.claims.line import Line, nodes_of
from derive.claims.numbers import Trial, Trials, agrees
from derive.claims.reader import Claim, Reader
from derive.claims.truth import Kinks, Truth
from derive.errors import GradcError
from derive.expr import Access, Call, Expr, Mask, Num, Select, add, mul, negate, num, power
from derive.extract import extract
from derive.language import tree
from derive.language.tensors import Value
from derive.language.text import expression_text
from derive.normal import TooLargeError
from derive.notation import Notation
from derive.notation.index_text import IndexPrinter
from derive.program import Equation, Property, Tensor
from derive.rewrite import factors, terms, walk
from derive.shapes import show_axes

MAX_EDITS = 2000
# Promises that formulas silently rest on, the weaker ones first; the second entry says for which ranks.
PROMISES: tuple[tuple[str, Callable[[Tensor], bool]], ...] = (
    ("simplex", lambda t: t.rank > 0),
    ("symmetric", lambda t: t.rank == 2 and t.axes[0] == t.axes[1]),
    ("orthogonal", lambda t: t.rank == 2 and t.axes[0] == t.axes[1]),
    ("positive", lambda t: True),
    ("one_hot", lambda t: t.rank > 0),
    ("binary", lambda t: True),
)


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


def locate(case: Case) -> Reason:
    """The first explanation that holds."""
    if not case.claim.fits or (case.claim.expands and not agrees(case.claim, case.trials)):
        return _shape(case)
    tried = (_kink, _sign, _factor, _early_edits, _promise, _late_edits, _missing, _left, _cases, _difference)
    return next(r for r in (attempt(case) for attempt in tried) if r is not None)


def shapes(claim: Claim) -> str:
    """``dW is [d, h], the right side [h, d]``."""
    return f"{claim.line.name} is {show_axes(claim.axes)}, the right side {show_axes(claim.right_axes)}"


def _shape(case: Case) -> Reason:
    found = mended_by_edit(case.claim.line, case.reader, case.trials)
    if found is None:
        return Reason("shape", shapes(case.claim))
    return replace(found, words=f"{found.words} ({shapes(case.claim)})")


def _kink(case: Case) -> Reason | None:
    """Both sides agree at every random point."""
    if not agrees(case.claim, case.trials):
        return None
    if case.kinks is None:
        return Reason("kink", "at a kink only: it differs where numbers meet exactly (0, or a maximum reached twice)")
    return Reason("kink", f"at the kink only: both sides are equal except where {kink_text(case)}")


def kink_text(case: Case) -> str:
    """``Z[i,j] = 0; there gradc takes 0, the line dA[i,j]``."""
    assert case.kinks is not None
    mask = case.kinks.masks[0]
    number, x = (mask.left, mask.right) if isinstance(mask.left, Num) else (mask.right, mask.left)
    where = f"{_show(x, case)} = {_show(number, case)}"
    right, given = case.kinks.right, case.kinks.given
    if right is None or given is None or not (mask.letters | right.letters | given.letters) <= set(case.claim.letters):
        return where
    return f"{where}; there gradc takes {_show(extract(right), case)}, the line {_show(extract(given), case)}"


def _sign(case: Case) -> Reason | None:
    mended = replace(case.claim, right=mul(-1, case.claim.right))
    return Reason("sign", "the right side is the negative of what is right") if agrees(mended, case.trials) else None


def _factor(case: Case) -> Reason | None:
    """A ratio free of axes: which number times which extents."""
    claim, trial = case.claim, case.trials.first
    a, b = trial.value(claim.left, claim.letters), trial.value(claim.right, claim.right_letters)
    if a is None or b is None:
        return None
    usable = np.isfinite(a) & np.isfinite(b) & (np.abs(b) > 1e-9)
    if not np.any(usable):
        return None
    ratio = float(np.median(a[usable] / b[usable]))
    if not ratio or not np.allclose(a[usable], ratio * b[usable], rtol=1e-7, atol=1e-12):
        return None
    right = [f for f in _readings(ratio, case) if agrees(replace(claim, right=mul(f, claim.right)), case.trials)]
    if not right:
        return None
    # A number may be the size of an extent by chance; a proof tells them apart.
    proved = (f for f in right if case.truth.proof(claim.left, mul(f, claim.right)) is not None)
    return Reason("factor", f"the factor {_show(next(proved, right[0]), case)} is missing")


def _readings(ratio: float, case: Case) -> Iterator[Expr]:
    """The simple expressions in extents that a number may be, the simplest first."""
    dims = [d for d in case.truth.program.dims if d.derived is None]
    symbols: list[Expr] = [e for e in (case.reader.elab.names.get(d.name) for d in dims) if isinstance(e, Expr)]
    if case.truth.program.batch is not None:
        symbols.insert(0, case.truth.program.batch)
    options: list[tuple[int, Expr]] = []
    sizes = case.trials.first.sizes
    for exponents in product((0, 1, -1), repeat=min(len(symbols), 4)):
        scale = 1.0
        for e, x in zip(symbols, exponents, strict=False):
            scale *= float(sizes[repr(e)]) ** x
        number = Fraction(ratio / scale).limit_denominator(60)
        if number and abs(float(number) * scale - ratio) < 1e-7 * abs(ratio):
            weight = number.denominator + abs(number.numerator) + 3 * sum(map(abs, exponents))
            extents = [power(e, x) for e, x in zip(symbols, exponents, strict=False)]
            options.append((weight, mul(num(number), *extents)))
    return (e for _, e in sorted(options, key=lambda o: (o[0], o[1].key)))


# --- edits -----------------------------------------------------------------------------------------------

_EARLY = KINDS[: KINDS.index("kind of product") + 1]


def _early_edits(case: Case) -> Reason | None:
    return mended_by_edit(case.claim.line, case.reader, case.trials, lambda e: e.kind in _EARLY)


def _late_edits(case: Case) -> Reason | None:
    return mended_by_edit(case.claim.line, case.reader, case.trials, lambda e: e.kind not in _EARLY)


def mended_by_edit(
    line: Line, reader: Reader, points: Iterable[Trial], wanted: Callable[[Edit], bool] = lambda e: True
) -> Reason | None:
    """The first single edit of the right side with which the line agrees at every point."""
    found = (e for e in edits(line.right, known_to(reader, line)) if wanted(e))
    for e in islice(found, MAX_EDITS):
        try:
            claim = reader.claim(replace(line, right=e.node))
        except GradcError:
            continue
        if claim.fits and (claim.axes == claim.right_axes or not claim.right_axes) and agrees(claim, points):
            return Reason(e.kind, e.words, f"{expression_text(line.left)} = {expression_text(e.node)}")
    return None


def known_to(reader: Reader, line: Line) -> Known:
    """What may stand in an edit of a line."""
    values = {k: v for k, v in reader.elab.names.entries.items() if isinstance(v, Value) and k != line.name}
    integers = tuple(k for k, v in values.items() if v.labels is not None)
    used = {n.function.name for e in reader.program.equations for n in walk(e.body) if isinstance(n, Call)}
    used |= {n.function for n in nodes_of(line.right) if isinstance(n, tree.CallExpr)}
    functions = tuple(sorted(f for f in used if reader.elab.functions.find(f) is not None and not f.endswith("_prime")))
    return Known({k: v.axes for k, v in values.items()}, integers, functions, reader.letters(line))


# --- promises, factors and terms --------------------------------------------------------------------------


def _promise(case: Case) -> Reason | None:
    """A property that, were it promised, would make the line right."""
    for name, suits in PROMISES:
        for t in case.truth.program.declared:
            if t.dtype != "real" or t.kind == "const" or t.property(name) is not None or not suits(t):
                continue
            axes = range(t.rank) if name in ("simplex", "one_hot") else (None,)
            for axis in axes:
                if agrees(case.claim, case.promised(t, Property(name, axis))):
                    what = name if axis is None else f"{name}({axis})"
                    return Reason("missing assumption", f"it holds if {t.name} is {what}, which the model does not say")
    return None


def _missing(case: Case) -> Reason | None:
    """A factor, a term or a function of what is right that the line lacks."""
    claim = case.claim
    for whole in _forms(case):
        for call in dict.fromkeys(n for n in walk(whole) if isinstance(n, Call) and len(n.arguments) == 1):
            if agrees(replace(claim, right=Call(call.function, claim.right)), case.trials):
                return Reason("missing function", f"{call.function.name}(…) around the whole is missing")
        for f in _pieces(whole):
            if f.letters <= set(claim.letters) and agrees(replace(claim, right=mul(f, claim.right)), case.trials):
                return Reason("missing factor", f"the factor {_show(f, case)} is missing")
        for t in terms(whole):
            if agrees(replace(claim, right=add(t, claim.right)), case.trials):
                return Reason("missing term", f"the term {_show(t, case)} is missing")
    return None


def _left(case: Case) -> Reason | None:
    """The right side is right, but of another tensor."""
    claim, line = case.claim, case.claim.line
    if isinstance(line.right, tree.Name | tree.Number | tree.Index):
        return None
    values = {k: v for k, v in case.reader.elab.names.entries.items() if isinstance(v, Value) and k != line.name}
    alike = sorted(values.items(), key=lambda kv: -SequenceMatcher(None, kv[0], line.name).ratio())
    for name, value in alike:
        for left in _lefts(name, value, line):
            try:
                other = case.reader.claim(replace(line, left=left))
            except GradcError:
                continue
            if other.fits and not other.expands and agrees(other, case.trials):
                return Reason("wrong left side", f"it is what {expression_text(left)} is, not {claim.line.name}")
    return None


def _lefts(name: str, value: Value, line: Line) -> Iterator[tree.Expr]:
    """The tensor as a left side, its letters being some of those on the left."""
    if not isinstance(line.left, tree.Index):
        yield tree.Name(name)
        return
    for items in combinations(line.left.items, value.rank) if value.rank else ():
        yield tree.Index(tree.Name(name), items)


def _cases(case: Case) -> Reason | None:
    """One case of a choice is right, the other is not."""
    claim = case.claim
    chosen = next((n for n in walk(claim.right) if isinstance(n, Select) and n.letters <= set(claim.letters)), None)
    if chosen is None:
        return None
    there = {True: chosen.mask, False: negate(chosen.mask)}
    right = {k: _agrees_where(m, case) for k, m in there.items()}
    if right[True] == right[False]:
        return None
    wrong = there[right[False]]
    words = f"it is right where {_show(there[right[True]], case)[1:]}, and wrong where {_show(wrong, case)[1:]}"
    for _, own, _, normal in case.truth.depths(claim.left, claim.right):
        try:
            there_right = extract(Cases(normal).where(wrong, own))
        except TooLargeError:
            continue
        if sum(1 for _ in walk(there_right)) <= 40:
            return Reason("wrong case", f"{words}: there {_show(there_right, case)} is right")
        break
    return Reason("wrong case", words)


def _agrees_where(mask: Expr, case: Case) -> bool:
    claim = case.claim
    there = replace(claim, left=mul(mask, claim.left), right=mul(mask, claim.right))
    return agrees(there, case.trials)


def _forms(case: Case) -> Iterator[Expr]:
    for own in case.truth.definitions(case.claim.left):
        yield own
        normal = case.truth.normal(own)
        if normal is not None:
            yield normal
            yield extract(normal)


def _pieces(e: Expr) -> list[Expr]:
    """What may be a factor: factors, and the non-linear parts of factors."""
    inner = [n for n in walk(e) if isinstance(n, (Access, Mask)) or (n.args and n in factors(e))]
    return list(dict.fromkeys([*factors(e), *inner, *(power(n, -1) for n in factors(e) if not isinstance(n, Mask))]))


def _difference(case: Case) -> Reason | None:
    """What is left when the line is taken from what is right."""
    claim = case.claim
    for own in case.truth.definitions(claim.left):
        normal = case.truth.normal(add(own, mul(-1, claim.right)))
        if normal is None:
            continue
        try:
            rest = extract(normal)
        except TooLargeError:
            continue
        if len(terms(rest)) <= 2 and sum(1 for _ in walk(rest)) <= 40:
            return Reason("differs", f"what is right minus the line is {_show(rest, case)}")
    return Reason("differs", "no single slip explains it")


def _show(e: Expr, case: Case) -> str:
    """An expression over the claim's letters in index notation."""
    claim = case.claim
    derivation = case.truth.derivation
    style = Notation(derivation.raw if derivation is not None else case.truth.prepared).unicode
    left = Tensor(claim.line.name, tuple(a.extent for a in claim.letters))
    return IndexPrinter(style, Equation(left, claim.letters, e)).piece(e).text
