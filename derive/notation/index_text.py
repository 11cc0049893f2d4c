"""Index notation of equations, in any style: ``dW1[d,h] = Σ_n X[n,d] dZ1[n,h]``.

In: an `Equation`. Out: text that says exactly what the equation is; every equation has one.
"""

from __future__ import annotations

import contextlib
from typing import Any

from derive.assemble import split_quotient
from derive.contract import NoFormError
from derive.digits import digits, flat
from derive.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Call,
    Compare,
    Const,
    Dim,
    Expr,
    Letter,
    MatrixCall,
    Mul,
    Not,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    extremum,
    mul,
    num,
    power,
    sign_ends,
    split_coefficient,
)
from derive.functions import SIGN
from derive.hoist import is_scale
from derive.lift import without_units
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.notation.elements import Element, is_number, with_elements
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.style import ATOM, CHAIN, FLIPPED, TIGHT, Piece, Style
from derive.program import Equation, reads
from derive.rewrite import accesses, factors, map_children, substitute, walk


class IndexPrinter:
    """Prints one equation in one style."""

    def __init__(self, style: Style, equation: Equation) -> None:
        self.style = style
        equation = equation.with_body(with_elements(equation.body))
        start = start_of(equation)
        self.left: Expr = ahead(equation.left) if start is None else equation.left
        self.body = ahead(equation.body)
        if start is not None:
            letter, self.body = start
            self.left = substitute(self.left, {letter: ZERO})
        # Along an axis of literal extent 1 the only place is 0; a position there is left as it is.
        with contextlib.suppress(NoFormError):
            self.left, self.body = without_units(self.left), without_units(self.body)
        self.letters = style.names.letters(equation)
        self.position = {a: k for k, a in enumerate(equation.letters)}

    def equation_text(self) -> str:
        """The whole equation."""
        return f"{self.piece(self.left).text} = {self.right().text}"

    def right(self) -> Piece:
        """Its right side."""
        return self.piece(self.body)

    def piece(self, e: Expr) -> Piece:
        """The text of an expression, with how tightly it binds."""
        style = self.style
        match e:
            case Num():
                found = style.number(abs(e.value))
                return found if e.value >= 0 else style.negative(found)
            case Const() | Dim():
                return Piece(style.word(e.name))
            case Letter():
                return Piece(style.word(self.letters[e]))
            case Access():
                return Piece(style.element(e.tensor, [self.piece(_counted(p)).text for p in e.places]))
            case Call():
                inside = ", ".join(self.piece(a).text for a in e.arguments)
                return style.call(e.function, inside)
            case Pow():
                return self.power(e)
            case Mul():
                return self.product(e)
            case Add() if (ends := sign_ends(e)) is not None:
                name = style.function(SIGN) + style.parens(self.piece(add(ends[1], mul(-1, ends[0]))).text)
                return Piece(name)
            case Add():
                return style.total([self.signed(t) for t in self.ordered_terms(e)])
            case Compare() | Not():
                return Piece(style.brackets(self.condition(e)))
            case Select(chosen=Select(other=Num(value=0)), other=Num(value=0)):  # all of the conditions are to hold
                masks: list[Expr] = []
                while isinstance(e, Select) and e.other == ZERO:
                    masks, e = [*masks, e.mask], e.chosen
                return self.chain([e, *masks])
            case Select() if (larger := extremum(e)) is not None:
                name, *sides = larger
                return Piece(style.operator(name, []) + style.parens(", ".join(self.piece(x).text for x in sides)))
            case Select():
                return style.cases(self.condition(e.mask), self.piece(e.chosen).text, self.piece(e.other).text)
            case Reduce() if e.op in MATRIX_FUNCTIONS:
                return self.of_matrix(e)
            case Element():
                return self.entry(MatrixPrinter(style).piece(e.form), e.places)
            case Reduce():
                sign = style.operator(e.op, [self.binder(b, e.body) for b in e.binders])
                return Piece(f"{sign} {style.wrap(self.piece(e.body), CHAIN)}", CHAIN)
        raise TypeError(f"no notation for {type(e).__name__}")

    def of_matrix(self, e: Reduce) -> Piece:
        """``A⁻¹[i,j]``; of a matrix that has no name ``inv_{k,l}(…)[i,j]``, over the letters below in their order."""
        named = isinstance(e.body, Access) and e.body.places == e.binders
        if named and isinstance(e.body, Access):
            name = Piece(self.style.tensor(e.body.tensor))
            found = self.style.inverse(name) if e.op == "inv" else self.of_name(e.op, name.text, [])
        else:
            below = [self.style.word(self.letters[b]) for b in e.binders]
            found = self.of_name(e.op, self.piece(e.body).text, below)
        return self.entry(found, e.places) if isinstance(e, MatrixCall) else found

    def entry(self, matrix: Piece, places: tuple[Expr, ...]) -> Piece:
        """An element of what has no name of its own."""
        return self.style.entry(matrix, [self.piece(p).text for p in places])

    def of_name(self, op: str, inside: str, below: list[str]) -> Piece:
        return Piece(self.style.operator(op, below) + self.style.parens(inside), ATOM)

    def binder(self, b: Letter, body: Expr) -> str:
        """A bound letter; with how far it runs, ``p<3``, where it does not stand alone on the axis that says so."""
        word = self.style.word(self.letters[b])
        sites = [a for s in accesses(body) for p, a in zip(s.places, s.tensor.axes, strict=True) if p == b]
        known = bool(sites) and all(a == b.extent for a in sites)
        return word if known else f"{word}<{self.piece(b.extent).text}"

    def signed(self, e: Expr) -> tuple[bool, Piece]:
        coefficient, _ = split_coefficient(e)
        return (True, self.piece(mul(-1, e))) if coefficient < 0 else (False, self.piece(e))

    def condition(self, e: Expr) -> str:
        if isinstance(e, Compare):
            left, right, op = e.left, e.right, e.op
            if isinstance(left, Num) or (op in ("==", "!=") and isinstance(right, Letter) and not left.letters):
                left, right, op = right, left, FLIPPED[op]
            left, right = _counted(left), _counted(right)
            return f"{self.piece(left).text} {self.style.relations[op]} {self.piece(right).text}"
        if isinstance(e, Not):
            return self.style.total([(False, Piece("1")), (True, self.piece(e.args[0]))]).text
        return self.piece(e).text

    def power(self, e: Pow) -> Piece:
        style = self.style
        if isinstance(e.exponent, Num):
            if e.exponent.value < 0:
                return style.fraction(Piece("1"), self.piece(power(e.base, mul(-1, e.exponent))))
            if e.exponent == num(1) / 2:
                return style.root(self.piece(e.base))
        return style.power(self.piece(e.base), self.piece(e.exponent), elementwise=False)

    def product(self, e: Mul) -> Piece:
        if split_coefficient(e)[0] < 0:
            return self.style.negative(self.piece(mul(-1, e)))
        top, bottom = split_quotient(factors(e))
        top = linked(sorted((p for p in top if p != ONE), key=self.reading_order))
        if not bottom:
            return self.chain(top)
        numbers = [p for p in top if is_number(p)]
        rest = [p for p in top if p not in numbers]
        fixed = not any(p.letters for p in bottom) and any(p.letters or isinstance(p, Reduce) for p in rest)
        sums = isinstance(rest[0], Reduce) and rest[0].op not in MATRIX_FUNCTIONS if rest else False
        if fixed and (numbers or len(rest) > 1 or sums):
            front = self.style.fraction(self.chain(numbers), self.chain(bottom))
            return Piece(
                self.style.wrap(front, TIGHT) + self.style.dot + self.style.wrap(self.chain(rest), CHAIN), CHAIN
            )
        return self.style.fraction(self.chain(top), self.chain(bottom))

    def chain(self, parts: list[Expr]) -> Piece:
        """Factors side by side; a reduction that is not the last one is put in parentheses."""
        if len(parts) < 2:
            return self.piece(parts[0] if parts else ONE)
        texts = [
            self.style.wrap(self.piece(p), ATOM if isinstance(p, Reduce) and k < len(parts) - 1 else CHAIN)
            for k, p in enumerate(parts)
        ]
        return Piece(self.style.dot.join(texts), CHAIN)

    def reading_order(self, e: Expr) -> tuple[Any, ...]:
        """Numbers, then by the left side's letters: cotangents, elements, sums of them, functions, other sums."""
        if is_scale(e):
            return (0, 0, 0, e.key)
        places = [self.position[a] for a in e.letters if a in self.position]
        if isinstance(e, (Access, Letter)):
            kind = 0 if isinstance(e, Access) and e.tensor.kind == "cotangent" else 1
        else:
            calls = any(isinstance(n, Call) for n in walk(e))
            kind = (
                6 if isinstance(e, Reduce) else 3 + 2 * calls if isinstance(e, Add) else 4 if isinstance(e, Call) else 2
            )
        return (1 + (kind == 6), min(places, default=99), kind, e.key)

    def ordered_terms(self, e: Add) -> list[Expr]:
        """Positive terms first, what has more letters before the rest, then sums over letters, then by their parts.

        In a place the number is last, as in k − p + 1, if something positive is first.
        """
        place = all(isinstance(n, (Letter, Dim, Num, Add, Mul)) for n in walk(e))
        place = place and any(split_coefficient(t)[0] > 0 for t in e.args if not isinstance(t, Num))

        def order(t: Expr) -> tuple[Any, ...]:
            coefficient, rest = split_coefficient(t)
            weight = len(factors(t)) if t.letters and not reads(t) else 0
            if place and isinstance(t, Num):
                return True, 1, True, 0, t.key
            return coefficient < 0, -len(t.letters), not isinstance(rest, Reduce), -weight, t.key

        return sorted(e.args, key=order)


