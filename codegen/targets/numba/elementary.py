"""Elementary functions as vector code: what the template `elementary.py.jinja` fills in.

In: the text of a module's kernels and its precision. Out: which functions they call, and the numbers of their
algorithms. No number is typed in: polynomials are Chebyshev fits of series, made here in high precision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np

from codegen.common import ELEMENTARY

_CALL = re.compile(r"\b_(\w+)\(")
_PRECISION = 160  # bits in which numbers are made


@dataclass(frozen=True)
class Elementary:
    """The functions to print, and for their precision: names of types, bits of the fraction, numbers as text."""

    names: tuple[str, ...]
    real: str
    unsigned: str
    fraction: int
    bias: int
    numbers: dict[str, str]
    exp: tuple[str, ...]
    exp2: tuple[str, ...]
    log: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        return self.numbers[name]

    def magic(self, exponent: int) -> str:
        """Added and subtracted it rounds to an integer k; between the two the last bits are k + ``exponent``."""
        return (_single if self.real == "float32" else _double)(mpmath.mpf(3 * 2 ** (self.fraction - 1) + exponent))

    def bits(self, value: int) -> str:
        """A pattern of bits; what is negative counts from above."""
        return f"np.{self.unsigned}(0x{value % 2 ** (8 * np.dtype(self.unsigned).itemsize):X})"

    def pattern(self, value: float) -> int:
        """The bits of a number."""
        return int(np.dtype(self.real).type(value).view(self.unsigned))


def elementary(lines: Iterable[str], dtype: str) -> Elementary | None:
    """What is printed before kernels of these lines; nothing where they call no such function."""
    called = {name for line in lines for name in _CALL.findall(line)}
    names = tuple(name for name in ELEMENTARY if name in called)
    return _made(names, dtype) if names else None


@cache
def _made(names: tuple[str, ...], dtype: str) -> Elementary:
    single = dtype == "float32"
    fraction, bias = (23, 127) if single else (52, 1023)
    text = _single if single else _double
    with mpmath.workprec(_PRECISION):
        ln2 = mpmath.log(2)
        kept = fraction - 8 if single else fraction - 11  # so that k ln 2 has no rounding for any exponent k
        high = mpmath.ldexp(mpmath.nint(mpmath.ldexp(ln2, kept)), -kept)
        numbers = {
            "log2e": 1 / ln2,
            "ln2_high": high,
            "ln2_low": ln2 - high,
            "2log2e": 2 / ln2,
            "ln2/2": ln2 / 2,  # rounded: k of it count less than tanh is flat
            "lowest": mpmath.floor(-(bias + fraction) * ln2),  # eˣ is 0 from here
            "highest": mpmath.ceil((bias + 1) * ln2),  # and infinite from here
            "vanishing": -mpmath.ceil((fraction + 4) * ln2),  # eˣ − 1 is −1 from here
            "saturated": mpmath.ceil((fraction + 4) * ln2 / 2),  # tanh is 1 from here
            "tiny": mpmath.ldexp(1, -fraction - 2),  # f(x) is x up to here
            "smallest": mpmath.ldexp(1, 1 - bias),  # what is smaller is denormal
            "lift": mpmath.ldexp(1, fraction + 2),
            "fraction": mpmath.mpf(fraction + 2),
            "counter": mpmath.ldexp(1, fraction) + bias,
        }
        exp = coefficients(_exponential, -ln2 / 2, ln2 / 2, 5 if single else 10)
        log = coefficients(_logarithm, mpmath.mpf(0), (3 - 2 * mpmath.sqrt(2)) ** 2, 3 if single else 7)
    shown = {k: text(v) for k, v in numbers.items()}
    twice = [c * 2 ** (k + 1) for k, c in enumerate(exp)]  # (e²ʳ − 1)/2 = r + r² P(r)
    return Elementary(names, dtype, "uint32" if single else "uint64", fraction, bias, shown,
                      *(tuple(map(text, some)) for some in (exp, twice, log)))  # fmt: skip


def coefficients(
    function: Callable[[mpmath.mpf], mpmath.mpf], first: mpmath.mpf, last: mpmath.mpf, count: int
) -> list[mpmath.mpf]:
    """The polynomial near a function on an interval, lowest power first.

    It meets the function at Chebyshev's points, which is within a small factor of the best there is.
    """
    points = [(first + last + (last - first) * mpmath.cospi((mpmath.mpf(k) + 0.5) / count)) / 2 for k in range(count)]
    powers = mpmath.matrix(count, count)
    for i, x in enumerate(points):
        for k in range(count):
            powers[i, k] = x**k
    return list(mpmath.lu_solve(powers, mpmath.matrix([function(x) for x in points])))


def _exponential(r: mpmath.mpf) -> mpmath.mpf:
    """(eʳ − 1 − r)/r², by its series."""
    return mpmath.fsum(r**k / mpmath.factorial(k + 2) for k in range(40))


def _logarithm(z: mpmath.mpf) -> mpmath.mpf:
    """P where log((1 + s)/(1 − s)) = 2 s + s z P(z), z = s², by its series."""
    return mpmath.fsum(2 * z**k / (2 * k + 3) for k in range(60))


def _double(value: mpmath.mpf) -> str:
    return repr(float(value))


def _single(value: mpmath.mpf) -> str:
    return f"real({np.float32(float(value))!s})"
