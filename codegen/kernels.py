"""What of a function runs in kernels: products, from what they start, and sums along rows and columns.

In: parts and the products among them. Out: the same without axes of extent 1; products that take up the bias or the
matrix that is added to them; the parts that are folds of a matrix. Kernels take what lies in memory as it is, so
nothing here makes a new operand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations

from codegen.contract import as_it_lies, spread
from codegen.steps import Fold, Gemm, Operand, Part, RoundParts, Routine, Step, written_by
from derive.expr import ZERO, Access, Add, Expr, Letter, Reduce, mul
from derive.program import Tensor, reads
from derive.rewrite import factors, substitute, walk
from derive.scatter import landings
from derive.shapes import size

Item = Part | RoundParts | Routine
FEW, SHORT = 12, 256  # columns that leave registers half empty, and bytes of the shortest row that is worth another way
CLOSE, FIXED = 64, 8192  # columns, and numbers of a matrix, up to which a product is compiled where it stands
LANES, TERMS = 8, 20  # columns at least of sums of one term, and terms at most of sums in one column
STRIP = 48  # columns for which there is room to copy, as in tiles.py.jinja
FIRST = 1 << 15  # bytes of the other matrix up to which rows of a transposed one are not copied
TALL, BROAD, SHARES = 96, 32, 8  # rows and columns, see tiles.py.jinja, and how many strips their copies take together


def without_units(part: Part, sizes: Mapping[str, int]) -> Part:
    """A part that sums over no axis that is known to have one place."""
    body = part.body
    if not isinstance(body, Reduce) or body.op.startswith("arg"):
        return part
    unit: dict[Expr, Expr] = {b: ZERO for b in body.binders if _one((b,), sizes)}
    if not unit:
        return part
    left, inside = tuple(b for b in body.binders if b not in unit), substitute(body.body, unit)
    return replace(part, body=body.over(left, inside) if left else inside)


def read_again(items: Sequence[Item]) -> list[Item]:
    """The items, each sum of what another part computes element by element as a sum of what that one left."""
    made = [p for p in items if isinstance(p, Part) and not p.body.reduces and len(p.letters) > 1]
    done: list[Item] = []
    early: set[Part] = set()
    for item in items:
        found = _source(item, made) if isinstance(item, Part) else None
        if found is None:
            done += [] if item in early else [item]
            continue
        source, places = found
        if source not in done:  # all that it reads is there: the sum reads the same
            done.append(source)
            early.add(source)
        assert isinstance(item, Part)
        assert isinstance(item.body, Reduce)
        done.append(replace(item, body=item.body.over(item.body.binders, Access(source.out, places))))
    return done


def _source(part: Part, made: Sequence[Part]) -> tuple[Part, tuple[Letter, ...]] | None:
    """The part whose elements are what this one sums, and the places that they are read at."""
    body = part.body
    if not isinstance(body, Reduce) or body.op != "sum" or isinstance(body.body, Access):
        return None
    letters = (*part.letters, *body.binders)
    tensors = set(reads(body.body))
    for source in made:
        if len(source.letters) != len(letters) or set(reads(source.body)) != tensors:
            continue
        for order in permutations(letters):
            table: dict[Expr, Expr] = dict(zip(source.letters, order, strict=True))
            if all(a.extent == b.extent for a, b in zip(source.letters, order, strict=True)) and (
                substitute(source.body, table) == body.body
            ):
                return source, order
    return None


def narrowed(g: Gemm, sizes: Mapping[str, int]) -> Gemm:
    """A product of a matrix that is known to have one row or column as that of a vector."""
    if len(g.left.groups) == len(g.right.groups) == 2 and g.left.windows is None:
        if _one(g.right.groups[not g.right.transposed], sizes):
            return replace(g, right=_vector(g.right, g.right.transposed), out=_vector(g.out, False))
        if _one(g.left.groups[g.left.transposed], sizes):
            return replace(g, left=_vector(g.left, not g.left.transposed), out=_vector(g.out, True))
    return g


def along(g: Gemm) -> bool:
    """Whether a product is of a matrix and a vector, by dot products along the matrix's rows as they lie."""
    vector = next((o for o in (g.left, g.right) if len(o.groups) == 1), None)
    matrix = g.left if vector is g.right else g.right
    return vector is not None and matrix.transposed == (vector is g.left)


