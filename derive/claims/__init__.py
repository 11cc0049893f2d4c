"""Formulas that a person claims, held against the derivation: proved, refuted, or agreeing by number only.

In: a program, lines such as ``dW1 = X' @ dZ1``, and a source of points. Out: verdicts.
"""

from derive.claims.line import Stated, formulas_in
from derive.claims.numbers import Witness
from derive.claims.verify import AGREES, FOLLOWS, NOTED, PROVED, REFUTED, Verdict, verify_formulas

__all__ = [
    "AGREES",
    "FOLLOWS",
    "NOTED",
    "PROVED",
    "REFUTED",
    "Stated",
    "Verdict",
    "Witness",
    "formulas_in",
    "verify_formulas",
]
