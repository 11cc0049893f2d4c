"""One transposition for those of all operands: (x − a)ᵀ for xᵀ − aᵀ, (Y − X W)ᵀ for Yᵀ − Wᵀ Xᵀ.

In: a matrix form, transpositions at its leaves. Out: an equal one, where they stand behind what is made element by
element of transposed operands alone.
"""

from __future__ import annotations

from dataclasses import replace

from derive import forms
from derive.forms import Form

_MADE = (forms.Sum, forms.Hadamard, forms.Power, forms.Apply, forms.Share)
_CARRIED = (forms.Negative, forms.Scale, forms.Quotient)


def upright(form: Form) -> Form:
    """The form with transpositions outside of sums and other element-wise nodes.

    >>> from derive.expr import Dim, fresh
    >>> from derive.program import Tensor
    >>> n = Dim("n"); k = fresh(n)
    >>> x, a = (forms.leaf(Tensor(t, (n,)), (k,)) for t in "xa")
    >>> minus = forms.Negative(None, k, (forms.transpose(a),))
    >>> found = upright(forms.Sum(None, k, (forms.transpose(x), minus)))
    >>> type(found).__name__, found.parts[0].parts[0] == x
    ('Transpose', True)
    """
    form = replace(form, parts=tuple(map(upright, form.parts)))
    if not isinstance(form, _MADE) or form.is_scalar:
        return form
    turned = _turned(form)
    return form if turned is None else forms.Transpose(form.row, form.col, (turned,))


def _turned(form: Form) -> Form | None:
    """The transposed form, where that takes a transposition off every operand; else None."""
    if form.is_scalar:
        return form
    if isinstance(form, forms.Transpose):
        return form.parts[0]
    if isinstance(form, forms.Broadcast) and not form.parts[0].is_scalar:
        return None
    if not isinstance(form, (*_MADE, *_CARRIED, forms.Product, forms.Broadcast)):
        return None
    parts = [_turned(p) for p in form.parts]
    found = tuple(p for p in parts if p is not None)
    if len(found) < len(parts) or not any(isinstance(p, forms.Transpose) for p in forms.walk(form)):
        return None
    if isinstance(form, forms.Product):
        return replace(form, row=form.col, col=form.row, parts=found[::-1])
    if isinstance(form, forms.Share):
        return replace(form, row=form.col, col=form.row, parts=found, over=None if form.over is None else 1 - form.over)
    return replace(form, row=form.col, col=form.row, parts=found)
