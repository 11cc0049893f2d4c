"""Where a refuted line goes wrong: the simplest thing that, mended, makes it right.

In: a claim, the derivation and trial points. Out: a kind and a sentence. Each explanation is tested by numbers: the
mended line agrees at every point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import combinations, islice

from derive.claims.case import Case, Reason
from derive.claims.edit import KINDS, Edit, Known
from derive.claims.edits import edits
from derive.claims.line import Line, nodes_of
from derive.claims.numbers import Trial, agrees
from derive.claims.reader import Claim, Reader
from derive.claims.remainder import cases, difference, factor, forms_of, kink_text, missing, pieces_of, ratio_of, show
from derive.errors import GradcError
from derive.expr import Access, Call, Expr, mul
from derive.language import tree
from derive.language.tensors import Value
from derive.language.text import expression_text
from derive.program import Property, Tensor
from derive.rewrite import substitute, walk
from derive.shapes import show_axes

MAX_EDITS = 1500
MAX_FIRST = 250  # edits after which a second slip is looked for
# Promises that formulas silently rest on, the weaker ones first; the second entry says for which ranks.
PROMISES: tuple[tuple[str, Callable[[Tensor], bool]], ...] = (
    ("simplex", lambda t: t.rank > 0),
    ("symmetric", lambda t: t.rank == 2 and t.axes[0] == t.axes[1]),
    ("orthogonal", lambda t: t.rank == 2 and t.axes[0] == t.axes[1]),
    ("positive", lambda t: True),
    ("one_hot", lambda t: t.rank > 0),
    ("binary", lambda t: True),
)


def locate(case: Case) -> Reason:
    """The first explanation that holds."""
    if not case.claim.fits or (case.claim.expands and not agrees(case.claim, case.trials)):
        return _shape(case)
    tried = (_kink, _sign, factor, _early_edits, _promise, _late_edits, missing, _left, cases, _two, difference)
    return next(r for r in (attempt(case) for attempt in tried) if r is not None)


def shapes(claim: Claim) -> str:
    """``dW is [d, h], the right side [h, d]``."""
    left, right = (show_axes(a) if a else "a number" for a in (claim.axes, claim.right_axes))
    return f"{claim.line.name} is {left}, the right side {right}"


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


def _sign(case: Case) -> Reason | None:
    mended = replace(case.claim, right=mul(-1, case.claim.right))
    return Reason("sign", "the right side is the negative of what is right") if agrees(mended, case.trials) else None


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
            return Reason(e.kind, e.words, _mended(line, e))
    return None


def _mended(line: Line, e: Edit) -> str:
    return f"{expression_text(line.left)} = {expression_text(e.node)}".replace("_prime(", "′(")


_ADDED = ("wrong operand", "missing factor", "missing term")


def _two(case: Case) -> Reason | None:
    """One edit, after which a number or an extent is missing, or another factor belongs in the place of one."""
    line = case.claim.line
    simple = (e for e in edits(line.right, known_to(case.reader, line)) if e.kind not in _ADDED)
    found = list(islice(simple, MAX_FIRST))
    pieces = list(dict.fromkeys(f for whole in forms_of(case) for f in pieces_of(whole)))
    free = [f for f in pieces if f.letters <= set(case.claim.letters)]
    for e in found:
        try:
            claim = case.reader.claim(replace(line, right=e.node))
        except GradcError:
            continue
        if not claim.fits or claim.expands:
            continue
        factor = ratio_of(replace(case, claim=claim))
        if factor is not None:
            return Reason(e.kind, f"{e.words}; besides, the factor {show(factor, case)} is missing")
        if e.kind == "extra factor":
            table: dict[Expr, Expr] = dict(zip(case.claim.letters, claim.letters, strict=True))
            for f in free:
                if agrees(replace(claim, right=mul(substitute(f, table), claim.right)), case.trials):
                    what = e.words.removesuffix(" is too much")
                    return Reason("wrong factor", f"{show(f, case)} belongs in the place of {what}")
    return None


def known_to(reader: Reader, line: Line) -> Known:
    """What may stand in an edit of a line."""
    values = {k: v for k, v in reader.elab.names.entries.items() if isinstance(v, Value) and k != line.name}
    integers = tuple(k for k, v in values.items() if v.labels is not None)
    used = {n.function.name for e in reader.program.equations for n in walk(e.body) if isinstance(n, Call)}
    used |= {n.function for n in nodes_of(line.right) if isinstance(n, tree.CallExpr)}
    functions = tuple(sorted(f for f in used if reader.elab.functions.find(f) is not None and not f.endswith("_prime")))
    calls = (n for e in reader.program.equations for n in walk(e.body) if isinstance(n, Call) and len(n.arguments) == 1)
    inner = [(n.function.name, n.arguments[0]) for n in calls]
    pairs = dict.fromkeys((f, a.tensor.name) for f, a in inner if isinstance(a, Access) and a.tensor.name in values)
    slopes = tuple(tree.CallExpr(f"{f}_prime", (tree.Argument(tree.Name(z)),)) for f, z in pairs)
    return Known({k: v.axes for k, v in values.items()}, integers, functions, slopes, reader.letters(line))


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
