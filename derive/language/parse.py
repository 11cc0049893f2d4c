"""Model text to its syntax tree: the grammar of ``grammar.lark``, every node with its place in the text.

Tokens are fed to an LALR parser; its tree is rebuilt from the leaves up, without recursion, into the nodes
of `derive.language.tree`. Whatever is wrong is a `SourceError` at its line and column.
"""

from __future__ import annotations

import functools
from importlib import resources
from itertools import pairwise
from typing import Any

import lark
from lark.exceptions import UnexpectedInput

from derive.errors import Source, SourceError, Span
from derive.language import tree as syntax
from derive.language.checks import explain
from derive.language.depth import too_deep
from derive.language.lexer import MAX_NESTING, Lexing, token_span
from derive.language.literals import literal_text, literal_value

# A level of nesting leaves fewer than 20 parts waiting on the parser's stack, so more than this is nested too deep.
_MAX_STACK = 20 * MAX_NESTING


def parse(text: str, name: str = "<text>", *, part: bool = False) -> syntax.Tree:
    """The syntax tree of a model text; ``name`` is what errors call the text, ``part`` says that it is included.

    >>> parse("Z = X @ W + b").statements[0].name
    Name(name='Z', index=None)
    """
    source = Source(text, name, part)
    found = _parse(source, "file")
    assert isinstance(found, syntax.Tree)
    return found


def parse_expression(text: str, name: str = "<expression>") -> syntax.Expr:
    """The syntax tree of one expression.

    >>> parse_expression("x'")
    Transpose(operand=Name(name='x', index=None))
    """
    source = Source(text, name)
    found: syntax.Expr = _parse(source, "lone")
    return found


