"""Stacking: a uniform repetition is a recurrence along an axis of layers.

In: a scheme and sizes. Out: the `Program` in which the members of a family are the places of one tensor, ``W{l}`` is
W[t, …] with l = p + t, and the rounds are one set of equations with the letter t; or None where no rounds are alike.
What a round reads of the one before it gets a place more, and starts with what stands before the first:

    A[s, …] = A{p-1}[…] if s == 0 else A_found[s-1, …]        A_found[t, …] = f(A[t, …], W[t, …])

Whatever works on recurrences works on layers then, at a cost that does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from derive.expr import Access, Dim, Expr, Letter, add, compare, fresh, num, select
from derive.program import Equation, Initializer, Program, Tensor, letters_for, reads
from derive.repeat.members import base_and_offset, plain, split_member
from derive.repeat.scheme import Item, Repeat, Scheme, transplanted
from derive.repeat.unroll import Sizes, Unrolling
from derive.rewrite import map_children, walk
from derive.training import formed, unread

_FEWEST = 3  # layers that make a stack; two are written out


class _NotUniformError(Exception):
    """The rounds are not alike in a way that one equation could state."""


def stacked(scheme: Scheme, sizes: Sizes | None = None) -> Program | None:
    """The program with layers that are alike in stacks; None where there are none, or not three.

    Of a repetition it is the longest run of rounds whose extents are the same; the others stand by themselves.
    """
    made = _Stacking(scheme, sizes or {})
    if not made.runs:
        return None
    try:
        program = formed(made.program(scheme))
    except _NotUniformError:
        return None
    whole = not program.outputs and any(t.layers for t in unread(program))  # every member by itself is asked for
    return None if whole else program


@dataclass(frozen=True)
class _Run:
    """Rounds ``first … last`` of a repetition that are alike."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class _Stacking(Unrolling):
    """Tensors and equations of a scheme, those of runs stacked."""

    def __init__(self, scheme: Scheme, sizes: Sizes) -> None:
        super().__init__(scheme, sizes)
        self.scheme = scheme
        self.numbers = {d.name: d.default for width in self.widths for d in width}
        self.same: dict[str, str] = {}
        self.runs = {r: run for r in scheme.repeats if (run := self._longest(r)) is not None}
        self.stacks: dict[str, list[Tensor]] = {}
        self._single: dict[tuple[str, int], Tensor] = {}
        self._equations: list[Equation] = []
        for r, run in self.runs.items():
            self._unify(r, run)

    # --- which rounds are alike ----------------------------------------------------------------------------

    def _longest(self, r: Repeat) -> _Run | None:
        """The longest run of rounds with the same extents."""
        if any(isinstance(i, Repeat) for i in r.items):
            return None
        first, last = self.number(r.first, {}, r.span), self.number(r.last, {}, r.span)
        best: _Run | None = None
        start = first
        for k in range(first, last + 1):
            if self._extents(r, k) != self._extents(r, start):
                start = k
            if k - start + 1 >= max(_FEWEST, best.count + 1 if best else 0):
                best = _Run(start, k)
        return best

    def _extents(self, r: Repeat, k: int) -> list[int | None]:
        """The widths of a round."""
        return [self.numbers[plain(f, offset + k)] for f, offset in _widths(r)]

    def _unify(self, r: Repeat, run: _Run) -> None:
        """Let widths that are equal all along a run be one extent."""
        for family, offset in _widths(r):
            for k in range(run.first + offset + 1, run.last + offset + 1):
                a, b = self._one(plain(family, k - 1)), self._one(plain(family, k))
                if a != b:
                    self.same[b] = a

    def _one(self, name: str) -> str:
        while name in self.same:
            name = self.same[name]
        return name

    # --- what stands alone ---------------------------------------------------------------------------------

    def extent(self, e: Expr, env: Mapping[str, int]) -> Expr:
        found = super().extent(e, env)
        return Dim(self._one(found.name)) if isinstance(found, Dim) else found

    def tensor(self, t: Tensor, env: Mapping[str, int]) -> Tensor:
        """A tensor by itself; a member of a stack is read from it by an equation of its own."""
        if t.family is None or t.index is None:
            return super().tensor(t, env)
        k = self.number(t.index, env, t.span)
        stack = self._stack(t.family, k, k)
        if stack is None or (t.family, k, "") in self._members:
            return super().tensor(t, env)
        if (t.family, k) not in self._single:
            axes = stack.axes[1:]
            made = Tensor(plain(t.family, k), axes, span=t.span, dtype=stack.dtype, range=stack.range)
            letters = letters_for(axes)
            self._equations.append(Equation(made, letters, stack.at((num(k - _first(stack)), *letters)), t.span))
            self._single[t.family, k] = made
            self._defined.add(made)
        return self._single[t.family, k]

    def _stack(self, family: str, first: int, last: int) -> Tensor | None:
        """The stack that holds these members."""
        for s in self.stacks.get(family, ()):
            if s.layers is not None and s.layers[0] <= first and last < s.layers[0] + s.layers[1]:
                return s
        return None

    def _take(
        self, items: tuple[Item, ...], env: Mapping[str, int], declared: list[Tensor], equations: list[Equation]
    ) -> None:
        self._equations = equations
        for item in items:
            run = self.runs.get(item) if isinstance(item, Repeat) else None
            if run is None or not isinstance(item, Repeat):
                super()._take((item,), env, declared, equations)
                continue
            before, after = replace(item, last=num(run.first - 1)), replace(item, first=num(run.last + 1))
            if self.number(item.first, env) < run.first:
                super()._take((before,), env, declared, equations)
            self._round(item, run, declared)
            if self.number(item.last, env) > run.last:
                super()._take((after,), env, declared, equations)
        if items is self.scheme.items:
            for t in (*self.frame.outputs, *([self.frame.objective] if self.frame.objective else [])):
                self.tensor(t, {})

    @staticmethod
    def _check_names(*_: object) -> None:
        """Names were checked when the model was written out; a stack is called like its family."""

    # --- one round for all ---------------------------------------------------------------------------------

    def _round(self, r: Repeat, run: _Run, declared: list[Tensor]) -> None:
        """The declarations and equations of a run."""
        env = {r.letter: run.first}
        for item in r.items:
            if isinstance(item, Tensor):
                declared.append(self._stacked(item, r, run, env))
        before = dict.fromkeys(t.family for e in r.equations for t in reads(e.body) if _offset(t, r.letter) == -1)
        made = {e.out.family for e in r.equations}
        later: dict[str, Tensor] = {}
        starts = []
        for e in r.equations:
            if e.out.family in before:
                whole = next(t for x in r.equations for t in reads(x.body) if _is(t, e.out.family, -1, r.letter))
                starts.append((e, self.tensor(whole, env)))
        for e, start in starts:
            own = self._stacked(e.out, r, run, env)
            family, axes = own.name, own.axes[1:]
            if start.axes != axes:
                raise _NotUniformError
            later[family] = own.like(axes=(num(run.count + 1), *axes), layers=(run.first - 1, run.count + 1))
            letters = letters_for(axes)
            s = fresh(num(run.count + 1), r.letter)
            body = select(compare("==", s, 0), start.at(letters), own.at((add(s, -1), *letters)))
            self._equations.append(Equation(later[family], (s, *letters), body, None))
        for e in r.equations:
            if e.out.family not in later:
                self._stacked(e.out, r, run, env)
        for e in r.equations:
            self._equations.append(self._equation(e, r, run, made, later))
        for family, whole in later.items():  # what comes later reads there, so that one tensor collects what flows back
            self.stacks[family].insert(0, whole)

    def _stacked(self, t: Tensor, r: Repeat, run: _Run, env: Mapping[str, int]) -> Tensor:
        """The stack of a family that a round declares or defines."""
        if t.family is None or _offset(t, r.letter) != 0 or t.kind not in ("param", "value"):
            raise _NotUniformError
        axes = tuple(self.extent(a, env) for a in t.axes)
        mentioned = [x for e in (*t.axes, *_start(t.init)) for x in walk(e)]
        if any(x == Dim(r.letter) for x in mentioned):
            raise _NotUniformError
        stack = t.like(
            name=t.family,
            axes=(num(run.count), *axes),
            index=None,
            layers=(run.first, run.count),
            init=self._start(t, env),
            properties=(),
            range=None if t.range is None else self.extent(t.range, env),
        )
        self.stacks.setdefault(t.family, []).append(stack)
        self._defined.add(stack)
        return stack

    def _equation(
        self, e: Equation, r: Repeat, run: _Run, made: set[str | None], later: Mapping[str, Tensor]
    ) -> Equation:
        """One equation for all rounds of a run."""
        letter = fresh(num(run.count), r.letter)
        env = {r.letter: run.first}
        single: dict[Tensor, tuple[Tensor, Expr]] = {}

        def tensor(t: Tensor) -> Tensor:
            offset = _offset(t, r.letter)
            if offset is None:
                return self.tensor(t, env)
            first = run.first + offset
            stack = later.get(t.family or "") if offset == -1 else None
            if stack is None:
                if t.family in made and offset > 0:
                    raise _NotUniformError
                stack = self._stack(t.family or "", first, run.last + offset)
            if stack is None:
                raise _NotUniformError
            one = stack.like(axes=stack.axes[1:])  # for now; its place in the stack is put in front below
            single[one] = stack, add(letter, first - _first(stack))
            return one

        def extent(x: Expr) -> Expr:
            if isinstance(x, Dim) and x.name == r.letter:
                return add(letter, run.first)
            return self.extent(x, env)

        whole = transplanted(e, tensor, extent)
        out = self._stack(e.out.family or "", run.first, run.last)
        assert out is not None
        if any(s.extent.letters for s in _letters(whole)):
            raise _NotUniformError
        return Equation(out, (letter, *whole.letters), _placed(whole.body, single), e.span, e.note)


