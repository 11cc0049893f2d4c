"""Where a model is checked: small sizes, and random values at which every promise of the model holds.

In: a program. Out: extents, and dictionaries of arrays for all that it declares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive import promises
from derive.errors import GradcError
from derive.evaluate import evaluate, extent
from derive.expr import Num, Reduce
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.program import Equation, Program, Tensor
from derive.rewrite import walk
from derive.starts import distribution

Point = dict[str, NDArray[Any]]

_TRIES, _LARGE = 40, 120


_MANY = 5  # with more dims than this primes grow too large for whole Jacobians and sums over many axes


def small_sizes(program: Program, given: Mapping[str, int], least: int = 2) -> dict[str, int]:
    """Distinct small sizes from ``least`` on for all dims and the batch, except those given; primes for few dims.

    Many dims are no primes but as small as they can be, and the batch is 3 then, which one of them may be, too. The
    order of the defaults is kept, so that a kernel stays smaller than its image. Where an extent of the model would
    vanish nevertheless, the defaults themselves are used.
    """
    dims = [d for d in program.dims if d.derived is None]
    batch = [program.batch.name] if program.batch else []
    if unknown := [name for name in given if name not in [d.name for d in dims] + batch]:
        raise GradcError(f"no dim {unknown[0]} in {program.name}; its dims are {', '.join(d.name for d in dims)}")
    primes = len(program.dims) <= _MANY
    given = given if primes else {**dict.fromkeys(batch, 3), **given}
    ordered = sorted(dims, key=lambda d: (d.default is None, d.default or 0))
    free = [name for name in [d.name for d in ordered] + batch if name not in given]
    taken = {v for k, v in given.items() if primes or k not in batch}
    taken |= {int(a.value) for t in program.tensors for a in t.axes if isinstance(a, Num)}
    numbers = (
        p for p in itertools.count(least) if p not in taken and not (primes and any(p % q == 0 for q in range(2, p)))
    )
    drawn = tuple(itertools.islice(numbers, len(free)))
    chosen = {**dict(zip(free, drawn, strict=True)), **given}
    if _matrices(program) and len(free) <= _MANY:  # XᵀX has an inverse where X has more rows than columns
        orders = ({**dict(zip(free, order, strict=True)), **given} for order in itertools.permutations(drawn))
        chosen = next((sizes for sizes in orders if fits(program, sizes) and _regular(program, sizes)), chosen)
    if not fits(program, chosen):
        chosen.update({d.name: d.default for d in dims if d.default is not None and d.name not in given})
    return {name: chosen[name] for name in [d.name for d in dims] + batch}


def fits(program: Program, sizes: Mapping[str, int]) -> bool:
    """Whether every extent is positive at these sizes and every access stays inside."""
    known = {**sizes}
    for d in program.dims:
        if d.derived is not None:
            known[d.name] = extent(d.derived, known)
    if any(extent(a, known) < 1 for t in program.tensors for a in t.axes):
        return False
    try:
        evaluate(program, _point(program, known, np.random.default_rng(0)), known)
    except GradcError:
        return False
    return True


def _matrices(program: Program) -> tuple[Equation, ...]:
    """An equation for each matrix that something is a function of: it may be singular."""
    nodes = (n for e in program.equations for n in walk(e.body) if isinstance(n, Reduce) and n.op in MATRIX_FUNCTIONS)
    found = ((tuple(sorted(n.body.letters - {*n.binders}, key=lambda x: x.key)), n) for n in nodes)
    return tuple(
        Equation(Tensor(f"matrix {k}", tuple(a.extent for a in (*free, *n.binders))), (*free, *n.binders), n.body)
        for k, (free, n) in enumerate(found)
    )


def _condition(program: Program, matrices: tuple[Equation, ...], point: Point, sizes: Mapping[str, int]) -> float:
    """The largest condition number of the matrices at a point; infinite where one has an entry that is no number."""
    values = evaluate(program.with_equations((*program.equations, *matrices)), point, sizes)
    found = [values[m.out.name] for m in matrices if m.out.name in values]
    if not all(np.isfinite(a).all() for a in found):
        return math.inf
    return max((float(np.max(np.linalg.cond(a), initial=1)) for a in found), default=1)


def _regular(program: Program, sizes: Mapping[str, int]) -> bool:
    """Whether every function of a matrix has a value at some random point."""
    draws = (_point(program, sizes, np.random.default_rng(seed)) for seed in range(4))
    return any(all(np.all(np.isfinite(a)) for a in evaluate(program, point, sizes).values()) for point in draws)


def _point(program: Program, sizes: Mapping[str, int], r: np.random.Generator) -> Point:
    given = (t for t in program.declared if t.kind != "const")
    point = {t.name: sample(program, t, sizes, r) if t.kind == "noise" else promises.draw(t, sizes, r) for t in given}
    for t in program.parameters:  # sums over many of them stay where e to their power is a number that can be told
        if t.bounds is None and point[t.name].size > _LARGE:
            point[t.name] = point[t.name] * math.sqrt(_LARGE / 12 / point[t.name].size)
    return point


_DRAWS: dict[str, Callable[..., NDArray[Any]]] = {
    "constant": lambda r, shape, c: np.full(shape, c),
    "normal": lambda r, shape, mean, std: np.asarray(r.normal(mean, std, shape)),
    "uniform": lambda r, shape, low, high: np.asarray(r.uniform(low, high, shape)),
    "bernoulli": lambda r, shape, p: np.asarray(r.random(shape) < p, dtype=np.float64),
}


def sample(program: Program, t: Tensor, sizes: Mapping[str, int], r: np.random.Generator) -> NDArray[Any]:
    """An array for ``t`` from its own distribution.

    >>> from derive.expr import Dim
    >>> from derive.program import Initializer
    >>> t = Tensor("M", (Dim("h"),), "noise", init=Initializer("ones"))
    >>> sample(Program("m"), t, {"h": 3}, np.random.default_rng(0))
    array([1., 1., 1.])
    """
    kind, arguments = distribution(program, t)
    named = [Equation(Tensor(f"a{k}", ()), (), e) for k, e in enumerate(arguments)]
    found = evaluate(Program("", dims=program.dims, equations=tuple(named)), {}, sizes)
    return _DRAWS[kind](r, tuple(extent(a, sizes) for a in t.axes), *(float(found[e.out.name]) for e in named))


def points(program: Program, sizes: Mapping[str, int], seed: int, good: Callable[[Point], bool]) -> Iterator[Point]:
    """Random values for all that is declared, as far as they are ``good``.

    Every second one is positive where nothing else is promised: logarithms and roots ask for it.
    """
    r = np.random.default_rng(seed)
    given = [t for t in program.declared if t.kind != "const"]
    free = [t.name for t in given if t.dtype == "real" and not t.properties and t.bounds is None and t.kind != "noise"]
    matrices = _matrices(program)
    for attempt in range(_TRIES):
        point = _point(program, sizes, r)
        if attempt % 2:
            point.update({name: np.asarray(np.abs(point[name]) + 0.3) for name in free})
        if matrices and _condition(program, matrices, point, sizes) > 1e3 * 10 ** (attempt / 10):
            continue  # digits that the matrix takes away are no fault of a formula
        if good(point):
            yield point