def as_matrices(g: Gemm) -> Gemm:
    """A product of a matrix and a vector as that of two matrices, one of which has one row or one column.

    Dot products along the matrix's rows are one of one column; a sum of its rows, times numbers, is one of one row.
    """
    vector = next((o for o in (g.left, g.right) if len(o.groups) == 1), None)
    if vector is None:
        return g
    matrix = replace(g.left if vector is g.right else g.right, transposed=False)
    if along(g):
        column, out = (replace(o, groups=(*o.groups, ())) for o in (vector, g.out))
        return replace(g, left=matrix, right=column, out=out)
    row, out = (replace(o, groups=((), *o.groups)) for o in (vector, g.out))
    return replace(g, left=row, right=matrix, out=out)


def outer(part: Part, sizes: Mapping[str, int]) -> Gemm | None:
    """Each number of one vector times each of another, as a product that sums one term; None where it is none.

    It is for short rows: loops over them are as long in the making of their vector code as in running it.
    """
    found = [f for f in factors(part.body) if isinstance(f, Access)]
    if len(part.letters) != 2 or len(found) != 2 or mul(*found) != part.body:
        return None
    rows, columns = ((x,) for x in part.letters)
    left, right = sorted(found, key=lambda f: f.letters != {*rows})
    if as_it_lies(left, sizes) != rows or as_it_lies(right, sizes) != columns:
        return None
    a, b = Operand(left.tensor, (rows, ())), Operand(right.tensor, ((), columns))
    g = Gemm(Operand(part.out, (rows, columns)), a, b, part)
    return g if fixed(g, sizes) and (extents(g, sizes)[2] or 0) >= LANES else None


def few(g: Gemm, sizes: Mapping[str, int], item: int) -> bool:
    """Whether dot products along rows may pay, on one machine or another; ``item`` is the size of a number."""
    if g.left.windows is not None or len(g.left.groups) == 1 or len(g.right.groups) == 1:
        return along(g)
    _, inner, columns = extents(g, sizes)
    return not g.left.transposed and (columns or FEW) <= FEW and (inner or SHORT) >= SHORT // item


def fixed(g: Gemm, sizes: Mapping[str, int]) -> bool:
    """Whether a product has so few columns, known when it is compiled, that a call of the common kernel costs more."""
    if g.left.windows is not None or len(g.left.groups) == 1 or len(g.right.groups) == 1 or g.symmetric:
        return False
    if g.start is not None and len(g.start.groups) == 2:
        return False  # it may lie where the result does, and some of that is computed twice
    rows, inner, columns = extents(g, sizes)
    if columns is None or columns > (STRIP if g.right.transposed else CLOSE):
        return False
    if columns <= FEW and ((rows if g.left.transposed else inner) or 0) >= CLOSE:
        return False  # sums along the rows, or of the transposed result, leave no registers empty
    if columns == 1 and (inner is None or inner > TERMS):
        return False  # even short ones do
    return all(x is None or x * columns <= FIXED for x in (rows, inner))


def placed(g: Gemm, steps: Iterable[Step], sizes: Mapping[str, int]) -> bool:
    """Whether a product among these steps is compiled where it stands: one with a vector where another one is, too.

    For it alone the lines that all of them share are too many.
    """
    if not fixed(as_matrices(g), sizes):
        return False
    return fixed(g, sizes) or any(isinstance(s, Gemm) and fixed(s, sizes) for s in steps)


@dataclass(frozen=True)
class WindowsKernel:
    """A product with windows as it is compiled: where they lie, how many columns, from what sums start."""

    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]
    count: int
    summed: bool
    plus: bool

    @property
    def name(self) -> str:
        """What it is called: products that are alike have one."""
        rows, columns = ("_".join(f"{extent}x{apart}" for extent, apart in axes) for axes in (self.rows, self.columns))
        return f"_windowed{'_sum' * self.summed}{'_plus' * self.plus}_{rows}_by_{columns}_to_{self.count}"


def windows_of(g: Gemm, sizes: Mapping[str, int]) -> WindowsKernel:
    """The kernel of a product with windows."""
    windows, columns = g.left.windows, extents(g, sizes)[2]
    assert windows is not None
    assert columns is not None
    return WindowsKernel(windows.rows, windows.columns, int(columns), windows.summed, g.start is not None)


def extents(g: Gemm, sizes: Mapping[str, int]) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """M, K and N of a product of M × K and K × N numbers; None where one is known only when it runs."""
    m, k, n = (size(mul(*(s.extent for s in group)), sizes) for group in g.counted)
    return m, k, n


