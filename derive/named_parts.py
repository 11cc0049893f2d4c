"""Parts of a formula that have a name already: dR ⊙ R ⊙ (1 − R) under a sum is dS where that is what dS is.

In: equations in order. Out: equal ones that read, in the place of a product, a sum or a function, the tensor that an
equation before them defines as that.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from derive.cost import cost
from derive.expr import (
    Access,
    Add,
    Call,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Reduce,
    add,
    mul,
    num,
    power,
    split_coefficient,
    split_power,
)
from derive.hoist import canonical_binders, reads_letters
from derive.program import Equation, Tensor
from derive.rewrite import accesses, factors, map_children, substitute, walk


@dataclass(frozen=True)
class _Part:
    """What a tensor is defined as, and the accesses in it that tell at which place it is read."""

    equation: Equation
    anchors: tuple[Access, ...]

    def places(self, e: Expr) -> Iterator[dict[Letter, Expr]]:
        """What the equation's letters may stand for in ``e``: where each anchor is one of the accesses there."""
        wanted = set(self.equation.letters)
        read = [[a for a in accesses(e) if a.tensor is anchor.tensor] for anchor in self.anchors]
        for chosen in itertools.product(*read):
            table: dict[Letter, Expr] = {}
            pairs = [
                (p, q)
                for x, y in zip(self.anchors, chosen, strict=True)
                for p, q in zip(x.places, y.places, strict=True)
            ]
            if all(isinstance(p, Letter) and isinstance(q, Letter) and table.setdefault(p, q) == q for p, q in pairs):
                yield {p: q for p, q in table.items() if p in wanted}


def _anchors(equation: Equation, body: Expr) -> tuple[Access, ...]:
    """One access with all letters, or two that have them between them; none where it takes more."""
    wanted = frozenset(equation.letters)
    bound = {b for n in walk(body) if isinstance(n, Reduce) for b in n.binders}
    plain = [(a, frozenset(reads_letters(a) or ()) - bound) for a in accesses(body)]
    for count in (1, 2):
        for chosen in itertools.combinations([(a, x) for a, x in plain if x and x <= wanted], count):
            if frozenset[Letter]().union(*(x for _, x in chosen)) == wanted:
                return tuple(a for a, _ in chosen)
    return ()


class NamedParts:
    """The products, sums and functions of one program that have names.

    >>> from derive.expr import Dim, fresh
    >>> n = Dim("n"); i = fresh(n, "i"); a, b, g, z, w = (Tensor(x, (n,)) for x in ("a", "b", "g", "z", "w"))
    >>> known = NamedParts([Equation(z, (i,), g[i] * a[i] * (1 - a[i])), Equation(w, (i,), a[i] - 2 * b[i])])
    >>> j = fresh(n, "j"); known.read(b[j] * g[j] * a[j] * (a[j] - 1)), known.read(g[j] + 4 * b[j] - 2 * a[j])
    (-1·b[j]·z[j], -2·w[j] + g[j])

    With ``sums`` so are products with sums over letters in them.
    """

    def __init__(self, equations: Iterable[Equation] = (), *, sums: bool = False) -> None:
        self.sums = sums
        self.by_tensor: dict[Tensor, list[_Part]] = defaultdict(list)
        for e in equations:
            self.remember(e)

    def remember(self, equation: Equation) -> None:
        """Let what comes later read this equation's tensor."""
        body = split_coefficient(equation.body)[1]
        if not isinstance(body, (Mul, Add, Call)) or (body.reduces and not (self.sums and isinstance(body, Mul))):
            return
        anchors = _anchors(equation, body)
        if anchors:
            self.by_tensor[anchors[0].tensor].append(_Part(equation, anchors))

    def read(self, e: Expr) -> Expr:
        """``e`` with such parts read by their names, as far as each saves an operation."""
        for part in self.within(e):
            found = _read(e, part)
            if found is not e and cost(found) < cost(e):
                e = found
        return e

    def within(self, e: Expr) -> list[_Part]:
        """What may stand in ``e``: all that it reads is read there, the longest first."""
        found = (p for t in e.tensors for p in self.by_tensor.get(t, ()) if p.equation.body.tensors <= e.tensors)
        return sorted(found, key=lambda p: (-p.equation.body.size, p.equation.out.number))


