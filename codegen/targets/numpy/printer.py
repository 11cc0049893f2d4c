"""Vectorized NumPy as text: every part of a function is one array expression.

In: parts and products in order. Out: the lines of a function body. An expression is written over a frame of
letters; an access is transposed and given empty axes so that it broadcasts in that frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from codegen.lower import branches
from codegen.naming import Names
from codegen.steps import Gemm, Operand, Part, Rounded, RoundParts, Routine, Step
from codegen.targets.scalar import ATOM, NOT, PRODUCT, ScalarPrinter, Text
from derive.deltas import guards_for
from derive.digits import digits, span
from derive.expr import ONE, Access, Dim, Expr, Letter, Mask, Num, Reduce, Select, mul
from derive.program import Tensor
from derive.rewrite import accesses, factors
from derive.scatter import Landing, landed, landings, once

FUNCTIONS = {
    name: f"np.{name}" for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log1p", "expm1", "sqrt")
} | {"asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan", "erf": "special.erf"}
_SUBSCRIPTS = "ijklpqrstuvwxyz"


class NumpyPrinter(ScalarPrinter):
    """Prints the parts of one function."""

    functions: ClassVar[dict[str, str]] = FUNCTIONS

    def __init__(self, names: Names, extents: dict[str, str]) -> None:
        super().__init__(extents)
        self.names = names
        self.frame: tuple[Letter, ...] = ()
        self.guarded = False
        self.inlined: dict[Tensor, str] = {}
        self.views: dict[Tensor, str] = {}

    def lines(
        self, order: Iterable[Part | RoundParts | Gemm | Routine], comment: Callable[[Step | Part], list[str]]
    ) -> Iterator[str]:
        """The statements, each under its comment."""
        for item in order:
            if isinstance(item, RoundParts):
                yield from self.rounds(item, comment)
                continue
            if isinstance(item, Routine):
                yield from comment(item)
                yield self.routine(item)
                continue
            part = item.part if isinstance(item, Gemm) else item
            out = item.out.tensor if isinstance(item, Gemm) else part.out
            text = self.product(item) if isinstance(item, Gemm) else self.part(part)
            if out is not part.origin.out:  # a temporary: it stands where it is read
                self.inlined[out] = text
                continue
            yield from comment(part)
            yield f"{self.views.get(out) or self.names.tensor(out)} = {text}"

    def rounds(self, loop: RoundParts, comment: Callable[[Step | Part], list[str]]) -> Iterator[str]:
        """The loop of a recurrence; what is kept for all rounds has its memory before it."""
        written = {
            p.origin.out
            for b in loop.blocks
            for i in b.items
            for p in [i.part if isinstance(i, (Gemm, Routine)) else i]
        }
        kept = dict.fromkeys(v.source for b in loop.blocks for v in b.views if v.tensor in written)
        if kept:
            yield ""
        for t in kept:
            shape = "".join(f"{self.integer(a)}, " for a in t.axes).removesuffix(" " if t.rank == 1 else ", ")
            kind = "np.int64" if t.dtype == "int" else "DTYPE"
            yield f"{self.names.tensor(t)} = np.empty(({shape}), {kind})"
        for block in loop.before:
            yield from self.block(block, comment)
        name = self.names.loop(loop.letter.hint)
        self.letters[loop.letter] = name
        yield ""
        yield f"for {name} in {self.counted(loop)}:"
        for block in loop.rounds:
            for line in self.block(block, comment):
                yield f"    {line}" if line else ""
        self.names.release(name)
        for view in loop.after:
            yield f"{self.names.tensor(view.tensor)} = {self.names.tensor(view.source)}{self.cut(view)}"

    def block(self, block: Rounded, comment: Callable[[Step | Part], list[str]]) -> Iterator[str]:
        """What happens in a round, where its condition holds."""
        indent = ""
        if block.condition != ONE:
            yield f"if {self.condition(block.condition)}:"
            indent = "    "
        for view in block.views:
            self.views[view.tensor] = self.inlined[view.tensor] = f"{self.names.tensor(view.source)}{self.cut(view)}"
        for line in self.lines(block.items, comment):
            yield f"{indent}{line}" if line else ""

    def part(self, part: Part) -> str:
        """The value of one part."""
        body = part.body
        if not isinstance(body, Reduce):
            self.frame = part.letters
            whole = self.integer if part.out.dtype == "int" else self.real
            value = branches(body)
            return self.spread(whole(value), value, part.letters)
        found = landings(body, part.letters)
        if found:
            return self.scatter(part, body, found)
        contracted = self.einsum(part, body)
        if contracted is not None:
            return contracted
        value = branches(body.body)
        self.frame = self.reduction_frame(part, body)
        inside = self.spread(self.real(value), value, self.frame)
        if body.op.startswith("arg"):
            shape = "".join(f"{self.integer(s.extent)}, " for s in part.letters)
            return f"np.{body.op}({self.atom(inside)}.reshape(({shape}-1)), axis=-1)"
        axes = tuple(k for k, s in enumerate(self.frame) if s in body.binders)
        which = "" if not part.letters else f", axis={axes[0] if len(axes) == 1 else axes}"
        return f"np.{body.op}({inside}{which})"

    def scatter(self, part: Part, body: Reduce, found: list[Landing]) -> str:
        """A sum whose terms are added where they belong; where each place has one term it is another shape of it."""
        shape = _listed([self.integer(a.extent) for a in part.letters])
        places = {letter: place for _, letter, place in found}
        inside = {letter: guards_for(place, letter.extent) or [] for letter, place in places.items()}
        value = branches(mul(*(g for guards in inside.values() for g in guards), landed(body).body))
        if once(found, body.binders):
            self.frame = tuple(x for a in part.letters for x in (digits(places.get(a, a)) or ()))
            return f"{self.atom(self.spread(self.real(value), value, self.frame))}.reshape({shape})"
        self.frame = (*(a for a in part.letters if a not in places), *body.binders)
        indices = [self.integer(places.get(a, a)) for a in part.letters]
        for k, a in enumerate(part.letters):
            if inside.get(a):
                indices[k] = f"np.clip({indices[k]}, 0, {self.integer(a.extent)} - 1)"
        return f"_added({shape}, {_listed(indices)}, {self.real(value)})"

    def reduction_frame(self, part: Part, body: Reduce) -> tuple[Letter, ...]:
        """The order of axes in which a tensor that has all of them lies, where the result then fits."""
        frame = (*part.letters, *body.binders)
        for a in accesses(body.body):
            whole = set(a.places) == set(frame) and len(a.places) == len(frame) and not body.op.startswith("arg")
            if whole and tuple(p for p in a.places if p not in body.binders) == part.letters:
                return tuple(p for p in a.places if isinstance(p, Letter))
        return frame

    def atom(self, text: str) -> str:
        """``text`` so that a method call may follow."""
        return text if text.replace("_", "a").isalnum() or text.endswith("))") else f"({text})"

    def spread(self, text: str, e: Expr, letters: tuple[Letter, ...]) -> str:
        """``text`` over all of ``letters``, also where ``e`` does not depend on some of them."""
        if set(letters) <= e.letters:
            return text
        shape = "".join(f"{self.integer(s.extent)}, " for s in letters)
        return f"np.broadcast_to({text}, ({shape.rstrip(' ')}))"

    def einsum(self, part: Part, body: Reduce) -> str | None:
        """A sum over a product of whole tensors."""
        parts = factors(body.body)
        letters = (*part.letters, *body.binders)
        if body.op != "sum" or len(parts) < 2 or len(letters) > len(_SUBSCRIPTS) or not all(map(_plain, parts)):
            return None
        sign = dict(zip(letters, _SUBSCRIPTS, strict=False))
        operands = [f for f in parts if isinstance(f, Access)]
        inputs = ",".join("".join(sign[p] for p in f.places) for f in operands)  # type: ignore[index]
        output = "".join(sign[s] for s in part.letters)
        given = ", ".join(self.name(f.tensor) for f in operands)
        return f'np.einsum("{inputs}->{output}", {given}, optimize=True)'

    def routine(self, r: Routine) -> str:
        """The call of a routine for a whole matrix."""
        given = [self.operand(t) if isinstance(t, Operand) else self.name(t) for t in r.ins if not _is_pivots(t)]
        given += [f'"{r.kind}"'] if r.name == "factor" else [str(r.transposed)] if r.name.startswith("solve") else []
        text, out = f"_{r.name}({', '.join(given)})", r.outs[0]
        return f"{self.names.tensor(out.tensor if isinstance(out, Operand) else out)} = {text}"

    def product(self, g: Gemm) -> str:
        """A matrix product."""
        text = f"{self.operand(g.left)} @ {self.operand(g.right)}"
        if any(len(group) != 1 for group in g.out.groups):
            shape = ", ".join(self.integer(a) for a in g.out.tensor.axes)
            return f"({text}).reshape(({shape}))"
        return text

    def operand(self, o: Operand) -> str:
        """A matrix or vector: the array, its axes grouped, transposed as needed."""
        text = self.name(o.tensor)
        if len(o.groups) != o.tensor.rank or any(len(g) != 1 for g in o.groups):
            shape = ", ".join(self.integer(mul(*(s.extent for s in g))) for g in o.groups)
            text = f"{text}.reshape(({shape}{',' if len(o.groups) == 1 else ''}))"
        return f"{text}.T" if o.transposed and len(o.groups) == 2 else text

    def name(self, tensor: Tensor) -> str:
        """The name of a tensor, or the expression of a temporary."""
        if tensor not in self.inlined:
            return self.names.tensor(tensor)
        text = self.inlined[tensor]
        if tensor in self.views:
            return text
        return text if text.startswith("np.") and text.endswith(")") else f"({text})"

    # how elements look when all of them are meant at once
    def access(self, e: Access) -> str:
        name = self.name(e.tensor)
        if not e.places:
            return name
        pairs = _apart(e)
        if len(pairs) > len(e.places):
            name += f".reshape(({', '.join(self.integer(a) for _, a in pairs)}))"
        letters = [p for p, _ in pairs if isinstance(p, Letter)]
        whole = all(p.extent == a for p, a in pairs if isinstance(p, Letter))
        if not whole or len(set(letters)) < len(letters) or any(not isinstance(p, (Letter, Num)) for p, _ in pairs):
            return f"{name}[{', '.join(self.place(p, a) for p, a in pairs)}]"
        if len(letters) < len(pairs):
            name += f"[{', '.join(':' if isinstance(p, Letter) else self.integer(p) for p, _ in pairs)}]"
        order = sorted(range(len(letters)), key=lambda k: self.frame.index(letters[k]))
        if order != list(range(len(letters))):
            name += ".T" if len(order) == 2 else f".transpose({tuple(order)})"
        return name + self.expansion({self.frame.index(s) for s in letters})

    def place(self, p: Expr, extent: Expr) -> str:
        """An index array; one that may leave the axis where another branch is chosen is kept inside."""
        text = self.integer(p)
        inside = isinstance(p, Num) or (isinstance(p, Letter) and p.extent == extent)
        if self.guarded and not inside:
            return f"np.clip({text}, 0, {self.integer(extent)} - 1)"
        return text

    def expansion(self, present: set[int]) -> str:
        """``[:, None]``: empty axes where the frame has letters that an array lacks."""
        rank = len(self.frame)
        if not present or all(k in present for k in range(min(present), rank)):
            return ""
        return f"[{', '.join(':' if k in present else 'None' for k in range(min(present), rank))}]"

    def _integer(self, e: Expr) -> Text:
        if isinstance(e, Letter) and e in self.letters:
            return self.letters[e], ATOM
        if isinstance(e, Letter):
            return f"np.arange({self.integer(e.extent)}){self.expansion({self.frame.index(e)})}", ATOM
        if isinstance(e, Select):
            return f"np.where({self.condition(e.mask)}, {self.integer(e.chosen)}, {self.integer(e.other)})", ATOM
        return super()._integer(e)

    def _real(self, e: Expr) -> Text:
        if isinstance(e, Dim):
            return self.integer(e), ATOM
        if isinstance(e, Mask):
            rounds = bool(e.letters) and e.letters <= self.letters.keys()  # a number of Python's
            return f"DTYPE.type({self.condition(e)})" if rounds else f"{self.condition(e, ATOM)}.astype(DTYPE)", ATOM
        if isinstance(e, Access) and " @ " in self.inlined.get(e.tensor, "") and e.places == self.frame:
            return self.inlined[e.tensor], PRODUCT
        return super()._real(e)

    def converted(self, text: str) -> str:
        return f"DTYPE.type({text})" if text in self.letters.values() else f"{text}.astype(DTYPE)"

    def choice(self, condition: Expr, chosen: Expr, other: Expr) -> Text:
        before, self.guarded = self.guarded, True
        both = isinstance(chosen, Num) and isinstance(other, Num)
        left = f"DTYPE.type({self.real(chosen)})" if both else self.real(chosen)
        text = f"np.where({self.condition(condition)}, {left}, {self.real(other)})"
        self.guarded = before
        return text, ATOM

    def connected(self, word: str, items: list[str], level: int) -> Text:
        sign = "&" if word == "and" else "|"
        return f" {sign} ".join(i if i.startswith("~") else f"({i})" for i in items), level

    def negated(self, e: Expr) -> Text:
        return f"~({self.condition(e)})", NOT


def _is_pivots(t: Tensor | Operand) -> bool:
    """NumPy's factor of a matrix has its pivots with it."""
    return isinstance(t, Tensor) and t.dtype == "int"


def _listed(items: list[str]) -> str:
    """A tuple."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _apart(e: Access) -> list[tuple[Expr, Expr]]:
    """The places of an access with their axes; an axis through which several letters count is taken apart."""
    pairs: list[tuple[Expr, Expr]] = []
    for place, axis in zip(e.places, e.tensor.axes, strict=True):
        counted = digits(place)
        if counted is not None and len(counted) > 1 and span(counted) == axis:
            pairs += [(x, x.extent) for x in counted]
        else:
            pairs.append((place, axis))
    return pairs


def _plain(e: Expr) -> bool:
    return (
        isinstance(e, Access)
        and e.tensor.dtype == "real"
        and bool(e.places)
        and all(isinstance(p, Letter) and p.extent == a for p, a in zip(e.places, e.tensor.axes, strict=True))
    )
