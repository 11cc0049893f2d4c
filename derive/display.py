"""What a person is shown of a derived equation: products that gradc named are written out, other names explained.

In: a derived equation and the program that it is part of. Out: the same equation over the user's tensors as far as
products go (X w for a hidden S), and the hidden definitions that it still rests on (E = exp(Z)).
"""

from __future__ import annotations

from derive.expr import Expr, Reduce
from derive.hoist import is_product, split_scale
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.norms import Norms
from derive.program import Equation, Program, Tensor, reads
from derive.simplify import inline


def readable(equation: Equation, program: Program) -> Equation:
    """The equation with hidden matrix products written out."""
    defined = program.defined
    for _ in range(len(defined)):
        products = [t for t in reads(equation.body) if t.hidden and t in defined and is_written_out(defined[t].body)]
        if not products:
            break
        equation = equation.with_body(inline(equation.body, defined[products[0]]))
    return equation


def definitions(equation: Equation, program: Program) -> list[Equation]:
    """The hidden forward equations that a readable equation rests on, in the program's order.

    Where the equation is the cotangent of a hidden tensor, that tensor's own is among them.
    """
    defined = program.defined
    found: dict[Tensor, Equation] = {}
    norms = Norms(defined)
    stack = [equation]
    primal = equation.out.primal
    if primal is not None and primal.hidden and primal in defined:
        found[primal] = readable(defined[primal], program)
        stack.append(found[primal])
    while stack:
        e = stack.pop()
        for t in reads(norms.printed(e.body, own=e.span is None)):
            if t.hidden and t.kind == "value" and t in defined and t not in found:
                found[t] = readable(defined[t], program)
                stack.append(found[t])
    return [found[e.out] for e in program.equations if e.out in found]


def is_written_out(e: Expr) -> bool:
    """Whether a formula shows what a name stands for: a product, a function of a whole matrix."""
    rest = split_scale(e)[1]
    return is_product(e) or (isinstance(rest, Reduce) and rest.op in MATRIX_FUNCTIONS)
