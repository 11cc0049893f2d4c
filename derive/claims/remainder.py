"""What a wrong line lacks: a factor, a term, a function, the other case; else the difference.

In: a claim, the derivation and trial points. Out: a `Reason`, tested by numbers, or None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np

from derive.claims.case import Case, Reason
from derive.claims.cases import Cases, told
from derive.claims.numbers import agrees
from derive.expr import Access, Add, Call, Expr, Mask, Num, Select, add, mul, negate, num, power
from derive.extract import extract
from derive.language import tree
from derive.normal import TooLargeError
from derive.notation import Notation
from derive.notation.index_text import IndexPrinter
from derive.program import Equation, Tensor
from derive.rewrite import factors, terms, walk


def ratio_of(case: Case) -> Expr | None:
    """By what the right side is too small everywhere, in numbers and extents."""
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
    return next(proved, right[0])


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


def missing(case: Case) -> Reason | None:
    """A factor, a term or a function of what is right that the line lacks."""
    claim = case.claim
    for whole in forms_of(case):
        for call in dict.fromkeys(n for n in walk(whole) if isinstance(n, Call) and len(n.arguments) == 1):
            if agrees(replace(claim, right=Call(call.function, claim.right)), case.trials):
                return Reason("missing function", f"{call.function.name}(…) around the whole is missing")
        for f in pieces_of(whole):
            if f.letters <= set(claim.letters) and agrees(replace(claim, right=mul(f, claim.right)), case.trials):
                return Reason("missing factor", f"the factor {show(f, case)} is missing")
    for whole in forms_of(case):
        for t in terms(whole):
            if agrees(replace(claim, right=add(t, claim.right)), case.trials):
                return Reason("missing term", f"the term {show(t, case)} is missing")
    return None


def cases(case: Case) -> Reason | None:
    """One case of a choice is right, the other is not."""
    claim = case.claim
    found = (n for n in walk(claim.right) if isinstance(n, Select) and n.letters <= set(claim.letters))
    chosen = next((n for n in found if _is_met(n.mask, case) and _is_met(negate(n.mask), case)), None)
    if chosen is None:
        return None
    there = {True: chosen.mask, False: negate(chosen.mask)}
    right = {k: _agrees_where(m, case) for k, m in there.items()}
    if right[True] == right[False]:
        return None
    wrong = there[right[False]]
    words = f"it is right where {show(there[right[True]], case)[1:]}, and wrong where {show(wrong, case)[1:]}"
    for _, own, _, normal in case.truth.depths(claim.left, claim.right):
        try:
            there_right = extract(Cases(normal).where(wrong, own))
        except TooLargeError:
            continue
        if there_right.size <= 40:
            return Reason("wrong case", f"{words}: there {show(there_right, case)} is right")
        break
    return Reason("wrong case", words)


def _is_met(mask: Expr, case: Case) -> bool:
    """Whether a condition holds at some entry of some point; one that numbers meet exactly does not."""
    found = (t.value(mask, case.claim.letters) for t in case.trials)
    return any(a is not None and bool(np.any(a)) for a in found)


def _agrees_where(mask: Expr, case: Case) -> bool:
    claim = case.claim
    there = replace(claim, left=mul(mask, claim.left), right=mul(mask, claim.right))
    return agrees(there, case.trials)


def forms_of(case: Case) -> Iterator[Expr]:
    """What the left side is, as the chain rule gives it and shorter."""
    for own, _ in case.truth.definitions(case.claim.left, case.claim.right):
        yield own
        normal = case.truth.normal(own)
        if normal is not None:
            yield normal
            yield extract(normal)


def pieces_of(e: Expr) -> list[Expr]:
    """What may be a factor: factors, and the non-linear parts of factors."""
    inner = [n for n in walk(e) if isinstance(n, (Access, Mask)) or (n.args and n in factors(e))]
    return list(dict.fromkeys([*factors(e), *inner, *(power(n, -1) for n in factors(e) if not isinstance(n, Mask))]))


def difference(case: Case) -> Reason | None:
    """What is left when the line is taken from what is right."""
    claim = case.claim
    for own, other in case.truth.definitions(claim.left, claim.right):
        normal = case.truth.normal(add(own, mul(-1, other)))
        if normal is None:
            continue
        try:
            rest = extract(case.truth.normal(told(normal)) or normal)
        except TooLargeError:
            continue
        if len(terms(rest)) == 1 and rest.size <= 20 and not any(map(_mixed, walk(rest))):
            return Reason("missing term", f"the term {show(rest, case)} is missing")
        if len(terms(rest)) <= 2 and rest.size <= 40:
            return Reason("differs", f"what is right minus the line is {show(rest, case)}")
    return Reason("differs", "no single slip explains it")


def _mixed(e: Expr) -> bool:
    """A sum of several things, which 1 − y is not: who lacks that has made more than one slip."""
    return isinstance(e, Add) and sum(not isinstance(t, Num) for t in e.args) > 1


def show(e: Expr, case: Case) -> str:
    """An expression over the claim's letters in index notation."""
    claim = case.claim
    derivation = case.truth.derivation
    style = Notation(derivation.raw if derivation is not None else case.truth.program).unicode
    left = Tensor(claim.line.name, tuple(a.extent for a in claim.letters))
    printer = IndexPrinter(style, Equation(left, claim.letters, case.truth.norms.printed(e)))
    if isinstance(claim.line.left, tree.Index):  # the letters that the user wrote; others make room for them
        own = {a: a.hint for a in claim.letters}
        taken = set(own.values())
        others = {a: f"{n}′" if n in taken else n for a, n in printer.letters.items() if a not in own}
        printer.letters = {**others, **own}
    return printer.piece(e).text


def kink_text(case: Case) -> str:
    """``Z[i,j] = 0; there gradc takes 0, the line dA[i,j]``."""
    assert case.kinks is not None
    mask = case.kinks.masks[0]
    number, x = (mask.left, mask.right) if isinstance(mask.left, Num) else (mask.right, mask.left)
    where = f"{show(x, case)} = {show(number, case)}"
    right, given = case.kinks.right, case.kinks.given
    if right is None or given is None or not (mask.letters | right.letters | given.letters) <= set(case.claim.letters):
        return where
    return f"{where}; there gradc takes {show(extract(right), case)}, the line {show(extract(given), case)}"


def factor(case: Case) -> Reason | None:
    """A ratio free of axes: which number times which extents."""
    found = ratio_of(case)
    return None if found is None else Reason("factor", f"the factor {show(found, case)} is missing")
