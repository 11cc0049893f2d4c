"""Loops of their own for elementary functions, so that they become vector code.

In: parts, nests, steps. Out: the same, with the terms of a sum apart from the sum, nothing that has an order beside
elementary functions, and with one long loop over all elements in the place of short loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from codegen.common import ELEMENTARY
from codegen.steps import Loop, Nest, Node, Part, Rounds, Step, Write, reads_of, writes_in, written_by
from derive.expr import ONE, Access, Call, Expr, Letter, Mask, Num, Reduce, fresh, mul, reduce_
from derive.program import Tensor
from derive.rewrite import accesses, map_children, substitute, walk
from derive.scatter import landings
from derive.shapes import size

PAIRS = 8  # of vectors that LLVM compares before it runs vector code
LONG = 256  # rounds from which on a loop is long enough as it is


def elementary(e: Expr | None) -> bool:
    """Whether an elementary function is taken of something that varies."""
    nodes = () if e is None else walk(e)
    return any(isinstance(x, Call) and x.function.name in ELEMENTARY and accesses(x) for x in nodes)


def apart(part: Part, sizes: Mapping[str, int] | None = None) -> list[Part]:
    """A sum as its terms and their sum, where something as large lies in memory anyway.

    It is one of elementary functions, or along short columns: what runs from row to row is no vector code.
    """
    body = part.body
    if not isinstance(body, Reduce) or body.op not in ("sum", "prod", "max", "min") or isinstance(body.body, Access):
        return [part]
    letters = {*part.letters, *body.binders}
    wide = (a.places for a in accesses(body.body) if len(a.places) == len(letters) and set(a.places) == letters)
    order = tuple(x for x in next(wide, ()) if isinstance(x, Letter))
    if not order or landings(body, part.letters):
        return [part]
    rounds = size(order[-1].extent, sizes or {})
    down = body.op == "sum" and order == body.binders + part.letters and rounds is not None and rounds < LONG
    if not down and not elementary(body.body):
        return [part]
    terms = Tensor(f"{part.out.name}_terms", tuple(x.extent for x in order))
    added = reduce_(body.op, body.binders, Access(terms, order))
    return [Part(terms, order, body.body, part.origin), Part(part.out, part.letters, added, part.origin)]


def unordered(nodes: Iterable[Node]) -> bool:
    """Whether loops with elementary functions in them just map elements: nothing keeps them from being vector code."""
    return all(
        _map(node) is not None
        for node in nodes
        if isinstance(node, Loop) and any(elementary(w.value) for w in writes_in((node,)))
    )


def _map(node: Node) -> tuple[tuple[Loop, ...], tuple[Write, ...]] | None:
    """Loops that stand one inside the other and the statements of the innermost, if they just write."""
    path: list[Loop] = []
    body: tuple[Node, ...] = (node,)
    while len(body) == 1 and isinstance(body[0], Loop):
        path.append(body[0])
        body = body[0].body
    writes = tuple(w for w in body if isinstance(w, Write) and w.op is None and w.where == ONE)
    return (tuple(path), writes) if len(writes) == len(body) else None


def alike(first: Iterable[Node], second: Iterable[Node], sizes: Mapping[str, int] | None) -> bool:
    """Whether loops may be joined: short ones that could be one long loop not with others that could not.

    Nor do elementary functions that take a loop before theirs go together with anything else.
    """
    loops = [[node for node in nodes if isinstance(node, Loop)] for nodes in (first, second)]
    kinds = [{_even(node, sizes or {}) for node in nodes} - {None} for nodes in loops]
    return len(kinds[0] | kinds[1]) < 2


def _even(node: Node, sizes: Mapping[str, int]) -> str | None:
    """Whether a map touches each array element by element, in the order of memory; None if its rounds are many."""
    found = _map(node)
    if found is None:
        return "uneven"
    path, writes = found
    rounds = size(path[-1].letter.extent, sizes)
    if len(path) < 2 or rounds is None or rounds >= LONG:
        return None
    letters = tuple(loop.letter for loop in path)
    touched = [w.target for w in writes] + [a for w in writes if w.value is not None for a in accesses(w.value)]
    if all(not a.places or a.places == letters for a in touched):
        return "even"
    return "elementary" if any(elementary(w.value) for w in writes) else "uneven"


def flattened(steps: Sequence[Step], places: Mapping[Tensor, int], sizes: Mapping[str, int] | None) -> tuple[Step, ...]:
    """The steps of a plan with long loops instead of short ones in each other; ``places`` say what shares memory."""
    views = {
        v.tensor for s in steps if isinstance(s, Rounds) for v in (*s.after, *(v for b in s.blocks for v in b.views))
    }
    return tuple(_flat_nest(s, places, sizes or {}, views) if isinstance(s, Nest) else s for s in steps)


def _flat_nest(nest: Nest, places: Mapping[Tensor, int], sizes: Mapping[str, int], views: set[Tensor]) -> Nest:
    flat: dict[int | Tensor, tuple[Tensor, Tensor]] = {}  # by memory: under two names it would look like two vectors
    body: list[Node] = []
    for node in nest.body:
        found = _flat(node, nest, places, sizes, views, flat)
        body += [node] if found is None else found
    made = replace(nest, body=tuple(body), flat=tuple(flat.values()))
    here = {*reads_of(made), *written_by(made)} | nest.scalars
    return replace(made, also=tuple(t for t in reads_of(nest) if t not in here))


def _flat(
    node: Node,
    nest: Nest,
    places: Mapping[Tensor, int],
    sizes: Mapping[str, int],
    views: set[Tensor],
    flat: dict[int | Tensor, tuple[Tensor, Tensor]],
) -> list[Node] | None:
    """One long loop, after one that computes what is not element by element; None where that cannot be."""
    found = _map(node)
    if found is None or len(found[0]) < 2:
        return None
    path, writes = found
    called = any(elementary(w.value) for w in writes)
    rounds = size(path[-1].letter.extent, sizes)
    where = next((w.target.places for w in writes if w.target.tensor not in nest.scalars), ())
    letters = tuple(x for x in where if isinstance(x, Letter))
    if rounds is None or rounds >= LONG or {loop.letter for loop in path} != set(letters) or letters != where:
        return None
    shape = tuple(x.extent for x in letters)

    def fits(a: Access) -> bool:
        return not a.places or (a.places == letters and a.tensor.axes == shape and a.tensor not in views)

    values = [w.value for w in writes if w.value is not None]
    made = {w.target.tensor for w in writes}
    others = list(dict.fromkeys(u for v in values for u in _others(v, fits, made)))
    if not all(fits(w.target) and w.target.places for w in writes) or len(others) > called or made & _read(others):
        return None  # without elementary functions a second loop costs more than short rounds
    before: list[Node] = []
    if others:
        kept = _buffer(others[0], writes, nest.scalars, places)
        if kept is None:
            return None
        before = [_under(path, Write(writes[kept].target, None, others[0], writes[kept].part))]
        table: dict[Expr, Expr] = {others[0]: writes[kept].target}
        writes = tuple(replace(w, value=substitute(w.value, table)) for w in writes if w.value is not None)
    q = fresh(mul(*shape), "q")

    def line(t: Tensor) -> Tensor:
        own = Tensor(f"{t.name}_flat", (q.extent,), dtype=t.dtype)
        return flat.setdefault(places.get(t, t), (own, t))[0]

    def along(e: Expr) -> Expr:
        if not isinstance(e, Access):
            return map_children(e, along)
        return e if not e.places or e.tensor in nest.scalars else Access(line(e.tensor), (q,))

    for t in (w.target.tensor for w in writes if w.target.tensor not in nest.scalars):
        flat[places.get(t, t)] = line(t), t  # what is written over something else is what lies there afterwards
    done = []
    for w in writes:
        target = along(w.target)
        assert isinstance(target, Access)
        assert w.value is not None
        done.append(replace(w, target=target, value=along(w.value)))
    return [*before, *(Loop(q, tuple(group)) for group in _few_arrays(done, nest.scalars))]


def _few_arrays(writes: Sequence[Write], scalars: frozenset[Tensor]) -> list[list[Write]]:
    """The statements of a map in as many loops as it takes for a compiler to keep their arrays apart.

    Vector code needs a check that no two vectors overlap of which one is written, and few enough pairs of them.
    """
    groups: list[list[Write]] = []
    for k, w in enumerate(writes):
        local = {x.target.tensor for g in groups[-1:] for x in g} & scalars
        needed = local & _read(x.value for x in writes[k:] if x.value is not None)
        if groups and (needed or _pairs([*groups[-1], w], scalars) <= PAIRS):
            groups[-1].append(w)
        else:
            groups.append([w])
    return groups


def _pairs(writes: Sequence[Write], scalars: frozenset[Tensor]) -> int:
    """How many pairs of vectors there are of which at least one is written."""
    made = {w.target.tensor for w in writes} - scalars
    read = {a.tensor for w in writes if w.value is not None for a in accesses(w.value) if a.places} - scalars - made
    return len(made) * (len(made) - 1) // 2 + len(made) * len(read)


def _read(found: Iterable[Expr]) -> set[Tensor]:
    return {a.tensor for e in found for a in accesses(e)}


def _others(e: Expr, fits: Callable[[Access], bool], made: set[Tensor]) -> Iterator[Expr]:
    """The largest expressions that need more than the element itself, and nothing that is ``made`` beside them."""
    if isinstance(e, Access) or not (elementary(e) or made & _read([e])):
        bare = any(isinstance(x, Letter) for x in _outside(e))
        if bare or not all(fits(a) for a in accesses(e)):
            yield e
        return
    for child in e.children:
        yield from _others(child, fits, made)


def _outside(e: Expr) -> Iterator[Expr]:
    """What an expression is made of, but not the places of accesses."""
    yield e
    if not isinstance(e, Access):
        for child in e.children:
            yield from _outside(child)


def _buffer(u: Expr, writes: Sequence[Write], scalars: frozenset[Tensor], places: Mapping[Tensor, int]) -> int | None:
    """Which statement's target may hold ``u`` until it is written."""

    def memory(t: Tensor) -> int | Tensor:
        return places.get(t, t)

    if isinstance(u, (Mask, Num)):
        return None
    last = max(k for k, w in enumerate(writes) if w.value is not None and u in set(walk(w.value)))
    rest = [_accesses(w.value, u) for w in writes]
    for k, w in enumerate(writes):
        t = w.target.tensor
        if k < last or t in scalars or t.dtype != "real":
            continue
        alone = all(memory(x.target.tensor) != memory(t) for j, x in enumerate(writes) if j != k)
        read = [(j, a.tensor) for j, reads in enumerate(rest) for a in reads if memory(a.tensor) == memory(t)]
        if alone and all(tensor == t and j > k for j, tensor in read):
            return k
    return None


def _accesses(e: Expr | None, u: Expr) -> list[Access]:
    """The accesses in an expression outside of ``u``."""
    if e is None or e == u:
        return []
    if isinstance(e, Access):
        return [e]
    return [a for child in e.children for a in _accesses(child, u)]


def _under(path: Sequence[Loop], statement: Write) -> Node:
    node: Node = statement
    for loop in reversed(path):
        node = Loop(loop.letter, (node,))
    return node
