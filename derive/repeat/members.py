"""Members of families: ``W{l+1}`` is the tensor W of layer l+1, ``n{0}`` the width of layer 0.

In: the name of a family and an index (a letter or a dim plus a number, or a number). Out: the one way to write the
member down, and that index with something else in the place of its letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from derive.expr import Dim, Expr, Num, add, num, split_coefficient
from derive.rewrite import terms
from derive.shapes import show_extent

_MEMBER = re.compile(r"(\w+)\{([A-Za-z]\w*)?([+-]?\d+)?\}")


def member(family: str, index: Expr) -> str:
    """The name of a family's member.

    >>> member("W", Dim("l") + 1), member("n", num(0))
    ('W{l+1}', 'n{0}')
    """
    return f"{family}{{{show_extent(index)}}}"


def split_member(name: str) -> tuple[str, Expr] | None:
    """Family and index of a member's name; None for any other name.

    >>> split_member("W{l-1}"), split_member("W")
    (('W', l + -1), None)
    """
    match = _MEMBER.fullmatch(name)
    if match is None:
        return None
    return match[1], add(Dim(match[2]) if match[2] else 0, int(match[3] or 0))


def base_and_offset(index: Expr) -> tuple[str, int] | None:
    """An index as a letter or a dim (or nothing) plus a number; None where it is not of this kind.

    >>> base_and_offset(Dim("l") - 1), base_and_offset(num(3)), base_and_offset(2 * Dim("l"))
    (('l', -1), ('', 3), None)
    """
    base, offset = "", 0
    for t in terms(index):
        coefficient, rest = split_coefficient(t)
        if isinstance(t, Num):
            offset = int(t.value)
        elif isinstance(rest, Dim) and coefficient == 1 and not base and split_member(rest.name) is None:
            base = rest.name
        else:
            return None
    return base, offset


def moved(e: Expr, table: Mapping[str, Expr]) -> Expr:
    """An extent or an index with other expressions for some dims, also in the indices of members.

    >>> moved(Dim("n{l-1}") * Dim("l"), {"l": Dim("l") + 1})
    n{l}·(l + 1)
    """
    if isinstance(e, Dim):
        if e.name in table:
            return table[e.name]
        known = split_member(e.name)
        return e if known is None else Dim(member(known[0], moved(known[1], table)))
    return e if not e.children else e.rebuild(tuple(moved(c, table) for c in e.children))


def plain(family: str, layer: int | str) -> str:
    """The name of a member once its layer is a number, for code and for people's dictionaries.

    >>> plain("W", 2), plain("W1", 2)
    ('W2', 'W1_2')
    """
    return f"{family}_{layer}" if family[-1].isdigit() else f"{family}{layer}"


def layer(index: Expr, values: Mapping[str, int]) -> int | None:
    """The number that an index is; None where a letter in it has no value."""
    known = base_and_offset(index)
    if known is None or (known[0] and known[0] not in values):
        return None
    return known[1] + (values[known[0]] if known[0] else 0)


def shifted(index: Expr, by: int) -> Expr:
    """The index of the layer ``by`` further on."""
    return add(index, num(by))
