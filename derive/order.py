"""Choose by cost in which order products of many tensors are multiplied and summed.

In: a program in which every reduction is a term of its own (`derive.hoist`). Out: an equal one in which a sum of
products is taken two factors at a time, in the cheapest order, where that takes fewer operations. What gradc itself
named and what is read once, as A @ B in (A @ B) @ v, is part of the product around it: parentheses are no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from derive.deltas import guards_for
from derive.expr import Access, Compare, Expr, Letter, Mask, Reduce, add, mul, sum_over
from derive.hoist import Namer, ordered_letters, reads_letters, split_scale, standard
from derive.paths import Path, best_path, volume
from derive.program import Equation, Program, Tensor
from derive.recurrence import recurring
from derive.rewrite import accesses, factors, map_children, rename_binders, substitute, terms, walk
from derive.shapes import default_sizes, size

BATCH, USUAL = 128, 64  # extents that are not known before the code runs, or at all


@dataclass(frozen=True)
class _Product:
    """Σ over ``binders`` of a product: ``groups`` are factors that belong together, ``inside`` what was unfolded."""

    binders: tuple[Letter, ...]
    groups: tuple[Expr, ...]
    scale: Expr
    inside: tuple[Tensor, ...]

    @property
    def letters(self) -> list[frozenset[Letter]]:
        """The letters of each group."""
        return [frozenset(g.letters) for g in self.groups]


def ordered(program: Program) -> Program:
    """``program`` with its sums of products taken in the cheapest order."""
    return _Order(program).program()


class _Order:
    """One run: what may be unfolded, what extents are taken to be, what has a name."""

    def __init__(self, program: Program) -> None:
        self.given = program
        self.sizes = known_sizes(program)
        self.defined = program.defined
        self.recurring = recurring(program.equations)
        kept = {*program.outputs, *(g for _, g in program.gradients), program.objective}
        read = Counter(n.tensor for e in program.equations for n in walk(e.body) if isinstance(n, Access))
        self.replaceable = {t for t in self.defined if t.hidden and t not in kept and t not in self.recurring}
        self.inner = {t for t in self.replaceable if read[t] == 1 and _product(self.defined[t].body) is not None}
        self.namer = Namer(program)
        self.known: dict[Tensor, Equation] = {}

    def program(self) -> Program:
        """First what is unfolded, consumers before what they read; then the paths, with what is known by then."""
        gone: set[Tensor] = set()
        products: dict[tuple[Tensor, int], tuple[_Product, int]] = {}
        for e in reversed(self.given.equations):
            if e.out in self.recurring or e.out in gone:
                continue
            for k, term in enumerate(terms(e.body)):
                found = self.unfolded_where_it_pays(term, frozenset(e.letters))
                if found is not None:
                    products[e.out, k] = found
                    gone.update(found[0].inside)
        return self.written([e for e in self.given.equations if e.out not in gone], products)

    def unfolded_where_it_pays(self, term: Expr, free: frozenset[Letter]) -> tuple[_Product, int] | None:
        """The product that a term is, and what it takes as it stands; what is inside stays where that is best."""
        product, operations = self.unfolded(term, free)
        if product is None or not product.inside:
            return None if product is None else (product, operations)
        path = best_path(product.letters, free, self.extents(product.letters), alike=self.alike(product, free))
        if path.operations < operations:
            return product, operations
        alone = _product(term)
        return None if alone is None else (alone, self.at_once(alone, free))

    def unfolded(self, term: Expr, free: frozenset[Letter]) -> tuple[_Product | None, int]:
        """The product with everything in it that may be unfolded, and what it takes as it stands."""
        product = _product(term)
        if product is None:
            return None, 0
        operations = self.at_once(product, free)
        groups: list[Expr] = []
        binders, scale, inside = list(product.binders), product.scale, list[Tensor]()
        for group in product.groups:
            rest = []
            for f in factors(group):
                places = reads_letters(f) if isinstance(f, Access) and f.tensor in self.inner else None
                if places is None:
                    rest.append(f)
                    continue
                assert isinstance(f, Access)
                e = self.defined[f.tensor]
                own, cost = self.unfolded(rename_binders(e.body), frozenset(e.letters))
                assert own is not None
                table = dict(zip(e.letters, places, strict=True))
                groups += (substitute(g, table) for g in own.groups)
                binders += own.binders
                scale = mul(scale, own.scale)
                inside += [f.tensor, *own.inside]
                operations += cost
            if rest:
                groups.append(mul(*rest))
        return _Product(tuple(binders), _grouped(groups), scale, tuple(inside)), operations

    def at_once(self, product: _Product, free: frozenset[Letter]) -> int:
        """What a sum of products takes without further names: as a matrix product, or else as one loop nest."""
        letters = product.letters
        extents = self.extents(letters)
        whole = volume(frozenset[Letter]().union(*letters), extents)
        sides = _sides(letters, free, frozenset(product.binders))
        if sides is None:
            return whole * max(2, len(letters))
        made = (volume(frozenset[Letter]().union(*s), extents) for s in sides if len(s) > 1)
        return 2 * whole + sum(made)

    def extents(self, letters: Sequence[frozenset[Letter]]) -> dict[Letter, int]:
        """A number for the extent of each letter."""
        return {x: number_of(x.extent, self.sizes) for x in frozenset[Letter]().union(*letters)}

    def written(
        self, equations: Sequence[Equation], products: Mapping[tuple[Tensor, int], tuple[_Product, int]]
    ) -> Program:
        """The program with each product along its cheapest path; equal intermediates have one name."""
        self.namer = Namer(self.given.with_equations(equations))
        out: list[Equation] = []
        for e in equations:
            self.namer.around = e.letters
            parts = [_unnamed(term, self.known) for term in terms(e.body)]
            for k in range(len(parts)):
                if (e.out, k) in products:
                    parts[k] = self.cheapest(parts[k], *products[e.out, k], frozenset(e.letters), out)
            new = e.with_body(add(*parts))
            same = self.namer.find(new.body) if e.out in self.replaceable and isinstance(new.body, Reduce) else None
            if same is not None:
                self.known[e.out] = new.with_body(same)
                continue
            self.namer.remember(new)
            out.append(new)
        return self.given.with_equations(out)

    def cheapest(
        self, term: Expr, product: _Product, operations: int, free: frozenset[Letter], out: list[Equation]
    ) -> Expr:
        """``term``, which is ``product``, along the path that takes least, if that is less than ``operations``.

        What has to be computed on the way goes to ``out``.
        """
        groups = [_unnamed(g, self.known) for g in product.groups]

        def whole(p: Path[Letter]) -> Expr:
            return sum_over(self.within(product, free, p.factors), mul(*(groups[k] for k in p.factors)))

        def value(p: Path[Letter], beside: Sequence[int] = ()) -> Expr:
            if p.known:
                found = self.namer.find(whole(p))
                assert found is not None
                return found
            if p.pair is None:
                e = groups[p.factor or 0]
            else:
                e = mul(*(value(q, r.factors) for q, r in (p.pair, p.pair[::-1])))
            if not p.summed:
                return e
            total = sum_over([b for b in product.binders if b in p.summed], e)
            if p is path:
                return total
            before = self.namer.around
            if len(total.letters) > 2:  # as the tensors lie that it is multiplied with, so that memory fits
                read = (a for g in (*(groups[k] for k in beside), e) for a in accesses(g))
                self.namer.around = tuple(dict.fromkeys(x for a in read for q in a.places for x in ordered_letters(q)))
            access = self.namer.name(total, "S", out.append)
            self.namer.around = before
            return access

        path = best_path(
            product.letters, free, self.extents(product.letters),
            lambda p: len(p.factors) < len(groups) and self.namer.find(whole(p)) is not None,
            self.alike(product, free),
        )  # fmt: skip
        if path.operations >= operations:
            return term
        missing = [b.extent for b in product.binders if not any(b in s for s in product.letters)]
        return mul(product.scale, *missing, value(path))

    def alike(self, product: _Product, free: frozenset[Letter]) -> Callable[[Path[Letter], Path[Letter]], bool]:
        """Whether two paths to a product's parts are to the same tensor, which then has one name."""

        @cache
        def tensor(chosen: tuple[int, ...]) -> Expr:
            e = sum_over(self.within(product, free, chosen), mul(*(product.groups[k] for k in chosen)))
            return standard(e, ordered_letters(e))

        def same(p: Path[Letter], q: Path[Letter]) -> bool:
            cheap = len(p.factors) == len(q.factors) and p.operations == q.operations
            return cheap and tensor(p.factors) == tensor(q.factors)

        return same

    def within(self, product: _Product, free: frozenset[Letter], chosen: Sequence[int]) -> list[Letter]:
        """The letters that only these factors have, and that are summed."""
        others = free.union(*(s for k, s in enumerate(product.letters) if k not in chosen))
        own = frozenset[Letter]().union(*(product.letters[k] for k in chosen)) - others
        return [b for b in product.binders if b in own]


