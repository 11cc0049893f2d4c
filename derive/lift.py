"""Lifting: the matrix form of an index equation, or None where it has none.

In: an equation. Out: a `Form` with exactly the axes of its left side. Factors are grouped by the letters they
carry, bound letters are eliminated fewest factors first (`derive.contract`); whatever does not fit into rows and
columns (rank 3, shifted or data-dependent places, letters as values) has no form, which is never an error.
"""

from __future__ import annotations

from functools import partial

from derive import forms
from derive.assemble import minus_one, multiplied, ordered_terms, peel, scaled, split_quotient
from derive.cases import depends, in_cases, number_within
from derive.contract import Lifted, NoFormError, contract, is_delta, lifted, substitute_letter
from derive.counted import below_each_other, counted
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
    mul,
    negate,
    power,
    reduce_,
    sign_ends,
)
from derive.functions import SIGN
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.primes import Primes
from derive.program import Equation
from derive.rewrite import factors, map_children, substitute, walk
from derive.shares import Ratio, share, with_shares
from derive.spread import expanded, multiplied_out
from derive.triangles import joined, order_of


def lift(
    equation: Equation, primes: Primes | None = None, *, diagonals: bool = False, choices: bool = False
) -> forms.Form | None:
    """The matrix form of an equation; None where it has none.

    A vector's form is a column or a row, whichever needs fewer transpositions; an ``[h, 1]`` is a column and
    a ``[1, h]`` a row. ``primes`` names derivatives of scalar functions (``relu′(Z)``). ``diagonals`` reads what
    is constant along rows or columns as a diagonal factor (``diag(s) W``, not ``W ⊙ (s 1ᵀ)``) and multiplies out
    sums with a Kronecker delta in them (``diag(p) − p pᵀ``), as one writes Jacobians. ``choices`` reads terms under a
    condition and its opposite as one of two values.

    >>> from derive.expr import fresh, sum_over
    >>> from derive.program import Tensor
    >>> n, d, h = Dim("n"), Dim("d"), Dim("h")
    >>> X, W, Z = Tensor("X", (n, d)), Tensor("W", (d, h)), Tensor("Z", (n, h))
    >>> i, k, j = fresh(n), fresh(d), fresh(h)
    >>> type(lift(Equation(Z, (i, j), sum_over([k], X[i, k] * W[k, j])))).__name__
    'Product'
    """
    places = [a if a.extent != ONE else None for a in equation.letters]
    if equation.out.rank > 2:
        return None
    row, col = (*places, None, None)[:2]
    lifter = Lifter(primes or Primes(), diagonals=diagonals, choices=choices)
    try:
        body = with_shares(without_units(equation.body))
        found = lifter.fit(body, row, col)
        if equation.out.rank == 1 and row is not None:
            found = min(found, lifter.fit(body, None, row), key=forms.effort)
    except NoFormError:
        return None
    return found


def without_units(e: Expr) -> Expr:
    """``e`` with every letter of literal extent 1 replaced by 0, which is all that it can be."""
    if isinstance(e, Letter):
        return ZERO if e.extent == ONE else e
    if isinstance(e, Reduce):
        kept = [b for b in e.binders if b.extent != ONE]
        if len(kept) < len(e.binders):
            if e.op.startswith("arg"):
                raise NoFormError("a position along an axis of extent 1")
            gone = {b: ZERO for b in e.binders if b.extent == ONE}
            return reduce_(e.op, kept, without_units(substitute(e.body, gone)))
    return map_children(e, without_units)