def paneled(g: Gemm, sizes: Mapping[str, int]) -> bool:
    """Whether rows of a transposed matrix, which lie far apart, may be copied for many columns of the other one."""
    if g.left.windows is not None or len(g.left.groups) == 1 or len(g.right.groups) == 1:
        return False
    rows, _, columns = extents(g, sizes)
    return g.left.transposed and (rows is None or rows >= TALL // 2) and (columns is None or columns > BROAD)


def copied(g: Gemm, sizes: Mapping[str, int]) -> Expr:
    """How long, at most, the strip is that a product copies to; none for dot products along the rows of a matrix.

    Of Aᵀ B rows and columns may be copied, several strips of them at once; of windows nothing is.
    """
    if g.left.windows is not None or along(g):
        return ZERO
    vector = next((o for o in (g.left, g.right) if len(o.groups) == 1), None)
    inner = mul(*(s.extent for s in (vector.groups[0] if vector else g.left.groups[not g.left.transposed])))
    return mul(SHARES, inner) if paneled(g, sizes) else inner


def _one(letters: Sequence[Letter], sizes: Mapping[str, int]) -> bool:
    return all(size(x.extent, sizes) == 1 for x in letters)


def _vector(o: Operand, second: bool) -> Operand:
    """One of the two groups of axes; the other one has one place."""
    return Operand(o.tensor, (o.groups[second],))


def started(part: Part, steps: Sequence[Step], alone: Collection[Tensor]) -> dict[int, Gemm] | None:
    """Steps that take the place of earlier ones so that ``part``, a sum of products and something else, is done.

    ``alone`` are the tensors that nothing but one part reads.
    """
    if not isinstance(part.body, Add) or not all(isinstance(t, Access) for t in part.body.args):
        return None
    terms = [t for t in part.body.args if isinstance(t, Access)]
    found = {
        k: step
        for k, step in enumerate(steps)
        if isinstance(step, Gemm) and step.out.tensor in alone and len(step.out.groups) == 2
        if step.start is None and not step.symmetric and not step.out.transposed
        if step.left.windows is None or not step.left.windows.summed
        if any(t.tensor == step.out.tensor and t.places == part.letters for t in terms)
        if len(step.left.groups) == len(step.right.groups) == 2
    }
    made = {g.out.tensor for g in found.values()}
    others = [t for t in terms if t.tensor not in made]
    if not found or len(others) > 1 or len(terms) != len(found) + len(others):
        return None
    start: Operand | None = None
    first = min(found)
    if others:
        (other,) = others
        later = {t for step in steps[first:] for t in written_by(step)}
        rows, columns = found[first].out.groups
        inner = part.letters[len(rows) :]
        if other.tensor in later or spread(other) is None or other.places not in (part.letters, inner):
            return None
        start = Operand(other.tensor, (rows, columns) if other.places == part.letters else (columns,))
    done: dict[int, Gemm] = {}
    for k in sorted(found):
        done[k] = replace(found[k], start=start)
        start = found[k].out
    last = found[max(found)]
    done[max(found)] = replace(done[max(found)], out=replace(last.out, tensor=part.out), part=part)
    return done


def started_inside(part: Part, steps: Sequence[Step], alone: Collection[Tensor]) -> tuple[Part, dict[int, Gemm]]:
    """``part`` with what it adds to products inside of something else left to them, and the steps that do so."""
    for e in walk(part.body):
        if not isinstance(e, Add) or e is part.body or part.body.reduces:
            continue
        read = {t.tensor for t in e.args if isinstance(t, Access)}
        last = next((s for s in reversed(steps) if isinstance(s, Gemm) and s.out.tensor in read), None)
        taken = (
            None if last is None else started(Part(last.out.tensor, part.letters, e, last.part.origin), steps, alone)
        )
        if last is not None and taken is not None:
            whole = Access(last.out.tensor, part.letters)
            same = {k: replace(g, part=s.part) for k, g in taken.items() if isinstance(s := steps[k], Gemm)}
            return replace(part, body=substitute(part.body, {e: whole})), same
    return part, {}


def fold_of(part: Part) -> Fold | None:
    """A sum or largest number along all rows, or a sum along all columns, of a matrix that lies in memory."""
    body = part.body
    if not isinstance(body, Reduce) or body.op not in ("sum", "max") or not part.letters:
        return None
    order = spread(body.body)
    if order is None or landings(body, part.letters):
        return None
    assert isinstance(body.body, Access)
    out, tensor = Operand(part.out, (part.letters,)), body.body.tensor
    inner = tuple(x for x in order if x in body.binders)
    if order == part.letters + inner:
        return Fold(out, Operand(tensor, (part.letters, inner)), body.op, False, part)
    if order == inner + part.letters and body.op == "sum":
        return Fold(out, Operand(tensor, (inner, part.letters)), body.op, True, part)
    return None
