"""Derivatives as matrices: the Jacobian of one equation, and the product of Jacobians along a chain.

In: an `Edge`, or an equation of ∂y/∂x. Out: matrix forms in numerator layout (rows count y, columns x), or small
matrices written out entry by entry where the extents are numbers and there is no form.
"""

from __future__ import annotations

from derive import forms
from derive.expr import ONE, ZERO, Access, Expr, Letter, Num, compare, num
from derive.forms import Form
from derive.lift import lift
from derive.program import Equation, Tensor
from derive.rewrite import map_children, substitute
from derive.steps.edges import Edge, deltas_of, diagonal, split_deltas
from derive.steps.step import Slice, Written
from derive.steps.teller import Teller

_LARGEST = 4
"""Up to how many rows and columns a matrix is written out."""


def tell_matrix(teller: Teller, edge: Edge, target: Tensor) -> None:
    """The Jacobian as a matrix, of one sample where both sides have more than one axis."""
    full = edge.element
    if full == ZERO:
        return
    if split_deltas(full, edge):
        full = teller.expanded(full)
    pairs = {j: f for j, f in diagonal(full, edge).items() if j.extent != ONE}
    batch = teller.notation.program.batch
    if edge.out.out.rank == edge.wrt.rank == 2 and pairs:
        j = next((j for j in pairs if j.extent == batch), next(iter(pairs)))
        table = {j: pairs[j]}
    elif edge.out.out.rank == edge.wrt.rank == 1 or (teller.rows and edge.out.out.rank + edge.wrt.rank == 1):
        table = {}
    else:
        return
    fixed = tuple(table)
    outer = tuple(next((j for j in table if table[j] == f), None) for f in edge.outer)
    inner = tuple(a if a in table else None for a in edge.inner)
    body = _sliced(substitute(full, {f: j for j, f in table.items()}), set(fixed), {})
    rows = [f for f, at in zip(edge.outer, outer, strict=True) if at is None]
    cols = [a for a, at in zip(edge.inner, inner, strict=True) if at is None]
    if body is None or len(rows) > 1 or len(cols) > 1 or any(a.extent == ONE for a in (*rows, *cols)):
        return
    row, col = next(iter(rows), None), next(iter(cols), None)
    whole: Tensor = Slice.make(edge.ratio, (*outer, *inner)) if fixed else edge.ratio
    found = matrix(teller, body, row, col)
    if found is not None:
        before = forms.Leaf(row, col, (), whole)
        letters = (*fixed, *rows, *cols)
        teller.say("Jacobian", target, (before, found), letters, fixed=fixed, span=edge.span)


def matrix(teller: Teller, body: Expr, row: Letter | None, col: Letter | None) -> Form | Written | None:
    """``body`` as a matrix with these rows and columns (None where there is one of them); None if there is none."""
    if row is not None and col is not None and (inside := _on_diagonal(body, row, col)) is not None:
        form = lift(Equation(Tensor("", (row.extent,)), (row,), inside), teller.notation.primes)
        if form is not None:
            return forms.Diag(row, col, (form if form.row is not None else forms.transpose(form),))
    axes = tuple(a for a in (row, col) if a is not None)
    equation = Equation(Tensor("", tuple(a.extent for a in axes)), axes, body)
    form = lift(equation, teller.notation.primes, diagonals=True)
    if form is not None:
        return form if (form.row, form.col) == (row, col) or not axes else forms.transpose(form)
    return written(teller, body, row, col)


def _on_diagonal(body: Expr, row: Letter, col: Letter) -> Expr | None:
    """The entries of a diagonal matrix, if it is one and they are not all alike."""
    delta = compare("==", row, col)
    if delta not in deltas_of(body):
        return None
    entries = substitute(substitute(body, {delta: ONE}), {col: row})
    return entries if row in entries.letters else None


def written(teller: Teller, body: Expr, row: Letter | None, col: Letter | None) -> Written | None:
    """``body`` entry by entry, if there are few of them whatever the sizes are."""
    ranges = []
    for a in (row, col):
        if a is not None and not isinstance(a.extent, Num):
            return None
        count = 1 if a is None else int(a.extent.value)  # type: ignore[attr-defined]
        if count > _LARGEST:
            return None
        ranges.append([{} if a is None else {a: num(k)} for k in range(count)])
    rows = [[teller.short(substitute(body, {**i, **j})) for j in ranges[1]] for i in ranges[0]]
    return Written((tuple(map(tuple, rows)),))


def _sliced(e: Expr, fixed: set[Letter], made: dict[object, Slice]) -> Expr | None:
    """``e`` with every access at fixed letters read from a slice; None where a fixed letter stays."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and fixed & set(node.places):
            at = tuple(p if p in fixed else None for p in node.places)
            key = (node.tensor, at)
            kept = made.setdefault(key, Slice.make(node.tensor, at))  # type: ignore[arg-type]
            return kept.at(p for p in node.places if p not in fixed)
        return map_children(node, visit)

    found = visit(e)
    return None if found.letters & fixed else found
