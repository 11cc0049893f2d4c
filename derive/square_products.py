"""Functions of a product of square matrices: det(A X B) is det A · det X · det B, and (A X B)⁻¹ is B⁻¹ X⁻¹ A⁻¹.

In: an expression as it was read. Out: an equal one, in which determinants and inverses are of the factors where all of
these are square. To factor a matrix takes a third of what it takes to multiply by it, and in the derivative the others
cancel: X⁻ᵀ, not Aᵀ (A X B)⁻ᵀ Bᵀ. What is no square stays: Xᵀ X of a tall X.
"""

from __future__ import annotations

from derive.expr import Access, Expr, Letter, MatrixCall, Reduce, add, fresh, mul, sum_over
from derive.hoist import reads_letters
from derive.rewrite import factors, map_children, rename_binders


def by_factors(e: Expr) -> Expr:
    """``e`` with each determinant and inverse of a product of square matrices written by its factors.

    >>> from derive.expr import Dim
    >>> from derive.program import Tensor
    >>> n = Dim("n"); i, j, k = (fresh(n, x) for x in "ijk"); A, B = Tensor("A", (n, n)), Tensor("B", (n, n))
    >>> by_factors(Reduce("logdet", (i, j), sum_over([k], A[i, k] * B[j, k])))
    logdet[i, j] B[i, j] + logdet[i, j] A[i, j]
    """
    e = map_children(e, by_factors)
    if not isinstance(e, Reduce) or e.op not in ("det", "logdet", "inv"):
        return e
    chain = _chain(e.body, *e.binders)
    if len(chain) < 2:
        return e
    if isinstance(e, MatrixCall):
        return _inverse(chain, e.places, e.binders)
    new = [(fresh(b.extent, b.hint), fresh(c.extent, c.hint)) for b, c in [e.binders] * len(chain)]
    parts = [Reduce(e.op, ends, a.tensor.at(ends)) for (a, _), ends in zip(chain, new, strict=True)]
    return mul(*parts) if e.op == "det" else add(*parts)


def _inverse(chain: list[tuple[Access, bool]], places: tuple[Expr, ...], like: tuple[Letter, ...]) -> Expr:
    """The product of the inverses, the last first."""
    between = [fresh(like[0].extent, like[0].hint) for _ in chain[1:]]
    ends = [places[0], *between, places[1]]
    parts = []
    for k, (a, turned) in enumerate(reversed(chain)):
        rows, columns = (fresh(b.extent, b.hint) for b in like)
        inside = a.tensor.at((columns, rows) if turned else (rows, columns))
        parts.append(MatrixCall("inv", (rows, columns), inside, (ends[k], ends[k + 1])))
    return sum_over(between, mul(*parts))


def _chain(e: Expr, row: Letter, column: Letter) -> list[tuple[Access, bool]]:
    """The matrices of a product in order, each with whether it stands transposed; none where one is not square."""
    parts, bound = _flat(e)
    found: list[tuple[Access, bool]] = []
    at = row
    while parts:
        here = [p for p in parts if at in p.letters]
        places = reads_letters(here[0]) if len(here) == 1 and isinstance(here[0], Access) else None
        if places is None or len(places) != 2 or {p.extent for p in places} != {row.extent}:
            return []
        access = here[0]
        assert isinstance(access, Access)
        found.append((access, places[1] == at))
        parts.remove(access)
        at = places[0] if places[1] == at else places[1]
        if at not in bound and at != column:
            return []
    return found if at == column else []


def _flat(e: Expr) -> tuple[list[Expr], set[Letter]]:
    """The factors of sums of products within each other, and the letters that are summed."""
    if not isinstance(e, Reduce) or isinstance(e, MatrixCall) or e.op != "sum":
        return list(factors(e)), set()
    inner = rename_binders(e)
    assert isinstance(inner, Reduce)
    parts, bound = list[Expr](), set(inner.binders)
    for f in factors(inner.body):
        more, letters = _flat(f)
        parts, bound = [*parts, *more], bound | letters
    return parts, bound
