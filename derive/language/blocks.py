"""Blocks: every use written out, when the reader comes to it.

In: statements that may define blocks and use them, or layers of the catalogue. Out: the same without. A use
`H = mlp(X, h)` becomes the statements of the block under names of its own: the result is ``H``, everything else that it
defines is called after it, ``H_W``; of a use in a layer, `A{l} = …`, these are the members ``A_W{l}`` of families.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice

from derive.errors import SourceError, Span
from derive.expr import Expr
from derive.functions import PRIMITIVES
from derive.language import tree
from derive.language.arguments import bind
from derive.language.calls import TENSOR_FUNCTIONS
from derive.language.definitions import Known, Outside, known_block, layer
from derive.language.depth import too_deep
from derive.language.expressions import Elaborator, written
from derive.language.lexer import MAX_NAME, MAX_NESTING
from derive.language.names import check_name, line_of, name_text
from derive.language.patterns import SPARE, Match, extent_syntax, letters_of, pattern_letters
from derive.language.renaming import Renaming, calls_in, dots_in, letters_in, nodes, rebuilt, same, values_in
from derive.library.layers import LAYERS
from derive.shapes import show_axes

MAX_DEPTH, MAX_PARTS, MAX_SIZE = 50, 200_000, 1000


def expanded(syntax: tree.Tree) -> tree.Tree:
    r"""The model with every use of a block written out; what follows from the shapes of tensors is left as it is.

    >>> from derive.language.parse import parse
    >>> from derive.language.text import text
    >>> model = parse("block f(x; h)\n  param w : [h]\n  y = w * x\n  return y\nend\nA = f(u, 3)")
    >>> print(text(expanded(model)), end="")
    param A_w : [3]
    A = A_w * u
    """
    expansion = Expansion(syntax)
    return replace(syntax, statements=tuple(s for node in syntax.statements for s in expansion.plain(node)))


@dataclass
class Round:
    """A repetition whose statements are written out while they are read; ``families`` are what a round defines."""

    node: tree.Repeat
    families: frozenset[str]
    statements: Iterator[tree.Statement | Round]


class Expansion:
    """Takes the statements in order; a block is known from its definition on.

    ``elab`` knows the tensors that the reader has read so far, and with them the shapes of what a use is given.
    """

    def __init__(self, syntax: tree.Tree, elab: Elaborator | None = None) -> None:
        self.elab = elab
        self.known: dict[str, Known] = {}
        self.blocks = {s.name: s for s in reversed(syntax.statements) if isinstance(s, tree.Block)}
        self.functions = {s.name: s.span for s in syntax.statements if isinstance(s, tree.Function)}
        self.outside = Outside()
        for s in syntax.statements:
            self.outside.add(s)
        self.made: dict[str, Span | None] = {}
        self.stems_made: dict[str, Span | None] = {}
        self.stems: dict[str, str] = {}
        self.several: dict[str, tuple[str, ...]] = {}
        self.parts = 0

    def plain(self, node: tree.Statement, depth: int = 0) -> Iterator[tree.Statement]:
        """The statements in the place of one, before anything is read."""
        assert self.elab is None
        for s in self.statement(node, depth):
            assert not isinstance(s, Round)
            yield s

    def statement(self, node: tree.Statement, depth: int = 0) -> Iterator[tree.Statement | Round]:
        """The statements in the place of one."""
        if not depth and not isinstance(node, tree.Block):
            stray = dots_in(node)
            if stray is not None:
                raise SourceError("`..` stands in blocks, for the axes that a shape leaves open", stray.span)
        match node:
            case tree.Block():
                self.define(node)
            case tree.Repeat(body=body):
                misplaced = next((s for s in body if isinstance(s, tree.Block)), None)
                if misplaced is not None:
                    raise SourceError("a block is defined outside of repetitions", misplaced.span)
                if self.elab is None:
                    yield replace(node, body=tuple(s for inside in body for s in self.plain(inside, depth)))
                else:
                    inner = (s for inside in body for s in self.statement(inside, depth))
                    yield Round(node, self.families(body, depth), inner)
            case tree.Assignment(name, None, value):
                self.check_reads(value)
                if isinstance(value, tree.CallExpr) and self.is_use(value):
                    yield from self.use(name, value, depth)
                else:
                    taken_out: list[tree.Assignment] = []
                    rest = self.without_uses(value, name, taken_out)
                    for use in taken_out:
                        yield from self.statement(use, depth)
                    yield replace(node, value=rest)
            case _:
                self.check_reads(node)
                self.refuse_uses(node)
                yield node

    def check_reads(self, node: tree.Node) -> None:
        """Refuse to read a use that has several results as if it had one."""
        if not self.several:
            return
        for part in nodes(node):
            if isinstance(part, tree.Name) and part.name in self.several:
                results = ", ".join(self.several[part.name])
                raise SourceError(f"{part.name} has several results", part.span, hint=f"they are {results}")

    def refuse_uses(self, node: tree.Node) -> None:
        """A use stands where its parameters have a name to be called after."""
        for call in calls_in(node):
            if self.is_use(call):
                raise SourceError(
                    f"the block {call.function} is used in an equation of tensors, whose name its parameters take",
                    call.span,
                    hint=f"give it a line of its own: U = {call.function}(…)",
                )

    def without_uses(self, node: tree.Expr, target: tree.Name, found: list[tree.Assignment]) -> tree.Expr:
        """The expression with a name in the place of each use within it, and the equations of these names."""
        if not any(map(self.is_use, calls_in(node))):
            return node
        if isinstance(node, tree.Reduction | tree.Index):
            self.refuse_uses(node)
        if isinstance(node, tree.CallExpr) and self.is_use(node):
            if len(self.used(node).block.returns) > 1:
                hint = f"give it a line of its own: U = {node.function}(…)"
                raise SourceError(f"the block {node.function} has several results", node.span, hint=hint)
            again = sum(isinstance(u.value, tree.CallExpr) and u.value.function == node.function for u in found)
            wish = node.function if not again else f"{node.function}_{again + 1}"
            name = replace(target, name=self.called(target, wish, node.span), span=node.span)
            found.append(tree.Assignment(name, None, node, span=node.span))
            return name
        return rebuilt(node, lambda inner: self.without_uses(inner, target, found))

    # --- definitions ---------------------------------------------------------------------------------------

    def define(self, block: tree.Block) -> None:
        """Check what can be checked without a use."""
        name = block.name
        check_name(name, block.span)
        if name in self.known:
            first = line_of(self.known[name].block.span)
            raise SourceError(
                f"the block {name} is defined twice: first{first} and again{line_of(block.span)}", block.span
            )
        if name in self.functions:
            raise SourceError(
                f"{name} is a function{line_of(self.functions[name])}", block.span, hint="take another name"
            )
        if name in TENSOR_FUNCTIONS or name in PRIMITIVES:
            raise SourceError(f"{name} is a function of the language", block.span, hint="choose another name")
        self.refuse_cycle(block)
        self.known[name] = known_block(block, self.is_use)

    def is_use(self, call: tree.CallExpr) -> bool:
        """Whether a call is the use of a block: of the model, or else of the catalogue."""
        if not call.builtin and (call.function in self.blocks or call.function in self.functions):
            return call.function in self.blocks
        return call.function in LAYERS

    def used(self, call: tree.CallExpr) -> Known:
        """The block that a call uses."""
        if call.builtin or call.function not in self.blocks:
            return layer(call.function)
        if call.function not in self.known:
            self.refuse_early(call)
        return self.known[call.function]

    def refuse_cycle(self, block: tree.Block) -> None:
        """A block uses blocks that stand before it; a cycle is printed whole."""
        for call in calls_in(block):
            if call.function not in self.blocks or call.function in self.known:
                continue
            stack, seen = [[block.name, call.function]], set[str]()
            while stack:
                path = stack.pop()
                if path[-1] == block.name:
                    hint = "layers of one kind are written with repeat"
                    raise SourceError(f"{block.name} uses itself: {' -> '.join(path)}", call.span, hint=hint)
                below = dict.fromkeys(c.function for c in calls_in(self.blocks[path[-1]]) if c.function in self.blocks)
                stack.extend([*path, n] for n in reversed(below) if n not in seen)
                seen.update(below.keys() - {block.name})
            self.refuse_early(call)

    def refuse_early(self, call: tree.CallExpr) -> None:
        where = line_of(self.blocks[call.function].span)
        raise SourceError(f"the block {call.function} is used before its definition{where}", call.span)

    # --- uses ----------------------------------------------------------------------------------------------

    def use(self, target: tree.Name, call: tree.CallExpr, depth: int) -> Iterator[tree.Statement | Round]:
        """The statements of the block, under the names of this use."""
        known = self.used(call)
        block = known.block
        if depth >= MAX_DEPTH:
            raise SourceError(f"blocks within blocks, more than {MAX_DEPTH} deep", call.span)
        if target.index is not None and known.families:
            raise SourceError(
                f"{block.name} repeats layers of its own, and {name_text(target)} is a layer",
                call.span,
                hint="a layer holds no repetition; use the block outside of repeat, or write its layers out",
            )
        if not depth:
            self.stems.pop(name_text(target), None)
        bound = bind(call, known.required, tuple(known.optional), tuple(known.params))
        for name in block.sizes:
            if name in bound and sum(1 for _ in islice(nodes(bound[name]), MAX_SIZE + 1)) > MAX_SIZE:
                raise SourceError(f"the size {name} has more than {MAX_SIZE} parts", call.span)
        values: dict[str, tree.Expr] = {s: bound[s] for s in block.sizes if s in bound}
        given = (*block.inputs, *(p for p in known.params if p in bound))
        for name in given:
            if isinstance(bound[name], tree.Name | tree.Number):
                values[name] = bound[name]
                continue
            own = replace(target, name=self.called(target, name, call.span))
            yield from self.statement(tree.Assignment(own, None, bound[name], span=bound[name].span), depth)
            values[name] = own
        renaming = Renaming(block, {}, target.index, values, call.span, catalogue=known.catalogue)
        renaming.hidden = {} if known.catalogue else ChainMap(self.outside.hidden, self.stems_made)
        open_axes = self.match(known, renaming, values, bound)
        renaming.open_axes = tuple(extent_syntax(e, call.span) for e in open_axes or ())
        for name, default in known.optional.items():
            if name not in values:
                values[name] = renaming.visit(default)
        self.check_given(known, renaming, given)
        same_as = self.merged(known, values)
        names = {n: self.called(target, n, call.span) for n in known.own if n not in given and n not in same_as}
        stem = self.stem(target)
        renaming.paths = {n: names[n] for n in known.uses if n in names}
        if len(block.returns) == 1:  # the result is the tensor that the use defines; uses in it are called after both
            self.stems[name_text(target)] = names[block.returns[0]]
            names[block.returns[0]] = target.name
        if len(block.returns) > 1:
            self.several[target.name] = tuple(name_text(replace(target, name=names[r])) for r in block.returns)
        names.update({n: names[other] for n, other in same_as.items()})
        renaming.names = names
        for s in block.body:
            if isinstance(s, tree.Declaration) and s.name.name in given:
                continue
            if isinstance(s, tree.Assignment) and s.name.name in same_as.values() and s.places is None:
                continue
            bound_here = letters_in(s)
            renaming.dots = None if open_axes is None else letters_of(open_axes, bound_here)
            renaming.letters = self.letters(stem, s, {*names, *values})
            line = renaming.statement(s)
            self.parts += renaming.parts
            renaming.parts = 0
            if self.parts > MAX_PARTS:
                raise SourceError(f"the uses of blocks come to more than {MAX_PARTS:,} parts", call.span)
            if too_deep(line, MAX_NESTING + 1) is not None:
                raise SourceError(f"nested more than {MAX_NESTING} deep", call.span, hint="give the inner parts names")
            yield from self.statement(line, depth + 1)

    def match(
        self, known: Known, renaming: Renaming, values: dict[str, tree.Expr], bound: dict[str, tree.Expr]
    ) -> tuple[Expr, ...] | None:
        """Find the letters in the shapes of the inputs; the axes of `..`, where tensors are known."""
        letters = pattern_letters(known.block)
        elab = self.elab
        if elab is None:
            values.update({x: tree.Name(x) for x in letters})
            return None

        def extent(axis: tree.Expr) -> Expr:
            values.update({x: extent_syntax(e, renaming.used) for x, e in found.extents.items()})
            return elab.extent(renaming.visit(axis))

        found = Match(known.block, renaming.used, extent)
        for name, shape in known.shapes.items():
            given = elab.value(values[name])
            found.take(name, shape, replace(given, text=written(bound[name], bound[name].span)))
        values.update({x: extent_syntax(e, renaming.used) for x, e in found.extents.items()})
        return found.rest

    def check_given(self, known: Known, renaming: Renaming, given: tuple[str, ...]) -> None:
        """A parameter that a use gives has the shape that the block declares; a number stands for any."""
        for name in given:
            value = renaming.values[name]
            if self.elab is None or name not in known.params or isinstance(value, tree.Number):
                continue
            wanted = tuple(self.elab.extent(renaming.visit(e)) for e in known.params[name].shape or ())
            found = self.elab.value(value)
            if found.axes != wanted:
                shown = show_axes(wanted, found.dims)
                message = f"{name} of {known.block.name} is {shown} here, and is given {found.show()}"
                raise SourceError(message, value.span or renaming.used)

    @staticmethod
    def merged(known: Known, values: dict[str, tree.Expr]) -> dict[str, str]:
        """What is the same tensor under two names, where the function between them gives back its argument."""
        found: dict[str, str] = {}
        for s in known.block.body:
            match s:
                case tree.Assignment(
                    tree.Name(out, None), None, tree.CallExpr(f, (tree.Argument(tree.Name(x, None), None),))
                ):
                    function = values.get(f)
                    plain = x in known.own and x not in known.params and x not in known.families | known.uses
                    if plain and isinstance(function, tree.Name) and same(function):
                        found[x] = found.get(out, out)
        return found

    def stem(self, target: tree.Name) -> str:
        """What the names of a use begin with: its own, or within a block whose result it is, the path to it."""
        return self.stems.get(name_text(target), target.name)

    def called(self, target: tree.Name, name: str, span: Span | None) -> str:
        """The name of something of a block after the use; nothing else may be called so."""
        stem = f"{self.stem(target)}_{name}"
        if len(stem) > MAX_NAME:
            raise SourceError(
                f"{stem} is longer than {MAX_NAME} letters", span, hint=f"take a shorter name than {target.name}"
            )
        everything = ChainMap(self.outside.visible, self.outside.hidden)
        full = name_text(replace(target, name=stem))
        if stem in everything or full in self.made:
            where = line_of(everything[stem] if stem in everything else self.made[full])
            raise SourceError(
                f"the {name} of this block is called {full} here, and {stem} is defined{where}",
                span,
                hint=f"take another name than {target.name}",
            )
        self.made[full] = self.stems_made[stem] = span
        return stem

    def letters(self, stem: str, node: tree.Statement, own: set[str]) -> dict[str, str]:
        """Letters that stand for their values and mean something else in the model, and their other names."""
        taken = ChainMap(self.outside.visible, self.outside.hidden)
        found: dict[str, str] = {}
        letters = letters_in(node)
        for x in values_in(node):
            if x in letters and x in taken and x not in own:
                others = (c for c in SPARE if not any(c in names for names in (taken, own, letters, found.values())))
                found[x] = next(others, f"{stem}_{x}")
        return found

    def families(self, body: tuple[tree.Statement, ...], depth: int) -> frozenset[str]:
        """The names that the statements of a round will define."""
        dry = copy(self)
        dry.elab, dry.stems, dry.several = None, dict(self.stems), dict(self.several)
        dry.made, dry.stems_made = dict(self.made), dict(self.stems_made)
        lines = [s for inside in body for s in dry.plain(inside, depth)]
        return frozenset(s.name.name for s in lines if isinstance(s, tree.Declaration | tree.Assignment))
