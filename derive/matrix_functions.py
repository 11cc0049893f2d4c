"""The true primitives of matrices: inverse, determinant, log-determinant and Cholesky factor.

In: the name of one. Out: its value in NumPy, for stacks of matrices, and its differential. No chain rule leads to these
differentials, for none of them is a formula in the entries that one would compute with; everything else (solving,
quadratic forms, log-likelihoods) is written with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.expr import Access, Expr, Letter, MatrixCall, Reduce, add, compare, fresh, fresh_like, mul, num, sum_over

Array = NDArray[Any]
_SINGULAR = 1e10  # condition numbers beyond which a matrix counts as singular
Named = Callable[[Reduce], Access]


@dataclass(frozen=True)
class At:
    """Where a slope is asked for: of the result at ``i, j`` by the entry ``k, l`` of the matrix ``A``.

    ``node`` is the primitive at its binders, which are k and l; ``named`` gives an expression the name of a tensor.
    """

    node: Reduce
    named: Named

    @property
    def k(self) -> Letter:
        """The row of the entry."""
        return self.node.binders[0]

    @property
    def l(self) -> Letter:  # noqa: E743
        """Its column."""
        return self.node.binders[1]

    def result(self, *places: Expr) -> Expr:
        """The result, at places where it is a matrix."""
        return self._named(self.node.op, self.node.body, places)

    def inverse(self, row: Expr, column: Expr) -> Expr:
        """An entry of A⁻¹."""
        return self._named("inv", self.node.body, (row, column))

    def inverse_of_result(self, row: Expr, column: Expr) -> Expr:
        """An entry of the inverse of the result."""
        a, b = (fresh_like(x) for x in self.node.binders)
        x = _like(self.node)
        whole = self.named(MatrixCall("inv", (a, b), self.result(a, b), x))
        return whole.tensor.at(_placed(whole, x, (row, column)))

    def _named(self, op: str, body: Expr, places: tuple[Expr, ...]) -> Expr:
        if not places:
            return self.named(Reduce(op, self.node.binders, body))
        x = _like(self.node)
        whole = self.named(MatrixCall(op, self.node.binders, body, x))
        return whole.tensor.at(_placed(whole, x, places))


def _like(node: Reduce) -> tuple[Letter, Letter]:
    first, second = (fresh_like(b) for b in node.binders)
    return first, second


def _placed(whole: Access, letters: tuple[Letter, Letter], places: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The places of ``whole`` with the letters of its rows and columns replaced."""
    table: dict[Expr, Expr] = dict(zip(letters, places, strict=True))
    return tuple(table.get(p, p) for p in whole.places)


@dataclass(frozen=True)
class MatrixFunction:
    """A primitive: of which rank its result is, its value, and its slope.

    The slope at ``i, j`` (at nothing where the result is a number) is the coefficient of dA[k, l] in the differential
    of that entry: ``d inv(A)[i, j] = Σ_kl slope · dA[k, l]``. ``source`` says where that is proved; it
    takes at most ``operations`` times n³ operations.
    """

    name: str
    rank: int
    value: Callable[[Array], Array]
    slope: Callable[..., Expr]
    operations: int
    source: str


def _inverse_slope(at: At, i: Expr, j: Expr) -> Expr:
    """dA⁻¹ = −A⁻¹ dA A⁻¹."""
    return mul(-1, at.result(i, at.k), at.result(at.l, j))


def _det_slope(at: At) -> Expr:
    """D det A = det A · tr(A⁻¹ dA), where A has an inverse."""
    return mul(at.result(), at.inverse(at.l, at.k))


def _logdet_slope(at: At) -> Expr:
    """D log |det A| = tr(A⁻¹ dA)."""
    return at.inverse(at.l, at.k)


def _cholesky_slope(at: At, i: Expr, j: Expr) -> Expr:
    """DL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ keeps what is below the diagonal, and half of it; dA is made symmetric."""
    m = fresh(at.k.extent, "m")
    half = add(compare("<", j, m), mul(num(1) / 2, compare("==", j, m)))

    def below(k: Expr, l: Expr) -> Expr:
        inside = mul(at.result(i, m), half, at.inverse_of_result(m, k), at.inverse_of_result(j, l))
        return sum_over((m,), mul(num(1) / 2, inside))

    return add(below(at.k, at.l), below(at.l, at.k))


def _logdet(a: Array) -> Array:
    """Log |det A|, analytic in A."""
    sign, size = np.linalg.slogdet(a)
    return np.asarray(size + (np.log(sign * np.sign(sign.real)) if np.iscomplexobj(a) else 0))


def _cholesky(a: Array) -> Array:
    """The factor of the symmetric part; no entry is conjugated."""
    a, out = (a + np.swapaxes(a, -1, -2)) / 2, np.zeros_like(a)
    for j in range(a.shape[-1]):
        rest = a[..., j:, j] - np.einsum("...ik,...k->...i", out[..., j:, :j], out[..., j, :j])
        out[..., j:, j] = rest / np.sqrt(rest[..., :1])
    return out


def value_of(name: str, a: Array) -> Array:
    """The value for each matrix of a stack; no numbers where an inverse or a factor would have no digit that is right.

    >>> value_of("inv", np.array([[2.0, 0.0], [0.0, 4.0]]))[1, 1], value_of("inv", np.ones((2, 2)))[1, 1]
    (np.float64(0.25), np.float64(nan))
    """
    function = MATRIX_FUNCTIONS[name]
    shape = a.shape if function.rank else a.shape[:-2]
    if not np.all(np.isfinite(a)):
        return np.full(shape, np.nan)
    if name != "det" and np.any(np.linalg.cond(a.real) > _SINGULAR):
        return np.full(shape, np.nan)
    try:
        return np.asarray(function.value(a))
    except np.linalg.LinAlgError:
        return np.full(shape, np.nan)


MATRIX_FUNCTIONS: dict[str, MatrixFunction] = {
    f.name: f
    for f in (
        MatrixFunction(
            "inv",
            2,
            np.linalg.inv,
            _inverse_slope,
            2,
            "Magnus and Neudecker, Matrix Differential Calculus, 8.4",
        ),
        MatrixFunction(
            "det",
            0,
            np.linalg.det,
            _det_slope,
            1,
            "Magnus and Neudecker, Matrix Differential Calculus, 8.3",
        ),
        MatrixFunction(
            "logdet",
            0,
            _logdet,
            _logdet_slope,
            1,
            "Magnus and Neudecker, Matrix Differential Calculus, 8.3",
        ),
        MatrixFunction(
            "cholesky",
            2,
            _cholesky,
            _cholesky_slope,
            1,
            "Murray, Differentiation of the Cholesky decomposition",
        ),
    )
}
