"""Local derivatives: ∂out[f]/∂T[j] of one equation, or of one that the reader sees as one (a softmax, a norm).

In: a prepared program. Out: an `Edge` for each pair of a tensor and an equation that reads it, from the same partial
terms and the same pullback that make the gradient; Kronecker deltas of summed letters are eliminated, others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from derive.chain_rule import Partial, partials, pullback
from derive.cost import cost
from derive.errors import Span
from derive.expr import Compare, Expr, Letter, Reduce, add, compare, fresh_like, mul, sum_over
from derive.extract import extract
from derive.hoist import Namer, is_product, ordered_letters, standard
from derive.program import Equation, Program, Tensor, letters_for, needed, reads
from derive.rewrite import factors, substitute, terms, walk
from derive.scalar import derivative
from derive.simplify import inline
from derive.steps.algebra import collapsed, in_front
from derive.steps.step import Ratio


@dataclass(frozen=True)
class Edge:
    """How ``wrt`` acts on ``out``: the derivative over ``outer`` and ``inner`` letters.

    ``plain`` is the derivative as it is first found, ``opened`` the same with the sums that it was taken under, and
    ``element`` in terms of what is known by name. ``equations``
    are what it was taken of, ``named`` what it needs besides (the position of a maximum). ``linear`` is said of
    an equation with a sum over letters, ``whole`` of one with hidden intermediates; ``span`` is its model line.
    """

    out: Equation
    wrt: Tensor
    ratio: Ratio
    outer: tuple[Letter, ...]
    inner: tuple[Letter, ...]
    opened: Expr
    plain: Expr
    element: Expr
    equations: tuple[Equation, ...]
    named: tuple[Equation, ...]
    linear: bool
    whole: bool
    span: Span | None = None

    def at(self, outer: Iterable[Expr], inner: Iterable[Expr]) -> Expr:
        """``∂out[outer]/∂wrt[inner]`` as a symbol."""
        return self.ratio.at((*outer, *inner))

    @property
    def letters(self) -> tuple[Letter, ...]:
        """Its letters, each once."""
        return tuple(dict.fromkeys((*self.outer, *self.inner)))

    def with_element(self, element: Expr) -> Edge:
        """The same derivative, its element in another form."""
        return replace(self, element=element)

    def where_equal(self, same: dict[Letter, Letter], kept: tuple[Letter, ...] = ()) -> Edge:
        """The derivative where some inner letters equal outer ones, of which some are ``kept``."""
        table = dict((j, f) if f in kept else (f, j) for j, f in same.items())
        outer, inner = (tuple(table.get(a, a) for a in letters) for letters in (self.outer, self.inner))
        return self.over(outer, inner) if table else self

    def over(self, outer: tuple[Letter, ...], inner: tuple[Letter, ...]) -> Edge:
        """The same derivative over other letters."""
        table = dict(zip((*self.outer, *self.inner), (*outer, *inner), strict=True))
        opened, plain, element = (substitute(e, table) for e in (self.opened, self.plain, self.element))
        return replace(self, outer=outer, inner=inner, opened=opened, plain=plain, element=element)


class Graph:
    """The equations of a prepared program as a reader sees them; tensors in ``kept`` are always seen.

    ``namer`` knows the tensors that the gradient was made with. ``short`` and ``expanded`` say how a derivative
    through hidden intermediates is written: in the shortest form, and as it follows from the definitions alone.
    """

    def __init__(
        self,
        program: Program,
        kept: Iterable[Tensor],
        namer: Namer,
        short: Callable[[Expr], Expr],
        expanded: Callable[[Expr], Expr],
    ) -> None:
        self.program, self.namer, self.short, self.expanded = program, namer, short, expanded
        seen = set(kept)
        self.hidden = {e.out: e for e in program.equations if e.out.hidden and e.out not in seen and not self._shown(e)}
        self.seen = tuple(e for e in program.equations if e.out not in self.hidden)
        self._parts = {e.out: self._with_hidden(e) for e in self.seen}
        self._edges: dict[tuple[Tensor, Tensor], Edge] = {}

    def _shown(self, equation: Equation) -> bool:
        """Whether it is a product that no other equation writes out once more."""
        key = _key(equation.body)
        others = (e for e in self.program.equations if e is not equation)
        again = (n for e in others for n in walk(e.body) if isinstance(n, Reduce))
        return is_product(equation.body) and all(_key(n) != key for n in again)

    def _with_hidden(self, equation: Equation) -> tuple[Equation, ...]:
        inside = self.program.with_equations([*self.hidden.values(), equation])
        return needed(inside, [equation.out])

    def readers(self, t: Tensor) -> list[Equation]:
        """The equations that read ``t``, directly or through hidden ones."""
        return [e for e in self.seen if e.out is not t and any(t in reads(p.body) for p in self._parts[e.out])]

    def span(self, e: Equation) -> Span | None:
        """The model line of an equation; of one that gradc named, the line that reads it."""
        return e.span or next((r.span for r in self.readers(e.out) if r.span is not None), None)

    def operands(self, e: Equation) -> list[Tensor]:
        """The tensors that an equation reads, hidden ones aside."""
        found = dict.fromkeys(t for p in self._parts[e.out] for t in reads(p.body))
        return [t for t in found if t not in self.hidden]

    def edge(self, out: Equation, wrt: Tensor) -> Edge:
        """The local derivative of ``out`` by ``wrt``, found once."""
        key = out.out, wrt
        if key not in self._edges:
            parts = self._parts[out.out]
            whole = any(wrt in reads(p.body) for p in parts if p is not out)
            make = self._through_hidden if whole else self._direct
            self._edges[key] = replace(make(out, wrt, parts), span=self.span(out))
        return self._edges[key]

    def _direct(self, out: Equation, wrt: Tensor, parts: tuple[Equation, ...]) -> Edge:
        named: list[Equation] = []
        found = partials(out, {wrt}, self.namer, named.append)
        inner = _inner_letters(found, wrt)
        linear = any(isinstance(r, Reduce) for t in terms(out.body) for r in factors(t))
        plain = [p.factor if linear else derivative(out.body, p.access) for p in found]
        short = [
            p.factor if linear else _shortest(extract(p.factor), p.factor, d) for p, d in zip(found, plain, strict=True)
        ]
        opened, element = (add(*map(_with_deltas, found, fs, [inner] * len(found))) for fs in (plain, short))
        first, element, opened = collapsed(opened), collapsed(element), in_front(opened)
        ratio = Ratio.make(out.out, wrt)
        own, more = out.letters, tuple(named)
        return Edge(out, wrt, ratio, own, inner, opened, first, element, parts, more, linear, whole=False)

    def _through_hidden(self, out: Equation, wrt: Tensor, parts: tuple[Equation, ...]) -> Edge:
        """The derivative through hidden intermediates, with those of the backward pass written out."""
        outer = tuple(fresh_like(a) for a in out.letters)
        delta = mul(*(compare("==", a, b) for a, b in zip(outer, out.letters, strict=True)))
        bar = Tensor(f"d{out.out.name}", (*out.out.axes, *out.out.axes), "cotangent", primal=out.out)
        seed = Equation(bar, (*outer, *out.letters), delta)
        done = pullback(self.program.with_equations(parts), {out.out: seed}, (wrt,), outer)
        derived = [e for e in done.equations if e not in parts]
        result = done.defined[done.gradients[0][1]]
        body = result.body
        for e in reversed(derived):
            if e.out.kind == "cotangent" and e is not result:
                body = inline(body, e)
        named = tuple(e for e in derived if e.out.kind != "cotangent")
        inner = result.letters[len(outer) :]
        ratio = Ratio.make(out.out, wrt)
        body = collapsed(body)
        plain = self.expanded(inline(body, out))
        element = min(self.short(body), extract(plain), key=cost)
        return Edge(out, wrt, ratio, outer, inner, plain, plain, element, parts, named, linear=False, whole=True)


def _shortest(*candidates: Expr) -> Expr:
    """The one with the fewest nodes, the first of equals: a(1 − a), not a − a²."""
    return min(candidates, key=lambda e: e.size)


def deltas_of(e: Expr) -> dict[Expr, None]:
    """The comparisons of letters that every term of ``e`` has as a factor."""
    found = [
        {f: None for f in factors(t) if isinstance(f, Compare) and f.op == "==" and _letters_only(f)} for t in terms(e)
    ]
    first, *rest = found
    return {m: None for m in first if all(m in r for r in rest)}


def diagonal(e: Expr, edge: Edge) -> dict[Letter, Letter]:
    """The inner letters outside of which (equal to an outer one) the derivative is 0."""
    found: dict[Letter, Letter] = {}
    for m in deltas_of(e):
        pair = [a for a in m.children if isinstance(a, Letter)]
        for f, j in (pair, pair[::-1]):
            if f in edge.outer and j in edge.inner and f.extent == j.extent and f not in found.values():
                found.setdefault(j, f)
    return found


def split_deltas(e: Expr, edge: Edge) -> list[Compare]:
    """The deltas between an outer and an inner letter that only a part of ``e`` has."""
    found = dict.fromkeys(n for n in walk(e) if isinstance(n, Compare) and n.op == "==")
    whole = deltas_of(e)
    return [
        m
        for m in found
        if m not in whole
        and {m.left, m.right} & set(edge.outer)
        and {m.left, m.right} & set(edge.inner)
        and len({x.extent for x in m.children if isinstance(x, Letter)}) == 1
    ]


def _key(e: Expr) -> Expr:
    return standard(e, ordered_letters(e))


def _letters_only(e: Compare) -> bool:
    return isinstance(e.left, Letter) and isinstance(e.right, Letter)


def _inner_letters(found: list[Partial], wrt: Tensor) -> tuple[Letter, ...]:
    """New letters for the places of ``wrt``, called as in its first access."""
    places = found[0].access.places if found else ()
    hints = {k: p.hint for k, p in enumerate(places) if isinstance(p, Letter)}
    return letters_for(wrt.axes, hints)


def _with_deltas(p: Partial, factor: Expr, inner: tuple[Letter, ...]) -> Expr:
    deltas = [compare("==", place, a) for place, a in zip(p.access.places, inner, strict=True)]
    return sum_over(p.summed, mul(factor, *deltas))
