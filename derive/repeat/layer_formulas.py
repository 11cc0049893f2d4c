"""Formulas of stacked layers, as those of any one layer: ``Zˡ = Aˡ⁻¹ Wˡ + bˡ`` for Z[t, …] = Σ A[t, …] W[t, …] + b[t].

In: a program with stacks. Out: the text of each equation, with its letter along the stack as a layer's number, for a
layer in the middle. What only hands a layer on has no text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive.expr import Access, Compare, Dim, Expr, Letter, Num, add, compare, mul, num
from derive.notation import Notation
from derive.program import Equation, Program, Tensor
from derive.recurrence import shift
from derive.repeat.members import member
from derive.rewrite import accesses, map_children, substitute


def layer_formulas(program: Program) -> dict[Tensor, str]:
    """The formula of every equation; an empty text where it says nothing about a layer."""
    told = _Layers(program)
    found = {e.out: told.equation(e) for e in program.equations}
    shown = [e for e in found.values() if e is not None]
    notation = Notation(replace(program, equations=tuple(shown), gradients=()))
    return {t: "" if e is None else notation.formula(e) for t, e in found.items()}


class _Layers:
    """Which tensors are stacks, along which axis, from which layer on; and their members."""

    def __init__(self, program: Program) -> None:
        self.known: dict[Tensor, tuple[int, int]] = {}
        for t in program.tensors:
            stack = t if t.layers is not None or t.primal is None else t.primal
            if stack.layers is not None and t.rank == stack.rank:
                self.known[t] = 0, stack.layers[0]
        own = [e for e in program.equations if e.out.layers is not None]
        self.letter = Dim(own[0].letters[0].hint if own else "l")
        self._members: dict[tuple[object, Expr], Tensor] = {}
        before = -1
        while before < len(self.known):
            before = len(self.known)
            for e in program.equations:
                if e.out not in self.known:
                    self._align(e)

    def _align(self, e: Equation) -> None:
        """A tensor that gradc named runs along the layers where what it reads does; its layer is the last of theirs."""
        for k, letter in enumerate(e.letters):
            read = [(a, *self.known[a.tensor]) for a in accesses(e.body) if a.tensor in self.known]
            found = [first + d for a, axis, first in read if (d := shift(a.places[axis], letter)) is not None]
            if found:
                self.known[e.out] = k, max(found)
                return

    def member(self, t: Tensor, index: Expr) -> Tensor:
        """The member of a stack at a layer."""
        axis, _ = self.known[t]
        rest = (*t.axes[:axis], *t.axes[axis + 1 :])
        primal = self.member(t.primal, index) if t.primal in self.known and t.primal is not None else None
        key: tuple[object, Expr] = (t.family if t.layers else primal or t, index)
        if key not in self._members:
            family = t.family if t.layers and t.family else t.name
            name = member(family, index) if primal is None else f"d{primal.name}"
            self._members[key] = t.like(
                name=name, axes=rest, primal=primal, family=family, index=index, layers=None, ahead=None
            )
        return self._members[key]

    def equation(self, e: Equation) -> Equation | None:
        """The equation of a layer; None where it only says that a layer is itself."""
        if e.out not in self.known:
            return e.with_body(self._read(e.body, None, num(0)))
        axis, first = self.known[e.out]
        letter = e.letters[axis]
        rest = (*e.letters[:axis], *e.letters[axis + 1 :])
        middle = num(int(letter.extent.value) // 2) if isinstance(letter.extent, Num) else num(1)
        here = add(self.letter, -first)  # what the letter stands for
        body = substitute(self._read(_decided(e.body, letter, middle), letter, here), {letter: here})
        out = self.member(e.out, self.letter)
        return None if body == out.at(rest) else Equation(out, rest, body, e.span, e.note)

    def _read(self, e: Expr, letter: Letter | None, here: Expr) -> Expr:
        """``e`` with members in the place of stacks."""
        e = map_children(e, lambda child: self._read(child, letter, here))
        if not isinstance(e, Access) or e.tensor not in self.known:
            return e
        axis, first = self.known[e.tensor]
        place = e.places[axis]
        index: Expr | None = add(place, first) if isinstance(place, Num) else None
        if letter is not None and shift(place, letter) is not None:
            index = add(here, add(place, mul(-1, letter)), first)
        return e if index is None else self.member(e.tensor, index).at((*e.places[:axis], *e.places[axis + 1 :]))


def _decided(e: Expr, letter: Letter, place: Expr) -> Expr:
    """``e`` with conditions on the layer decided as they are at one place."""
    e = map_children(e, lambda child: _decided(child, letter, place))
    if isinstance(e, Compare) and _letters((e,)) == {letter}:
        return compare(e.op, substitute(e.left, {letter: place}), substitute(e.right, {letter: place}))
    return e


def _letters(expressions: Iterable[Expr]) -> set[Letter]:
    return {x for e in expressions for x in e.letters}