def known_sizes(program: Program) -> dict[str, int]:
    """The default of each extent; what belongs to a family has the usual size, so that layers stay alike."""
    known = {name: value for name, value in default_sizes(program).items() if "{" not in name}
    for d in program.dims:
        if d.name not in known:
            known[d.name] = USUAL if d.derived is None else number_of(d.derived, known)
    if program.batch is not None:
        known.setdefault(program.batch.name, BATCH)
    return known


def number_of(extent: Expr, sizes: Mapping[str, int]) -> int:
    """An extent as a number; a usual one where it is not known."""
    found = size(extent, sizes)
    return USUAL if found is None else max(1, int(found))


def _product(term: Expr) -> _Product | None:
    """A scaled sum of products, or None; factors without letters stand before the sum."""
    scale, rest = split_scale(term)
    if not isinstance(rest, Reduce) or rest.op != "sum" or any(isinstance(n, Reduce) for n in walk(rest.body)):
        return None
    parts = factors(rest.body)
    if any(_chooses(f) for f in parts):
        return None
    outside = [f for f in parts if not f.letters]
    groups = _grouped(_guarded([f for f in parts if f.letters]))
    return _Product(rest.binders, groups, mul(scale, *outside), ())


def _chooses(e: Expr) -> bool:
    """[v == t[n]]: with such a factor code does not run over v, it goes to the place."""
    return isinstance(e, Compare) and e.op == "=="


