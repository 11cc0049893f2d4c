"""Formulas as gradc prints them, as text of the language: ``dA ⊙ relu′(Z)``, ``Xᵀ dZ``, ``Σ_n X[n,d] dZ[n,h]``.

In: a line in Unicode or ASCII. Out: a line that the grammar knows. Signs are replaced one by one; factors side by side
become a product, of matrices in a line of matrices, of numbers in a line of indices.
"""

from __future__ import annotations

import re
from itertools import pairwise

from derive.claims.elaborate import MATRIX_POWER
from derive.claims.numpy_text import from_numpy

_SIGNS = {
    "−": "-",
    "ᵀ": "'",
    "⊤": "'",
    "·": "*",
    "⋅": "*",
    "⊙": "*",
    "×": "*",
    "⊘": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}
_SIGNS |= {"∘": ""}
INVERSE = "⟂"  # behind a matrix, within this module
RAISED = "⇑"  # in front of an exponent that was raised without a ring, within this module
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_LOWERED = "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ"
_OPERATOR = re.compile(r"(Σ|\b(?:max|min|prod|argmax|argmin))_(?:\{([^{}]*)\}|([A-Za-z][A-Za-z0-9]*_*))(?=[ \[(])")
POSITION = re.compile(r"(argmax|argmin)__(\w+)")  # how a binder says that a place is asked for, not a value
_REDUCTION = re.compile(r"(?:sum|mean|max|min|prod)\[[^\[\]]*\]")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\{[^{}]*\})?")
_NUMBER = re.compile(r"[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?")
_EXPONENT = re.compile("-?[0-9]+")
_BETWEEN = frozenset(("if", "else", "and", "or", "not"))
_CLOSING = {"(": ")", "[": "]"}


def plain(text: str, scalars: frozenset[str] = frozenset()) -> str:
    """The line in the language; unchanged where it is in the language already. ``scalars`` names tensors of rank 0.

    >>> plain("dZ = dA ⊙ relu′(Z)"), plain("dw = (2/n) Xᵀ X w", frozenset({"n"}))
    ('dZ = dA * relu_prime(Z)', "dw = ((2/n) * X' @ X @ w)")
    >>> plain("dW[d,h] = Σ_n X[n,d] dZ[n,h]")
    'dW[d,h] = sum[n] (X[n,d] * dZ[n,h])'
    """
    text = re.sub(r"\b([A-Za-z][A-Za-z0-9_]*)\{(\d+)\}", r"\1\2", text)  # one layer of a family: Z{2}
    text = from_numpy(text).replace("″", "′′").replace("π", "pi")
    text = re.sub(r"\bvec⁻¹(?=\()", "unvec", text)
    text = re.sub("(?<!∘)⁻([¹ᵀ])(?![⁰¹²³⁴⁵⁶⁷⁸⁹])", lambda m: INVERSE + ("'" if m[1] == "ᵀ" else ""), text)
    text = re.sub(f"(∘?)([{''.join(_RAISED)}]+)", _raised, text)
    text = re.sub(r"([A-Za-z0-9_])′(?=\()", r"\1_prime", text)
    text = re.sub("′+", lambda m: "_" * len(m[0]), text)  # a letter beside another over the same axis
    text = re.sub("1[" + _LOWERED + "]", "1", text)
    text = re.sub(rf"‖([^‖]*)‖(?:_F)?[\^{RAISED}]2", r"sum((\1)^2)", text)
    text = re.sub(r"‖([^‖]*)‖(?:_F)?", r"norm(\1)", text)
    text = re.sub(r"\|([^|]*)\|", r"(abs(\1))", text)
    text = _OPERATOR.sub(_reduction, text)
    text = re.sub(r"Σ(?=\()", "sum", text)
    text = re.sub(r"\btr(?=\()", "trace", text)
    text = re.sub(r"√([A-Za-z0-9_]+(?:\[[^\[\]]*\])?)", r"sqrt(\1)", text).replace("√", "sqrt")
    text = "".join(_SIGNS.get(c, c) for c in text)
    indexed = "[" in text.partition("=")[0] or _REDUCTION.search(text) is not None
    rewritten = _Products(text, "*" if indexed else "@", scalars | {"pi"})
    line = rewritten.level("")
    return line if rewritten.changed else text


def _raised(match: re.Match[str]) -> str:
    """An exponent; of a square matrix one without a ring is the power of the matrix, X² for X X."""
    exponent = "".join(_RAISED[c] for c in match[2])
    return f"{'^' if match[1] else RAISED}{exponent}"


def _reduction(match: re.Match[str]) -> str:
    """``sum[n]`` for Σ_n; ``max[argmax__d]`` for argmax_d, of which the grammar knows nothing."""
    op, letters = match[1], match[2] or match[3]
    letters = re.sub(r"(?<=[\w)])\s+(?=[\w(])", "*", letters).replace("<", ":")  # how far a letter runs: p<2 k
    if op.startswith("arg"):
        return f"{op.removeprefix('arg')}[{','.join(f'{op}__{a.strip()}' for a in letters.split(','))}]"
    return f"{'sum' if op == 'Σ' else op}[{letters}]"


