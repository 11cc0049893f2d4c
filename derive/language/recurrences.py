"""The two lines of a recurrence, `H[0, …] = a` and `H[t+1, …] = f(H[t, …])`, as index equations.

In: the lines, in the order in which they stand. Out: an equation for the value that each round finds, and one for the
tensor, which is the start at place 0 and that value one place later elsewhere:

    H_next[t, …] = f(H[t, …])        H[s, …] = a if s == 0 else H_next[s-1, …]

Both are ordinary equations, so the chain rule needs to know nothing of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from derive.deltas import bounds, is_polynomial
from derive.errors import GradcError, SourceError, Span
from derive.expr import ONE, Access, Dim, Expr, Letter, add, compare, fresh, select
from derive.language import tree
from derive.language.expressions import Elaborator
from derive.language.indices import Range, Scope, Site, check_inside
from derive.language.names import check_name, line_of
from derive.language.tensors import Hints, Value, of_tensor
from derive.program import Equation, Tensor, reads
from derive.recurrence import blocks
from derive.rewrite import map_children, walk
from derive.shapes import never_negative, show_axes

_UNKNOWN = Dim("?")


def step_letter(place: tree.Node) -> tree.Name | None:
    """``t`` of a place ``t+1``."""
    match place:
        case tree.Chain(tree.Name(index=None) as letter, (("+", tree.Number(value)),)) if value == 1:
            return letter
    return None


def is_line(node: tree.Assignment) -> bool:
    """Whether an equation is one of the two lines of a recurrence."""
    return any(not isinstance(p.value, tree.Name) for p in node.places or ())


@dataclass
class Open:
    """A recurrence of which the first line was read: its tensor, axis, start, and where it was read meanwhile."""

    tensor: Tensor
    axis: int
    letters: tuple[Letter, ...]
    start: Expr
    behind: Equation | Tensor | None
    span: Span | None
    reads: list[tuple[Range, Span | None]] = field(default_factory=list)


class Recurrences:
    """The recurrences of a model while it is read; ``hints`` and ``unused`` are the reader's."""

    def __init__(
        self, elab: Elaborator, hints: Callable[[tuple[str, ...], Span | None], Hints], unused: Callable[..., str]
    ) -> None:
        self.elab, self.hints, self.unused = elab, hints, unused
        self.open: dict[str, Open] = {}

    def begin(self, name: str, node: tree.Assignment, behind: Equation | Tensor | None) -> Value:
        """``H[0, …] = a``: the tensor is known from here on, but for how far it runs. It stands ``behind`` another."""
        places = node.places or ()
        [axis] = self._axis(name, node)
        zero = places[axis].value
        if not isinstance(zero, tree.Number) or zero.value:
            raise SourceError(
                f"{name} starts at place 0 of the axis along which it recurs",
                zero.span or node.span,
                hint=f"write {name}[0, …] = … and then {name}[t+1, …] = …",
            )
        ranges = [self._range(p, node) for k, p in enumerate(places) if k != axis]
        value = self.elab.value(node.value, Scope({r.name: r for r in ranges}))
        letters, start = self._written(ranges, value, node)
        axes = [s.extent for s in letters]
        tensor = Tensor(name, (*axes[:axis], _UNKNOWN, *axes[axis:]), span=node.name.span)
        self.open[name] = Open(tensor, axis, letters, start, behind, node.span)
        self.elab.growing[tensor] = axis, self.open[name].reads
        return of_tensor(tensor, dims=tuple(self.elab.dims))

    def end(self, name: str, node: tree.Assignment) -> tuple[Open, Equation, Equation, Value]:
        """``H[t+1, …] = f``: what was open, the tensor's equation, the one of its rounds, and the whole tensor."""
        [axis] = self._axis(name, node)
        known = self.open[name]
        places = node.places or ()
        if axis != known.axis or len(places) != known.tensor.rank:
            raise SourceError(
                f"{name} starts along axis {known.axis}{line_of(known.span)}, and here another axis is stepped along",
                node.span,
            )
        letter = step_letter(places[axis].value)
        if letter is None:
            raise SourceError(
                f"the second line of the recurrence {name} defines the place t+1",
                places[axis].span or node.span,
                hint=f"write {name}[t+1, …] = …, reading {name}[t, …]",
            )
        whole = of_tensor(known.tensor)
        ranges = []
        for k, p in enumerate(places):
            r = self._range(replace(p, value=letter) if k == axis else p, node)
            if k != axis and r.extent is None:
                r.sites.append(Site(whole, k, False, p.span))
            ranges.append(r)
        value = self.elab.value(node.value, Scope({r.name: r for r in ranges}))
        self._as_many_rounds(ranges[axis])
        letters, body = self._written(ranges, value, node)
        start = [s.extent for s in known.letters]
        rest = [s.extent for k, s in enumerate(letters) if k != axis]
        if rest != start:
            dims = self.elab.dims
            raise SourceError(
                f"{name} starts with axes {show_axes(start, dims)}{line_of(known.span)} "
                f"and goes on with {show_axes(rest, dims)}",
                node.span,
            )
        return self._closed(name, node, known, letters, body)

    def _closed(
        self, name: str, node: tree.Assignment, known: Open, letters: tuple[Letter, ...], body: Expr
    ) -> tuple[Open, Equation, Equation, Value]:
        tensor, axis = known.tensor, known.axis
        rounds = letters[axis].extent
        tensor.axes = (*tensor.axes[:axis], add(rounds, ONE), *tensor.axes[axis + 1 :])
        del self.open[name], self.elab.growing[tensor]
        whole = of_tensor(tensor, dims=tuple(self.elab.dims))
        for r, span in known.reads:
            extent = r.resolve(self.elab.sizes)
            check_inside(whole, axis, extent, f"{r.name} runs to {extent!r}-1", self.elab.sizes, span)
        after = Tensor(self.unused(f"{name}_next"), tuple(s.extent for s in letters), span=node.name.span)
        after.ahead = tensor, axis
        self.elab.ahead[tensor] = after
        s = fresh(tensor.axes[axis], letters[axis].hint)
        at = (*known.letters[:axis], s, *known.letters[axis:])
        later = after.at((*at[:axis], add(s, -1), *at[axis + 1 :]))
        first = Equation(tensor, at, select(compare("==", s, 0), known.start, later), span=known.span)
        rest = Equation(after, letters, self.complete(letters, body, node.span), span=node.span)
        return known, first, rest, whole

    def complete(self, letters: tuple[Letter, ...], body: Expr, span: Span | None) -> Expr:
        """The body of an equation in the words of what rounds find; refuse a tensor that is not whole yet."""
        used = [*letters, *(x for x in walk(body) if isinstance(x, Letter))]
        if self.open and any(n == _UNKNOWN for e in (body, *(x.extent for x in used)) for n in walk(e)):
            found = next(k for k in self.open.values() if k.tensor in reads(body))
            name = found.tensor.name
            why = f"{name} is a recurrence, and is whole after the line that says {name}[t+1, …] = …"
            raise SourceError(why, span, hint=f"before it, read {name} in index notation, at t")
        return ahead(body, self.elab.ahead)

    def check(self, equations: Sequence[Equation], span: Span | None) -> None:
        """Refuse what cannot be computed round by round, once every recurrence has its second line."""
        if not self.open:
            try:
                blocks(equations)
            except GradcError as error:
                raise SourceError(str(error), span) from None

    def finish(self) -> None:
        """Refuse a recurrence that has no second line."""
        for name, known in self.open.items():
            hint = f"add its other line: {name}[t+1, …] = …"
            raise SourceError(f"{name} starts here and never goes on", known.span, hint=hint)

    def _as_many_rounds(self, t: Range) -> None:
        """Where only other recurrences say how far t runs, the rounds are theirs: places that start count for none."""
        rounds = [s for s in t.sites if s.value.tensor in self.elab.ahead and self._recurs(s)]
        if t.extent is None and rounds and len(rounds) == len(t.sites) and not t.affine:
            t.extent = add(rounds[0].extent, -1)
            t.sites = [s for s in t.sites if s not in rounds]

    def _recurs(self, site: Site) -> bool:
        """Whether a letter stands on the axis along which a tensor recurs."""
        after = self.elab.ahead[site.value.tensor] if site.value.tensor else None
        return after is not None and after.ahead is not None and after.ahead[1] == site.axis

    # --- letters -------------------------------------------------------------------------------------------

    def _axis(self, name: str, node: tree.Assignment) -> list[int]:
        """The axis along which the line steps."""
        found = [k for k, p in enumerate(node.places or ()) if not isinstance(p.value, tree.Name)]
        if len(found) > 1:
            span = (node.places or ())[found[1]].span or node.span
            raise SourceError(f"{name} recurs along one axis, and two places here are no letters", span)
        return found

    def _range(self, place: tree.Place, node: tree.Assignment) -> Range:
        letter, span = place.value, place.span or node.span
        assert isinstance(letter, tree.Name)
        check_name(letter.name, span)
        return Range(letter.name, span, None if place.extent is None else self.elab.extent(place.extent))

    def _written(self, ranges: list[Range], value: Value, node: tree.Assignment) -> tuple[tuple[Letter, ...], Expr]:
        names = tuple(r.name for r in ranges)
        for k, r in enumerate(ranges):
            if r.name in names[:k]:
                raise SourceError(f"the letter {r.name} stands twice on the left", r.span)
        extents = [r.resolve(self.elab.sizes) for r in ranges]
        hints = self.hints(names, node.span)
        letters = tuple(hints.named(e, r.name) for e, r in zip(extents, ranges, strict=True))
        for r, letter in zip(ranges, letters, strict=True):
            r.letter = letter
        return letters, value.build((), hints)


def ahead(e: Expr, after: dict[Tensor, Tensor]) -> Expr:
    """``e`` with H[t+1] read as the value that round t found, for every recurrence H."""
    if not after:
        return e
    if isinstance(e, Access) and e.tensor in after:
        found = after[e.tensor]
        assert found.ahead is not None
        axis = found.ahead[1]
        place = add(e.places[axis], -1)
        if is_polynomial(place) and place.letters and never_negative(bounds(place)[0]):
            return found.at((*e.places[:axis], place, *e.places[axis + 1 :]))
    return map_children(e, lambda child: ahead(child, after))
