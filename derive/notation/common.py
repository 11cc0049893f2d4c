"""A number that all terms of a sum share, written once: ``2 (x − a)`` for ``2 x − 2 a``.

In: a matrix form. Out: an equal one. Expressions hand such a number to the terms, so that sums collect; a reader
wants it back in front, or below one fraction line.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from derive import forms
from derive.assemble import spread
from derive.forms import Form


def with_common_numbers(form: Form, *, diagonals: bool = False) -> Form:
    """The form with the number that all terms of a sum share in front of it.

    A matrix that all terms share stands outside where that takes no more operations, and with ``diagonals``, as in
    Jacobians, also beside a diagonal matrix less an outer product: (diag(p) − p pᵀ) A.

    >>> from derive.program import Tensor
    >>> x, a = (forms.leaf(Tensor(t, ()), ()) for t in "xa")
    >>> two = lambda f: forms.Scale(None, None, (forms.number(2), f))
    >>> found = with_common_numbers(forms.Sum(None, None, (two(x), forms.Negative(None, None, (two(a),)))))
    >>> type(found).__name__, found.parts[0].value, len(found.parts[1].parts)
    ('Scale', Fraction(2, 1), 2)
    """
    form = replace(form, parts=tuple(with_common_numbers(p, diagonals=diagonals) for p in form.parts))
    if isinstance(form, forms.Product) and not form.is_scalar:
        return forms.product(*map(_upright, form.parts))  # a number found in a factor goes in front of all
    if isinstance(form, forms.Scale):
        return replace(form, parts=(*spread(form.parts[:-1]), form.parts[-1]))
    if not isinstance(form, forms.Sum):
        return form
    form = replace(form, parts=tuple(_flat(form)))
    split = [_split(p) for p in form.parts]
    shared = abs(split[0][0])
    if shared == 1 or any(abs(c) != shared for c, _ in split):
        return with_common_factors(form, diagonals=diagonals)
    sign = -1 if all(c < 0 for c, _ in split) else 1
    terms = tuple(_signed(sign * c, rest) for c, rest in split)
    inside = with_common_factors(replace(form, parts=terms), diagonals=diagonals)
    if shared.denominator != 1 and isinstance(inside, forms.Product):
        return _signed(Fraction(sign), forms.Scale(form.row, form.col, (forms.number(shared), inside)))
    if shared.numerator != 1:
        inside = forms.Scale(form.row, form.col, (forms.number(shared.numerator), inside))
    if shared.denominator != 1:
        inside = forms.Quotient(form.row, form.col, (inside, forms.number(shared.denominator)))
    return _signed(Fraction(sign), inside)


def _upright(form: Form) -> Form:
    """A factor −A − B as −(A + B)."""
    if not isinstance(form, forms.Sum) or not all(isinstance(p, forms.Negative) for p in form.parts):
        return form
    return forms.Negative(form.row, form.col, (replace(form, parts=tuple(p.parts[0] for p in form.parts)),))


def _flat(form: Form) -> list[Form]:
    """The terms of a sum and of sums in it, those with a minus last."""
    inside, sign = (form.parts[0], -1) if isinstance(form, forms.Negative) else (form, 1)
    if not isinstance(inside, forms.Sum):
        return [form]
    found = [t for p in inside.parts for t in _flat(p)]
    if sign < 0:
        found = [t.parts[0] if isinstance(t, forms.Negative) else forms.Negative(t.row, t.col, (t,)) for t in found]
    return sorted(found, key=lambda t: isinstance(t, forms.Negative))


def with_common_factors(form: forms.Sum, *, diagonals: bool = False) -> Form:
    """A B + A C as A (B + C): a matrix that all terms begin or end with, in front of or behind them."""
    if form.is_scalar:
        return form
    split = [_split(p) for p in form.parts]
    if not all(isinstance(rest, forms.Product) for _, rest in split):
        return form
    chains = [list(rest.parts) for _, rest in split]
    vectors = any(p.col is None for c in chains for p in c[:-1])
    if diagonals and any(isinstance(p, forms.Diag) for c in chains for p in c):
        vectors = False
    before, after = list[Form](), list[Form]()
    for end, shared in ((0, before), (-1, after)):
        while all(len(c) > 1 and forms.same(c[end], chains[0][end]) for c in chains) and forms.is_matrix(
            chains[0][end]
        ):
            shared.append(chains[0][end])
            for c in chains:
                del c[end]
    if not before and not after:
        return form
    if vectors and not (before and after):
        return form  # X b aᵀ + X a bᵀ takes fewer operations than X (b aᵀ + a bᵀ)
    row = before[-1].col if before else form.row
    col = after[-1].row if after else form.col
    inside = []
    sign = Fraction(-1 if all(scale < 0 for scale, _ in split) else 1)
    for (scale, _), chain in zip(split, chains, strict=True):
        table = {chain[0].row: row, chain[-1].col: col}
        inside.append(_scaled(sign * scale, forms.renamed(forms.product(*chain), table)))
    return _signed(sign, forms.product(*before, forms.Sum(row, col, tuple(inside)), *reversed(after)))


def _scaled(scale: Fraction, form: Form) -> Form:
    made = form if abs(scale) == 1 else forms.Scale(form.row, form.col, (forms.number(abs(scale)), form))
    return _signed(scale, made)


def _signed(sign: Fraction, form: Form) -> Form:
    return form if sign > 0 else forms.Negative(form.row, form.col, (form,))


def _split(form: Form) -> tuple[Fraction, Form]:
    """A form as number times rest."""
    match form:
        case forms.Number() if form.value:
            return form.value, forms.number(1)
        case forms.Negative() | forms.Broadcast():
            scale, rest = _split(form.parts[0])
            return (-scale, rest) if isinstance(form, forms.Negative) else (scale, replace(form, parts=(rest,)))
        case forms.Quotient():
            (above, top), (below, bottom) = map(_split, form.parts)
            return above / below, top if bottom == forms.number(1) else replace(form, parts=(top, bottom))
        case forms.Scale() | forms.Hadamard():
            pairs = [_split(p) for p in form.parts]
            scale = Fraction(1)
            for c, _ in pairs:
                scale *= c
            *front, last = (r for _, r in pairs)
            kept = [r for r in front if r != forms.number(1)]
            if not (form.is_scalar and kept and last == forms.number(1)):
                kept.append(last)
            return scale, replace(form, parts=tuple(kept)) if len(kept) > 1 else kept[0]
    return Fraction(1), form