class _Products:
    """Writes a sign between factors that stand side by side."""

    def __init__(self, text: str, sign: str, scalars: frozenset[str]) -> None:
        self.text, self.sign, self.scalars = text, sign, scalars
        self.at, self.changed = 0, False

    def level(self, closing: str) -> str:
        """The text up to one of the closing signs, which is passed."""
        out: list[str] = []
        run: list[str] = []
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign in closing:
                self.at += 1
                break
            if sign.isspace():
                self.at += 1
                if not run:
                    out.append(sign)
                continue
            if sign == "⊗" and run:
                run.append(self.kronecker(run.pop()))
                continue
            operand = self.operand()
            if operand is not None:
                run.append(operand)
                continue
            beside = bool(run)
            out += self.product(run)
            between = self.found(_REDUCTION)
            if between and beside:
                self.changed = True
                out.append("* ")
            between = between or self.found(_WORD)
            out.append(f"{between or sign}")
            self.at += 0 if between else 1
        return "".join([*out, *self.product(run)])

    def found(self, pattern: re.Pattern[str]) -> str | None:
        """What the pattern matches here, which is passed."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match[0] if match else None

    def operand(self) -> str | None:
        """A number, a name, a call or brackets, with what is attached to it."""
        start = self.at
        if _REDUCTION.match(self.text, start):
            return None
        word = _WORD.match(self.text, start)
        if word is not None and word[0] in _BETWEEN:
            return None
        number = self.found(_NUMBER)
        out = number or self.found(_WORD) or self.brackets()
        if out is None:
            return None
        if number and self.text[self.at : self.at + 1] == "[":  # 1[condition]
            out = f"({self.condition(']')})"
        if out == "where" and self.text[self.at : self.at + 1] == "(":  # where(condition, a, b)
            condition, chosen, other = self.condition(","), self.level(","), self.level(")")
            out, word = f"(({chosen.strip()}) if {condition} else ({other.strip()}))", None
        if word is not None and self.text[self.at : self.at + 1] == "(":
            out += self.arguments()
        while self.at < len(self.text):
            if self.text[self.at] == INVERSE:
                self.at, self.changed = self.at + 1, True
                out = f"{out}^-1" if self.is_scalar(out) else f"inv({out})"
            elif self.text[self.at] == RAISED:
                self.at, self.changed = self.at + 1, True
                exponent = self.found(_EXPONENT)
                plain = self.sign == "*" or self.is_scalar(out)
                out = f"{out}^{exponent}" if plain else f"{MATRIX_POWER}({out}, {exponent})"
            elif self.text[self.at] == "'":
                self.at += 1
                out += "'"
            elif self.text[self.at] == "[":
                out += self.brackets() or ""
            elif self.text[self.at] == "^":
                sign = "^-" if self.text.startswith("^-", self.at) else "^"
                self.at += len(sign)
                out += sign + (self.operand() or "")
            else:
                break
        return out

    def kronecker(self, left: str) -> str:
        """``A ⊗ B``, the first of which has been read."""
        self.at, self.changed = self.at + 1, True
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return f"kron({left}, {self.operand() or ''})"

    def arguments(self) -> str:
        """Brackets behind a name; where an element of the whole is read, softmax(A x)[i], of matrices."""
        start, sign, changed = self.at, self.sign, self.changed
        out = self.brackets() or ""
        if self.text[self.at : self.at + 1] != "[" or sign == "@":
            return out
        self.at, self.sign, self.changed = start, "@", changed
        out = self.brackets() or ""
        self.sign = sign
        return out

    def condition(self, closing: str) -> str:
        """A condition behind an opening bracket, up to the closing sign; = is == in it."""
        self.at, self.changed = self.at + 1, True
        return re.sub(r"(?<![<>=!])=(?!=)", "==", self.level(closing))

    def brackets(self) -> str | None:
        """Brackets and what is in them."""
        opening = self.text[self.at : self.at + 1]
        if opening not in _CLOSING:
            return None
        self.at += 1
        return opening + self.level(_CLOSING[opening]) + _CLOSING[opening]

    def product(self, run: list[str]) -> list[str]:
        """The factors side by side as one product; the run is empty afterwards."""
        factors = run[:]
        run.clear()
        if len(factors) < 2:
            return [f"{f} " if self.text[self.at - 1 : self.at].isspace() else f for f in factors]
        self.changed = True
        return [self.joined(factors), " " if self.text[self.at - 1 : self.at].isspace() else ""]

    def joined(self, factors: list[str]) -> str:
        """The product; a vector of ones beside a matrix is a sum, or repeats a vector along an axis."""
        numbers = next((k for k, f in enumerate(factors) if not self.is_scalar(f) or f == "1'"), len(factors))
        if 0 < numbers < len(factors) - 1 and factors[numbers] == "1'":
            return f"({' * '.join(factors[:numbers])} * {self.joined(factors[numbers:])})"
        if len(factors) > 1 and factors[0] == "1'":
            return f"sum({self.joined(factors[1:])}, axis=0)"
        if len(factors) > 1 and factors[-1] == "1":
            return f"sum({self.joined(factors[:-1])}, axis=-1)"
        if len(factors) > 1 and factors[-1] == "1'":
            return f"col({self.joined(factors[:-1])})"
        if len(factors) > 1 and factors[0] == "1":  # what stands behind a column of ones is a row
            return self.joined(factors[1:]) if factors[1].endswith("'") else f"({self.joined(factors[1:])})'"
        out = factors[0]
        for before, factor in pairwise(factors):
            scalar = self.is_scalar(before) or self.is_scalar(factor)
            out += f" {'*' if scalar else self.sign} {factor}"
        return f"({out})" if len(factors) > 1 else out

    def is_scalar(self, factor: str) -> bool:
        """Whether a factor is made of numbers and scalars alone."""
        return all(word in self.scalars for word in re.findall(r"[A-Za-z][A-Za-z0-9_]*", factor))
