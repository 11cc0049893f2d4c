"""Samples in rows or in columns: two model files, one function.

Derives both digits networks, prints their gradients side by side, and shows on the same numbers that each gradient of
the one is the transpose of the other's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import codegen
import derive

HERE = Path(__file__).resolve().parent
ROWS, COLUMNS = (derive.load(HERE / f"digits_{layout}.gc") for layout in ("rows", "columns"))


def main() -> None:
    """Print the formulas and the largest difference."""
    names = ("W1", "b1", "W2", "b2")
    in_rows, in_columns = ROWS.gradient(), COLUMNS.gradient()
    for name in names:
        print(f"{in_rows[name]!s:45} {in_columns[name]}")

    rows, columns = (codegen.compile(m, dtype="float64") for m in (ROWS, COLUMNS))
    params = rows.init_params(seed=1)
    r = np.random.default_rng(2)
    X, Y = r.random((7, 64)), np.eye(10)[r.integers(0, 10, 7)]
    flipped = {name: np.ascontiguousarray(np.atleast_2d(a).T) for name, a in params.items()}
    loss, gradients = rows.loss_and_grad(params, X=X, Y=Y)
    other, transposed = columns.loss_and_grad(flipped, X=np.ascontiguousarray(X.T), Y=np.ascontiguousarray(Y.T))
    worst = max(np.abs(np.atleast_2d(gradients[k]).T - transposed[k]).max() for k in names)
    print(f"losses {loss:.12f} and {other:.12f}; largest difference of a gradient {worst:.1e}")


if __name__ == "__main__":
    main()
