"""Mathematics for people: matrix and index notation, Unicode, LaTeX, NumPy text and JSON.

In: a program and its equations. Out: text. Every name is given here, in `names`, and identity never rests on one.
"""

from derive.notation.as_json import to_json
from derive.notation.names import Names
from derive.notation.notation import FORMS, Notation, source_line
from derive.program import Equation, Program, Tensor

__all__ = ["FORMS", "Names", "Notation", "formula", "formulas", "source_line", "to_json"]


def formula(equation: Equation, program: Program, form: str = "matrix") -> str:
    """One equation in the notation of that name (see `FORMS`)."""
    return Notation(program).formula(equation, form)


def formulas(program: Program, form: str = "matrix") -> list[tuple[Tensor, str]]:
    """Every equation of a program in the notation of that name, in order."""
    return Notation(program).formulas(form)
