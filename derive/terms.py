"""Expressions of a model, written with Python's operators: `Term` wraps a node of the syntax tree.

What comes out is the tree that the same line of a model file would give: ``a + b + c`` is one flat sum, and
``fn.sum[i](x[i])`` is ``sum[i] x[i]``. Names and shapes are not looked at here.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NoReturn

from derive.errors import GradcError
from derive.language import tree as syntax
from derive.language.lexer import MAX_NAME, REDUCERS, RESERVED
from derive.language.literals import literal_text, literal_value
from derive.language.parse import parse_expression
from derive.language.text import CHAINS, expression_text


class Term:
    """An expression; operators, indices and comparisons make larger ones.

    >>> X, W, b = Term.named("X"), Term.named("W"), Term.named("b")
    >>> X @ W + b
    X @ W + b
    >>> (2 * X.T > 1) & (b[0, 1:] != -1)
    2 * X' > 1 and b[0, 1:] != -1
    """

    __slots__ = ("closed", "expr")
    __array_ufunc__ = None  # a NumPy scalar on the left leaves the operation to the term
    __hash__ = object.__hash__

    def __init__(self, expr: syntax.Expr, *, closed: bool = False) -> None:
        self.expr, self.closed = expr, closed

    @staticmethod
    def named(name: str) -> Term:
        """The term that a name stands for; ``Z{l-1}`` is a member of a family."""
        return Term(name_of(name))

    def __repr__(self) -> str:
        return expression_text(self.expr)

    @property
    def T(self) -> Term:
        """The transpose, ``x'``."""
        return Term(syntax.Transpose(self.expr))

    def at(self, *items: Any, pad: Any = None) -> Term:
        """An access: ``x.at(i-1, pad=0)`` is ``x[i-1 | 0]``, ``pad="edge"`` repeats the border."""
        if not items:
            raise GradcError("an access needs an index, as in `x[i]`")
        word = pad is None or (isinstance(pad, str) and pad == "edge")
        padding: syntax.Expr | str | None = pad if word else expression(pad)
        return Term(syntax.Index(self.expr, tuple(_item(i) for i in items), padding))

    def __getitem__(self, items: Any) -> Term:
        return self.at(*items) if isinstance(items, tuple) else self.at(items)

    def __neg__(self) -> Term:
        return Term(syntax.Unary("-", self.expr))

    def __pos__(self) -> Term:
        return self

    def __invert__(self) -> Term:
        return Term(syntax.Unary("not", self.expr))

    def __abs__(self) -> Term:
        return call("abs", self)

    def __add__(self, other: Any) -> Term:
        return _chained(self, "+", other)

    def __radd__(self, other: Any) -> Term:
        return _chained(other, "+", self)

    def __sub__(self, other: Any) -> Term:
        return _chained(self, "-", other)

    def __rsub__(self, other: Any) -> Term:
        return _chained(other, "-", self)

    def __mul__(self, other: Any) -> Term:
        return _chained(self, "*", other)

    def __rmul__(self, other: Any) -> Term:
        return _chained(other, "*", self)

    def __truediv__(self, other: Any) -> Term:
        return _chained(self, "/", other)

    def __rtruediv__(self, other: Any) -> Term:
        return _chained(other, "/", self)

    def __matmul__(self, other: Any) -> Term:
        return _chained(self, "@", other)

    def __rmatmul__(self, other: Any) -> Term:
        return _chained(other, "@", self)

    def __and__(self, other: Any) -> Term:
        return _chained(self, "and", other)

    def __rand__(self, other: Any) -> Term:
        return _chained(other, "and", self)

    def __or__(self, other: Any) -> Term:
        return _chained(self, "or", other)

    def __ror__(self, other: Any) -> Term:
        return _chained(other, "or", self)

    def __pow__(self, other: Any) -> Term:
        return Term(syntax.Power(self.expr, expression(other)))

    def __rpow__(self, other: Any) -> Term:
        return Term(syntax.Power(expression(other), self.expr))

    def __lt__(self, other: Any) -> Term:
        return self._compared("<", other)

    def __le__(self, other: Any) -> Term:
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> Term:
        return self._compared(">", other)

    def __ge__(self, other: Any) -> Term:
        return self._compared(">=", other)

    def __eq__(self, other: Any) -> Term:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Any) -> Term:  # type: ignore[override]
        return self._compared("!=", other)

    def _compared(self, op: str, other: Any) -> Term:
        return Term(syntax.Comparison(op, self.expr, expression(other)))

    # What Python would do by itself here is wrong, silently or with a message about something else.

    def __bool__(self) -> bool:
        raise GradcError(f"`{self!r}` has no value yet; write `where(c, a, b)`, and `&`, `|`, `~` for and, or, not")

    def __iter__(self) -> NoReturn:
        raise GradcError(f"`{self!r}` cannot be run through; index it with letters, `x[i]`")

    def __xor__(self, other: Any) -> NoReturn:
        raise GradcError("in Python a power is written `**`, for `^` binds less tightly than `+`")

    __rxor__ = __xor__

    def __mod__(self, other: Any) -> NoReturn:
        raise GradcError("the language has no remainder and no whole-number division")

    __rmod__ = __floordiv__ = __rfloordiv__ = __mod__