def _read(e: Expr, part: _Part, masks: frozenset[Expr] = frozenset()) -> Expr:
    """``e`` with the part wherever it stands; by these masks it is multiplied anyway."""
    if not part.equation.body.tensors - masks_read(masks) <= e.tensors:
        return e
    if isinstance(e, Mul):
        masks = masks.union(f for f in e.args if isinstance(f, Mask))
    e = map_children(e, lambda c: _read(c, part, masks))
    if not isinstance(e, (Mul, Add, Call)):
        return e
    body = part.equation.body
    for table in part.places(e):
        scale, one = split_coefficient(substitute(body, table))
        if one == e:
            return mul(num(1 / scale), part.equation.out.at(table[a] for a in part.equation.letters))
        rest = _without_terms(e, one) if isinstance(one, Add) else _without_factors(e, one, masks)
        if rest is not None:
            ratio, left = rest
            name = mul(num(ratio / scale), part.equation.out.at(table[a] for a in part.equation.letters))
            return mul(name, left) if isinstance(one, Mul) else add(name, left)
    return e


def masks_read(masks: frozenset[Expr]) -> frozenset[Tensor]:
    """The tensors in conditions."""
    return frozenset[Tensor]().union(*(m.tensors for m in masks))


def _without_factors(e: Expr, one: Expr, masks: frozenset[Expr]) -> tuple[Fraction, Expr] | None:
    """±1 and what is left of a product when that of ``one`` is divided out; None where it is not in it."""
    if not isinstance(e, Mul):
        return None
    left, sign = [split_power(g) for f in e.args for g in _factored(f)], 1
    for f in factors(one):
        base, exponent = split_power(f)
        for b, turned in ((base, 1), (mul(-1, base), -1)):
            k = next((k for k, (x, n) in enumerate(left) if _same(x, b) and _holds(n, exponent)), None)
            if k is not None and (turned == 1 or (isinstance(exponent, Num) and exponent.value == 1)):
                left[k] = b, add(left[k][1], mul(-1, exponent))
                sign *= turned
                break
        else:
            if f not in masks:
                return None
    return Fraction(sign), mul(*(power(b, n) for b, n in left))


def _same(a: Expr, b: Expr) -> bool:
    """Whether they are equal but for the names of bound letters."""
    return a == b or (bool(a.reduces and b.reduces) and canonical_binders(a) == canonical_binders(b))


def _factored(e: Expr) -> tuple[Expr, ...]:
    """A sum whose terms share factors as these and what is left: R and 1 − R for R − R²."""
    if not isinstance(e, Add):
        return (e,)
    powers = [
        {b: n.value for b, n in map(split_power, factors(split_coefficient(t)[1])) if isinstance(n, Num)}
        for t in e.args
    ]
    shared = {b: min(p.get(b, Fraction(0)) for p in powers) for b in powers[0] if not isinstance(b, (Mask, Num))}
    front = [power(b, num(n)) for b, n in shared.items() if n > 0]
    return (*front, add(*(mul(t, *(power(f, -1) for f in front)) for t in e.args)))


def _holds(whole: Expr, part: Expr) -> bool:
    """Whether a power has another in it."""
    if not isinstance(whole, Num) or not isinstance(part, Num):
        return whole == part
    return 0 < part.value <= whole.value or whole.value <= part.value < 0


def _without_terms(e: Expr, one: Add) -> tuple[Fraction, Expr] | None:
    """The multiple of ``one`` that stands in a sum, and what is left of that; None where it is not in it."""
    if not isinstance(e, Add):
        return None
    own = {rest: c for c, rest in map(split_coefficient, e.args)}
    wanted = {rest: c for c, rest in map(split_coefficient, one.args)}
    ratios = {own[r] / c if r in own else None for r, c in wanted.items()}
    ratio = ratios.pop()
    if ratios or ratio is None:
        return None
    return ratio, add(*(t for t in e.args if split_coefficient(t)[1] not in wanted))
