"""Renaming: a statement of a block under the names of one use.

In: syntax, new names for what the block defines, and expressions for what it is given. Out: the syntax of the model;
each node keeps its place in the block and knows the use that it was written out for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from derive.errors import SourceError, Span, Use
from derive.language import tree
from derive.language.text import text
from derive.library.functions import FUNCTIONS

N = TypeVar("N", bound=tree.Node)


def rebuilt(node: N, visit: Callable[[Any], Any]) -> N:
    """The node with other nodes directly below it."""

    def part(value: Any) -> Any:
        if isinstance(value, tree.Node):
            return visit(value)
        return tuple(map(part, value)) if isinstance(value, tuple) else value

    return replace(node, **{f.name: part(getattr(node, f.name)) for f in fields(node) if f.name != "span"})


def nodes(node: tree.Node) -> Iterator[tree.Node]:
    """A node and all that lie below it, in source order."""
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(tree.children(part)))


def calls_in(node: tree.Node) -> Iterator[tree.CallExpr]:
    """Every call in a piece of syntax."""
    return (part for part in nodes(node) if isinstance(part, tree.CallExpr))


def dots_in(node: tree.Node) -> tree.Node | None:
    """The first `..` of a piece of syntax."""
    return next(
        (n for n in nodes(node) if isinstance(n, tree.Dots) or (isinstance(n, tree.Binder) and n.name == "..")), None
    )


def letters_in(node: tree.Node) -> dict[str, None]:
    """The letters that a statement binds: on the left of equations, in reductions, by repetitions."""
    found: dict[str, None] = {}
    for part in nodes(node):
        match part:
            case (
                tree.Place(tree.Name(letter, None) | tree.Chain(tree.Name(letter, None)))
                | tree.Binder(letter)
                | tree.Repeat(letter)
            ):
                found[letter] = None
    return found


def values_in(node: tree.Node) -> dict[str, None]:
    """The names that stand for values, not for places in brackets."""
    found: dict[str, None] = {}
    stack = [node]
    while stack:
        part = stack.pop()
        match part:
            case tree.Index(operand, _, padding):
                stack += [operand, *([padding] if isinstance(padding, tree.Node) else [])]
                continue
            case tree.Place(_, extent):
                stack += [] if extent is None else [extent]
                continue
            case tree.Name(name, None):
                found[name] = None
        stack.extend(reversed(tree.children(part)))
    return found


class Renaming:
    """The names of one use: ``names`` of what the block defines, ``values`` of what it is given.

    ``paths`` are what the names of blocks within the block begin with. ``letters`` are the bound letters that must be
    called otherwise, ``hidden`` the tensors of the model, which a block does not read unless they are given to it.
    ``dots`` are the letters that `..` stands for, None where that is not known; ``open_axes`` their extents. Of a block
    of the catalogue every node stands where the block is used.
    """

    def __init__(
        self,
        block: tree.Block,
        names: Mapping[str, str],
        index: tree.Expr | None,
        values: Mapping[str, tree.Expr],
        used: Span | None,
        *,
        catalogue: bool = False,
    ) -> None:
        self.block, self.names, self.index, self.values, self.used = block, names, index, values, used
        self.catalogue = catalogue
        self.dots: tuple[str, ...] | None = None
        self.open_axes: tuple[tree.Expr, ...] = ()
        self.letters: Mapping[str, str] = {}
        self.hidden: Mapping[str, Span | None] = {}
        self.paths: Mapping[str, str] = {}
        self.parts = 0
        self._use = None if used is None else Use(used, silent=catalogue)
        self._bound: Mapping[str, None] = {}
        self._inside = False  # brackets, where a letter is not what else is called so

    def statement(self, node: tree.Statement) -> tree.Statement:
        """The statement of the model."""
        self._bound = {**letters_in(node), **dict.fromkeys(self.dots or ())}
        written: tree.Statement = self.visit(node)
        return written

    def line(self, node: tree.Statement) -> tree.Statement:
        """A statement that holds no other, which then is a line of this use."""
        outer, self._use = self._use, None if self.used is None else Use(self.used, silent=self.catalogue)
        if isinstance(node, tree.Assignment | tree.Update) and node.places is not None:
            opened = self._opened(node.places)
            if dots_in(node.value) is None:  # nothing on the right says how far they run
                opened = tuple(self._ranged(p) for p in opened)
            node = replace(node, places=opened or None)  # without a place it is a number
        if isinstance(node, tree.Declaration) and node.shape is not None and self.dots is not None:
            axes = ([*self.open_axes] if isinstance(a, tree.Dots) else [self.visit(a)] for a in node.shape)
            made = rebuilt(replace(node, shape=None), self.visit)
            written: tree.Statement = replace(made, shape=tuple(a for part in axes for a in part), span=self.span(node))
        else:
            written = replace(rebuilt(node, self.visit), span=self.span(node))
        if self._use is not None:
            self._use.line = text(tree.Tree((written,))).strip()
        self._use = outer
        return written

    def span(self, node: tree.Node) -> Span | None:
        """The place in the block, and the use that it was written out for."""
        place = self.used if self.catalogue else node.span
        return None if place is None else replace(place, used=self._use)

    def visit(self, node: Any) -> Any:
        """The node under the names of this use."""
        self.parts += 1
        span = self.span(node)
        match node:
            case tree.Declaration() | tree.Assignment() | tree.Update():
                return self.line(node)
            case tree.Name():
                return self.name(node, span)
            case tree.CallExpr(function) if function in self.values:
                given = self.values[function]
                if not isinstance(given, tree.Name) or given.index is not None:
                    raise SourceError(f"{function} is called as a function, and no function is given for it", self.used)
                if same(given) and len(node.arguments) == 1:
                    return self.visit(node.arguments[0].value)
                node = replace(node, function=given.name, builtin=given.builtin)
            case tree.CallExpr() if self.catalogue:
                node = replace(node, builtin=True)
            case tree.Binder(letter) if letter in self.letters:
                node = replace(node, name=self.letters[letter])
            case tree.Repeat(letter) if letter in self.letters:
                node = replace(node, letter=self.letters[letter])
            case tree.Reduction(op, binders, body) if self._opened(binders) != binders:
                node = tree.Reduction(op, self._opened(binders), body)
                if not node.binders:
                    return self.visit(body)
            case tree.Index():
                return self._index(node, span)
            case tree.Place():
                return replace(node, value=self._place(node.value), extent=self._maybe(node.extent), span=span)
        return replace(rebuilt(node, self.visit), span=span)

    def _maybe(self, node: Any) -> Any:
        return self.visit(node) if isinstance(node, tree.Node) else node

    def _place(self, node: Any) -> Any:
        """What stands in brackets: there a letter is a letter, whatever else is called so."""
        outer, self._inside = self._inside, True
        found = self.visit(node)
        self._inside = outer
        return found

    def _ranged(self, place: tree.Place) -> tree.Place:
        """A letter that `..` stands for, with its extent."""
        if self.dots is None or place.extent is not None or not isinstance(place.value, tree.Name):
            return place
        extents = dict(zip(self.dots, self.open_axes, strict=True))
        return replace(place, extent=extents.get(place.value.name))

    def _opened(self, places: tuple[Any, ...]) -> tuple[Any, ...]:
        """Places or binders with the letters that `..` stands for."""
        found: list[Any] = []
        for p in places:
            if self.dots is not None and isinstance(p, tree.Dots):
                found += [tree.Name(letter, span=p.span) for letter in self.dots]
            elif self.dots is not None and isinstance(p, tree.Place) and isinstance(p.value, tree.Dots):
                found += [tree.Place(tree.Name(letter, span=p.span), span=p.span) for letter in self.dots]
            elif self.dots is not None and isinstance(p, tree.Binder) and p.name == "..":
                found += [tree.Binder(letter, span=p.span) for letter in self.dots]
            else:
                found.append(p)
        return tuple(found)

    def _index(self, node: tree.Index, span: Span | None) -> Any:
        """An access; a number that is given for a tensor is the same in every place, one without places is itself."""
        outer, self._inside = self._inside, False
        operand = self.visit(node.operand)
        self._inside = outer
        items = tuple(self._place(i) for i in self._opened(node.items))
        if isinstance(operand, tree.Number) or not items:
            return operand
        return replace(node, operand=operand, items=items, padding=self._maybe(node.padding), span=span)

    def name(self, node: tree.Name, span: Span | None) -> tree.Expr:
        name = node.name
        index = None if node.index is None else self.visit(node.index)
        if name in self._bound and self._inside:
            return replace(node, name=self.letters.get(name, name), index=index, span=span)
        if name in self.values:
            if index is not None:
                raise SourceError(f"{name} is given to the block {self.block.name}: it is no family", span)
            given = placed(self.values[name], span)
            self.parts += sum(1 for _ in nodes(given))
            return given
        if name in self.names:
            return tree.Name(self.names[name], index or self.index, span=span)
        path = next((p for p in self.paths if name.startswith(f"{p}_")), None)
        if path is not None:
            return tree.Name(self.paths[path] + name.removeprefix(path), index or self.index, span=span)
        if name in self._bound:
            return tree.Name(self.letters.get(name, name), index, span=span)
        if name in self.hidden:
            raise SourceError(
                f"the block {self.block.name} does not know {name} of the model",
                span,
                hint=f"give it: {self.block.name}({', '.join([*self.block.inputs, name])}, …)",
            )
        return tree.Name(name, index, builtin=self.catalogue or node.builtin, span=span)


def placed(node: N, span: Span | None) -> N:
    """The same syntax at another place."""
    return replace(rebuilt(node, lambda inner: placed(inner, span)), span=span)


def same(function: tree.Name) -> bool:
    """Whether a function of the catalogue gives back its argument: then a call of it is its argument."""
    declared = FUNCTIONS.get(function.name) if function.builtin else None
    return declared is not None and declared.text == declared.parameters
