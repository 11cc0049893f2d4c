"""The scalar functions of a model: those of the catalogue, read on first use, and the user's own.

In: declarations as text. Out: `ScalarFunction`s whose definitions are expressions over their parameters.
"""

from __future__ import annotations

from fractions import Fraction

from derive.errors import GradcError, SourceError, Span
from derive.expr import Expr, Num, num
from derive.functions import EXPM1, LOG1P, PRIMITIVES, Parameter, ScalarFunction
from derive.language import tree
from derive.language.calls import TENSOR_FUNCTIONS, Signature
from derive.language.expressions import Elaborator
from derive.language.names import Names, check_name, line_of, suggest
from derive.language.parse import parse_expression
from derive.language.tensors import element
from derive.library.functions import FUNCTIONS, VARIANTS, ScalarDecl
from derive.library.losses import LOSSES
from derive.numeric import with_values

_KNOWN = {**PRIMITIVES, "log1p": LOG1P, "expm1": EXPM1}


def options_of(syntax: tree.Tree) -> tuple[tuple[str, str], ...]:
    """The options of a model, each once, in order; a SourceError where one or its value is unknown.

    >>> from derive.language.parse import parse
    >>> options_of(parse("minimize 1"))
    ()
    """
    found: dict[str, str] = {}
    known = {name: [v for n, v in VARIANTS if n == name] for name, _ in VARIANTS}
    for node in syntax.statements:
        if not isinstance(node, tree.Option):
            continue
        if node.name not in known:
            hint = suggest(node.name, known) or f"the options are {', '.join(known)}"
            raise SourceError(f"unknown option {node.name}", node.span, hint=hint)
        if node.value not in known[node.name]:
            raise SourceError(f"{node.name} is {' or '.join(known[node.name])}, not {node.value}", node.span)
        if node.name in found:
            raise SourceError(f"the option {node.name} is given twice", node.span)
        found[node.name] = node.value
    return tuple(found.items())


class Vocabulary:
    """Finds scalar functions by name; ``options`` of the model choose between declarations."""

    def __init__(self, options: tuple[tuple[str, str], ...] = ()) -> None:
        self._declared = dict(FUNCTIONS)
        for option in options:
            variant = VARIANTS[option]
            if variant is not None:
                self._declared[variant.name] = variant
        self._read = {name: Signature(f, {}) for name, f in _KNOWN.items()}
        self._own: dict[str, Signature] = {}
        self._spans: dict[str, Span | None] = {}
        self._builtin = self

    def find(self, name: str) -> Signature | None:
        """The scalar function of that name; a user's own comes first."""
        if name in self._own:
            return self._own[name]
        if name not in self._read and name in self._declared:
            self._read[name] = self._define(self._declared[name])
        return self._read.get(name)

    def known(self) -> list[str]:
        """The names of all scalar functions."""
        return [*self._own, *_KNOWN, *self._declared]

    def builtin(self) -> Vocabulary:
        """The catalogue without the user's own functions."""
        if not self._own:
            return self
        if self._builtin is self:
            self._builtin = Vocabulary()
            self._builtin._declared, self._builtin._read = self._declared, self._read
        return self._builtin

    def _define(self, declared: ScalarDecl) -> Signature:
        parameters, defaults = signature(declared.parameters)
        body = parse_expression(declared.text, declared.name)
        definition = closed(body, parameters, self.builtin())
        return Signature(ScalarFunction(declared.name, parameters, definition, declared.latex), defaults)

    def declare(self, node: tree.Function, constants: dict[str, Expr]) -> None:
        """Take in a user's ``fn``."""
        name = node.name
        check_name(name, node.span)
        if name in self._own:
            raise SourceError(
                f"the function {name} is defined twice: first{line_of(self._spans[name])} and again", node.span
            )
        if name in _KNOWN or (name in TENSOR_FUNCTIONS and name not in LOSSES):
            raise SourceError(f"{name} is a function of the language", node.span, hint="choose another name")
        for k, p in enumerate(node.parameters):
            check_name(p, node.span)
            if p in node.parameters[:k]:
                raise SourceError(f"the parameter {p} of {name} stands twice", node.span)
        definition = closed(node.body, node.parameters, self, constants, own=node)
        self._own[name] = Signature(ScalarFunction(name, node.parameters, definition), {})
        self._spans[name] = node.span


def closed(
    body: tree.Expr,
    parameters: tuple[str, ...],
    functions: Vocabulary,
    constants: dict[str, Expr] | None = None,
    own: tree.Function | None = None,
) -> Expr:
    """A scalar expression over parameters, constants and scalar functions.

    >>> closed(parse_expression("a*x^2"), ("x", "a"), Vocabulary()).letters
    frozenset()
    """
    if own is not None:
        _refuse_recursion(body, own)
    names = Names.of({**(constants or {}), **{p: Parameter(p) for p in parameters}})
    value = Elaborator(names, functions, catalogue=True).value(body)
    if value.rank:
        raise SourceError("a function is of numbers: no lists in its body", body.span)
    return element(value)


def _refuse_recursion(body: tree.Expr, own: tree.Function) -> None:
    stack: list[object] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.CallExpr) and node.function == own.name:
            raise SourceError(f"{own.name} calls itself; functions are not recursive", node.span)
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, tree.Node):
            stack.extend(v for k, v in vars(node).items() if k != "span")


def signature(parameters: str) -> tuple[tuple[str, ...], dict[str, Expr]]:
    """Parameter names and defaults, read from a declaration.

    >>> signature("z, a=0.01")
    (('z', 'a'), {'a': 1/100})
    """
    call = parse_expression(f"f({parameters})")
    assert isinstance(call, tree.CallExpr)
    names, defaults = [], dict[str, Expr]()
    for argument in call.arguments:
        if argument.name is None:
            assert isinstance(argument.value, tree.Name)
            names.append(argument.value.name)
        else:
            names.append(argument.name)
            defaults[argument.name] = num(exact(argument.value, Names.of({})))
    return tuple(names), defaults


def exact(node: tree.Expr, names: Names) -> Fraction:
    """An exact number that an expression is; an error where it is not one."""
    value = Elaborator(names, Vocabulary(), catalogue=True).value(node)
    e = with_values(element(value)) if not value.rank else None
    if not isinstance(e, Num):
        raise SourceError(f"{value.text} is not an exact number", node.span, hint="use numbers and + - * / ^ only")
    return e.value


def scalar_text(text: str, parameters: tuple[str, ...]) -> Expr:
    """Catalogue text over parameters, as an expression.

    >>> scalar_text("w - lr*g", ("w", "lr", "g")) == Parameter("w") - Parameter("lr") * Parameter("g")
    True
    """
    try:
        return closed(parse_expression(text), parameters, Vocabulary())
    except GradcError as error:
        raise AssertionError(f"catalogue text {text!r}: {error}") from error
