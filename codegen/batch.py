"""Sums of products that are a matrix product in every round of a loop: one for each sample, head or image.

In: a part that is no matrix product as a whole, and sizes. Out: a loop over some of its letters in which it is one, on
slices; where patches of a convolution have to be laid out for that, only those of one round. Or nothing, where it would
not pay: a call of a matrix product takes as long as some hundred multiplications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from codegen.contract import contraction
from codegen.extents import FAR, LEAST, NEAR, volume
from codegen.products import product_of
from codegen.steps import Part, Rounded, RoundParts, View
from derive.expr import ONE, ZERO, Access, Expr, Letter, Mask, Reduce, fresh_like, mul, sum_over
from derive.hoist import ordered_letters
from derive.program import Tensor, letters_for, reads
from derive.rewrite import accesses, factors, map_children
from derive.scatter import landings, scattered


def batched(part: Part, sizes: Mapping[str, int]) -> list[Part | RoundParts] | None:
    """The loop, and before or after it what changes the order of axes or adds the rounds up."""
    body = part.body
    if not isinstance(body, Reduce) or body.op != "sum" or len(factors(body.body)) < 2:
        return None
    adding = scattered(body, part.letters)
    if adding != body:
        found = batched(replace(part, body=adding), sizes)
        if found is not None:
            return found
    if landings(body, part.letters):
        first = part.letters[:1] if part.letters[0] not in _hit(part) else ()
        loop = loop_over(part, first, sizes) if first else None
        return [loop] if loop is not None else None
    whole = contraction(part)
    if whole is not None and not any(_spreads(made, sizes) for made in whole[0]):
        return None
    found = _over_free(part, sizes)
    return found or (_over_summed(part, body, sizes) if whole is None else None)


def _spreads(made: Part, sizes: Mapping[str, int]) -> bool:
    """Whether an operand is far larger than what it is made of, and than a cache: a round lays out its own windows."""
    read = max((volume(letters_for(t.axes), sizes) for t in reads(made.body)), default=0)
    return volume(made.letters, sizes) > max(NEAR, FAR * read)


def _hit(part: Part) -> list[Letter]:
    """The letters of the result whose places the sum decides: those of x in x[2·i + p] += …"""
    return [letter for _, letter, _ in landings(part.body, part.letters)]


def _over_free(part: Part, sizes: Mapping[str, int]) -> list[Part | RoundParts] | None:
    """Rounds over the first letters of the result; or over letters that several factors have, and a copy."""
    assert isinstance(part.body, Reduce)
    parts = factors(part.body.body)
    shared = tuple(x for x in part.letters if sum(x in f.letters for f in parts) > 1)
    for count in range(1, len(part.letters)):
        first, rest = part.letters[:count], part.letters[count:]
        orders = [(*first, *rest)]
        if len(shared) == count and first != shared:
            orders.append((*shared, *(x for x in part.letters if x not in shared)))
        for order in orders:
            if order == part.letters:
                loop = loop_over(part, order[:count], sizes)
                if loop is not None:
                    return [loop]
                continue
            made = Tensor(f"{part.out.name}_rounds", tuple(x.extent for x in order))
            loop = loop_over(Part(made, order, part.body, part.origin), order[:count], sizes)
            if loop is not None:
                return [loop, Part(part.out, part.letters, Access(made, order), part.origin)]
    return None


def _over_summed(part: Part, body: Reduce, sizes: Mapping[str, int]) -> list[Part | RoundParts] | None:
    """Rounds over a summed letter, whose results are kept and added up; they are to be smaller than what is read."""
    result = volume(part.letters, sizes)
    for x in body.binders:
        read = (volume([y for y in f.letters if y != x], sizes) for f in factors(body.body))
        if len(body.binders) < 2 or result > max(read):
            continue
        made = Tensor(f"{part.out.name}_rounds", (x.extent, *part.out.axes))
        inner = sum_over([b for b in body.binders if b != x], body.body)
        loop = _over_free(Part(made, (x, *part.letters), inner, part.origin), sizes)
        if loop is not None:
            y = fresh_like(x)
            added = sum_over([y], Access(made, (y, *part.letters)))
            return [*loop, Part(part.out, part.letters, added, part.origin)]
    return None


def loop_over(part: Part, outer: Sequence[Letter], sizes: Mapping[str, int]) -> RoundParts | None:
    """Rounds over ``outer``, which are the first letters of the part."""
    x, *others = outer
    views: dict[tuple[Tensor, int], View] = {}

    def sliced(e: Expr) -> Expr:
        e = map_children(e, sliced)
        at = [k for k, p in enumerate(e.places) if p == x] if isinstance(e, Access) else []
        if not isinstance(e, Access) or len(at) != 1 or e.tensor.rank < 2 or x.extent != e.tensor.axes[at[0]]:
            return e
        view = views.setdefault((e.tensor, at[0]), _view(e.tensor, at[0], x))
        return view.tensor.at(p for k, p in enumerate(e.places) if k != at[0])

    body = sliced(part.body)
    out = _view(part.out, 0, x)
    inner = Part(out.tensor, part.letters[1:], body, part.origin)
    items: Sequence[Part | RoundParts] = _round(inner, sizes)
    if others:
        loop = loop_over(inner, others, sizes)
        items = [] if loop is None else [loop]
    if not items:
        return None
    block = Rounded(ONE, (*views.values(), out), tuple(items))
    return RoundParts(x, 1, (ZERO, x.extent), (), (block,), (), {out.tensor: part.origin.out})


def _view(tensor: Tensor, axis: int, place: Letter) -> View:
    axes = tuple(a for k, a in enumerate(tensor.axes) if k != axis)
    return View(tensor.like(name=f"{tensor.name}_{place.hint}", axes=axes, hidden=True), tensor, axis, place)


def _round(part: Part, sizes: Mapping[str, int]) -> list[Part]:
    """What a round computes: the part, or first the terms that it adds at places. Nothing where that does not pay."""
    assert isinstance(part.body, Reduce)
    found = landings(part.body, part.letters)
    if not found:
        return [part] if _pays(part, sizes) else []
    masks = [mask for mask, _, _ in found]
    hit = _hit(part)
    rest = [f for f in factors(part.body.body) if f not in masks]
    placed = [b for b in part.body.binders if any(b in place.letters for _, _, place in found)]
    inner = [b for b in part.body.binders if b not in placed]
    left = dict.fromkeys(x for f in rest for a in accesses(f) for p in a.places for x in ordered_letters(p))
    letters = tuple(x for x in left if (x in part.letters and x not in hit) or x in placed)
    last = part.letters[-1]  # what lies last in the result does so here, behind what it has beside it
    near = {x for f in rest if last in f.letters for x in f.letters}
    letters = tuple(sorted(letters, key=lambda x: (x in near, x == last)))
    made = Tensor(f"{part.out.name}_terms", tuple(x.extent for x in letters))
    terms = Part(made, letters, sum_over(inner, mul(*rest)), part.origin)
    plain = not any(isinstance(f, Mask) or f.letters & set(hit) for f in rest)
    if not inner or not plain or not _pays(terms, sizes):
        return []
    added = sum_over(placed, mul(*masks, Access(made, letters)))
    return [terms, Part(part.out, part.letters, added, part.origin)]


def _pays(part: Part, sizes: Mapping[str, int]) -> bool:
    """Whether it is a product of two matrices, large enough, and what it needs is made with far fewer operations."""
    found = contraction(part)
    if found is None and product_of(part, sizes) is not None:
        return True
    if found is None or min(len(found[1].left.groups), len(found[1].right.groups)) < 2:
        return False
    assert isinstance(part.body, Reduce)
    whole = volume((*part.letters, *part.body.binders), sizes)
    return whole >= LEAST and all(4 * volume(made.letters, sizes) <= whole for made in found[0])
