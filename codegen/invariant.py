"""What a loop would find again in every round stands before it: reads of memory, and reciprocals.

In: the steps of a plan, and what lies in the same memory. Out: the same steps; a nest has more local variables. A
compiler could move reads only if it knew that nothing written in the loop lies there, and must not turn a quotient
into a product; for a divisor that is no denormal number the two differ in the last place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from codegen.steps import Loop, Nest, Node, Rounded, Rounds, Step, Write, reads_of, writes_in, written_by
from derive.expr import ONE, Access, Expr, Letter, Mul, Num, Pow, Select, mul
from derive.program import Tensor
from derive.rewrite import accesses, map_children, walk


def hoisted(steps: Sequence[Step], places: Mapping[Tensor, int]) -> tuple[Step, ...]:
    """The steps with such variables; ``places`` say what shares memory."""
    return tuple(_step(s, places) for s in steps)


def before_rounds(loop: Rounds) -> tuple[list[Nest], Rounds]:
    """The nests that every round would run alike, such as a copy of weights, and the loop without them."""
    changing = {*loop.sources, *(t for b in loop.blocks for s in b.items for t in written_by(s))}
    views = set(loop.sources)

    def early(step: Step) -> bool:
        return (
            isinstance(step, Nest)
            and changing.isdisjoint(reads_of(step))
            and views.isdisjoint(written_by(step))
            and all(w.op is None and loop.letter not in (w.value or ONE).letters for w in writes_in(step.body))
        )

    found = [s for b in loop.rounds if b.condition == ONE for s in b.items if early(s)]
    writers = Counter(t for b in loop.blocks for s in b.items for t in written_by(s))
    moved = [s for s in found if isinstance(s, Nest) and all(writers[t] == 1 for t in written_by(s))]
    return moved, replace(loop, rounds=tuple(_without(b, moved) for b in loop.rounds)) if moved else loop


def _without(block: Rounded, steps: Sequence[Step]) -> Rounded:
    return replace(block, items=tuple(s for s in block.items if s not in steps))


def _step(step: Step, places: Mapping[Tensor, int]) -> Step:
    if isinstance(step, Rounds):
        return step.each(lambda items: hoisted(items, places))  # type: ignore[return-value]
    if not isinstance(step, Nest):
        return step
    nest = _Nest(places, dict(step.flat), set(step.scalars))
    body = nest.block(step.body)
    return replace(step, body=body, scalars=frozenset(nest.scalars))


@dataclass
class _Nest:
    """One nest: what shares memory, which vectors are flat views, the local variables, and which of them are new."""

    places: Mapping[Tensor, int]
    flat: Mapping[Tensor, Tensor]
    scalars: set[Tensor]
    new: set[Tensor] = field(default_factory=set)

    def block(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """The nodes, each loop after the variables that do not change in it."""
        done: list[Node] = []
        for node in nodes:
            if isinstance(node, Write):
                done.append(node)
                continue
            inner: list[Node] = []
            if any(isinstance(child, Loop) for child in node.body):
                found = self.block(node.body)
            else:
                found = tuple(self.innermost(node))
            for child in found:
                new = isinstance(child, Write) and child.target.tensor in self.new
                if new and isinstance(child, Write) and child.value and self.constant(child.value, node):
                    done.append(child)
                else:
                    inner.append(child)
            done.append(replace(node, body=tuple(inner)))
        return tuple(done)

    def memory(self, t: Tensor) -> int | Tensor:
        whole = self.flat.get(t, t)
        return self.places.get(whole, whole)

    def constant(self, e: Expr, loop: Loop) -> bool:
        """Whether an expression is the same in every round."""
        written = {self.memory(w.target.tensor) for w in writes_in((loop,))}
        return loop.letter not in e.letters and all(self.memory(a.tensor) not in written for a in accesses(e))

    def innermost(self, loop: Loop) -> list[Node]:
        """The body of an innermost loop after the variables that it may use."""
        named: dict[Expr, Access] = {}
        before: list[Node] = []

        def name(e: Expr, w: Write) -> Expr:
            if e not in named:
                named[e] = Access(Tensor(_name(e), ()), ())
                self.scalars.add(named[e].tensor)
                self.new.add(named[e].tensor)
                before.append(Write(named[e], None, e, w.part))
            return named[e]

        def outside(e: Expr, w: Write) -> Expr:
            if isinstance(e, (Num, Letter, Select)) or (not e.children and not isinstance(e, Access)):
                return e
            if isinstance(e, Mul):
                fixed = [f for f in e.args if self.constant(f, loop)]
                if not any(isinstance(x, Pow) for f in fixed for x in walk(f)):
                    fixed = [f for f in fixed if not isinstance(f, Num)]
                whole = mul(*fixed)
                if fixed and self.worth(whole):
                    return mul(name(whole, w), *(outside(f, w) for f in e.args if f not in fixed))
            elif self.constant(e, loop) and self.worth(e):
                return name(e, w)
            return e if isinstance(e, Access) else map_children(e, lambda child: outside(child, w))

        body: list[Node] = []
        for w in loop.body:
            assert isinstance(w, Write)
            plain = w.where == ONE and w.position is None
            body.append(w if w.value is None or not plain else replace(w, value=outside(w.value, w)))
        return [*before, *body]

    def worth(self, e: Expr) -> bool:
        """Whether it reads memory or divides, and nothing that may lie outside where the loop would not read it."""
        nodes = list(walk(e))
        if any(isinstance(x, Select) for x in nodes):
            return False
        read = [x for x in nodes if isinstance(x, Access)]
        if not all(isinstance(p, (Letter, Num)) for a in read for p in a.places):
            return False
        return any(a.places and a.tensor not in self.scalars for a in read) or any(isinstance(x, Pow) for x in nodes)


def _name(e: Expr) -> str:
    """A variable for an element of a matrix goes by that name."""
    return f"{e.tensor.name}_at" if isinstance(e, Access) else "u"
