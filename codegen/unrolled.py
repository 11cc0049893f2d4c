"""Windows of a few elements, as in pooling: their elements stand in one round instead of in loops of their own.

In: a part that takes the largest or smallest element of a window, or where it stands, or adds at the places of one.
Out: its loops, over everything but the window. Nothing branches there and the innermost loop is as long as memory has
it, so that it becomes vector code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from codegen.layout import LANES
from codegen.steps import Node, Part, RoundParts, Routine, Write, item_reads
from derive.digits import digits, flat
from derive.expr import Access, Call, Compare, Expr, Letter, Num, Reduce, mul, num, select
from derive.program import Tensor
from derive.rewrite import accesses, factors, map_children, substitute, walk
from derive.scatter import landings, once
from derive.shapes import size

MOST = 9  # elements of a window

Item = Part | RoundParts | Routine


def windowed(letters: Sequence[Letter], read: Sequence[Access]) -> tuple[Letter, ...]:
    """Those letters that count through a small window: beside another letter at one place, which counts windows."""
    counted = (digits(p) for a in read for p in a.places if len(p.letters) > 1)
    beside = {x for found in counted for x in (found or ())[1:]}
    beside |= {x for a in read for p in a.places if len(p.letters) > 1 and digits(p) is None for x in p.letters}
    found = tuple(x for x in letters if x in beside and isinstance(x.extent, Num) and x.extent.value <= MOST)
    return found if elements(found) <= MOST else ()


def elements(window: Sequence[Letter]) -> int:
    """How many elements a window has."""
    total = 1
    for x in window:
        assert isinstance(x.extent, Num)
        total *= int(x.extent.value)
    return total


def places(window: Sequence[Letter]) -> Iterator[dict[Expr, Expr]]:
    """The elements of a window, each as what its letters are there."""
    extents = [x.extent for x in window]
    for found in product(*(range(int(e.value)) for e in extents if isinstance(e, Num))):
        yield {x: num(k) for x, k in zip(window, found, strict=True)}


def beside(items: Sequence[Item], kept: Collection[Tensor]) -> list[Item]:
    """The items, each that finds a position in windows directly before the only one that reads it.

    It is a variable there, and a real number: of comparisons with integers a compiler would make branches.
    """
    done: list[Item] = []
    waiting: dict[Tensor, Part] = {}
    read = Counter(t for i in items for t in item_reads(i))
    for item in items:
        found = [waiting.pop(t) for t in item_reads(item) if t in waiting]
        if isinstance(item, Part) and found:
            numbers = {p.out: p.out.like(dtype="real") for p in found}
            done += [replace(p, out=numbers[p.out]) for p in found]
            item = replace(item, body=_read_instead(item.body, numbers))
        else:
            done += found
        if isinstance(item, Part) and item.out not in kept and read[item.out] == 1 and is_position(item):
            waiting[item.out] = item
        else:
            done.append(item)
    return [*done, *waiting.values()]


def inside(items: Sequence[Item], kept: Collection[Tensor], sizes: Mapping[str, int]) -> list[Item]:
    """The items, with what is done element by element right before or after a window within its loops.

    What a window takes the largest of, as a relu, is computed there, in each of those loops: it is neither written nor
    read again. What is added at the places of a window is multiplied there with what it is multiplied with. That is so
    where channels lie last, so that those loops are vector code; element by element they all are.
    """
    done = list(items)
    for part in [p for p in items if isinstance(p, Part) and p.out not in kept]:
        readers = [i for i in done if part.out in item_reads(i)]
        if readers and _simple(part) and all(_reads_windows(r, part.out, sizes) for r in readers):
            done = [_with_source(i, part) if i in readers else i for i in done if i is not part]
    for part in [p for p in done if isinstance(p, Part) and p.out not in kept]:
        readers = [i for i in done if part.out in item_reads(i)]
        product = _times(readers[0], part, sizes) if len(readers) == 1 else None
        if product is not None:
            done = [product if i is readers[0] else i for i in done if i is not part]
    return done


def _simple(part: Part) -> bool:
    """Whether each element is found from a few others at its own place, without a function that takes long."""
    found = accesses(part.body)
    called = part.body.reduces or any(isinstance(e, Call) for e in walk(part.body))
    return not called and len(set(found)) == 1 and found[0].places == part.letters


def _channels_last(places: Sequence[Expr], sizes: Mapping[str, int]) -> bool:
    """Whether the last axis is one of channels, as many as are worth it, along which no window moves."""
    extent = size(places[-1].extent, sizes) if places and isinstance(places[-1], Letter) else None
    return extent is not None and extent >= LANES


def _reads_windows(item: Item, tensor: Tensor, sizes: Mapping[str, int]) -> bool:
    """Whether a part takes the largest or smallest elements of windows on a tensor that do not overlap."""
    if not isinstance(item, Part) or not isinstance(item.body, Reduce) or not isinstance(item.body.body, Access):
        return False
    if item.body.body.tensor != tensor or extreme(item, item.out.at(item.letters), item.body) is None:
        return False
    places = item.body.body.places
    return all(digits(p) is not None for p in places) and _channels_last(places, sizes)


def _with_source(item: Item, source: Part) -> Item:
    """A part with what another one computes in the place of what it reads of that."""

    def found(e: Expr) -> Expr:
        if isinstance(e, Access) and e.tensor == source.out:
            return substitute(source.body, dict(zip(source.letters, e.places, strict=True)))
        return map_children(e, found)

    assert isinstance(item, Part)
    return replace(item, body=found(item.body), within=(*source.within, source.origin, *item.within))


def _times(item: Item, source: Part, sizes: Mapping[str, int]) -> Part | None:
    """A part that multiplies what stands at the places of windows, as the sum that writes there."""
    body = source.body
    if not isinstance(item, Part) or item.body.reduces or not isinstance(body, Reduce):
        return None
    read = [f for f in factors(item.body) if isinstance(f, Access) and f.tensor == source.out]
    others = [f for f in factors(item.body) if f not in read]
    if len(read) != 1 or read[0].places != item.letters or any(a.tensor == source.out for a in accesses(mul(*others))):
        return None
    found = landings(body, source.letters)
    target = substitute(source.out.at(source.letters), {letter: place for _, letter, place in found})
    assert isinstance(target, Access)
    window = windowed(body.binders, [target])
    if not found or not once(found, body.binders) or not window or not _channels_last(target.places, sizes):
        return None
    table: dict[Expr, Expr] = dict(zip(source.letters, item.letters, strict=True))
    whole = Reduce(body.op, body.binders, mul(substitute(body.body, table), *others))
    return replace(item, body=whole, within=(*source.within, source.origin, *item.within))


def is_position(part: Part) -> bool:
    """Whether a part finds where the largest or smallest element of a window stands."""
    body = part.body
    at = isinstance(body, Reduce) and body.op.startswith("arg")
    return at and isinstance(body, Reduce) and extreme(part, part.out.at(part.letters), body) is not None


def _read_instead(e: Expr, table: Mapping[Tensor, Tensor]) -> Expr:
    e = map_children(e, lambda child: _read_instead(child, table))
    return table[e.tensor].at(e.places) if isinstance(e, Access) and e.tensor in table else e


def extreme(part: Part, target: Access, body: Reduce) -> list[Write] | None:
    """The statements of one round that find the largest (smallest) element or its position; None if it is no window."""
    first = body.op.startswith("arg")
    op = body.op.removeprefix("arg")
    if op not in ("max", "min") or body.body.reduces or not accesses(body.body):
        return None
    if set(windowed(body.binders, accesses(body.body))) != set(body.binders):
        return None
    best = Access(Tensor(f"{part.out.name}_best", ()), ())
    at = Access(Tensor(f"{part.out.name}_at", (), dtype=part.out.dtype), ())
    position = flat(body.binders, (b.extent for b in body.binders))
    done: list[Write] = []
    for k, table in enumerate(places(body.binders)):
        found = substitute(body.body, table)
        if k == 0:
            done.append(Write(best, None, found, part))
            continue
        if first:
            element = Access(Tensor(f"{part.out.name}_next", ()), ())
            done.append(Write(element, None, found, part))
            better = Compare("<", best, element) if op == "max" else Compare("<", element, best)
            before: Expr = at if k > 1 else num(0)
            done.append(Write(at, None, select(better, substitute(position, table), before), part))
            found = element
        done.append(Write(best, op, found, part))
    if not done[1:]:
        return None
    if first:
        done.pop()  # nothing is compared with the last one
    return [*done, Write(target, None, at if first else best, part)]


def each(window: Sequence[Letter], statement: Write) -> tuple[Node, ...]:
    """A statement for every element of a window, after what all of them read: under a condition that would branch."""
    if not window:
        return (statement,)
    assert statement.value is not None
    own = [a for a in accesses(statement.value) if a.places and not a.letters & set(window)]
    named: dict[Expr, Expr] = {
        a: Access(Tensor(f"{a.tensor.name}_at", (), dtype=a.tensor.dtype), ()) for a in dict.fromkeys(own)
    }
    done = [Write(local, None, a, statement.part) for a, local in named.items() if isinstance(local, Access)]
    value = substitute(statement.value, named)
    for table in places(window):
        target = substitute(statement.target, table)
        assert isinstance(target, Access)
        done.append(Write(target, statement.op, substitute(value, table), statement.part))
    return tuple(done)
