r"""∂vec(Y)/∂vec(X) as Kronecker products, where the derivative by a matrix or of one falls apart into two factors.

In: the equation of ∂Y/∂X, the letters of Y in front. Out: its terms, each a factor of rows times a factor of columns,
and their text, ``I ⊗ (Xᵀ X)``. vec stacks columns, as Magnus and Neudecker have it; K is the commutation matrix, for
which K vec(X) = vec(Xᵀ).
"""

from __future__ import annotations

from dataclasses import dataclass

from derive import forms
from derive.expr import ONE, Expr, Letter, Reduce, mul, split_coefficient, sum_over
from derive.notation.entries import EntryLatex, EntryStyle
from derive.notation.matrix_text import MatrixPrinter
from derive.notation.notation import Notation
from derive.notation.style import CHAIN, TIGHT
from derive.program import Equation, Tensor
from derive.rewrite import factors, terms


@dataclass(frozen=True)
class Split:
    """One term: ``scale · diag(vec(weights)) (outer ⊗ inner)``, or that times K where it is ``crossed``.

    The inner factor has the first letter of Y, the outer one the last; of X the other way round where crossed.
    """

    scale: Expr
    outer: Equation
    inner: Equation
    crossed: bool
    weights: Equation | None = None


def splits(equation: Equation, rank: int) -> list[Split] | None:
    """The terms of ∂Y/∂X, for Y of that rank; None where one of them does not fall apart."""
    y, x = equation.letters[:rank], equation.letters[rank:]
    if len(y) not in (1, 2) or len(x) not in (1, 2) or len(y) + len(x) < 3:
        return None
    if any(a.extent == ONE for a in equation.letters):
        return None
    found = [_split(t, y, x) for t in terms(equation.body)]
    whole = [s for s in found if s is not None]
    return whole if len(whole) == len(found) else None


def _split(term: Expr, y: tuple[Letter, ...], x: tuple[Letter, ...]) -> Split | None:
    scale, parts, binders = _flat(term)
    own_entry = [p for p in parts if len(y) == 2 and p.letters == set(y)]
    parts = [p for p in parts if p not in own_entry]
    weights = Equation(Tensor("weights", tuple(a.extent for a in y)), y, mul(*own_entry)) if own_entry else None
    groups: list[tuple[set[Letter], list[Expr]]] = []
    for p in parts:
        near = [g for g in groups if g[0] & p.letters]
        groups = [g for g in groups if g not in near]
        groups.append((set(p.letters).union(*(g[0] for g in near)), [*(q for g in near for q in g[1]), p]))
    free = set(y) | set(x)
    # (rows, columns) of the outer and of the inner factor; a vector has only one of the two
    ways = [((y[1:], x[1:]), (y[:1], x[:1]), False)]
    if len(y) == 1:  # the one letter of Y may be called the first or the last
        ways.append(((y, x[1:]), ((), x[:1]), False))
    else:
        ways.append(((y[1:], x[:1]), (y[:1], x[1:]), len(x) == 2))
    for outer, inner, crossed in ways:
        sides = []
        for rows, columns in (outer, inner):
            wanted = (*rows, *columns)
            own = [g for g in groups if g[0] & free & set(wanted)]
            if not wanted or any(not g[0] & free <= set(wanted) for g in own):
                break
            if set().union(*(g[0] & free for g in own)) != set(wanted):
                break
            bound = [b for b in binders if any(b in g[0] for g in own)]
            body = sum_over(bound, mul(*(f for g in own for f in g[1])))
            sides.append(Equation(Tensor("factor", tuple(a.extent for a in wanted)), wanted, body))
        if len(sides) == 2:
            rest = [g for g in groups if not g[0] & free]
            sums = [sum_over([b for b in binders if b in g[0]], mul(*g[1])) for g in rest]
            return Split(mul(scale, *sums), sides[0], sides[1], crossed, weights)
    return None


def _flat(term: Expr) -> tuple[Expr, list[Expr], list[Letter]]:
    """A term as a scale, factors with letters, and what they are summed over."""
    scale, parts, binders = [], list[Expr](), list[Letter]()
    stack = list(factors(term))
    while stack:
        f = stack.pop(0)
        if isinstance(f, Reduce) and f.op == "sum" and not set(f.binders) & set(binders):
            binders += f.binders
            stack = [*factors(f.body), *stack]
        elif f.letters:
            parts.append(f)
        else:
            scale.append(f)
    return mul(*scale), parts, binders


def kronecker(equation: Equation, rank: int, notation: Notation, style: EntryStyle) -> str | None:
    """The right side, ``(2/n) (I ⊗ (Xᵀ X))``; None where there is none."""
    found = splits(equation, rank)
    if found is None:
        return None
    y = set(equation.letters[:rank])
    printer, text = MatrixPrinter(style), ""
    times = r" \otimes " if isinstance(style, EntryLatex) else " ⊗ "
    for k, s in enumerate(found):
        pieces, shapes = [], []
        for e in (s.outer, s.inner):
            form = notation.form(e)
            if form is None:
                return None
            if len(e.letters) == 1 and (form.row is not None) != (e.letters[0] in y):
                form = forms.transpose(form)
            pieces.append(printer.at(form, TIGHT))
            shapes.append(form)
        number, scale = split_coefficient(s.scale)
        factor = mul(abs(number), scale)
        number_form = notation.form(Equation(Tensor("scale", ()), (), factor))
        if number_form is None:
            return None
        front = "" if factor == ONE else f"{printer.at(number_form, CHAIN)} "
        if all(isinstance(form, forms.Identity) for form in shapes):
            product = "K" if s.crossed else pieces[0]
        else:
            product = times.join(pieces)
            product = style.parens(product) if s.crossed or front else product
            product += " K" if s.crossed else ""
        if s.weights is not None:
            form = notation.form(s.weights)
            if form is None:
                return None
            scaling = style.operator("diag", []) + style.parens(
                style.operator("vec", []) + style.parens(printer.text(form))
            )
            identity = product == pieces[0] and not s.crossed
            product = scaling if identity else f"{scaling} {product if front or s.crossed else style.parens(product)}"
        sign = style.minus if number < 0 else ""
        text += f" {sign or '+'} {front}{product}" if k else f"{sign}{front}{product}"
    return text
