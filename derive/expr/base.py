"""The base of all expressions, its atoms, and arithmetic with its canonical constructors.

In: operands. Out: immutable nodes in a light canonical form: sums and products flat and sorted, like terms and equal
bases collected, numbers exact.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from derive.expr.letters import Letter
    from derive.program import Tensor

ExprLike = Union["Expr", int, Fraction]


def part(place: int | slice, doc: str) -> Any:
    """A read-only view of ``args[place]``."""
    return property(lambda self: self.args[place], doc=doc)


class Expr:
    """An immutable expression; equality is structural (bound letters are compared as they stand)."""

    __slots__ = ("_children", "_hash", "_key", "_letters", "_size", "_tensors", "args")
    rank = 0
    reduces = False

    def __init__(self, *args: Any) -> None:
        self.args: tuple[Any, ...] = args
        self._children: tuple[Expr, ...] | None = None
        self._hash: int | None = None
        self._key: tuple[Any, ...] | None = None
        self._letters: frozenset[Letter] | None = None
        self._tensors: frozenset[Tensor] | None = None
        self._size: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.rank, self.args))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or hash(self) != hash(other):
            return False
        assert isinstance(other, Expr)
        return self.args == other.args

    @property
    def key(self) -> tuple[Any, ...]:
        """A structural sort key: deterministic, total, cheap to compare."""
        if self._key is None:
            self._key = self._make_key()
        return self._key

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, len(self.args), *(a.key for a in self.args))

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operands that are expressions, in order."""
        if self._children is None:
            self._children = tuple([a for a in self.args if isinstance(a, Expr)])
        return self._children

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other operands, through the smart constructors."""
        raise NotImplementedError(type(self).__name__)

    @property
    def letters(self) -> frozenset[Letter]:
        """The free index letters."""
        if self._letters is None:
            self._letters = self._find_letters()
        return self._letters

    def _find_letters(self) -> frozenset[Letter]:
        return frozenset().union(*(c.letters for c in self.children))

    @property
    def tensors(self) -> frozenset[Tensor]:
        """The tensors that it reads."""
        if self._tensors is None:
            self._tensors = self._find_tensors()
        return self._tensors

    def _find_tensors(self) -> frozenset[Tensor]:
        return frozenset().union(*(c.tensors for c in self.children))

    @property
    def size(self) -> int:
        """How many nodes it has, a shared one as often as it stands."""
        if self._size is None:
            self._size = 1 + sum(c.size for c in self.children)
        return self._size

    def __add__(self, other: ExprLike) -> Expr:
        return add(self, other)

    __radd__ = __add__

    def __mul__(self, other: ExprLike) -> Expr:
        return mul(self, other)

    __rmul__ = __mul__

    def __neg__(self) -> Expr:
        return mul(-1, self)

    def __sub__(self, other: ExprLike) -> Expr:
        return add(self, mul(-1, other))

    def __rsub__(self, other: ExprLike) -> Expr:
        return add(other, mul(-1, self))

    def __truediv__(self, other: ExprLike) -> Expr:
        return mul(self, power(other, -1))

    def __rtruediv__(self, other: ExprLike) -> Expr:
        return mul(other, power(self, -1))

    def __pow__(self, other: ExprLike) -> Expr:
        return power(self, other)

    def __repr__(self) -> str:
        """A plain rendering for debugging and doctests; people's notation is `derive.notation`'s."""
        raise NotImplementedError(type(self).__name__)


class Num(Expr):
    """An exact rational number."""

    __slots__ = ()
    rank = 1

    def __repr__(self) -> str:
        return str(self.value)

    value: Fraction = part(0, "The number.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.value)


class Named(Expr):
    """What its name tells from others of its kind."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self.name

    name: str = part(0, "Its name.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.name)


class Const(Named):
    """A positive number with a name: ``pi`` or ``e``, or a constant of the model, which has a ``value``.

    >>> half = Const("c", num(1) / 3); half + half, half == Const("c")
    (2·c, False)
    """

    __slots__ = ()
    rank = 2

    @property
    def value(self) -> Expr | None:
        """The value of a constant of the model: numbers, ``pi`` and ``e``."""
        return self.args[1] if len(self.args) > 1 else None

    @property
    def children(self) -> tuple[Expr, ...]:
        """None: what is known of its value does not make it a compound."""
        return ()

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, len(self.args), self.name, *(a.key for a in self.args[1:]))


class Dim(Named):
    """The value of an independent extent: a positive integer, known when the code is built or runs."""

    __slots__ = ()
    rank = 3


class Access(Expr):
    """One element of a tensor: ``T[places]``, each place an integer-valued expression."""

    __slots__ = ()
    rank = 5

    def __repr__(self) -> str:
        return f"{self.tensor}[{', '.join(map(repr, self.places))}]" if self.places else repr(self.tensor)

    def __init__(self, tensor: Tensor, places: tuple[Expr, ...] = ()) -> None:
        assert len(places) == len(tensor.axes), (tensor, places)
        super().__init__(tensor, *places)

    tensor: Tensor = part(0, "What is read.")
    places: tuple[Expr, ...] = part(slice(1, None), "Where it is read, one place an axis.")

    def _make_key(self) -> tuple[Any, ...]:
        return (self.rank, self.tensor.number, *(p.key for p in self.places))

    def _find_tensors(self) -> frozenset[Tensor]:
        return super()._find_tensors() | {self.tensor}

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Access(self.tensor, children)


class Pow(Expr):
    """``base ** exponent``."""

    __slots__ = ()
    rank = 7

    def __repr__(self) -> str:
        return f"{inner_text(self.base)}^{inner_text(self.exponent)}"

    base: Expr = part(0, "The base.")
    exponent: Expr = part(1, "The exponent.")

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return power(*children)


