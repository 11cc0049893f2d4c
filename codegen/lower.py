"""Loop nests: from a part to loops over scalar statements, and two nests to one where that is allowed.

A mask is turned into a branch here, so that what it hides is never computed. The order of loops follows
memory: the letter that stands last in most accesses runs innermost. Two loops become one when everything
that the second reads from the first was written in the same round.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from codegen.steps import Loop, Node, Part, Write, touches, writes_in
from codegen.unrolled import each, extreme, windowed
from derive.deltas import guards_for
from derive.digits import flat
from derive.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Compare,
    Expr,
    Letter,
    Mask,
    Mul,
    Num,
    Reduce,
    Select,
    add,
    mul,
    negate,
    reduce_,
    select,
)
from derive.hoist import ordered_letters
from derive.program import Tensor
from derive.rewrite import accesses, factors, map_children, substitute
from derive.scatter import Landing, landed, landings, once

_MANY = 5  # above this many letters their order is taken as written


def branches(e: Expr) -> Expr:
    """``e`` with every mask that multiplies something turned into a conditional.

    Terms under a mask and terms under its complement become the two branches of one conditional.
    """
    if isinstance(e, Mask):
        return map_children(e, branches)
    if isinstance(e, Add):
        return _choice([_under(t) for t in e.args])
    if isinstance(e, Mul):
        return _choice([_under(e)])
    if isinstance(e, Select):
        return select(branches(e.mask), branches(e.chosen), branches(e.other))
    return map_children(e, branches)


def _under(term: Expr) -> tuple[frozenset[Expr], Expr]:
    """The masks of a term, and what they stand before."""
    masks = frozenset(f for f in factors(term) if isinstance(f, Mask))
    return masks, mul(*(f for f in factors(term) if f not in masks))


def _choice(pairs: list[tuple[frozenset[Expr], Expr]]) -> Expr:
    plain = [rest for masks, rest in pairs if not masks]
    out = [_pointwise(rest) for rest in plain]
    todo = [p for p in pairs if p[0]]
    while todo:
        mask = min((m for masks, _ in todo for m in masks), key=lambda m: (_shifted(m), -_uses(m, todo), m.key))
        other = negate(mask)
        chosen = [(masks - {mask}, rest) for masks, rest in todo if mask in masks]
        refused = [(masks - {other}, rest) for masks, rest in todo if other in masks and mask not in masks]
        todo = [p for p in todo if mask not in p[0] and other not in p[0]]
        if _reversed(mask, other) and refused:
            mask, chosen, refused = other, refused, chosen
        out.append(select(branches(mask), _choice(chosen), _choice(refused)))
    return add(*out)


def _shifted(mask: Expr) -> bool:
    """Whether a mask reads at places that other masks may have to keep inside; it is decided after them."""
    return any(not isinstance(p, (Access, Letter, Num)) for a in accesses(mask) for p in a.places)


def _reversed(mask: Expr, other: Expr) -> bool:
    return isinstance(mask, Compare) and isinstance(other, Compare) and other.key < mask.key


def _uses(mask: Expr, pairs: list[tuple[frozenset[Expr], Expr]]) -> int:
    other = negate(mask)
    return sum(mask in masks or other in masks for masks, _ in pairs)


def _pointwise(e: Expr) -> Expr:
    return map_children(e, branches) if not isinstance(e, Mul) else mul(*(branches(f) for f in factors(e)))


def lower(part: Part) -> tuple[Node, ...]:
    """The loops of one part: starts of what is accumulated, then one loop (or one statement)."""
    unit: dict[Expr, Expr] = {s: ZERO for s in part.letters if s.extent == ONE}
    free = tuple(s for s in part.letters if s not in unit)
    body = substitute(part.body, unit)
    if isinstance(body, Reduce) and not body.op.startswith("arg") and any(s.extent == ONE for s in body.binders):
        within: dict[Expr, Expr] = {s: ZERO for s in body.binders if s.extent == ONE}
        body = reduce_(body.op, (s for s in body.binders if s not in within), substitute(body.body, within))
    target = Access(part.out, tuple(unit.get(s, s) for s in part.letters))
    if not isinstance(body, Reduce):
        order = _order(free, (), [target, *accesses(body)])
        return _loops(order, Write(target, None, branches(body), part))
    found = landings(body, free)
    if found:
        return _scatter(part, target, free, body, found)
    window = extreme(part, target, body)
    if window is not None:
        window = [w if w.value is None else replace(w, value=branches(w.value)) for w in window]
        return _loops(_order(free, (), [target, *accesses(body.body)]), *window)
    order = _order(free, body.binders, [target, *accesses(body.body)], fixed=body.op.startswith("arg"))
    return _accumulate(order, frozenset(body.binders), target, part, body)


def _accumulate(
    order: tuple[Letter, ...], bound: frozenset[Letter], target: Access, part: Part, body: Reduce
) -> tuple[Node, ...]:
    first = next(k for k, s in enumerate(order) if s in bound)
    outer, inner = order[:first], order[first:]
    start = _loops(tuple(s for s in inner if s not in bound), Write(target, body.op, None, part))
    position = flat(body.binders, (b.extent for b in body.binders)) if body.op.startswith("arg") else None
    update = _loops(inner, Write(target, body.op, branches(body.body), part, position))
    nodes: tuple[Node, ...] = (*start, *update)
    for letter in reversed(outer):
        nodes = (Loop(letter, nodes),)
    return nodes


def _scatter(
    part: Part, target: Access, letters: tuple[Letter, ...], body: Reduce, found: list[Landing]
) -> tuple[Node, ...]:
    """A sum over ``[v == e]`` runs over the binders and adds at place ``e``, where that is inside.

    Where each place has one term, it is written there.
    """
    places: dict[Expr, Expr] = {letter: place for _, letter, place in found}
    inside = [g for _, letter, place in found for g in guards_for(place, letter.extent) or ()]
    value = mul(*(f for f in factors(landed(body).body) if f not in inside))
    added = substitute(target, places)
    assert isinstance(added, Access)
    rest = tuple(s for s in letters if s not in places)
    affine = not any(isinstance(place, Access) for place in places.values())
    if once(found, body.binders):
        window = windowed(body.binders, [added])
        own = [x for p in added.places for x in ordered_letters(p) if x not in window]
        bound = (*own, *(x for x in (*rest, *body.binders) if x not in own and x not in window))
        order = _order((), bound, [added, *accesses(value)])
        return _loops(order, *each(window, Write(added, None, branches(value), part)))
    order = _order(rest, body.binders, [added, *accesses(value)]) if affine else (*body.binders, *rest)
    start = _loops(letters, Write(target, "sum", None, part))
    return (*start, *_loops(order, Write(added, "sum", branches(value), part, where=mul(*inside))))


def _loops(letters: tuple[Letter, ...], *statements: Node) -> tuple[Node, ...]:
    for letter in reversed(letters):
        statements = (Loop(letter, statements),)
    return statements


def _order(
    free: tuple[Letter, ...], bound: tuple[Letter, ...], reads: list[Access], fixed: bool = False
) -> tuple[Letter, ...]:
    """The letters from the outermost loop to the innermost, the cheapest strides innermost."""
    letters = (*free, *bound)
    if fixed or len(letters) > _MANY:
        return letters

    def cost(letter: Letter) -> int:
        total = 0
        for a in reads:
            at = [k for k, p in enumerate(a.places) if letter in p.letters]
            total += 0 if not at else 1 if at == [len(a.places) - 1] else 8
        return total

    costs = {s: cost(s) for s in letters}
    orders = itertools.permutations(letters)
    rank = {s: k for k, s in enumerate(letters)}
    return min(orders, key=lambda o: ([costs[s] for s in reversed(o)], [rank[s] for s in o]))


def merge(block: tuple[Node, ...], new: tuple[Node, ...]) -> tuple[Node, ...] | None:
    """``new`` worked into ``block``: its loop joined with the last loop there that allows it; None if none does.

    ``new`` is what `lower` gives: starts, which read nothing, and one loop.
    """
    *starts, last = new
    if isinstance(last, Write):
        return None
    read = {t.access.tensor for t in touches((last,)) if not t.writes}
    for position in reversed(range(len(block))):
        node = block[position]
        if isinstance(node, Loop) and node.letter.extent == last.letter.extent and _joinable(node, last):
            moved = tuple(renamed(child, last.letter, node.letter) for child in last.body)
            body = merge(node.body, moved) or node.body + moved
            return (*block[:position], *starts, Loop(node.letter, body), *block[position + 1 :])
        if any(w.target.tensor in read for w in writes_in((node,))):
            return None
    return None


def _joinable(first: Loop, second: Loop) -> bool:
    """Whether each round of ``second`` reads only what the same round of ``first`` has written."""
    written: dict[Tensor, set[int]] = {}
    for w in writes_in((first,)):
        pinned = {k for k, p in enumerate(w.target.places) if p == first.letter}
        written[w.target.tensor] = written.get(w.target.tensor, pinned) & pinned
    for t in touches((second,)):
        tensor = t.access.tensor
        if not t.writes and tensor in written:
            pinned = {k for k, p in enumerate(t.access.places) if p == second.letter}
            if not pinned & written[tensor]:
                return False
            written[tensor] &= pinned
    return True


def renamed(node: Node, old: Letter, new: Letter) -> Node:
    """``node`` with one letter in place of another."""
    table: dict[Expr, Expr] = {old: new}
    if isinstance(node, Loop):
        return Loop(node.letter, tuple(renamed(child, old, new) for child in node.body))
    target, value, position, where = (
        None if e is None else substitute(e, table) for e in (node.target, node.value, node.position, node.where)
    )
    assert isinstance(target, Access)
    assert where is not None
    return replace(node, target=target, value=value, position=position, where=where)
