"""Give every inner reduction a name, so that what is left is easy to differentiate and to schedule.

In: a program. Out: an equal program in which a `Reduce` stands only as an additive term of a body, scaled
by numbers and extents at most, over a body without reductions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from derive.deltas import guards_for
from derive.expr import (
    Access,
    Add,
    Const,
    Dim,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    as_expr,
    fresh_like,
    mul,
    negate,
    select,
)
from derive.program import Equation, Program, Tensor
from derive.rewrite import accesses, factors, map_children, substitute, terms


def is_scale(e: Expr) -> bool:
    """Whether ``e`` is made of numbers, constants and extents only."""
    return isinstance(e, (Num, Const, Dim)) or (isinstance(e, (Add, Mul, Pow)) and all(is_scale(c) for c in e.children))


def split_scale(term: Expr) -> tuple[Expr, Expr]:
    """``term`` as (numbers, constants and extents) times the rest."""
    if not isinstance(term, Mul):
        return (term, as_expr(1)) if is_scale(term) else (as_expr(1), term)
    scale = [f for f in term.args if is_scale(f)]
    return mul(*scale), mul(*(f for f in term.args if not is_scale(f)))


def is_product(e: Expr) -> bool:
    """c·Σ of a product of elements: what matrix notation writes as a product."""
    rest = split_scale(e)[1]
    return (
        isinstance(rest, Reduce)
        and rest.op == "sum"
        and len(factors(rest.body)) > 1
        and all(isinstance(f, Access) and f.tensor.dtype == "real" for f in factors(rest.body))
    )


class Namer:
    """New tensors for sub-expressions of one program; the same expression gets the same tensor.

    Two expressions are the same if they are equal after their free letters are put in order of appearance. What is
    known of a tensor is which of these letters stands at each of its axes. Its axes are in the order of the letters of
    the equation ``around`` where that has all of them, so that what is inside of a matrix is not its transpose.
    """

    def __init__(self, program: Program) -> None:
        self.taken = {t.name for t in program.tensors} | program.numbers
        self.known: dict[Expr, tuple[Tensor, tuple[int, ...]]] = {}
        self.around: tuple[Letter, ...] = ()

    def unique(self, stem: str) -> str:
        """A name that is not taken yet: the stem, or the stem with a number."""
        name, k = stem, 1
        while name in self.taken:
            k += 1
            name = f"{stem}_{k}"
        self.taken.add(name)
        return name

    def remember(self, equation: Equation) -> None:
        """Let later equal expressions refer to this equation's tensor."""
        order = ordered_letters(equation.body)
        if len(order) == len(equation.letters) and set(order) == set(equation.letters):
            places = tuple(order.index(a) for a in equation.letters)
            self.known.setdefault(standard(equation.body, order), (equation.out, places))

    def find(self, e: Expr) -> Access | None:
        """The access that stands for ``e``, if its value has a name already."""
        letters = ordered_letters(e)
        known = self.known.get(standard(e, letters))
        return None if known is None else known[0].at(letters[k] for k in known[1])

    def name(self, e: Expr, stem: str, emit: Callable[[Equation], None]) -> Access:
        """The access that stands for ``e``; a new equation goes to ``emit`` where none is known."""
        letters = ordered_letters(e)
        key = standard(e, letters)
        if key not in self.known:
            own_order = [a for a in self.around if a in letters]
            order = tuple(own_order) if len(own_order) == len(letters) else letters
            axes = tuple(a.extent for a in order)
            if isinstance(e, Reduce) and e.op.startswith("arg"):
                span = mul(*(b.extent for b in e.binders))
                tensor = Tensor(self.unique(stem), axes, dtype="int", range=span, hidden=True)
            else:
                tensor = Tensor(self.unique(stem), axes, hidden=True)
            self.known[key] = tensor, tuple(map(letters.index, order))
            # a letter that was bound where it stood is free here, and gets a number of its own
            own = {a: fresh_like(a) for a in order}
            emit(Equation(tensor, tuple(own.values()), substitute(e, own)))
        tensor, places = self.known[key]
        return tensor.at(letters[k] for k in places)


def ordered_letters(e: Expr) -> tuple[Letter, ...]:
    """The free letters of ``e``, in order of appearance."""
    found: dict[Letter, None] = {}

    def visit(node: Expr) -> None:
        if isinstance(node, Letter) and node in e.letters:
            found.setdefault(node)
        for child in node.children:
            visit(child)

    visit(e)
    return tuple(found)