@functools.cache
def _grammar() -> lark.Lark:
    text = resources.files("derive.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(text, parser="lalr", start=["file", "lone"], keep_all_tokens=True)


def _parse(source: Source, start: str) -> Any:
    lexing = Lexing(source)
    tokens = lexing.tokens
    if start == "lone" and tokens and tokens[-1].type == "_NEWLINE":
        tokens.pop()
    parser: Any = _grammar().parse_interactive(start=start)
    for number, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedInput:
            raise explain(lexing, number, parser.accepts()) from None
        if len(parser.parser_state.value_stack) > _MAX_STACK:
            raise _too_deep(token_span(token, source))
    if lexing.problem is not None:
        raise lexing.problem
    try:
        found = parser.feed_eof(tokens[-1] if tokens else None)
    except UnexpectedInput:
        raise explain(lexing, len(tokens), parser.accepts()) from None
    built = _build(found, source)
    deep = too_deep(built, MAX_NESTING + 2)  # the text and its statement lie above an expression
    if deep is not None:
        raise _too_deep(deep.span)
    return built


def _too_deep(span: Span | None) -> SourceError:
    return SourceError(f"nested more than {MAX_NESTING} deep", span, hint="give the inner parts names")


# Tokens that carry meaning; the other signs and words are there for the grammar, and for where a node begins and ends.
_MEANING = {"NAME", "NUMBER", "STRING", "KIND", "REDUCER", "COMPARE", "MULTIPLY", "POWER", "PLUS", "MINUS", "AND", "OR"}


def _build(root: Any, source: Source) -> Any:
    """Lark's tree to ours, from the leaves up."""
    build = _Build(source)
    done: dict[int, tuple[Any, Span | None]] = {}
    for node in root.iter_subtrees():
        parts: list[Any] = []
        places: list[Span] = []
        for child in node.children:
            if child is None:
                parts.append(None)
                continue
            if isinstance(child, lark.Tree):
                part, place = done.pop(id(child))
                parts.append(part)
            else:
                place = token_span(child, source)
                if child.type in _MEANING:
                    parts.append(child)
            if place is not None:
                places.append(place)
        span = places[0].to(places[-1]) if places else None
        done[id(node)] = getattr(build, node.data)(span, *parts), span
    return done[id(root)][0]


class _Build:
    """One method for each rule of the grammar: its span and its parts to a node."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def file(self, span: Span | None, *statements: Any) -> syntax.Tree:
        return syntax.Tree(statements, span=span)

    def lone(self, span: Span | None, expr: Any) -> Any:
        return _bare(expr)

    def only(self, span: Span | None, part: Any) -> Any:
        return part

    # --- statements ---------------------------------------------------------------------------------

    def model(self, span: Span | None, name: str) -> syntax.ModelName:
        return syntax.ModelName(str(name), span=span)

    def include(self, span: Span | None, path: str) -> syntax.Include:
        return syntax.Include(path[1:-1], span=span)

    def option(self, span: Span | None, name: str, value: lark.Token) -> syntax.Option:
        number = literal_text(literal_value(value)) if value.type == "NUMBER" else None
        return syntax.Option(str(name), number or str(value), span=span)

    def dims(self, span: Span | None, *items: Any) -> syntax.Dims:
        return syntax.Dims(items, span=span)

    def dim(self, span: Span | None, name: Any, value: Any) -> syntax.DimItem:
        return syntax.DimItem(name, _bare(value), span=span)

    def dim_family(self, span: Span | None, name: lark.Token, start: Any, stop: Any, values: Any) -> syntax.DimItem:
        family = syntax.Name(str(name), span=token_span(name, self.source))
        return syntax.DimItem(family, values, (_bare(start), _bare(stop)), span=span)

    def batch(self, span: Span | None, name: str) -> syntax.Batch:
        return syntax.Batch(str(name), span=span)

    def declaration(
        self, span: Span | None, kind: str, name: Any, shape: Any, properties: Any, bounds: Any, initializer: Any
    ) -> syntax.Declaration:
        return syntax.Declaration(str(kind), name, shape, properties, bounds, initializer, span=span)

    def properties(self, span: Span | None, *found: Any) -> tuple[Any, ...]:
        return found

    def property(self, span: Span | None, name: str, arguments: Any) -> syntax.CallExpr:
        return syntax.CallExpr(str(name), arguments or (), span=span)

    def bounds(self, span: Span | None, low: Any, high: Any) -> tuple[Any, Any]:
        return _bare(low), _bare(high)

    def const(self, span: Span | None, name: str, shape: Any, value: Any) -> syntax.ConstDecl:
        return syntax.ConstDecl(str(name), _bare(value), shape, span=span)

    def function(self, span: Span | None, name: str, parameters: Any, body: Any) -> syntax.Function:
        return syntax.Function(str(name), parameters, _bare(body), span=span)

    def assignment(self, span: Span | None, name: Any, places: Any, value: Any) -> syntax.Assignment:
        return syntax.Assignment(name, places, _bare(value), span=span)

    def places(self, span: Span | None, *places: Any) -> tuple[Any, ...]:
        return places

    def place(self, span: Span | None, value: Any, extent: Any = None) -> syntax.Place:
        return syntax.Place(_bare(value), _bare(extent), span=span)

    def update(self, span: Span | None, name: Any, places: Any, value: Any) -> syntax.Update:
        return syntax.Update(name, places, _bare(value), span=span)

    def minimize(self, span: Span | None, value: Any) -> syntax.Minimize:
        return syntax.Minimize(_bare(value), span=span)

    def optimizer(self, span: Span | None, call: Any, group: Any) -> syntax.Optimizer:
        return syntax.Optimizer(call, group or (), span=span)

    def group(self, span: Span | None, *names: Any) -> tuple[Any, ...]:
        return names

    def freeze(self, span: Span | None, *names: Any) -> syntax.Freeze:
        return syntax.Freeze(names, span=span)

    def rule(self, span: Span | None, name: str, parameters: Any, body: Any) -> syntax.Rule:
        return syntax.Rule(str(name), parameters, body, span=span)

    def initializer(self, span: Span | None, name: str, parameters: Any, value: Any) -> syntax.Init:
        return syntax.Init(str(name), parameters, _bare(value), span=span)

    def output(self, span: Span | None, *names: Any) -> syntax.Output:
        return syntax.Output(names, span=span)

    def repeat(self, span: Span | None, letter: str, start: Any, stop: Any, body: Any) -> syntax.Repeat:
        return syntax.Repeat(str(letter), _bare(start), _bare(stop), body, span=span)

    def block(self, span: Span | None, name: str, *parts: Any) -> syntax.Block:
        inputs, (sizes, body, returns) = parts[:-3], parts[-3:]
        names, defaults = sizes or ((), ())
        shapes = tuple(shape for _, shape in inputs) if any(shape is not None for _, shape in inputs) else ()
        return syntax.Block(str(name), tuple(i for i, _ in inputs), names, body, returns, shapes, defaults, span=span)

    def given_input(self, span: Span | None, name: str, *shape: Any) -> tuple[str, tuple[Any, ...] | None]:
        """A name, and its shape; the brackets are there when the span is longer than the name."""
        assert span is not None
        bare = span.end_line == span.line and span.end_column - span.column == len(name)
        return str(name), None if bare else tuple(_bare(e) for e in shape if e is not None)

    def sizes(self, span: Span | None, *sizes: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """The names, and the defaults of the last of them."""
        defaults = tuple(default for _, default in sizes if default is not None)
        for (name, default), (_, after) in pairwise(sizes):
            if default is not None and after is None:
                raise SourceError(f"a size without a default stands behind {name}", span, hint=f"{name} comes later")
        return tuple(name for name, _ in sizes), defaults

    def size(self, span: Span | None, name: str, default: Any) -> tuple[str, Any]:
        return str(name), _bare(default)

    def dots(self, span: Span | None) -> syntax.Dots:
        return syntax.Dots(span=span)

    def body(self, span: Span | None, *statements: Any) -> tuple[Any, ...]:
        return statements

    def names(self, span: Span | None, *names: str) -> tuple[str, ...]:
        return tuple(str(n) for n in names)

    def shape(self, span: Span | None, *extents: Any) -> tuple[Any, ...]:
        return tuple(_bare(e) for e in extents if e is not None)

    # --- expressions --------------------------------------------------------------------------------

    def name(self, span: Span | None, name: str, index: Any) -> syntax.Name:
        return syntax.Name(str(name), _bare(index), span=span)

    def number(self, span: Span | None, text: str) -> syntax.Number:
        return syntax.Number(literal_value(text), str(text), span=span)

    def parenthesised(self, span: Span | None, expr: Any) -> _Parenthesised:
        return _Parenthesised(_bare(expr))

    def conditional(self, span: Span | None, chosen: Any, condition: Any, other: Any) -> syntax.Conditional:
        return syntax.Conditional(_bare(chosen), _bare(condition), _bare(other), span=span)

    def chain(self, span: Span | None, first: Any, *rest: Any) -> Any:
        if not rest:
            return first
        pairs = tuple((str(op), _bare(operand)) for op, operand in zip(rest[::2], rest[1::2], strict=True))
        return syntax.Chain(_bare(first), pairs, span=span)

    def negation(self, span: Span | None, operand: Any) -> syntax.Unary:
        return syntax.Unary("not", _bare(operand), span=span)

    def minus(self, span: Span | None, _sign: str, operand: Any) -> syntax.Unary:
        return syntax.Unary("-", _bare(operand), span=span)

    def comparison(self, span: Span | None, left: Any, op: str, right: Any) -> syntax.Comparison:
        return syntax.Comparison(str(op), _bare(left), _bare(right), span=span)

    def power(self, span: Span | None, base: Any, _sign: str, exponent: Any) -> syntax.Power:
        return syntax.Power(_bare(base), _bare(exponent), span=span)

    def transpose(self, span: Span | None, operand: Any) -> syntax.Transpose:
        return syntax.Transpose(_bare(operand), span=span)

    def reduction(self, span: Span | None, op: str, *parts: Any) -> syntax.Reduction:
        return syntax.Reduction(str(op), parts[:-1], _bare(parts[-1]), span=span)

    def binder(self, span: Span | None, name: Any, extent: Any = None) -> syntax.Binder:
        name = ".." if isinstance(name, syntax.Dots) else str(name)
        return syntax.Binder(name, _bare(extent), span=span)

    def index(self, span: Span | None, operand: Any, *parts: Any) -> syntax.Index:
        items, padding = parts[:-1], parts[-1]
        if padding == syntax.Name("edge"):  # in brackets, `(edge)`, it is a tensor of that name
            padding = "edge"
        return syntax.Index(_bare(operand), tuple(_bare(i) for i in items), _bare(padding), span=span)

    def slice(self, span: Span | None, start: Any, stop: Any) -> syntax.Slice:
        return syntax.Slice(_bare(start), _bare(stop), span=span)

    def list(self, span: Span | None, *items: Any) -> syntax.ListExpr:
        return syntax.ListExpr(tuple(_bare(i) for i in items), span=span)

    def call(self, span: Span | None, function: str, arguments: Any) -> syntax.CallExpr:
        return syntax.CallExpr(str(function), arguments, span=span)

    def args(self, span: Span | None, *arguments: Any) -> tuple[syntax.Argument, ...]:
        found: list[syntax.Argument] = []
        for value in arguments:
            if value is None:
                continue
            argument = value if isinstance(value, syntax.Argument) else _positional(_bare(value))
            _check_argument(argument, found)
            found.append(argument)
        return tuple(found)

    def keyword(self, span: Span | None, name: str, value: Any) -> syntax.Argument:
        return syntax.Argument(_bare(value), str(name), span=span)


class _Parenthesised:
    """An expression in brackets, until its parent has seen that it was."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


def _bare(part: Any) -> Any:
    return part.inner if isinstance(part, _Parenthesised) else part


def _positional(value: Any) -> syntax.Argument:
    return syntax.Argument(value, span=value.span)


def _check_argument(argument: syntax.Argument, before: list[syntax.Argument]) -> None:
    """Positions before names, and no name twice."""
    names = {a.name for a in before if a.name is not None}
    if argument.name is None and names:
        hint = f"move it before `{sorted(names)[0]}=`"
        raise SourceError("an argument without a name stands after a named one", argument.span, hint=hint)
    if argument.name in names:
        raise SourceError(f"`{argument.name}=` is given twice", argument.span, hint="keep one of the two")