def _placed(e: Expr, single: Mapping[Tensor, tuple[Tensor, Expr]]) -> Expr:
    """``e`` with slices read from their stacks."""
    e = map_children(e, lambda child: _placed(child, single))
    if isinstance(e, Access) and e.tensor in single:
        stack, place = single[e.tensor]
        return stack.at((place, *e.places))
    return e


def _letters(e: Equation) -> Iterator[Letter]:
    yield from e.letters
    yield from (x for x in walk(e.body) if isinstance(x, Letter))


def _first(stack: Tensor) -> int:
    assert stack.layers is not None
    return stack.layers[0]


def _offset(t: Tensor, letter: str) -> int | None:
    """C where ``t`` is a member at ``l + c``; None where its layer does not depend on l."""
    known = None if t.index is None or t.family is None else base_and_offset(t.index)
    return known[1] if known is not None and known[0] == letter else None


def _is(t: Tensor, family: str | None, offset: int, letter: str) -> bool:
    return t.family == family and _offset(t, letter) == offset


def _start(init: Initializer | None) -> list[Expr]:
    """What an initializer is declared to be, in expressions."""
    if init is None:
        return []
    return [*(e for _, e in init.arguments), *([] if init.value is None else [init.value])]


def _widths(r: Repeat) -> list[tuple[str, int]]:
    """The widths ``n{l+c}`` that a round has, each as family and c."""
    found: dict[tuple[str, int], None] = {}
    for item in r.items:
        tensors, extents = [item] if isinstance(item, Tensor) else [], list[Expr]()
        if isinstance(item, Equation):
            tensors = [item.out, *reads(item.body)]
            extents = [item.body, *(x.extent for x in _letters(item))]
        extents += [a for t in tensors for a in t.axes]
        for e in extents:
            for x in walk(e):
                known = split_member(x.name) if isinstance(x, Dim) else None
                at = None if known is None else base_and_offset(known[1])
                if known is not None and at is not None and at[0] == r.letter:
                    found.setdefault((known[0], at[1]))
    return list(found)
