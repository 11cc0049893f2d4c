"""A number that all terms of a sum share, written once: ``2 (x − a)`` for ``2 x − 2 a``.

In: a matrix form. Out: an equal one. Expressions hand such a number to the terms, so that sums collect; a reader
wants it back in front, or below one fraction line.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from derive import forms
from derive.forms import Form


def with_common_numbers(form: Form) -> Form:
    """The form with the number that all terms of a sum share in front of it.

    >>> from derive.program import Tensor
    >>> x, a = (forms.leaf(Tensor(t, ()), ()) for t in "xa")
    >>> two = lambda f: forms.Scale(None, None, (forms.number(2), f))
    >>> found = with_common_numbers(forms.Sum(None, None, (two(x), forms.Negative(None, None, (two(a),)))))
    >>> type(found).__name__, found.parts[0].value, len(found.parts[1].parts)
    ('Scale', Fraction(2, 1), 2)
    """
    form = replace(form, parts=tuple(map(with_common_numbers, form.parts)))
    if isinstance(form, forms.Product) and not form.is_scalar:
        return forms.product(*form.parts)  # a number found in a factor goes in front of all
    if not isinstance(form, forms.Sum):
        return form
    split = [_split(p) for p in form.parts]
    shared = abs(split[0][0])
    if shared == 1 or any(abs(c) != shared for c, _ in split):
        return form
    sign = -1 if all(c < 0 for c, _ in split) else 1
    inside: Form = replace(form, parts=tuple(_signed(sign * c, rest) for c, rest in split))
    if shared.numerator != 1:
        inside = forms.Scale(form.row, form.col, (forms.number(shared.numerator), inside))
    if shared.denominator != 1:
        inside = forms.Quotient(form.row, form.col, (inside, forms.number(shared.denominator)))
    return _signed(Fraction(sign), inside)


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
