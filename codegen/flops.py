"""How many scalar operations a program takes, as a polynomial in its extents.

In: equations. Out: a count that is exact for the equations as they stand: each operation once for every value of
the letters around it. It is for people; no choice of the compiler depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from derive.expr import ONE, ZERO, Access, Add, Expr, Letter, MatrixCall, Mul, Not, Reduce, add, mul, power
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.program import Equation


def operations(equations: Iterable[Equation]) -> Expr:
    """The operations of all ``equations``; a function call and a comparison count as one.

    >>> from derive.program import Tensor
    >>> from derive.expr import Dim, fresh
    >>> n, d = Dim("n"), Dim("d")
    >>> X, w, z = Tensor("X", (n, d)), Tensor("w", (d,)), Tensor("z", (n,))
    >>> i, j = fresh(n, "i"), fresh(d, "j")
    >>> operations([Equation(z, (i,), Reduce("sum", (j,), X[i, j] * w[j]))])
    2·d·n
    """
    return add(*(mul(scalar_operations(e.body), *(a.extent for a in e.letters)) for e in equations))


def scalar_operations(e: Expr) -> Expr:
    """The operations of one expression, as a polynomial in the extents of what it sums over."""
    if isinstance(e, Reduce) and e.op in MATRIX_FUNCTIONS:
        whole = mul(MATRIX_FUNCTIONS[e.op].operations, power(e.binders[0].extent, 3))
        return mul(whole, *(power(b.extent, -1) for b in e.binders)) if isinstance(e, MatrixCall) else whole
    if isinstance(e, Reduce):
        return mul(add(scalar_operations(e.body), ONE), *(b.extent for b in e.binders))
    if isinstance(e, (Access, Letter)) or not e.children:
        return ZERO
    inner = add(*(scalar_operations(c) for c in e.children))
    return add(inner, len(e.args) - 1 if isinstance(e, (Add, Mul)) else 0 if isinstance(e, Not) else 1)
