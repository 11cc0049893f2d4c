"""Functions of whole matrices among the parts: factored once, solved with, inverted only where nothing else will do.

In: parts. Out: the same with calls of routines in the place of A⁻¹, det A, log |det A| and Cholesky factors; and, once
products are known, those with an inverse as solutions of linear systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from codegen.steps import Gemm, Part, RoundParts, Routine
from derive.expr import Access, Reduce, add
from derive.facts import Facts
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.program import Program, Tensor
from derive.squares import Squares


def factored(parts: Sequence[Part | RoundParts], program: Program) -> tuple[Part | RoundParts | Routine, ...]:
    """The parts, with every function of a matrix as a call; equal matrices are factored once."""
    loops = [p for p in parts if isinstance(p, RoundParts)]
    inside = [i for loop in loops for b in loop.blocks for i in b.items]
    if not any(isinstance(p, Part) and _is_call(p) for p in (*parts, *inside)):
        return tuple(parts)
    return tuple(_Factors(Facts(program).squares).calls(parts))


def _is_call(part: Part) -> bool:
    return isinstance(part.body, Reduce) and part.body.op in MATRIX_FUNCTIONS


class _Factors:
    """One run: which matrices are symmetric or triangular, and which have been factored."""

    def __init__(self, squares: Squares) -> None:
        self.squares = squares
        self.lower: set[Tensor] = set()
        self.known: dict[Tensor, tuple[Tensor, Tensor]] = {}

    def calls(self, parts: Iterable[Part | RoundParts]) -> Iterator[Part | RoundParts | Routine]:
        for part in parts:
            if isinstance(part, RoundParts):
                yield part.each(lambda items: tuple(_Factors(self.squares).calls(items)))
                continue
            if not _is_call(part):
                yield part
                continue
            body = part.body
            assert isinstance(body, Reduce)
            before, matrix = _operand(part, body)
            yield from before
            if body.op == "cholesky":
                self.lower.add(part.out)
                yield Routine("cholesky", (part.out,), (matrix,), part)
                continue
            if matrix not in self.known:
                axes = matrix.axes
                factor = Tensor(f"{matrix.name}_factor", axes)
                pivots = Tensor(f"{matrix.name}_pivots", (add(axes[0], 1),), dtype="int")
                self.known[matrix] = factor, pivots
                yield Routine("factor", (factor, pivots), (matrix,), part, kind=self.kind(matrix, body))
            yield Routine({"inv": "inverse"}.get(body.op, body.op), (part.out,), self.known[matrix], part)

    def kind(self, matrix: Tensor, body: Reduce) -> str:
        """How a matrix is factored."""
        if matrix in self.lower:
            return "lower"
        symmetric = matrix in self.squares.symmetric or self.squares.is_symmetric(body.body, body.binders)
        return "symmetric" if symmetric else "general"


def _operand(part: Part, body: Reduce) -> tuple[list[Part], Tensor]:
    """The matrix as a tensor that lies in memory, after the part that makes it where there is none."""
    e = body.body
    if isinstance(e, Access) and e.places == body.binders:
        return [], e.tensor
    made = Tensor(f"{part.out.name}_matrix", tuple(b.extent for b in body.binders))
    return [Part(made, body.binders, e, part.origin)], made


def inverses(items: Iterable[Any]) -> dict[Tensor, Routine]:
    """Which tensors are inverses, with the call that makes each."""
    return {i.writes[0]: i for i in items if isinstance(i, Routine) and i.name == "inverse"}


def solved(product: Gemm, known: dict[Tensor, Routine]) -> Gemm | Routine:
    """A product with an inverse as the solution of a system: A⁻¹ B, or B A⁻¹."""
    left, right = product.left, product.right
    plain = all(len(g) == 1 for o in (left, right, product.out) for g in o.groups)
    if not plain or product.out.transposed or (left.tensor not in known and right.tensor not in known):
        return product
    if left.tensor in known:
        factor, pivots = known[left.tensor].ins
        given, name, turned = right, "solve", left.transposed
    elif len(left.groups) == 1:  # a row from the left is a column of the transposed system
        factor, pivots = known[right.tensor].ins
        given, name, turned = left, "solve", not right.transposed
    else:
        factor, pivots = known[right.tensor].ins
        given, name, turned = left, "solve_right", right.transposed
    return Routine(name, (product.out,), (factor, pivots, given), product.part, transposed=turned)


def without_inverses(
    items: Sequence[Any], kept: Iterable[Tensor], reads: Callable[[Any], Iterable[Tensor]]
) -> list[Any]:
    """The items without inverses that nothing reads once systems are solved."""
    read = {t for item in items for t in reads(item)}.union(kept)
    return [i for i in items if not (isinstance(i, Routine) and i.name == "inverse" and i.outs[0] not in read)]