class Call:
    """A function of the language by its name; `sum`, `mean`, `max`, `min`, `prod` also bind letters in brackets.

    >>> i, j, x = Term.named("i"), Term.named("j"), Term.named("x")
    >>> Call("softmax")(x, axis=1), Call("sum")[i, j:3](x[i, j] ** 2)
    (softmax(x, axis=1), sum[i, j:3] x[i, j]^2)
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if name not in REDUCERS:
            plain(name)
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __call__(self, *arguments: Any, **named: Any) -> Term:
        return call(self.name, *arguments, **named)

    def __getitem__(self, letters: Any) -> Reducer:
        if self.name not in REDUCERS:
            raise GradcError(f"`{self.name}` does not bind letters; {', '.join(sorted(REDUCERS))} do")
        return Reducer(self.name, letters if isinstance(letters, tuple) else (letters,))


class Reducer:
    """``sum[i, j]``, waiting for what it sums."""

    __slots__ = ("binders", "name")

    def __init__(self, name: str, letters: tuple[Any, ...]) -> None:
        self.name, self.binders = name, tuple(_binder(letter) for letter in letters)

    def __call__(self, body: Any) -> Term:
        return Term(syntax.Reduction(self.name, self.binders, expression(body)))


class Functions:
    """Every function of the language as an attribute: ``fn.relu(x)``, ``fn.sum[i](x[i])``."""

    def __getattr__(self, name: str) -> Call:
        if name.startswith("_"):
            raise AttributeError(name)
        return Call(name)


fn = Functions()


def where(condition: Any, chosen: Any, other: Any) -> Term:
    """``chosen if condition else other``, per element."""
    return Term(syntax.Conditional(expression(chosen), expression(condition), expression(other)))


def group(value: Any) -> Term:
    """The expression in brackets of its own: ``group(a * b) @ c`` is ``(a * b) @ c``, not ``a * b @ c``."""
    return Term(expression(value), closed=True)


def call(function: str, /, *arguments: Any, **named: Any) -> Term:
    """The call of a function by its name."""
    given = [syntax.Argument(expression(a)) for a in arguments]
    given += [syntax.Argument(expression(a), plain(name)) for name, a in named.items()]
    return Term(syntax.CallExpr(function, tuple(given)))


def plain(name: Any) -> str:
    """A name that the language allows, or an error."""
    if not isinstance(name, str):
        raise GradcError(f"a name is a string, not {_kind(name)}")
    if name in RESERVED:
        raise GradcError(f"`{name}` is a reserved word; choose another name")
    if not (name.isascii() and name.isidentifier()) or name.startswith("_") or len(name) > MAX_NAME:
        raise GradcError(f"`{name}` is no name: at most {MAX_NAME} ASCII letters, digits and `_`, a letter first")
    return name


def name_of(name: Any) -> syntax.Name:
    """A name with, for a member of a family, its layer: ``Z`` or ``Z{l-1}``; a term that is a name serves, too."""
    if isinstance(name, Term) and isinstance(name.expr, syntax.Name):
        return name.expr
    if isinstance(name, str) and name.endswith("}"):
        member = parse_expression(name, name)
        if isinstance(member, syntax.Name):
            return member
    return syntax.Name(plain(name))


def expression(value: Any) -> syntax.Expr:
    """The expression that a Python value stands for: a term, a number, text of the language, a list of such."""
    if isinstance(value, Term):
        return value.expr
    if isinstance(value, str):
        return parse_expression(value, "<expression>")
    if isinstance(value, Call):
        return syntax.Name(value.name)
    if isinstance(value, bool):
        raise GradcError("a truth value is no number; write 1 or 0")
    if isinstance(value, list | tuple):
        if not value:
            raise GradcError("a list has at least one entry")
        return syntax.ListExpr(tuple(expression(v) for v in value))
    if isinstance(value, numbers.Rational):
        return _number(Fraction(int(value.numerator), int(value.denominator)))
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise GradcError(f"{value} is no number of the language")
        return _number(Fraction(repr(float(value))))
    raise GradcError(f"{_kind(value)} is no expression of a model; data is given when the model runs")


def _number(value: Fraction) -> syntax.Expr:
    """A literal with its sign; a fraction without a finite decimal is a quotient."""
    if value < 0:
        return syntax.Unary("-", _number(-value))
    written = literal_text(value)
    if written is not None:
        return syntax.Number(literal_value(written), written)
    return syntax.Chain(_number(Fraction(value.numerator)), (("/", _number(Fraction(value.denominator))),))


def _chained(left: Any, op: str, right: Any) -> Term:
    """``left op right``; a left side of the same precedence goes on as one flat chain, as in the text."""
    first, second = expression(left), expression(right)
    loose = isinstance(left, Term) and not left.closed
    if loose and isinstance(first, syntax.Chain) and CHAINS[first.rest[0][0]] == CHAINS[op]:
        return Term(syntax.Chain(first.first, (*first.rest, (op, second))))
    return Term(syntax.Chain(first, ((op, second),)))


def _item(value: Any) -> syntax.Expr | syntax.Slice:
    if not isinstance(value, slice):
        return expression(value)
    if value.step is not None:
        raise GradcError("a slice has no step; write an index, `x[2*i]`")
    ends = [None if end is None else expression(end) for end in (value.start, value.stop)]
    return syntax.Slice(ends[0], ends[1])


def ranged(value: Any) -> tuple[Any, Any]:
    """``i:extent`` as a Python slice: the letter and its extent, None where there is none."""
    if not isinstance(value, slice):
        return value, None
    if value.start is None or value.stop is None or value.step is not None:
        raise GradcError("a letter with its extent is written `i:3`")
    return value.start, value.stop


def _binder(value: Any) -> syntax.Binder:
    letter, extent = ranged(value)
    bound = name_of(letter)
    if bound.index is not None:
        raise GradcError("a reduction binds plain letters")
    return syntax.Binder(bound.name, None if extent is None else expression(extent))


def _kind(value: Any) -> str:
    kind = type(value)
    return f"a value of type {kind.__module__}.{kind.__name__}".replace("builtins.", "")


def letters(names: str | Iterable[str]) -> tuple[Term, ...]:
    """Letters for index equations and reductions.

    >>> letters("i j")
    (i, j)
    """
    wanted = names.replace(",", " ").split() if isinstance(names, str) else list(names)
    return tuple(Term(syntax.Name(plain(n))) for n in wanted)