class Mul(Expr):
    """A product of at least two factors, flat and sorted; a number stands first."""

    __slots__ = ()
    rank = 8

    def __repr__(self) -> str:
        return "·".join(inner_text(f) if isinstance(f, Add) or f.reduces else repr(f) for f in self.args)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return mul(*children)


class Add(Expr):
    """A sum of at least two terms, flat and sorted, like terms collected."""

    __slots__ = ()
    rank = 9

    def __repr__(self) -> str:
        return " + ".join(repr(t) for t in reversed(self.args))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return add(*children)


class Mask(Expr):
    """A condition as a number, 1 where it holds and 0 elsewhere; its derivative is 0."""

    __slots__ = ()


def inner_text(e: Expr) -> str:
    """``e`` for a place where only a single thing may stand."""
    return f"({e!r})" if isinstance(e, (Add, Mul, Pow)) or e.reduces else repr(e)


ZERO, ONE, MINUS_ONE = Num(Fraction(0)), Num(Fraction(1)), Num(Fraction(-1))
_ONE = Fraction(1)


def num(value: int | Fraction) -> Num:
    """The exact number ``value``."""
    return Num(Fraction(value))


def as_expr(value: ExprLike) -> Expr:
    """``value`` itself, or the number it is."""
    return value if isinstance(value, Expr) else num(value)


def split_coefficient(e: Expr) -> tuple[Fraction, Expr]:
    """``e`` as number times rest.

    >>> split_coefficient(mul(3, Dim("n")))
    (Fraction(3, 1), n)
    """
    if isinstance(e, Num):
        return e.value, ONE
    if isinstance(e, Mul) and isinstance(e.args[0], Num):
        rest = e.args[1:]
        return e.args[0].value, rest[0] if len(rest) == 1 else Mul(*rest)
    return _ONE, e


def split_power(e: Expr) -> tuple[Expr, Expr]:
    """``e`` as base and exponent."""
    return (e.base, e.exponent) if isinstance(e, Pow) else (e, ONE)


def add(*terms: ExprLike) -> Expr:
    """The sum, flat, with like terms collected.

    >>> n = Dim("n"); add(n, 1, n)
    2·n + 1
    """
    collected: dict[Expr, Fraction] = {}
    stack = [t if isinstance(t, Expr) else num(t) for t in reversed(terms)]
    while stack:
        term = stack.pop()
        if isinstance(term, Add):
            stack += term.args[::-1]
            continue
        coefficient, rest = split_coefficient(term)
        before = collected.get(rest)
        collected[rest] = coefficient if before is None else before + coefficient
    out = [rest if c is _ONE else mul(Num(c), rest) for rest, c in collected.items() if c]
    if not out:
        return ZERO
    return out[0] if len(out) == 1 else Add(*sorted(out, key=lambda t: t.key))


def mul(*factors: ExprLike) -> Expr:
    """The product, flat, with powers of equal bases collected; masks are idempotent.

    >>> n = Dim("n"); mul(n, 2, n, n**-1)
    2·n
    """
    coefficient = _ONE
    powers: dict[Expr, Expr] = {}
    stack = [f if isinstance(f, Expr) else num(f) for f in reversed(factors)]
    while stack:
        factor = stack.pop()
        if isinstance(factor, Num):
            value = factor.args[0]
            if value != 1:
                coefficient = value if coefficient is _ONE else coefficient * value
        elif isinstance(factor, Mul):
            stack += factor.args[::-1]
        elif isinstance(factor, Mask):
            powers[factor] = ONE
        else:
            base, exponent = factor.args if isinstance(factor, Pow) else (factor, ONE)
            before = powers.get(base)
            powers[base] = exponent if before is None else add(before, exponent)
    if coefficient is not _ONE and not coefficient:
        return ZERO
    out: list[Expr] = []
    for base, exponent in powers.items():
        p = base if exponent is ONE else power(base, exponent)
        if isinstance(p, Num):
            coefficient *= p.value
        elif isinstance(p, Mul):  # a number with a root, or a distributed integer power
            return mul(Num(coefficient), *out, p, *(power(b, x) for b, x in list(powers.items())[len(out) + 1 :]))
        else:
            out.append(p)
    single = coefficient is _ONE or coefficient == 1
    if not (single or coefficient):
        return ZERO
    if not out:
        return Num(coefficient)
    if single and len(out) == 1:
        return out[0]
    if len(out) == 1 and isinstance(out[0], Add):  # a number is handed to the terms, so that sums collect
        return Add(*(mul(Num(coefficient), t) for t in out[0].args))
    out.sort(key=lambda f: f.key)
    return Mul(*out) if single else Mul(Num(coefficient), *out)


def power(base: ExprLike, exponent: ExprLike) -> Expr:
    """``base ** exponent``, evaluated where that is exact.

    Exponents are merged only where the merge holds for every real base: ``(x**2)**(1/2)`` stays.
    """
    b, x = as_expr(base), as_expr(exponent)
    if isinstance(x, Num):
        exact = x.value
        if exact == 1:
            return b
        if exact == 0:
            return ONE
        whole = exact.denominator == 1
        if isinstance(b, Mask) and exact > 0:
            return b
        if isinstance(b, Num):
            if b.value == 1:
                return ONE
            if whole and (b.value or exact > 0) and abs(exact) < 1000:
                return Num(b.value ** int(exact))
        if whole and isinstance(b, Mul):
            return mul(*(power(f, x) for f in b.args))
        if whole and isinstance(b, Pow):
            return power(b.base, mul(b.exponent, x))
    return Pow(b, x)
