"""Blocks: every use written out, before anything is read.

In: a tree that may define blocks and use them. Out: the tree of the same model without them. A use `H = mlp(X, h)`
becomes the statements of the block under names of its own: the result is ``H``, everything else that the block defines
is called after it, ``H_W``; of a use in a layer, `A{l} = …`, these are the members ``A_W{l}`` of families.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from derive.errors import SourceError, Span
from derive.functions import PRIMITIVES
from derive.language import tree
from derive.language.arguments import bind
from derive.language.calls import NOT_YET, TENSOR_FUNCTIONS
from derive.language.lexer import MAX_NAME, MAX_NESTING
from derive.language.names import check_name, line_of, name_text
from derive.language.renaming import Renaming, calls_in, letters_in, nodes, rebuilt

MAX_DEPTH, MAX_PARTS, MAX_SIZE = 50, 200_000, 1000


def expanded(syntax: tree.Tree) -> tree.Tree:
    r"""The model with every use of a block written out.

    >>> from derive.language.parse import parse
    >>> from derive.language.text import text
    >>> model = parse("block f(x; h)\n  param w : [h]\n  y = w * x\n  return y\nend\nA = f(u, 3)")
    >>> print(text(expanded(model)), end="")
    param A_w : [3]
    A = A_w * u
    """
    if not any(isinstance(s, tree.Block) for s in syntax.statements):
        return syntax
    expansion = _Expansion(syntax)
    return replace(syntax, statements=tuple(s for node in syntax.statements for s in expansion.statement(node)))


@dataclass
class _Known:
    """A block that may be used from here on: its definition, and what its statements define."""

    block: tree.Block
    own: dict[str, Span | None]
    families: set[str]
    uses: set[str]  # what is defined by way of other blocks: their names begin with it


@dataclass
class _Outside:
    """What the model defines outside of its blocks: names that a block may read, and those that it may not."""

    visible: dict[str, Span | None] = field(default_factory=lambda: {"pi": None, "training": None})
    hidden: dict[str, Span | None] = field(default_factory=dict)

    def add(self, node: tree.Statement) -> None:
        match node:
            case tree.Dims(items):
                self.visible.update({i.name.name: i.span or node.span for i in items})
            case tree.Batch(name) | tree.ConstDecl(name):
                self.visible[name] = node.span
            case tree.Declaration(_, name) | tree.Assignment(name):
                self.hidden.setdefault(name.name, node.span)
            case tree.Repeat(letter, body=body):
                self.hidden.setdefault(letter, node.span)
                for inside in body:
                    self.add(inside)


class _Expansion:
    """Takes the statements in order; a block is known from its definition on."""

    def __init__(self, syntax: tree.Tree) -> None:
        self.known: dict[str, _Known] = {}
        self.blocks = {s.name: s for s in reversed(syntax.statements) if isinstance(s, tree.Block)}
        self.functions = {s.name: s.span for s in syntax.statements if isinstance(s, tree.Function)}
        self.outside = _Outside()
        for s in syntax.statements:
            self.outside.add(s)
        self.made: dict[str, Span | None] = {}
        self.stems_made: dict[str, Span | None] = {}
        self.stems: dict[str, str] = {}
        self.several: dict[str, tuple[str, ...]] = {}
        self.parts = 0

    def statement(self, node: tree.Statement, depth: int = 0) -> Iterator[tree.Statement]:
        """The statements in the place of one."""
        match node:
            case tree.Block():
                self.define(node)
            case tree.Repeat(body=body):
                misplaced = next((s for s in body if isinstance(s, tree.Block)), None)
                if misplaced is not None:
                    raise SourceError("a block is defined outside of repetitions", misplaced.span)
                yield replace(node, body=tuple(s for inside in body for s in self.statement(inside, depth)))
            case tree.Assignment(name, None, value):
                self.check_reads(value)
                if isinstance(value, tree.CallExpr) and value.function in self.blocks:
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
            if call.function in self.blocks:
                raise SourceError(
                    f"the block {call.function} is used in an equation of tensors, whose name its parameters take",
                    call.span,
                    hint=f"give it a line of its own: U = {call.function}(…)",
                )

    def without_uses(self, node: tree.Expr, target: tree.Name, found: list[tree.Assignment]) -> tree.Expr:
        """The expression with a name in the place of each use within it, and the equations of these names."""
        if not any(call.function in self.blocks for call in calls_in(node)):
            return node
        if isinstance(node, tree.Reduction | tree.Index):
            self.refuse_uses(node)
        if isinstance(node, tree.CallExpr) and node.function in self.blocks:
            if len(self.blocks[node.function].returns) > 1:
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
        if name in TENSOR_FUNCTIONS or name in NOT_YET or name in PRIMITIVES:
            raise SourceError(f"{name} is a function of the language", block.span, hint="choose another name")
        self.refuse_cycle(block)
        arguments = (*block.inputs, *block.sizes)
        for k, a in enumerate(arguments):
            check_name(a, block.span)
            if a in arguments[:k]:
                raise SourceError(f"{a} stands twice among the inputs and sizes of {name}", block.span)
        known = _Known(block, {}, set(), set())
        for s in block.body:
            self.take_in(known, s)
        for k, result in enumerate(block.returns):
            self.check_result(known, k, result)
        self.known[name] = known

    def take_in(self, known: _Known, node: tree.Statement) -> None:
        """A statement of a block: what it defines."""
        name = known.block.name
        match node:
            case tree.Repeat(body=body):
                for inside in body:
                    self.take_in(known, inside)
            case tree.Declaration("param" | "state" | "noise", target) | tree.Assignment(target):
                if target.name in known.block.inputs or target.name in known.block.sizes:
                    raise SourceError(f"{target.name} is given to the block {name}: it is not defined again", node.span)
                if target.index is not None:
                    known.families.add(target.name)
                known.own.setdefault(target.name, node.span)
                if any(call.function in self.known for call in calls_in(node)):
                    known.uses.add(target.name)
            case tree.Update():
                pass  # of a state, which it does not define
            case tree.Declaration(kind, target):
                raise SourceError(
                    f"a block declares no {kind}; its data are given to it",
                    node.span,
                    hint=f"block {name}({target.name}, …)",
                )
            case _:
                raise SourceError(
                    "a block holds parameters, equations and repetitions",
                    node.span,
                    hint="write this line outside; a block reads dims and constants of the model",
                )

    @staticmethod
    def check_result(known: _Known, k: int, result: str) -> None:
        block = known.block
        if result in block.returns[:k]:
            raise SourceError(f"the result {result} stands twice", block.span)
        if result in block.inputs or result in block.sizes:
            raise SourceError(
                f"{block.name} returns what it was given, {result}", block.span, hint="return what it defines"
            )
        if result not in known.own:
            hint = f"it defines {', '.join(known.own)}" if known.own else None
            raise SourceError(f"{block.name} returns {result} and does not define it", block.span, hint=hint)
        if result in known.families:
            hint = f"name its last member: Y = {result}{{L}}, and return Y"
            raise SourceError(f"{block.name} returns {result}, which is a family", block.span, hint=hint)

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

    def use(self, target: tree.Name, call: tree.CallExpr, depth: int) -> Iterator[tree.Statement]:
        """The statements of the block, under the names of this use."""
        if call.function not in self.known:
            self.refuse_early(call)
        known = self.known[call.function]
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
        bound = bind(call, (*block.inputs, *block.sizes))
        for name in block.sizes:
            if sum(1 for _ in islice(nodes(bound[name]), MAX_SIZE + 1)) > MAX_SIZE:
                raise SourceError(f"the size {name} has more than {MAX_SIZE} parts", call.span)
        values: dict[str, tree.Expr] = {s: bound[s] for s in block.sizes}
        for name in block.inputs:
            given = bound[name]
            if isinstance(given, tree.Name | tree.Number):
                values[name] = given
                continue
            own = replace(target, name=self.called(target, name, call.span))
            yield from self.statement(tree.Assignment(own, None, given, span=given.span), depth)
            values[name] = own
        names = {n: self.called(target, n, call.span) for n in known.own}
        stem, paths = self.stem(target), {n: names[n] for n in known.uses}
        if len(block.returns) == 1:  # the result is the tensor that the use defines; uses in it are called after both
            self.stems[name_text(target)] = names[block.returns[0]]
            names[block.returns[0]] = target.name
        if len(block.returns) > 1:
            self.several[target.name] = tuple(name_text(replace(target, name=names[r])) for r in block.returns)
        renaming = Renaming(block, names, target.index, values, call.span)
        renaming.paths = paths
        renaming.hidden = ChainMap(self.outside.hidden, self.stems_made)
        for s in block.body:
            renaming.letters = self.letters(stem, s, {*names, *values})
            written = renaming.statement(s)
            self.parts += renaming.parts
            renaming.parts = 0
            if self.parts > MAX_PARTS:
                raise SourceError(f"the uses of blocks come to more than {MAX_PARTS:,} parts", call.span)
            if tree.too_deep(written, MAX_NESTING + 1) is not None:
                raise SourceError(f"nested more than {MAX_NESTING} deep", call.span, hint="give the inner parts names")
            yield from self.statement(written, depth + 1)

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
        """Letters of a statement that mean something else in the model, and what they are called instead."""
        taken = ChainMap(self.outside.visible, self.outside.hidden)
        return {x: f"{stem}_{x}" for x in letters_in(node) if x in taken and x not in own}
