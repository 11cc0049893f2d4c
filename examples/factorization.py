"""Factorizes a matrix of which a fifth of the entries are missing, and says how well these are filled in.

In: the 1,797 images of scikit-learn's digits as a matrix, an image a row and a pixel a column, and the model of
`factorization.gc`. Out: the root of the mean squared error over the missing entries, of the model and of baselines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import derive
from codegen.data import arrange
from codegen.solve import METHODS, solve
from codegen.sources import Source
from codegen.train import train

MODEL = Path(__file__).resolve().parent / "factorization.gc"
Matrix = NDArray[np.float64]


def baselines(matrix: Matrix, missing: NDArray[np.bool_], rank: int, rounds: int = 100) -> dict[str, Matrix]:
    """What else could stand in the place of a matrix of which some entries are missing.

    The mean of all, the mean of each column, the best truncated singular value decomposition after column means were
    put in (its rank chosen by the missing entries themselves, in its favour), and the decomposition of the given
    ``rank`` whose own values are put in again and again.
    """
    columns = np.nanmean(np.where(missing, np.nan, matrix), axis=0)
    found = {"mean": np.full(matrix.shape, matrix[~missing].mean()), "mean of the pixel": columns + 0 * matrix}
    filled = np.where(missing, columns, matrix)
    u, s, v = np.linalg.svd(filled - columns, full_matrices=False)
    ranks = [columns + (u[:, :k] * s[:k]) @ v[:k] for k in range(1, len(s))]
    found["SVD, best rank"] = min(ranks, key=lambda a: error(a, matrix, missing))
    for _ in range(rounds):
        mean = filled.mean(0)
        u, s, v = np.linalg.svd(filled - mean, full_matrices=False)
        low = mean + (u[:, :rank] * s[:rank]) @ v[:rank]
        filled = np.where(missing, low, matrix)
    return {**found, f"SVD of rank {rank}, iterated": filled}


def error(filled: Matrix, matrix: Matrix, missing: NDArray[np.bool_]) -> float:
    """The root of the mean squared error over the missing entries."""
    return float(np.sqrt(np.mean((filled - matrix)[missing] ** 2)))


def factorize(
    matrix: Matrix, missing: NDArray[np.bool_], epochs: int, batch: int, seed: int, solver: str | None = None
) -> Matrix:
    """The matrix as the trained model gives it, or as a solver finds it in as many iterations as there are epochs."""
    model = derive.load(MODEL)
    rows, columns = (np.ascontiguousarray(places) for places in np.nonzero(~missing))
    mean = matrix[~missing].mean()
    entries = {"i": rows, "j": columns, "y": matrix[rows, columns] - mean}
    data = arrange(Source("the known entries", entries), model.program)
    if solver is not None:
        params = solve(model, data, method=solver, max_iterations=epochs, seed=seed, on_iterate=print).params
    else:
        params = train(model, data, epochs=epochs, batch_size=batch, seed=seed, holdout=0.0).params
    return np.asarray(mean + params["a"][:, None] + params["b"] + params["U"] @ params["V"].T, dtype=np.float64)


def main() -> None:
    """Train, and fail where the error is not below that of every baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--solve", choices=METHODS, help="do not train: solve, in as many iterations as --epochs says")
    options = parser.parse_args()
    matrix = load_digits().data
    missing = np.random.default_rng(options.seed).random(matrix.shape) < 0.2
    others = baselines(matrix, missing, rank=12)
    own = factorize(matrix, missing, options.epochs, options.batch, options.seed, options.solve)
    for name, filled in {**others, "factorization.gc": own}.items():
        print(f"{name:25} {error(filled, matrix, missing):.3f}")
    if error(own, matrix, missing) >= min(error(filled, matrix, missing) for filled in others.values()):
        raise SystemExit("a baseline is better")


if __name__ == "__main__":
    main()