@lru_cache(maxsize=8192)  # names are sought for the same bodies in every stage, and in every plan that is weighed
def standard(e: Expr, letters: tuple[Letter, ...]) -> Expr:
    """``e`` with these free letters numbered by position and its binders by depth: a key for sharing."""
    return canonical_binders(substitute(e, {a: Letter(a.extent, -1000 - k) for k, a in enumerate(letters)}))


def canonical_binders(e: Expr, depth: int = 0) -> Expr:
    """``e`` with bound letters numbered by depth, so that alpha-equal expressions are equal."""
    if isinstance(e, Reduce):
        new = {b: Letter(b.extent, -1 - depth - k, b.hint) for k, b in enumerate(e.binders)}
        body = canonical_binders(substitute(e.body, new), depth + len(new))
        return e.over(new.values(), body, lambda p: canonical_binders(p, depth))
    return map_children(e, lambda c: canonical_binders(c, depth))


STEMS = {"sum": "S", "max": "M", "min": "L", "prod": "Q", "argmax": "first", "argmin": "first"}
STEMS |= {"det": "D", "logdet": "D", "inv": "V", "cholesky": "L"}


def hoist(program: Program) -> Program:
    """``program`` with every reduction in a linear position; equal reductions share one name."""
    namer = Namer(program)
    out: list[Equation] = []

    def emit(equation: Equation) -> None:
        before, namer.around = namer.around, equation.letters
        hoisted = equation.with_body(linear(equation.body))
        out.append(hoisted)
        namer.remember(hoisted)
        namer.around = before

    def linear(e: Expr) -> Expr:
        done = []
        for term in terms(e):
            scale, rest = split_scale(_merged(term))
            done.append(mul(scale, map_children(rest, pointwise)) if isinstance(rest, Reduce) else pointwise(term))
        total = as_expr(0)
        for d in done:
            total = total + d
        return total

    def pointwise(e: Expr, given: tuple[Expr, ...] = ()) -> Expr:
        if isinstance(e, Reduce):
            return namer.name(guarded(e, given), STEMS[e.op], emit)
        return map_branches(e, pointwise, given)

    for equation in program.equations:
        emit(equation)
    return program.with_equations(out)


def map_branches(e: Expr, visit: Callable[[Expr, tuple[Expr, ...]], Expr], given: tuple[Expr, ...]) -> Expr:
    """``e`` with ``visit`` applied to each operand, told the masks under which that operand counts."""
    if isinstance(e, Select):
        chosen = visit(e.chosen, (*given, e.mask))
        return select(visit(e.mask, given), chosen, visit(e.other, (*given, negate(e.mask))))
    masks = tuple(f for f in e.children if isinstance(f, Mask)) if isinstance(e, Mul) else ()
    return map_children(e, lambda c: visit(c, given if c in masks else (*given, *masks)))


def guarded(e: Expr, given: tuple[Expr, ...]) -> Expr:
    """``e`` as it may be computed on its own: under its masks where it would else read outside of a tensor."""
    if not given or all(
        guards_for(p, a) == [] for s in accesses(e) for p, a in zip(s.places, s.tensor.axes, strict=True)
    ):
        return e
    if isinstance(e, Reduce) and e.op == "sum":
        return Reduce("sum", e.binders, mul(*given, e.body))
    return select(mul(*given), e, 0)


def _merged(term: Expr) -> Expr:
    """``c·Σ_a d·Σ_b f`` as ``cd·Σ_{a,b} f``."""
    scale, rest = split_scale(term)
    if isinstance(rest, Reduce) and rest.op == "sum":
        factor, inner = split_scale(_merged(rest.body)) if not isinstance(rest.body, Add) else (as_expr(1), rest.body)
        if isinstance(inner, Reduce) and inner.op == "sum" and not set(inner.binders) & set(rest.binders):
            return mul(scale, factor, Reduce("sum", (*rest.binders, *inner.binders), inner.body))
        return mul(scale, factor, Reduce("sum", rest.binders, inner))
    return term


def reads_letters(access: Access) -> tuple[Letter, ...] | None:
    """The letters of an access whose places are distinct plain letters, else None."""
    places = access.places
    if all(isinstance(p, Letter) for p in places) and len(set(places)) == len(places):
        return tuple(p for p in places if isinstance(p, Letter))
    return None
