"""Numbers as they are written and the exact fractions that they are.

One value has one canonical spelling, so that ``1e-3`` in a file and ``0.001`` in Python are the same model.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from derive.errors import GradcError

MAX_DIGITS = 400
_WRITTEN = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


def literal_value(text: str) -> Fraction:
    """The exact value of a literal of the language.

    >>> literal_value("2.50e-1")
    Fraction(1, 4)
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise GradcError(f"`{text}` is not a number: {literal_hint(text)}")
    if len(text) > MAX_DIGITS:
        raise GradcError(f"a number has at most {MAX_DIGITS} characters, this one {len(text)}")
    if not (written[1] + (written[2] or "")).strip("0"):
        return Fraction(0)
    near = float(text)
    if math.isinf(near):
        raise GradcError(f"`{text}` is beyond float64, whose largest number is about 1.8e308")
    if near == 0.0:
        raise GradcError(f"`{text}` is below float64, whose smallest positive number is about 5e-324")
    return Fraction(text)


def literal_text(value: Fraction) -> str | None:
    """The canonical literal of a number that is not negative; None where no finite decimal is equal to it.

    >>> [literal_text(Fraction(t)) for t in ("784", "1e-3", "0.50", "2.5e-7", "1e21", "1/3")]
    ['784', '0.001', '0.5', '2.5e-7', '1e21', None]
    """
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1 or value < 0:
        return None
    places = max(twos, fives)
    digits = str(value.numerator * 10**places // value.denominator)
    significant = digits.rstrip("0") or "0"
    exponent = len(digits) - 1 - places  # of the first digit, in scientific notation
    if significant != "0" and (exponent >= 16 or exponent < -4):
        point = "." if len(significant) > 1 else ""
        return f"{significant[0]}{point}{significant[1:]}e{exponent}"
    if places == 0:
        return digits
    digits = digits.zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}"


def literal_hint(text: str) -> str:
    """The right spelling of something that was meant as a number."""
    if re.fullmatch(r"0[xXbBoO][0-9A-Fa-f_]+", text):
        return f"write it in decimal, `{int(text, 0)}`" if _readable(text) else "write it in decimal"
    if re.fullmatch(r"[0-9.]+(_[0-9]+)+", text):
        return f"write `{text.replace('_', '')}`, without `_`"
    if re.fullmatch(r"[0-9]+\.", text):
        return f"write `{text}0` or `{text[:-1]}`: a digit stands after the point"
    if re.fullmatch(r"[0-9.]+[eE][+-]?", text):
        return "an exponent needs digits, as in `1e-3`"
    product = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z][A-Za-z0-9_]*)", text)
    if product:
        return f"write a product with its sign, `{product[1]}*{product[2]}`"
    return "a number is digits, with a point and digits, and an exponent, as in `2.5e-3`"


def _readable(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return len(text) <= 20
