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

from codegen.steps import Node, Part, RoundParts, Routine, Write, item_reads
from derive.digits import digits, flat
from derive.expr import Access, Compare, Expr, Letter, Num, Reduce, num, select
from derive.program import Tensor
from derive.rewrite import accesses, map_children, substitute

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
    if op not in ("max", "min") or not isinstance(body.body, Access):
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
