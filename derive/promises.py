"""The properties of data, twice: what each one means for an array, and how to draw an array that has it.

In: a declared tensor and an array, or a random generator. Out: an error that names the first entry that breaks
a promise, or a small random array that keeps every one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.errors import NotSupportedYet, SourceError
from derive.evaluate import extent
from derive.program import Property, Tensor

Array = NDArray[Any]
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Promise:
    """``broken`` marks the entries (or whole slices) that break it; ``draw`` gives an array that keeps it."""

    words: str
    broken: Callable[[Array, Property, Sizes], Array]
    draw: Callable[[np.random.Generator, tuple[int, ...], Property, Sizes], Array]


def _sums_off(a: Array, p: Property) -> Array:
    assert p.axis is not None
    return np.asarray(np.abs(a.sum(axis=p.axis, keepdims=True) - 1) > 1e-6)


def _one_hot(r: np.random.Generator, shape: tuple[int, ...], p: Property, sizes: Sizes) -> Array:
    assert p.axis is not None
    ranks = np.argsort(r.random(shape), axis=p.axis)
    return np.asarray(ranks == 0, dtype=np.float64)


def _simplex(r: np.random.Generator, shape: tuple[int, ...], p: Property, sizes: Sizes) -> Array:
    assert p.axis is not None
    a = r.uniform(0.1, 1.0, shape)
    return np.asarray(a / a.sum(axis=p.axis, keepdims=True))


def _classes(p: Property, sizes: Sizes) -> int:
    assert p.extent is not None
    return extent(p.extent, sizes)


def _symmetric(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    a = r.normal(size=shape)
    return np.asarray(a + np.swapaxes(a, -1, -2))


def _positive_definite(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    a = r.normal(size=shape)
    return np.asarray(a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1]))


def _transposed(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


PROMISES: dict[str, Promise] = {
    "one_hot": Promise(
        "a single 1 and otherwise 0 along its class axis",
        lambda a, p, s: ((a != 0) & (a != 1)) | _sums_off(a, p),
        _one_hot,
    ),
    "simplex": Promise(
        "numbers from 0 on that sum to 1 along its class axis", lambda a, p, s: (a < 0) | _sums_off(a, p), _simplex
    ),
    "binary": Promise(
        "0 and 1 only", lambda a, p, s: (a != 0) & (a != 1), lambda r, n, p, s: r.integers(0, 2, n).astype(float)
    ),
    "signs": Promise(
        "1 and -1 only", lambda a, p, s: np.abs(a) != 1, lambda r, n, p, s: r.integers(0, 2, n) * 2.0 - 1.0
    ),
    "labels": Promise(
        "class numbers from 0 below the number of classes",
        lambda a, p, s: (a != np.rint(a)) | (a < 0) | (a >= _classes(p, s)),
        lambda r, n, p, s: r.integers(0, _classes(p, s), n),
    ),
    "positive": Promise("numbers above 0", lambda a, p, s: a <= 0, lambda r, n, p, s: r.uniform(0.5, 2.0, n)),
    "counts": Promise(
        "integers from 0 on",
        lambda a, p, s: (a < 0) | (a != np.rint(a)),
        lambda r, n, p, s: r.integers(0, 6, n).astype(float),
    ),
    "symmetric": Promise(
        "a matrix that equals its transpose", lambda a, p, s: a != _transposed(a), lambda r, n, p, s: _symmetric(r, n)
    ),
    "posdef": Promise(
        "a symmetric matrix with positive eigenvalues",
        lambda a, p, s: (a != _transposed(a)) | np.any(np.linalg.eigvalsh(a) <= 0),
        lambda r, n, p, s: _positive_definite(r, n),
    ),
    "diagonal": Promise(
        "a diagonal matrix",
        lambda a, p, s: (a != 0) & (np.eye(a.shape[-1]) == 0),
        lambda r, n, p, s: np.asarray(r.uniform(0.5, 2.0, n) * np.eye(n[-1])),
    ),
    "orthogonal": Promise(
        "a matrix whose transpose is its inverse",
        lambda a, p, s: np.abs(a @ _transposed(a) - np.eye(a.shape[-1])) > 1e-6,
        lambda r, n, p, s: np.linalg.qr(r.normal(size=n)).Q,
    ),
}


def check(t: Tensor, array: Array, sizes: Sizes) -> None:
    """Refuse ``array`` where it is not finite or breaks a promise that ``t`` makes.

    >>> y = Tensor("y", (), properties=(Property("binary"),))
    >>> check(y, np.array(1.0), {})
    """
    _refuse(t, array, ~np.isfinite(array), "finite numbers")
    for p in t.properties:
        promise = _of(p, t)
        _refuse(t, array, promise.broken(array, p, sizes), f"{promise.words} ({p.name})")


def _refuse(t: Tensor, array: Array, broken: Array, words: str) -> None:
    if np.any(broken):
        place = tuple(int(k) for k in np.argwhere(np.broadcast_to(broken, array.shape))[0])
        where = f"[{', '.join(map(str, place))}]" if place else ""
        raise SourceError(f"{t.name} must hold {words}; {t.name}{where} is {array[place]:g}", t.span)


def draw(t: Tensor, sizes: Sizes, r: np.random.Generator) -> Array:
    """A random array for ``t`` of modest size, with every promise and bound kept."""
    shape = tuple(extent(a, sizes) for a in t.axes)
    if t.properties:
        # A weaker promise that stands beside a stronger one holds with it: the first that can be drawn decides.
        array = np.asarray(_of(t.properties[0], t).draw(r, shape, t.properties[0], sizes))
        check(t, array, sizes)
        return array
    if t.dtype == "int":
        return r.integers(0, 2, shape)
    if t.bounds is None:
        return np.asarray(r.normal(0.0, 0.7, shape))
    low, high = (None if b is None else float(b) for b in t.bounds)
    low = (-1.0 if high is None else high - 2.0) if low is None else low
    high = low + 2.0 if high is None else high
    # Away from the bounds, so that a step of a difference quotient stays inside.
    return np.asarray(r.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), shape))


def _of(p: Property, t: Tensor) -> Promise:
    if p.name not in PROMISES:
        raise NotSupportedYet(f"the property {p.name}", t.span)
    return PROMISES[p.name]
