"""Extents: integer polynomials in dims, compared, bounded, printed, and given sizes.

In: extents as `Expr` over `Dim`. Out: one expanded form, so that equal extents are equal expressions, and
programs with other default sizes. An axis *is* its polynomial: two dims never match, however large they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import floor

from derive.expr import ONE, Add, Dim, Expr, Mul, Num, Pow, add, mul, num, power, split_coefficient, split_power
from derive.program import DimDecl, Program
from derive.rewrite import terms, walk


def polynomial(e: Expr) -> Expr:
    """``e`` with products of sums multiplied out.

    >>> n = Dim("n"); polynomial((n + 1) * (n - 1)) == n**2 - 1
    True
    """
    if isinstance(e, Add):
        return add(*(polynomial(t) for t in e.args))
    if isinstance(e, Mul):
        out: Expr = ONE
        for factor in e.args:
            other = polynomial(factor)
            out = add(*(mul(a, b) for a in terms(out) for b in terms(other)))
        return out
    if isinstance(e, Pow) and isinstance(e.exponent, Num):
        base = polynomial(e.base)
        if not isinstance(base, Add):
            return power(base, e.exponent)
        out = ONE
        for _ in range(int(e.exponent.value)):
            out = polynomial(mul(out, base)) if isinstance(out, Num) else _product(out, base)
        return out
    return e


def _product(a: Expr, b: Expr) -> Expr:
    return add(*(mul(s, t) for s in terms(a) for t in terms(b)))


def whole_steps(room: Expr, step: Expr) -> Expr | None:
    """``room / step`` rounded down, where that is a polynomial for every extent.

    >>> n, m = Dim("n"), Dim("m"); whole_steps(2 * n + 3, num(2)), whole_steps(n, num(2)), whole_steps(n * m + n, n)
    (n + 1, None, m + 1)
    """
    if not isinstance(step, Num):
        return divided(room, step)
    parts = []
    for t in terms(room):
        share = mul(t, step**-1)
        if isinstance(share, Num):
            share = num(floor(share.value))
        elif split_coefficient(share)[0].denominator != 1:
            return None
        parts.append(share)
    return add(*parts)


def divided(e: Expr, by: Expr) -> Expr | None:
    """The polynomial q with ``q · by = e``; None where there is none.

    >>> n, k = Dim("n"), Dim("k"); divided(n * (n - k + 1), n - k + 1), divided(n, k)
    (n, None)
    """
    names = sorted({x.name for x in (*walk(e), *walk(by)) if isinstance(x, Dim)})
    head = max(terms(polynomial(by)), key=lambda t: _degrees(t, names))
    rest, quotient = polynomial(e), polynomial(num(0))
    while rest != num(0):
        step = mul(max(terms(rest), key=lambda t: _degrees(t, names)), power(head, -1))
        if min(_degrees(step, names), default=0) < 0 or _coefficient(step).denominator != 1:
            return None
        quotient = add(quotient, step)
        rest = polynomial(add(rest, mul(-1, step, by)))
    return quotient


def _degrees(term: Expr, names: Iterable[str]) -> tuple[Fraction, ...]:
    """The exponents of a monomial, in the order of the names."""
    found = dict.fromkeys(names, Fraction(0))
    for f in term.args if isinstance(term, Mul) else (term,):
        base, exponent = split_power(f)
        if isinstance(base, Dim) and isinstance(exponent, Num):
            found[base.name] = exponent.value
    return tuple(found.values())


def factored(e: Expr) -> tuple[Expr, ...]:
    """Factors of a polynomial, found where it is linear in a dim, or a square; itself where there are none.

    >>> c, h, r = (Dim(x) for x in "chr"); factored(polynomial(c * (h - r + 1) * (c - r + 1)))
    (c, -1·r + c + 1, -1·r + h + 1)
    >>> factored(polynomial(c * (h - r + 1) ** 2)), factored(c * h + 1)
    ((c, -1·r + h + 1, -1·r + h + 1), (c·h + 1,))
    """
    for name in sorted({n.name for n in walk(e) if isinstance(n, Dim)}):
        degrees = {t: int(_degrees(t, (name,))[0]) for t in terms(e)}
        top = max(degrees.values())
        x = Dim(name)
        head, rest = (add(*(mul(t, power(x, -k)) for t, k in degrees.items() if k == n)) for n in (top, top - 1))
        if min(degrees.values()) >= 1 and e != x:
            candidate: Expr = x
        elif top == 1 and head != ONE:
            candidate = head
        elif top == 2 and head == ONE:
            candidate = add(x, mul(rest, num(Fraction(1, 2))))
        else:
            continue
        other = divided(e, candidate) if len(terms(e)) > 1 or candidate == x else None
        if other is not None and not isinstance(candidate, Num):
            return tuple(sorted((*factored(candidate), *factored(other)), key=lambda f: f.key))
    return (e,)


def size(extent: Expr, sizes: Mapping[str, int]) -> Fraction | None:
    """The number that an extent is under ``sizes``; None where a size is not known.

    >>> size(Dim("n") * 2 - 1, {"n": 5})
    Fraction(9, 1)
    """
    if isinstance(extent, Num):
        return extent.value
    if isinstance(extent, Dim):
        return Fraction(sizes[extent.name]) if extent.name in sizes else None
    parts = [size(c, sizes) for c in extent.children]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    if isinstance(extent, Add):
        return sum(known, Fraction(0))
    if isinstance(extent, Pow):
        return Fraction(known[0] ** int(known[1]))
    out = Fraction(1)
    for factor in known:
        out *= factor
    return out


def never_negative(e: Expr) -> bool:
    """Whether the polynomial is at least 0 for all dims that are at least 1 (a sufficient test).

    >>> never_negative(Dim("n") - 1), never_negative(Dim("n") - 2)
    (True, False)
    """
    dims = sorted({n.name for n in walk(e) if isinstance(n, Dim)})
    shifted = polynomial(_shift(e, dims))
    return all(_coefficient(t) >= 0 for t in terms(shifted))


def _shift(e: Expr, dims: Iterable[str]) -> Expr:
    if isinstance(e, Dim) and e.name in dims:
        return e + 1
    return e if isinstance(e, (Num, Dim)) else e.rebuild(tuple(_shift(c, dims) for c in e.children))


def _coefficient(term: Expr) -> Fraction:
    head = term.args[0] if isinstance(term, Mul) else term
    return head.value if isinstance(head, Num) else Fraction(1)


def show_extent(extent: Expr, dims: Iterable[DimDecl] = ()) -> str:
    """An extent as the user names it: a derived dim by its name, else the polynomial.

    >>> show_extent(2 * Dim("n") - 1)
    '2*n-1'
    """
    for declared in dims:
        if declared.derived == extent:
            return declared.name
    if isinstance(extent, Add):
        parts = Counter(factored(extent))
        if len(parts) > 1 or max(parts.values()) > 1:
            shown = [f"({show_extent(f)})" if isinstance(f, Add) else show_extent(f) for f in parts]
            return "*".join(s if k == 1 else f"{s}^{k}" for s, k in zip(shown, parts.values(), strict=True))
        # terms in letters first: `n-k+1`
        shown = [show_extent(t) for t in sorted(extent.args, key=lambda t: (isinstance(t, Num), _coefficient(t) < 0))]
        return "".join(s if k == 0 or s.startswith("-") else f"+{s}" for k, s in enumerate(shown))
    if isinstance(extent, Mul):
        shown = [show_extent(f) for f in extent.args]
        return "-" + "*".join(shown[1:]) if shown[0] == "-1" else "*".join(shown)
    if isinstance(extent, Pow):
        return f"{show_extent(extent.base)}^{show_extent(extent.exponent)}"
    return repr(extent)


def show_axes(axes: Iterable[Expr], dims: Iterable[DimDecl] = ()) -> str:
    """Axes as they are written in a declaration: ``[n, d]``."""
    declared = tuple(dims)
    return "[" + ", ".join(show_extent(a, declared) for a in axes) + "]"


def default_sizes(program: Program) -> dict[str, int]:
    """The default of every independent dim that has one."""
    return {d.name: d.default for d in program.dims if d.default is not None}
