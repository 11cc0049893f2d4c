"""Definitions of blocks: what a block's statements define, and what is wrong with it before it is used.

In: a block of a model, or the name of a layer of the catalogue, which is a block too. Out: a `Known` block, from which
uses are written out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from derive.errors import SourceError, Span
from derive.language import tree
from derive.language.names import check_name
from derive.language.parse import parse
from derive.language.patterns import pattern_letters
from derive.language.renaming import calls_in, dots_in
from derive.library.layers import LAYERS

IsUse = Callable[[tree.CallExpr], bool]


@dataclass
class Known:
    """A block that may be used: its definition, and what its statements define.

    ``uses`` are the names that are defined by way of other blocks, and that theirs begin with. ``params`` are its
    parameters, with the declarations; a use may give them, as ``W=V``, and then they are not declared.
    """

    block: tree.Block
    own: dict[str, Span | None] = field(default_factory=dict)
    families: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    params: dict[str, tree.Declaration] = field(default_factory=dict)
    catalogue: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that every use gives, in order."""
        return (*self.block.inputs, *self.block.sizes[: len(self.block.sizes) - len(self.block.defaults)])

    @property
    def optional(self) -> dict[str, tree.Expr]:
        """The sizes that have a default."""
        names = self.block.sizes[len(self.block.sizes) - len(self.block.defaults) :]
        return dict(zip(names, self.block.defaults, strict=True))

    @property
    def shapes(self) -> dict[str, tuple[tree.Expr, ...]]:
        """The inputs that have a shape."""
        pairs = zip(self.block.inputs, self.block.shapes, strict=True) if self.block.shapes else ()
        return {name: shape for name, shape in pairs if shape is not None}


@dataclass
class Outside:
    """What the model defines outside of its blocks: names that a block may read, and those that it may not."""

    visible: dict[str, Span | None] = field(default_factory=lambda: {"pi": None, "training": None})
    hidden: dict[str, Span | None] = field(default_factory=dict)

    def add(self, node: tree.Statement) -> None:
        """Take in what a statement defines."""
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


@functools.cache
def layer(name: str) -> Known:
    """A block of the catalogue."""
    (block,) = parse(LAYERS[name].text, f"<{name}>").statements
    assert isinstance(block, tree.Block)
    known = known_block(block, lambda call: call.function in LAYERS)
    known.catalogue = True
    return known


def known_block(block: tree.Block, is_use: IsUse) -> Known:
    """A block with what it defines.

    Raises SourceError where its statements, arguments, shapes or results are not those of a block.
    """
    name = block.name
    arguments = (*block.inputs, *block.sizes)
    for k, a in enumerate(arguments):
        check_name(a, block.span)
        if a in arguments[:k]:
            raise SourceError(f"{a} stands twice among the inputs and sizes of {name}", block.span)
    _check_shapes(block)
    known = Known(block)
    for s in block.body:
        _take_in(known, s, is_use)
        if isinstance(s, tree.Declaration) and s.kind == "param" and s.name.index is None:
            known.params[s.name.name] = s
    for k, result in enumerate(block.returns):
        _check_result(known, k, result)
    return known


def _check_shapes(block: tree.Block) -> None:
    for letter, span in pattern_letters(block).items():
        if letter in block.inputs:
            raise SourceError(f"{letter} is an input of {block.name}, and no extent", span)
    open_axes = False
    for shape in block.shapes:
        dots = [a for a in shape or () if isinstance(a, tree.Dots)]
        open_axes = open_axes or bool(dots)
        if len(dots) > 1:
            raise SourceError("`..` stands twice in one shape", dots[1].span, hint="give the other axes letters")
    stray = next((found for s in block.body if (found := dots_in(s)) is not None), None)
    if stray is not None and not open_axes:
        hint = f"block {block.name}({block.inputs[0]} : [.., d])"
        message = f"`..` are axes that a shape leaves open, and no shape of {block.name} does"
        raise SourceError(message, stray.span, hint=hint)


def _take_in(known: Known, node: tree.Statement, is_use: IsUse) -> None:
    """A statement of a block: what it defines."""
    block, name = known.block, known.block.name
    match node:
        case tree.Repeat(body=body):
            for inside in body:
                _take_in(known, inside, is_use)
        case tree.Declaration("param" | "state" | "noise", target) | tree.Assignment(target):
            if target.name in block.inputs or target.name in block.sizes or target.name in pattern_letters(block):
                raise SourceError(f"{target.name} is given to the block {name}: it is not defined again", node.span)
            if target.index is not None:
                known.families.add(target.name)
            known.own.setdefault(target.name, node.span)
            if any(is_use(call) for call in calls_in(node)):
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


def _check_result(known: Known, k: int, result: str) -> None:
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
