"""Points at which a number meets another exactly: where a choice at a kink shows.

In: the condition of a kink, a model and a trial. Out: the trial's point with one tensor changed so that the condition
holds at some entry, then points with much set to zero or to one value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from derive.claims.numbers import Trial
from derive.claims.truth import Truth, unfold
from derive.expr import ZERO, Access, Compare, Expr, Letter, Num, add, mul, power
from derive.points import Point
from derive.program import Program, Tensor
from derive.rewrite import factors, substitute, terms, walk


def points_at_kinks(masks: list[Compare], truth: Truth, program: Program, base: Trial) -> Iterator[Point]:
    """Points at which some of the conditions hold, as far as they can be found."""
    point = {t.name: base.arrays[t] for t in program.declared if t.kind != "const"}
    for mask in masks:
        left, right = (unfold(side, truth.forward) for side in (mask.left, mask.right))
        for tensor, values in _solutions(add(left, mul(-1, right)), base):
            yield {**point, tensor.name: values}
    yield from at_zero(program, point)


def _solutions(apart: Expr, base: Trial) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Values of one tensor of the model for which ``apart`` is 0, where it stands there by itself."""
    for term in terms(apart):
        rest = add(*(t for t in terms(apart) if t is not term))
        for f in factors(term):
            if not isinstance(f, Access) or not _is_plain(f.tensor) or _reads(rest, f.tensor):
                continue
            others = mul(*(g for g in factors(term) if g is not f))
            places = f.places
            own = tuple(p for p in places if isinstance(p, Letter))
            if _reads(others, f.tensor) or len(set(own)) + sum(isinstance(p, Num) for p in places) < len(places):
                continue
            e = mul(-1, rest, power(others, -1))
            e = substitute(e, {a: ZERO for a in e.letters if a not in own})
            found = base.value(e, own)
            if found is not None and np.all(np.isfinite(found)):
                array = np.array(base.arrays[f.tensor], dtype=float)
                array[tuple(slice(None) if isinstance(p, Letter) else int(p.value) for p in places)] = found  # type: ignore[attr-defined]
                yield f.tensor, array


def at_zero(program: Program, point: Point) -> Iterator[Point]:
    """The point with data and parameters set to zero, one more each time; then all of one shape made equal."""
    free = [t for t in program.declared if _is_plain(t)]
    plain = [t.name for t in free]
    for k in range(len(plain)):
        yield {**point, **{name: np.zeros_like(point[name]) for name in plain[: k + 1]}}
        if k:
            yield {**point, plain[k]: np.zeros_like(point[plain[k]])}
    yield {**point, **{name: np.ones_like(point[name]) for name in plain}}


def _is_plain(t: Tensor) -> bool:
    return t.dtype == "real" and t.kind in ("input", "param") and not t.properties and t.bounds is None


def _reads(e: Expr, tensor: Tensor) -> bool:
    return any(isinstance(n, Access) and n.tensor is tensor for n in walk(e))