class Lifter:
    """Lifting with memory: a sub-expression at an orientation is lifted once."""

    def __init__(self, primes: Primes, *, diagonals: bool = False, choices: bool = False) -> None:
        self.primes = primes
        self.diagonals, self.choices = diagonals, choices
        self.memo: dict[tuple[Expr, Letter | None, Letter | None], forms.Form] = {}

    def fit(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """``e`` with exactly these axes, repeated along those that it does not have."""
        own = e.letters
        if not own <= {row, col}:
            raise NoFormError("more letters than rows and columns")
        found = self.at(e, row if row in own else None, col if col in own else None)
        if (found.row, found.col) == (row, col):
            return found
        if isinstance(found, forms.Negative):
            return forms.Negative(row, col, (forms.Broadcast(row, col, found.parts),))
        return forms.Broadcast(row, col, (found,))

    def operand(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """Like `fit`, but a number stays a number, which element-wise nodes allow."""
        return self.fit(e, row, col) if e.letters else self.at(e, None, None)

    def condition(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """A condition as it is, though it be a derivative with a name elsewhere: x > 0, not relu′(x)."""
        found = self.plain(e, row if row in e.letters else None, col if col in e.letters else None)
        return found if (found.row, found.col) == (row, col) or not e.letters else forms.Broadcast(row, col, (found,))

    def best(self, e: Expr, *choices: tuple[Letter | None, Letter | None]) -> forms.Form:
        """The form of least effort among orientations."""
        return min((self.fit(e, *c) for c in choices), key=forms.effort)

    def at(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """The form of ``e``, whose letters are exactly the axes given."""
        key = (e, row, col)
        if key not in self.memo:
            self.memo[key] = self.compute(e, row, col)
        return self.memo[key]

    def compute(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        prime = self.primes.find(e)
        if prime is not None:
            function, argument = prime
            parts = self.operand(argument, row, col), self.plain(e, row, col)
            return forms.Prime(row, col, parts, function)
        whole = below_each_other(self, e, row, col) if row is not None and col is not None else None
        return whole or self.plain(e, row, col)

    def plain(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        """The form of ``e`` without looking for a derivative that has a name."""
        axes = row, col
        match e:
            case Num():
                found = forms.number(abs(e.value))
                return found if e.value >= 0 else forms.Negative(None, None, (found,))
            case Const():
                return forms.Constant(None, None, (), e)
            case Dim():
                return forms.Extent(None, None, (), e)
            case Lifted():
                form: forms.Form = e.args[0]
                return form if (form.row, form.col) == axes else forms.transpose(form)
            case Access():
                return self.access(e, row, col)
            case Mul():
                return self.product(e.args, row, col)
            case Pow():
                if isinstance(e.exponent, Num) and e.exponent.value < 0:
                    return self.product((e,), row, col)
                return forms.Power(row, col, (self.operand(e.base, row, col), self.exponent(e.exponent, row, col)))
            case Add() if (sides := sign_ends(e)) is not None:
                value = add(sides[1], mul(-1, sides[0]))
                if sides[1] == ZERO:
                    return forms.Negative(row, col, (forms.Apply(row, col, (self.operand(sides[0], row, col),), SIGN),))
                return forms.Apply(row, col, (self.operand(value, row, col),), SIGN)
            case Add() if self.choices and isinstance(whole := in_cases(e, depends), Select):
                return self.at(whole, row, col)
            case Add():
                upper = partial(self.is_upper, row, col)
                whole = joined(e, upper) if any(order_of(n) for n in walk(e)) else e
                if not isinstance(whole, Add):
                    return self.fit(whole, row, col)
                parts = [self.fit(t, row, col) for t in ordered_terms(whole)]
                return forms.Sum(row, col, forms.in_order(parts))
            case Ratio():
                return share(self, e, row, col)
            case Call():
                return forms.Apply(row, col, tuple(self.operand(a, row, col) for a in e.arguments), e.function)
            case Compare():
                return self.comparison(e, row, col)
            case Not():
                return forms.Negation(row, col, (self.operand(e.args[0], row, col),))
            case Select() if order_of(e.mask) is not None:
                both = mul(e.mask, e.chosen), mul(negate(e.mask), e.other)
                return self.fit(add(*both), row, col)
            case Select():
                chosen, other = (self.operand(c, row, col) for c in (e.chosen, e.other))
                return forms.Where(row, col, (self.condition(e.mask, row, col), chosen, other))
            case Reduce() if e.op in MATRIX_FUNCTIONS:
                return self.of_matrix(e, row, col)
            case Reduce():
                return self.reduction(e, row, col)
        raise NoFormError(type(e).__name__)

    def exponent(self, e: Expr, row: Letter | None, col: Letter | None) -> forms.Form:
        return forms.number(e.value) if isinstance(e, Num) else self.operand(e, row, col)

    def access(self, e: Access, row: Letter | None, col: Letter | None) -> forms.Form:
        places = []
        for place, extent in zip(e.places, e.tensor.axes, strict=True):
            if extent == ONE and place == ZERO:
                continue
            if not isinstance(place, Letter) or place.extent != extent:
                raise NoFormError("a place that is not a letter over the whole axis")
            places.append(place)
        if e.tensor.rank > 2:
            raise NoFormError("rank above 2")
        found: forms.Form
        if len(set(places)) < len(places):
            found = forms.Diagonal(places[0], None, (forms.Leaf(places[0], places[0], (), e.tensor),))
        else:
            found = forms.leaf(e.tensor, tuple(places))
        return found if (found.row, found.col) == (row, col) else forms.transpose(found)

    def comparison(self, e: Compare, row: Letter | None, col: Letter | None) -> forms.Form:
        if isinstance(e.left, Letter) and isinstance(e.right, Letter) and e.op == "==":
            if e.left.extent != e.right.extent:
                raise NoFormError("a delta between different ranges")
            return forms.Identity(row, col)
        if order_of(e) is not None and row is not None and col is not None:
            return self.triangle([e], [], row, col)
        return forms.Relation(row, col, (self.operand(e.left, row, col), self.operand(e.right, row, col)), e.op)

    def product(self, parts: tuple[Expr, ...], row: Letter | None, col: Letter | None) -> forms.Form:
        """A product without bound letters, named derivatives in it found first.

        Factors without letters stand outside of what is multiplied out: (I − Y 1ᵀ)/Σ(x).
        """
        spread = multiplied_out(tuple(p for p in parts if p.letters)) if self.diagonals else None
        if spread is not None:
            top, bottom = split_quotient(tuple(p for p in parts if not p.letters))
            numbers, below = ([self.at(p, None, None) for p in side if p != ONE] for side in (top, bottom))
            return scaled(self.at(spread, row, col), numbers, below)
        parts = self.with_primes(parts)
        return self.plain_product(number_within(tuple(map(self.chosen, parts))) if self.choices else parts, row, col)

    def chosen(self, e: Expr) -> Expr:
        """A sum that is one of two values as a choice, where no function's derivative is called so."""
        return in_cases(e, depends) if isinstance(e, Add) and self.primes.find(e) is None else e

    def plain_product(self, parts: tuple[Expr, ...], row: Letter | None, col: Letter | None) -> forms.Form:
        """Numbers in front, quotients, ⊙ of what shares its axes, outer products."""
        masks = [p for p in parts if p.letters == {row, col} and order_of(p) is not None]
        if masks and row is not None and col is not None:
            return self.triangle(masks, [p for p in parts if p not in masks], row, col)
        top, bottom = split_quotient(parts)
        numbers = [self.at(p, None, None) for p in top if not p.letters and p != ONE]
        below = [self.at(p, None, None) for p in bottom if not p.letters]
        above = [p for p in top if p.letters]
        under = [p for p in bottom if p.letters]
        if under and row is not None and col is not None:
            diagonal = self.diagonal(above, under, row, col)
            if diagonal is not None:
                return scaled(diagonal, numbers, below)
        value: forms.Form = forms.number(1)
        if above:
            value = self.hadamard(above, row, col, full=bool(under))
        if under:
            divisor = self.hadamard(under, row, col, full=True)
            if not above and numbers:
                negative, scalars, core = peel(scaled(value, numbers, []))
                value, numbers = forms.times([*scalars, core]), [minus_one()] if negative else []
            value = forms.Quotient(row, col, (value, divisor))
        return scaled(value, numbers, below)

    def triangle(self, masks: list[Expr], rest: list[Expr], row: Letter, col: Letter) -> forms.Form:
        """What orders of rows and columns leave of a product: triangles of it, or transposed triangles."""
        if not rest:
            choices = [forms.product(forms.ones(row), forms.transpose(forms.ones(col)))]
        else:
            body = mul(*rest)
            choices = [forms.transpose(self.filled(body, col, row)), self.filled(body, row, col)]
        found = []
        for turned, form in zip((len(choices) == 2, False), choices, strict=False):
            form = forms.transpose(form) if turned else form
            for order in map(order_of, masks):
                assert order is not None
                upper = order.low == form.row
                form = forms.triangle(form, upper=upper, offset=-order.offset if upper else order.offset)
            found.append(forms.transpose(form) if turned else form)
        return min(found, key=forms.effort)

    def is_upper(self, row: Letter | None, col: Letter | None, e: Expr) -> bool:
        """Whether the form of ``e`` has an upper triangle in it."""
        return any(isinstance(f, forms.Triangle) and f.upper for f in forms.walk(self.fit(e, row, col)))

    def filled(self, e: Expr, row: Letter, col: Letter) -> forms.Form:
        """``e`` over rows and columns, repeated by products with vectors of ones."""
        own = e.letters
        form = self.at(e, row if row in own else None, col if col in own else None)
        left = [] if row in own else [forms.ones(row)]
        right = [] if col in own else [forms.transpose(forms.ones(col))]
        return forms.product(*left, form, *right) if left or right else form

    def diagonal(self, above: list[Expr], under: list[Expr], row: Letter, col: Letter) -> forms.Form | None:
        """The quotient as diag(…) where a Kronecker delta of the rows and columns stands above, else None."""
        deltas = [p for p in above if is_delta(p) and p.letters == {row, col}]
        if not deltas:
            return None
        top = [substitute_letter(p, col, row) for p in above if p not in deltas]
        bottom = [power(substitute_letter(p, col, row), -1) for p in under]
        return forms.Diag(row, col, (self.fit(mul(*top, *bottom), row, None),))

    def hadamard(self, parts: list[Expr], row: Letter | None, col: Letter | None, *, full: bool) -> forms.Form:
        """The element-wise product; ``full`` repeats it along axes that none of the factors has."""
        if row is None or col is None:
            made = [self.fit(p, row, col) for p in parts]
            return multiplied(made, row, col)
        whole = [p for p in parts if p.letters == {row, col}]
        down = [p for p in parts if p.letters == {row}]
        along = [p for p in parts if p.letters == {col}]
        if len(whole) + len(down) + len(along) < len(parts):
            raise NoFormError("more letters than rows and columns")
        if whole and all(is_delta(p) for p in whole) and (down or along):
            vector = [*down, *(substitute_letter(p, col, row) for p in along)]
            return forms.Diag(row, col, (multiplied([self.at(p, row, None) for p in vector], row, None),))
        if (self.diagonals or row.extent == col.extent) and whole and (down or along):
            return self.between_diagonals(down, whole, along, row, col)
        if down and along:
            left = multiplied([self.at(p, row, None) for p in down], row, None)
            right = multiplied([self.at(p, None, col) for p in along], None, col)
            outer = forms.product(left, right)
            return multiplied([outer, *(self.at(p, row, col) for p in whole)], row, col) if whole else outer
        if not whole and not full:
            raise NoFormError("an axis that no factor has")
        made = [self.fit(p, row, col) for p in (*whole, *down, *along)]
        return multiplied(made, row, col)

    def between_diagonals(
        self, down: list[Expr], whole: list[Expr], along: list[Expr], row: Letter, col: Letter
    ) -> forms.Form:
        """diag(what is constant in each row) · matrix · diag(what is constant in each column)."""
        middle = multiplied([self.at(p, row, col) for p in whole], row, col)
        left = [forms.Diag(row, row, (multiplied([self.at(p, row, None) for p in down], row, None),))] if down else []
        right = [forms.Diag(col, col, (multiplied([self.at(p, col, None) for p in along], col, None),))]
        return forms.product(*left, middle, *(right if along else []))

    def with_primes(self, parts: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The factors, those that together are a named derivative replaced by it."""
        found = self.primes.find_among(parts)
        if found is None:
            return parts
        used, rest, (function, argument) = found
        letters = sorted(argument.letters, key=lambda a: a.key)
        if len(letters) > 2:
            return parts
        row, col = (*letters, None, None)[:2]
        value = self.plain_product(used, row, col)
        form = forms.Prime(row, col, (self.operand(argument, row, col), value), function)
        return self.with_primes((*rest, lifted(form)))

    def reduction(self, e: Reduce, row: Letter | None, col: Letter | None) -> forms.Form:
        if e.op == "sum":
            try:
                parts = contract(self, e.binders, list(factors(e.body)))
            except NoFormError:
                whole = counted(self, e, row, col)
                if whole is not None:
                    return whole
                spread = expanded(e)
                if spread is None:
                    raise
                return self.at(spread, row, col)
            return self.product(tuple(parts), row, col)
        return self.extremum(e, row, col)

    def of_matrix(self, e: Reduce, row: Letter | None, col: Letter | None) -> forms.Form:
        """A function of a matrix that is a matrix itself, and of nothing else."""
        part = self.fit(e.body, *e.binders)
        if not isinstance(e, MatrixCall):
            return forms.OfMatrix(None, None, (part,), e.op)
        if not all(isinstance(p, Letter) and p.extent == b.extent for p, b in zip(e.places, e.binders, strict=True)):
            raise NoFormError("an element of a matrix that is no letter")
        first, second = (p for p in e.places if isinstance(p, Letter))
        if first == second:
            raise NoFormError("the diagonal of a matrix that has no name")
        found = forms.OfMatrix(first, second, (part,), e.op)
        return found if (row, col) == (first, second) else forms.transpose(found)

    def extremum(self, e: Reduce, row: Letter | None, col: Letter | None) -> forms.Form:
        free = [a for a in (row, col) if a is not None]
        if e.body.letters != {*e.binders, *free} or len(free) + len(e.binders) > 2:
            raise NoFormError("a reduction over an axis that is not there, or of rank 3")
        if not free:
            pair = (*e.binders, None)[:2]
            return forms.Extremum(None, None, (self.fit(e.body, pair[0], pair[1]),), e.op)
        letter, bound = free[0], e.binders[0]
        part = self.best(e.body, (letter, bound), (bound, letter))
        found = forms.Extremum(letter, None, (part,), e.op, 0 if part.row == bound else 1)
        return found if row is not None else forms.transpose(found)