def _counted(e: Expr) -> Expr:
    """A place to which several letters count as it is read: (i·b + j)·c + k."""
    letters = digits(e)
    return e if letters is None else flat(letters, (a.extent for a in letters))


def start_of(equation: Equation) -> tuple[Letter, Expr] | None:
    """Where a recurrence starts: the letter that is 0 there, and the start; elsewhere its rounds fill it."""
    match equation.body:
        case Select(mask=Compare(op="==", left=left, right=Letter() as letter), chosen=chosen, other=Access() as other):
            after = other.tensor.ahead
            if left == ZERO and after is not None and after[0] is equation.out:
                return letter, chosen
    return None


def ahead(e: Expr) -> Expr:
    """``e`` with what a round of a recurrence finds written as the tensor that it is found for: H[t+1]."""
    e = map_children(e, ahead)
    if isinstance(e, Access) and e.tensor.ahead is not None:
        whole, axis = e.tensor.ahead
        return whole.at((*e.places[:axis], add(e.places[axis], 1), *e.places[axis + 1 :]))
    return e


def linked(parts: list[Expr]) -> list[Expr]:
    """The factors reordered, as little as possible, so that neighbours share a letter: ``A[i,j] B[j,k] C[k,l]``."""
    left, out = list(parts), list[Expr]()
    while left:
        shared = (p for p in left if isinstance(p, Access) and p.letters & out[-1].letters) if out else iter(())
        chosen = left[0] if not isinstance(left[0], Access) else next(shared, left[0])
        left.remove(chosen)
        out.append(chosen)
    return out
