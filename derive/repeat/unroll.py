"""Unrolling: a scheme at one depth is a program.

In: a scheme and sizes. Out: the `Program` in which every round stands by itself and every member of a family has the
number of its layer in its name (``W{2}`` is `W2`). Tensors outside of families are the scheme's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derive.errors import GradcError, SourceError, Span
from derive.expr import Dim, Expr, num
from derive.program import DimDecl, Equation, Initializer, OptimizerCall, Program, Property, Tensor
from derive.repeat.members import base_and_offset, layer, plain, split_member
from derive.repeat.scheme import Item, Repeat, Scheme, transplanted

LIMIT = 10_000
Sizes = Mapping[str, int | Sequence[int]]


def unroll(scheme: Scheme, sizes: Sizes | None = None) -> Program:
    """The program that a scheme is at these sizes (of dims, and lists for families of dims; else the defaults).

    Raises SourceError where a depth is not known, a list of widths has another length, or a member is missing.
    """
    return Unrolling(scheme, sizes or {}).program(scheme)


class Unrolling:
    """The tensors of one depth: the same member is the same tensor, in every scheme that is unrolled by it."""

    def __init__(self, scheme: Scheme, sizes: Sizes) -> None:
        self.frame = scheme.frame
        defaults = {d.name: d.default for d in scheme.frame.dims if d.default is not None}
        self.values = {**defaults, **{k: v for k, v in sizes.items() if isinstance(v, int)}}
        self.widths = tuple(
            self._width(w.name, w.first, w.last, sizes.get(w.name, w.sizes), w.span) for w in scheme.widths
        )
        self.depths = depths(scheme)
        self._members: dict[tuple[str, int, str], Tensor] = {}
        self._plain: dict[Tensor, Tensor] = {}
        self._defined: set[Tensor] = set()

    def _width(
        self, name: str, first: Expr, last: Expr, given: int | Sequence[int], span: Span | None
    ) -> tuple[DimDecl, ...]:
        low, high = self.number(first, {}, span), self.number(last, {}, span)
        sizes = [given] if isinstance(given, int) else list(given)
        if len(sizes) != max(high - low + 1, 0):
            wanted = f"{name}{{{low}..{high}}} has {max(high - low + 1, 0)} entries"
            raise SourceError(
                f"{wanted}, and {len(sizes)} are given", span, hint=f"give all of them: --size {name}=8,8,8"
            )
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise GradcError(f"the size {name} must be a list of positive integers, not {given!r}")
        return tuple(DimDecl(plain(name, low + k), size, span=span) for k, size in enumerate(sizes))

    def program(self, scheme: Scheme) -> Program:
        """The program of a scheme over the same families."""
        declared: list[Tensor] = []
        equations: list[Equation] = []
        self._take(scheme.items, {}, declared, equations)
        frame = scheme.frame
        dims = (*(d for d in frame.dims if d.name not in self.depths), *(d for width in self.widths for d in width))
        self._check_names(declared, equations, dims)
        none: dict[str, int] = {}
        return replace(
            frame,
            dims=tuple(replace(d, default=self.values.get(d.name, d.default)) for d in dims),
            declared=tuple(declared),
            equations=tuple(equations),
            objective=None if frame.objective is None else self.tensor(frame.objective, none),
            outputs=tuple(self.tensor(t, none) for t in frame.outputs),
            optimizers=tuple(self._trainer(call) for call in frame.optimizers),
            gradients=tuple((self.tensor(a, none), self.tensor(b, none)) for a, b in frame.gradients),
        )

    def _take(
        self, items: tuple[Item, ...], env: Mapping[str, int], declared: list[Tensor], equations: list[Equation]
    ) -> None:
        for item in items:
            if isinstance(item, Repeat):
                first, last = self.number(item.first, env, item.span), self.number(item.last, env, item.span)
                if len(equations) + (last - first) * max(len(item.items), 1) > LIMIT:
                    raise SourceError(f"the repetition has more than {LIMIT} lines at this depth", item.span)
                rounds = range(first, last + 1)
                for value in reversed(rounds) if item.descending else rounds:
                    self._take(item.items, {**env, item.letter: value}, declared, equations)
            elif isinstance(item, Tensor):
                declared.append(self.tensor(item, env))
                self._defined.add(declared[-1])
            else:
                equations.append(self.equation(item, env))

    def number(self, index: Expr, env: Mapping[str, int], span: Span | None = None) -> int:
        """The layer that an index is."""
        found = layer(index, {**self.values, **env})
        if found is None:
            raise SourceError(
                f"the depth {index} has no value",
                span,
                hint=f"give it a default: dims {index} = 3, or --size {index}=3",
            )
        if found < 0:
            raise SourceError(f"the layer {found}: layers count from 0", span)
        return found

    def equation(self, e: Equation, env: Mapping[str, int]) -> Equation:
        """One equation of a round."""
        missing: list[Tensor] = []

        def tensor(t: Tensor) -> Tensor:
            found = self.tensor(t, env)
            if t.family is not None and found not in self._defined and t is not e.out:
                missing.append(found)
            return found

        out = transplanted(e, tensor, lambda x: self.extent(x, env))
        if missing:
            where = "".join(f", {name} = {value}" for name, value in env.items())
            raise SourceError(
                f"{missing[0].name} is read{where and ' when ' + where[2:]}, and nothing defines it before", e.span
            )
        self._defined.add(out.out)
        return out

    def extent(self, e: Expr, env: Mapping[str, int]) -> Expr:
        """An extent, or the value of a letter of a repetition."""
        if isinstance(e, Dim):
            if e.name in env or e.name in self.depths:
                return num(self.number(e, env))
            known = split_member(e.name)
            if known is not None:
                return Dim(plain(known[0], self.number(known[1], env)))
            return e
        return e.rebuild(tuple(self.extent(c, env) for c in e.children)) if e.children else e

    def tensor(self, t: Tensor, env: Mapping[str, int]) -> Tensor:
        """The tensor of this depth that a tensor of the scheme is."""
        axes = tuple(self.extent(a, env) for a in t.axes)
        if t.family is None:
            if t not in self._plain:
                primal = None if t.primal is None else self.tensor(t.primal, env)
                start = self._start(t, env)
                same = axes == t.axes and primal is t.primal and start == t.init
                changed = {"axes": axes, "primal": primal, "properties": self._promises(t, env), "init": start}
                self._plain[t] = t if same else t.like(**changed)
            return self._plain[t]
        assert t.index is not None
        k = self.number(t.index, env, t.span)
        key = (t.family, k, "d" if t.kind == "cotangent" else "")
        if key not in self._members:
            self._members[key] = t.like(
                name=plain(t.family, k) if t.kind != "cotangent" else "d" + plain(t.family, k),
                axes=axes,
                index=num(k),
                primal=None if t.primal is None else self.tensor(t.primal, env),
                properties=self._promises(t, env),
                range=None if t.range is None else self.extent(t.range, env),
                init=self._start(t, env),
            )
        return self._members[key]

    def _trainer(self, call: OptimizerCall) -> OptimizerCall:
        return replace(call, arguments=tuple((name, self.extent(e, {})) for name, e in call.arguments))

    def _start(self, t: Tensor, env: Mapping[str, int]) -> Initializer | None:
        if t.init is None or t.init.value is None:
            return t.init
        arguments = tuple((name, self.extent(e, env)) for name, e in t.init.arguments)
        return replace(t.init, arguments=arguments, value=self.extent(t.init.value, env))

    def _promises(self, t: Tensor, env: Mapping[str, int]) -> tuple[Property, ...]:
        return tuple(p if p.extent is None else replace(p, extent=self.extent(p.extent, env)) for p in t.properties)

    @staticmethod
    def _check_names(declared: list[Tensor], equations: list[Equation], dims: tuple[DimDecl, ...]) -> None:
        seen: dict[str, Span | None] = {d.name: d.span for d in dims}
        for t in (*declared, *(e.out for e in equations)):
            if t.name in seen and not t.hidden and t.kind != "cotangent":
                other = seen[t.name]
                line = "" if other is None else f" of line {other.line}"
                raise SourceError(
                    f"{t.family}{{{t.index}}} is called {t.name} once its layer is a number, and so is the "
                    f"{t.name}{line}",
                    t.span,
                    hint="choose another name",
                )
            seen[t.name] = t.span


def depths(scheme: Scheme) -> set[str]:
    """The dims that say how deep a model is: they are numbers in its program."""
    indices = [i for w in scheme.widths for i in (w.first, w.last)]
    stack = list(scheme.items)
    while stack:
        item = stack.pop()
        if isinstance(item, Repeat):
            indices += [item.first, item.last]
            stack += item.items
    bases = {(base_and_offset(i) or ("", 0))[0] for i in indices}
    return bases & {d.name for d in scheme.frame.dims}


def remaining(scheme: Scheme, sizes: Sizes) -> dict[str, int]:
    """The sizes that are left to set once the program is written out.

    Raises GradcError for a list that is given to what is no family.
    """
    families = {w.name for w in scheme.widths}
    for name, value in sizes.items():
        if not isinstance(value, int) and name not in families:
            raise GradcError(f"the size {name} is a list, and no family of dims is called so")
    gone = families | depths(scheme)
    return {k: v for k, v in sizes.items() if isinstance(v, int) and k not in gone}
