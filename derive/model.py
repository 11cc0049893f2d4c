"""The Python twin of a model file: declarations and equations by method calls, the same tree, text and digest.

`Model` collects statements in order and is asked for gradients like a parsed one. Its canonical text is parsed
once more, so that every node has a place in a text that a person can read, and errors show that line.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from derive.differentiable import Differentiable
from derive.errors import GradcError
from derive.language import tree as syntax
from derive.language.parse import parse
from derive.language.text import digest, text
from derive.program import Program
from derive.repeat.derivation import Repeated, understood
from derive.terms import Call, Term, expression, fn, group, letters, name_of, plain, ranged, where

__all__ = ["Model", "Term", "fn", "group", "letters", "where"]


class Model(Differentiable):
    """A model, built line by line; a method for each statement, `m.relu(x)` and `fn.relu(x)` for each function.

    Expressions are terms, numbers, lists, or text of the language. Python's precedence and the language's are the
    same but for `**` (a power; `^` is refused) and `&`, `|`, `~` (and, or, not). `1/3` is a float before a model
    sees it: write `Fraction(1, 3)` or `"1/3"` for a third.

    >>> m = Model("line")
    >>> n = m.batch("n")
    >>> x, y = m.input("x", "n"), m.target("y", "n")
    >>> w, b = m.param("w", init="normal(0, 0.1)"), m.param("b")
    >>> p = m.let("p", w * x + b)
    >>> m.minimize(m.sum((p - y) ** 2) / (2 * n))
    >>> print(m.text(), end="")
    model line
    batch n
    input x : [n]
    target y : [n]
    param w ~ normal(0, 0.1)
    param b
    p = w * x + b
    minimize sum((p - y)^2) / (2 * n)
    """

    def __init__(self, name: str | None = None) -> None:
        self._statements: list[syntax.Statement] = [] if name is None else [syntax.ModelName(plain(name))]
        self._read: tuple[str, Program, Repeated | None] | None = None
        self.notices: list[str] = []

    # --- declarations -------------------------------------------------------------------------------

    def dims(self, *names: str, **extents: Any) -> tuple[Term, ...]:
        """``dims``: names without a default, then names with a default or a polynomial (``o="n-k+1"``)."""
        items = [syntax.DimItem(name_of(n)) for n in names]
        items += [syntax.DimItem(name_of(n), None if v is None else expression(v)) for n, v in extents.items()]
        if not items:
            raise GradcError("`dims` needs at least one name")
        self._statements.append(syntax.Dims(tuple(items)))
        return tuple(Term(item.name) for item in items)

    def batch(self, name: str) -> Term:
        """``batch n``: the sample axis."""
        self._statements.append(syntax.Batch(plain(name)))
        return Term.named(name)

    def input(self, name: str, *shape: Any, properties: Any = ()) -> Term:
        """``input X : [n, d] properties``; without a shape a scalar."""
        return self._declare("input", name, shape, properties)

    def target(self, name: str, *shape: Any, properties: Any = ()) -> Term:
        """``target Y : [n, c] properties``, needed for the loss only."""
        return self._declare("target", name, shape, properties)

    def param(
        self, name: str, *shape: Any, init: Any = None, bounds: tuple[Any, Any] | None = None, properties: Any = ()
    ) -> Term:
        """``param W : [d, h] in a..b ~ init``; ``init`` is a call, as text (``"he_normal()"``) or as a term."""
        return self._declare("param", name, shape, properties, init, bounds)

    def state(self, name: str, *shape: Any, init: Any = None) -> Term:
        """``state mu : [h] ~ zeros()``: kept beside the parameters, not differentiated, changed by `update`."""
        return self._declare("state", name, shape, (), init)

    def noise(self, name: str, *shape: Any, init: Any) -> Term:
        """``noise M : [n, h] ~ bernoulli(0.9)``: drawn anew where it is not given."""
        return self._declare("noise", name, shape, (), init)

    def const(self, name: str, value: Any, *shape: Any) -> Term:
        """``const s : [3] = [1, 2, 3]``."""
        self._statements.append(syntax.ConstDecl(plain(name), expression(value), _shape(shape)))
        return Term.named(name)

    def fn(self, name: str, body: Callable[..., Any]) -> Call:
        """``fn f(x, a) = …``: ``body`` is a Python function of terms, whose arguments give the names."""
        if not callable(body):
            raise GradcError("the body of a function is a Python function, as in `m.fn('f', lambda x: x**2)`")
        parameters = tuple(plain(p) for p in inspect.signature(body).parameters)
        made = expression(body(*(Term.named(p) for p in parameters)))
        self._statements.append(syntax.Function(plain(name), parameters, made))
        return Call(name)

    def option(self, name: str, value: Any) -> None:
        """``option relu_at_0 = 1``."""
        self.add(f"option {plain(name)} = {value}")

    # --- equations ----------------------------------------------------------------------------------

    def let(self, name: str, value: Any) -> Term:
        """``Z = expression``; ``name`` is the left side as in a file, ``"C[i, j]"`` for an index equation."""
        left = name
        if isinstance(name, str) and "[" in name:
            head = parse(f"{name} = 0", name).statements
            if len(head) != 1 or not isinstance(head[0], syntax.Assignment):
                raise GradcError(f"`{name}` is no left side of an equation")
            self._statements.append(syntax.Assignment(head[0].name, head[0].places, expression(value)))
            return Term(head[0].name)
        self[left] = value
        return Term(name_of(left))

    def __setitem__(self, left: Any, value: Any) -> None:
        """``m["Z"] = …``, and ``m["C", i, j:3] = …`` for the index equation ``C[i, j:3] = …``."""
        name, places = (left[0], left[1:]) if isinstance(left, tuple) else (left, None)
        built = None if places is None else tuple(_place(p) for p in places)
        self._statements.append(syntax.Assignment(name_of(name), built, expression(value)))

    def __getitem__(self, name: str) -> Term:
        return Term(name_of(name))

    def update(self, name: Any, value: Any) -> None:
        """``update mu = expression``: the state's value after a training step."""
        self._statements.append(syntax.Update(name_of(name), None, expression(value)))

    @property
    def training(self) -> Term:
        """The condition that holds while the model is trained: ``m.where(m.training, a, b)``."""
        return Term.named("training")

    def letters(self, names: str | Iterable[str]) -> tuple[Term, ...]:
        """Index letters: ``i, j = m.letters("i j")``."""
        return letters(names)

    def where(self, condition: Any, chosen: Any, other: Any) -> Term:
        """``chosen if condition else other``, per element."""
        return where(condition, chosen, other)

    def __getattr__(self, name: str) -> Call:
        if name.startswith("_"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, [k for k in dir(Model) if not k.startswith("_")], 1, 0.8)
        if near:  # a misspelt statement would otherwise vanish as a call that nobody reads
            raise GradcError(f"a model has no `{name}`; is it `{near[0]}`? A function of that name is `fn.{name}`")
        return Call(name)

    # --- objective, outputs -------------------------------------------------------------------------

    def minimize(self, value: Any) -> None:
        """``minimize expression``."""
        self._statements.append(syntax.Minimize(expression(value)))

    def initializer(self, head: Any, value: Any) -> None:
        """``init wide(s=1) = s*z*sqrt(2/fan_in)``: ``m.initializer("wide(s=1)", "s*z*sqrt(2/fan_in)")``."""
        made = _call(head)
        self._statements.append(syntax.Init(made.function, made.arguments, expression(value)))

    def rule(self, head: Any, /, **equations: Any) -> None:
        """``rule slow(lr=0.1) … end``: ``m.rule("slow(lr=0.1)", v="v/2 + g", w="w - lr*v")``, in this order."""
        made = _call(head)
        lines = tuple(syntax.Assignment(syntax.Name(plain(k)), None, expression(v)) for k, v in equations.items())
        self._statements.append(syntax.Rule(made.function, made.arguments, lines))

    def optimizer(self, call: Any, /, *parameters: Any, **arguments: Any) -> None:
        """``optimizer adam(lr=0.001) for W, b``: ``m.optimizer("adam", "W", "b", lr=1e-3)``.

        Names or terms say for which parameters; ``call`` may hold the arguments too, ``"adam(lr=1e-3)"``.
        """
        made = _call(call)
        extra = tuple(syntax.Argument(expression(v), plain(k)) for k, v in arguments.items())
        names = tuple(name_of(p) for p in parameters)
        self._statements.append(syntax.Optimizer(syntax.CallExpr(made.function, made.arguments + extra), names))

    def freeze(self, *names: Any) -> None:
        """``freeze W, b``, by names or terms: these parameters are not trained."""
        if not names:
            raise GradcError("`freeze` needs at least one name")
        self._statements.append(syntax.Freeze(tuple(name_of(n) for n in names)))

    def output(self, *names: Any) -> None:
        """``output P, Z``, by names or terms."""
        if not names:
            raise GradcError("`output` needs at least one name")
        self._statements.append(syntax.Output(tuple(name_of(n) for n in names)))

    def add(self, lines: str) -> None:
        """Statements as text: families, `repeat`, `block`, `include`, or whatever is shorter so."""
        if not isinstance(lines, str):
            raise GradcError("`add` takes lines of the language as text")
        self._statements.extend(parse(lines, "<add>").statements)

    # --- what was built -----------------------------------------------------------------------------

    def text(self) -> str:
        """The canonical text: a model file."""
        return text(syntax.Tree(tuple(self._statements)))

    def tree(self) -> syntax.Tree:
        """The syntax tree, with its places in the canonical text."""
        first = next((s.name for s in self._statements if isinstance(s, syntax.ModelName)), "model")
        return parse(self.text(), f"<{first}>")

    def digest(self) -> str:
        """The SHA-256 of the canonical text: the model's identity, the same from a file and from Python."""
        return digest(self.tree())

    @property
    def program(self) -> Program:
        """The index equations of what was built so far; read once for each text, for identity is the tensor."""
        written = self.text()
        if self._read is None or self._read[0] != written:
            self.notices.clear()
            self._read = written, *understood(self.tree(), self.notices)
        return self._read[1]

    @property
    def repeated(self) -> Repeated | None:
        """What is behind the program where the model has repetitions."""
        assert self.program is not None
        return None if self._read is None else self._read[2]

    def __repr__(self) -> str:
        return f"<Model of {len(self._statements)} statements>"

    def _declare(self, kind: str, name: str, shape: Any, properties: Any, init: Any = None, bounds: Any = None) -> Term:
        given = [properties] if isinstance(properties, str | Term | Call) else properties
        limits = None
        if bounds is not None:
            if not isinstance(bounds, tuple | list) or len(bounds) != 2:
                raise GradcError("bounds are a pair, `bounds=(0, 1)`")
            limits = expression(bounds[0]), expression(bounds[1])
        promised, start = tuple(_call(p) for p in given), None if init is None else _call(init)
        declared = name_of(name)
        self._statements.append(syntax.Declaration(kind, declared, _shape(shape), promised, limits, start))
        return Term(declared)


def _shape(shape: tuple[Any, ...]) -> tuple[syntax.Expr, ...] | None:
    """Extents, given one by one or as one list or tuple."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        return tuple(expression(e) for e in shape[0])
    return tuple(expression(e) for e in shape) or None


def _place(value: Any) -> syntax.Place:
    place, extent = ranged(value)
    return syntax.Place(expression(place), None if extent is None else expression(extent))


def _call(value: Any) -> syntax.CallExpr:
    """A call, or a bare name as a call without arguments."""
    found = expression(value)
    if isinstance(found, syntax.Name) and found.index is None:
        return syntax.CallExpr(found.name, ())
    if isinstance(found, syntax.CallExpr):
        return found
    raise GradcError(f"`{Term(found)!r}` is neither a name nor a call, as in `he_normal()`")
