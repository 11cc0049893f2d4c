"""How one local derivative is told: SymPy's answer, its cases, its shortest form.

In: an `Edge`. Out: steps, each tested at the bench before it is printed. Cases and diagonals are read off the
Kronecker deltas that the derivative has, whatever function it is of.
"""

from __future__ import annotations

from derive.expr import ONE, ZERO, Compare, Expr, Letter, Num, Pow, compare, mul, negate
from derive.program import Tensor, reads
from derive.rewrite import factors, substitute
from derive.steps.algebra import collapsing, common_denominator, is_led_by, swapped
from derive.steps.edges import Edge, diagonal, split_deltas
from derive.steps.jacobians import tell_matrix
from derive.steps.step import Step
from derive.steps.teller import Teller


def tell_local(teller: Teller, edge: Edge, target: Tensor, kept: tuple[Letter, ...] = ()) -> Edge:
    """The local derivative of an edge, if it was not told before; the edge as it was told.

    Where letters have to be equal the operand's names both, unless the output's is to be ``kept``.
    """
    if edge.ratio in teller.told:
        return edge
    teller.told.add(edge.ratio)
    left, letters = edge.at(edge.outer, edge.inner), (*edge.outer, *edge.inner)
    teller.bench.require(Step("local derivative", target, left, edge.element, letters))
    if len(cases := split_deltas(edge.element, edge)) == 1:
        edge = edge.with_element(_led_by_output(teller, edge.element, *_pair(cases[0], edge)))
    same = {} if edge.linear else {j: f for j, f in diagonal(edge.element, edge).items() if j.extent != ONE}
    if same:
        apart = negate(mul(*(compare("==", f, j) for j, f in same.items())))
        teller.say("zero elsewhere", target, (left, ZERO), letters, where=apart, span=edge.span)
    narrow = edge.where_equal(same, kept)
    if len(cases := split_deltas(narrow.element, narrow)) == 1:
        _tell_cases(teller, narrow, target, cases[0], *_pair(cases[0], narrow))
    else:
        _tell_plain(teller, narrow, target)
    tell_matrix(teller, edge, target)
    return edge


def _pair(delta: Compare, edge: Edge) -> tuple[Letter, Letter]:
    """The letter of the output and the letter of the operand in a Kronecker delta."""
    one, other = (a for a in delta.children if isinstance(a, Letter))
    return (other, one) if one not in edge.outer or (other in edge.outer and one in edge.inner) else (one, other)


def _tell_plain(teller: Teller, edge: Edge, target: Tensor) -> None:
    """The derivative term by term, the collapse of its sums, and its form in terms of the output."""
    letters, left = edge.letters, edge.at(edge.outer, edge.inner)
    note = teller.definitions(edge.out.with_body(edge.plain))
    rule = "local derivative"
    last = edge.plain
    if edge.whole:
        rule = "quotient rule" if _is_quotient(edge) else "chain rule"
        last = common_denominator(edge.plain) if rule == "quotient rule" else edge.plain
    elif edge.opened != edge.plain:
        teller.say("derivative of terms", target, (left, edge.opened), letters, span=edge.span, reason=note)
        left, note, rule, last = edge.opened, (), "collapse", edge.opened
        for last in collapsing(edge.opened):
            teller.say(rule, target, (left, last), letters, span=edge.span)
            left = last
    if rule != "collapse":
        teller.say(rule, target, (left, last), letters, span=edge.span, reason=note)
    if edge.element != last:
        teller.rewrite(target, (last, edge.element), letters, edge.out.out, edge.span)


def _tell_cases(teller: Teller, edge: Edge, target: Tensor, delta: Compare, f: Letter, j: Letter) -> None:
    """What a Kronecker delta in a part of the terms decides: two cases, and both in one formula."""
    letters, left = edge.letters, edge.at(edge.outer, edge.inner)
    quotient = edge.whole and _is_quotient(edge)
    plain = common_denominator(edge.plain) if quotient else edge.plain
    note = teller.definitions(edge.out.with_body(plain))
    rule = "quotient rule" if quotient else "chain rule" if edge.whole else "local derivative"
    teller.say(rule, target, (left, plain), letters, span=edge.span, reason=note)
    for name, table, where in (("equal letters", {f: j}, delta), ("different letters", {delta: ZERO}, negate(delta))):
        first, short = (substitute(e, table) for e in (plain, edge.element))
        first, short = (common_denominator(first) if quotient else first), teller.short(short)
        teller.say(name, target, (left, first), letters, where=where, span=edge.span)
        teller.rewrite(target, (first, short), letters, edge.out.out, edge.span, where=where)
    teller.say("both cases in one", target, (left, edge.element), letters, span=edge.span)


def _led_by_output(teller: Teller, element: Expr, f: Letter, j: Letter) -> Expr:
    """p_i (δ_ij − p_j) where it equals p_j (δ_ij − p_i): the letter of the output comes first."""
    other = swapped(element, f, j)
    if is_led_by(element, f, j) or not is_led_by(other, f, j):
        return element
    cases: tuple[dict[Expr, Expr], ...] = ({f: j}, {compare("==", f, j): ZERO})
    same = all(teller.expanded(substitute(other, c)) == teller.expanded(substitute(element, c)) for c in cases)
    return other if same else element


def _is_quotient(edge: Edge) -> bool:
    """Whether what is differentiated by acts above and below a fraction line."""
    acting = {edge.wrt}
    for e in edge.equations:
        if acting & set(reads(e.body)):
            acting.add(e.out)
    parts = factors(edge.out.body)
    below = [f for f in parts if isinstance(f, Pow) and isinstance(f.exponent, Num) and f.exponent.value < 0]
    above = [f for f in parts if f not in below]
    return all(any(acting & set(reads(f)) for f in side) for side in (above, below))
