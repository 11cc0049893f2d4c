"""Formulas in terms of shares: 2 p ⊙ (p − ‖p‖²) with p = softmax(x), not exponentials over powers of their total.

In: an expression over a person's names. Out: one in which totals have given way to shares in them, each under a name,
with the definitions of these names. What is known of shares, Σp = 1 say, is found as of any named quotient.
"""

from __future__ import annotations

from collections.abc import Sequence

from derive.expr import Access, Call, Expr, Reduce, fresh_like, mul, power
from derive.extract import extract
from derive.facts import Facts
from derive.hoist import Namer, ordered_letters, standard
from derive.normal import Normalizer, TooLargeError
from derive.program import Equation, Program, Tensor, reads
from derive.rewrite import map_children, substitute, walk
from derive.shares import is_total


def in_shares(e: Expr, program: Program) -> tuple[Expr, list[Equation]]:
    """The expression with shares for what is over a total, and their definitions; totals that stay keep their form.

    >>> from derive.expr import Dim, call, fresh, sum_over
    >>> from derive.functions import PRIMITIVES
    >>> x = Tensor("x", (Dim("n"),)); i, j = fresh(Dim("n"), "i"), fresh(Dim("n"), "j")
    >>> one, other = (call(PRIMITIVES["exp"], x[a]) for a in (i, j))
    >>> in_shares(one ** 2 / sum_over([j], other) ** 2, Program("p"))[0]
    P[i]^2
    """
    totals = list(dict.fromkeys(_key(n) for n in walk(e) if is_total(n)))
    while totals:
        try:
            found, staying = _dissolved(e, program, totals)
        except TooLargeError:
            break
        if not staying:
            return found
        totals = [t for t in totals if t not in staying]
    return e, []


def _key(e: Expr) -> Expr:
    return standard(e, ordered_letters(e))


def _dissolved(e: Expr, program: Program, wanted: Sequence[Expr]) -> tuple[tuple[Expr, list[Equation]], list[Expr]]:
    """The expression in terms of the shares in these totals, and those of the totals that are left in it."""
    namer = Namer(program)
    made: list[Equation] = []
    used: dict[Expr, set[Tensor]] = {}
    ones = {_key(n.body) for n in walk(e) if isinstance(n, Reduce) and is_total(n) and _key(n) in wanted}

    def visit(node: Expr) -> Expr:
        done = map_children(node, visit)
        if isinstance(node, Call) and _key(node) in ones:
            return namer.name(done, "E", made.append)
        if isinstance(done, Reduce) and is_total(node) and _key(node) in wanted:
            total = namer.name(done, "S", made.append)
            if _key(node) not in used:
                used[_key(node)] = share(done, total)
            return total
        return done

    def share(total: Reduce, name: Access) -> set[Tensor]:
        one = substitute(total.body, {b: fresh_like(b) for b in total.binders})
        assert isinstance(one, Access)
        own = {a: fresh_like(a) for a in ordered_letters(one)}
        p = Tensor(namer.unique("P"), one.tensor.axes, hidden=True)
        made.append(Equation(p, tuple(own.values()), substitute(mul(one, power(name, -1)), own)))
        return {one.tensor, name.tensor}

    body = visit(e)
    facts = Facts(program.with_equations([*program.equations, *made]))
    body = extract(Normalizer(facts, keep_whole=True)(body))
    return (body, made), [key for key, names in used.items() if not names.isdisjoint(reads(body))]