def _guarded(parts: list[Expr]) -> list[Expr]:
    """Factors that read outside of a tensor but for a mask beside them, together with all masks."""
    unsafe = [f for f in parts if any(_leaves(a) for a in accesses(f))]
    if not unsafe:
        return parts
    together = [*unsafe, *(f for f in parts if isinstance(f, Mask) and f not in unsafe)]
    return [*(f for f in parts if f not in together), mul(*together)]


def _leaves(a: Access) -> bool:
    return any(guards_for(p, axis) != [] for p, axis in zip(a.places, a.tensor.axes, strict=True))


def _grouped(parts: Sequence[Expr]) -> tuple[Expr, ...]:
    """Factors over the same letters are one."""
    groups: dict[frozenset[Letter], list[Expr]] = {}
    for f in parts:
        groups.setdefault(frozenset(f.letters), []).append(f)
    return tuple(mul(*fs) for fs in groups.values())


def _sides(
    letters: Sequence[frozenset[Letter]], free: frozenset[Letter], binders: frozenset[Letter]
) -> tuple[list[frozenset[Letter]], list[frozenset[Letter]]] | None:
    """The two sides of a matrix product: they share no free letter, and both have every letter that is summed."""
    with_free = [s for s in letters if s & free]
    if not with_free:
        return None
    own = with_free[0] & free
    while any(s & own and not s & free <= own for s in with_free):
        own = own.union(*(s & free for s in with_free if s & own))
    first = [s for s in with_free if s & own]
    second = [s for s in letters if s not in first]
    used = frozenset[Letter]().union(*letters) & binders
    if not second or not all(used <= frozenset[Letter]().union(*side) for side in (first, second)):
        return None
    return first, second


def _unnamed(e: Expr, known: Mapping[Tensor, Equation]) -> Expr:
    """``e`` with names whose value has another name already read by that."""
    if isinstance(e, Access) and e.tensor in known:
        definition = known[e.tensor]
        return substitute(definition.body, dict(zip(definition.letters, e.places, strict=True)))
    return map_children(e, lambda c: _unnamed(c, known)) if known else e
