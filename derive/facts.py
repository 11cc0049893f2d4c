"""What is known of a program, generated from its forward equations and declared properties.

In: a program. Out: tables that the normal form consults: totals (Σ_k of a product, as something shorter) and
quotients (E = P·S from P = E/S). Nothing in here is about a particular function: ΣP = 1 for a softmax is
found by normalizing the sum of its own definition.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from derive.expr import (
    ONE,
    Access,
    Compare,
    Expr,
    Letter,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    mul,
    power,
    split_power,
)
from derive.hoist import ordered_letters, reads_letters, split_scale, standard
from derive.normal import Normalizer, TooLargeError, sort_places
from derive.program import Equation, Program, Tensor, letters_for
from derive.rewrite import factors, map_children, substitute, terms, walk
from derive.squares import Squares
from derive.vanishing import Signs


class Facts:
    """Totals and quotients of one program; `fired` counts how often each was used, by name."""

    def __init__(self, program: Program) -> None:
        self.totals: dict[Expr, tuple[Expr, str]] = {}
        self.quotients: dict[Tensor, tuple[tuple[Letter, ...], Expr, str]] = {}
        self.fired: Counter[str] = Counter()
        self.defined = program.defined
        self.signs = Signs(self.defined)
        self.squares = Squares(lambda e: Normalizer(self)(e))
        for t in program.declared:
            self._declare(t)
        for equation in program.equations:
            if equation.out.dtype == "real":
                self._learn(equation)
        self.fired.clear()

    def access(self, e: Access) -> Expr | None:
        """An element as a quotient rule gives it."""
        rule = self.quotients.get(e.tensor)
        if rule is None:
            other = self.squares.access(e)
            if other is not None:
                self.fired[other[1]] += 1
            return None if other is None else other[0]
        letters, value, name = rule
        self.fired[name] += 1
        return substitute(value, dict(zip(letters, e.places, strict=True)))

    def total(self, e: Reduce) -> Expr | None:
        """The value of a known sum."""
        letters = ordered_letters(e)
        found = self.totals.get(self._key(e, letters))
        if found is None:
            return None
        value, name = found
        self.fired[name] += 1
        return substitute(value, {Letter(a.extent, -1000 - k): a for k, a in enumerate(letters)})

    def exponent(self, e: Access, n: int) -> int:
        """x² = x for data declared one-hot or binary, x² = 1 for signs."""
        if any(e.tensor.property(name) is not None for name in ("one_hot", "binary")):
            self.fired[f"{e.tensor.name} is 0 or 1"] += 1
            return 1
        if e.tensor.property("signs") is not None:
            self.fired[f"{e.tensor.name} is −1 or 1"] += 1
            return n % 2
        return n

    def places(self, e: Access) -> tuple[Expr, ...]:
        """Places of a symmetric matrix in canonical order."""
        return self.squares.places(e)

    def contracted(self, parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]] | None:
        """The factors of a sum without those that cancel, and the letters that are left; None where none do."""
        found = self.squares.contracted(parts, bound)
        if found is None:
            return None
        self.fired[found[2]] += 1
        return found[:2]

    def unmasked(self, parts: list[Expr]) -> list[Expr]:
        """The factors of a product without masks that are 0 only where it is 0 without them."""
        found = self.signs.without_idle_masks(parts)
        if found is not parts:
            self.fired["a mask where the value is 0 anyway"] += 1
        return found

    def _key(self, e: Expr, letters: tuple[Letter, ...]) -> Expr:
        return sort_places(standard(e, letters), self)

    def _declare(self, t: Tensor) -> None:
        self.squares.declare(t)
        for name in ("one_hot", "simplex"):
            p = t.property(name)
            if p is not None and p.axis is not None:
                letters = letters_for(t.axes)
                total = Reduce("sum", (letters[p.axis],), t.at(letters))
                self._total(total, ONE, f"Σ {t.name} = 1 ({name})")

    def _total(self, total: Expr, value: Expr, name: str) -> None:
        normal = Normalizer(WithoutTotals(self))(total)
        if isinstance(normal, Mul):  # in front of the sum stand only what it is divided by
            outside = [f for f in normal.args if not isinstance(f, Reduce)]
            inside = [f for f in normal.args if isinstance(f, Reduce)]
            if len(inside) == 1 and all(map(_negative, outside)):
                normal, value = inside[0], mul(value, *(power(f, -1) for f in outside))
        if isinstance(normal, Reduce) and normal != value:
            letters = ordered_letters(normal)
            if not value.letters <= set(letters):
                return
            table = {a: Letter(a.extent, -1000 - k) for k, a in enumerate(letters)}
            self.totals.setdefault(self._key(normal, letters), (substitute(value, table), name))

    def _learn(self, equation: Equation) -> None:
        body = equation.body
        with suppress(TooLargeError):
            self.squares.learn(equation, self.defined)
        scale, rest = split_scale(body)
        if isinstance(rest, Reduce):
            if rest.op == "sum" and len(terms(rest.body)) == 1:
                value = mul(equation.left, power(scale, -1))
                for total in (rest, self._written_out(rest)):
                    self._total(total, value, f"Σ is {equation.out.name}")
            return
        if any(isinstance(n, Reduce) for n in walk(body)):
            return
        for k, letter in enumerate(equation.letters):
            self._own_total(equation, k, letter)
        self._quotient(equation)
        self._alias(equation)

    def _written_out(self, e: Expr) -> Expr:
        """``e`` with products of elements that gradc named written out."""
        if not isinstance(e, Access) or not self._is_own_product(e.tensor):
            return map_children(e, self._written_out)
        equation = self.defined[e.tensor]
        return self._written_out(substitute(equation.body, dict(zip(equation.letters, e.places, strict=True))))

    def _is_own_product(self, t: Tensor) -> bool:
        if t not in self.defined or not (t.hidden or t.kind == "cotangent"):
            return False
        return all(isinstance(split_power(f)[0], (Access, Num)) for f in factors(self.defined[t].body))

    def _own_total(self, equation: Equation, axis: int, letter: Letter) -> None:
        """Σ over an axis of a pointwise tensor, where no sum remains: ΣP = 1, Σ(x − μ) = 0."""
        try:
            value = Normalizer(self)(Reduce("sum", (letter,), equation.body))
        except TooLargeError:
            return
        if not any(isinstance(n, Reduce) for n in walk(value)):
            total = Reduce("sum", (letter,), equation.left)
            self._total(total, value, f"Σ {equation.out.name} over axis {axis} is {value!r}")

    def _quotient(self, equation: Equation) -> None:
        """From T = c·A/B: A is T·B/c, where A is an intermediate over T's own axes."""
        scale, rest = split_scale(equation.body)
        above = [f for f in factors(rest) if not _negative(f)]
        below = [f for f in factors(rest) if _negative(f)]
        if len(above) != 1 or not below:
            return
        a = above[0]
        if not isinstance(a, Access) or a.tensor not in self.defined or a.tensor in self.quotients:
            return
        places = reads_letters(a)
        if places is None or set(places) != set(equation.letters):
            return
        if not all(isinstance(split_power(b)[0], Access) for b in below):
            return
        value = mul(equation.left, *(power(b, -1) for b in below), power(scale, -1))
        name = f"{a.tensor.name} in terms of {equation.out.name}"
        self.quotients[a.tensor] = (places, value, name)

    def _alias(self, equation: Equation) -> None:
        """From T = (c if x == a else U), where U is c at x = a anyway: U is T."""
        other = self._felt_by_slopes_alone(equation.body)
        if other is None or other.tensor in self.quotients:
            return
        places = reads_letters(other)
        if places is not None and set(places) == set(equation.letters):
            self.quotients[other.tensor] = (places, equation.left, f"{other.tensor.name} is {equation.out.name}")

    def valued(self, e: Expr) -> Expr:
        """``e`` without choices that only slopes feel: √v for (0 if v == 0 else √v), whose slope is 0 at 0."""
        if not any(isinstance(n, Select) for n in walk(e)):
            return e
        e = map_children(e, self.valued)
        return self._felt_by_slopes_alone(e) or e

    def _felt_by_slopes_alone(self, e: Expr) -> Access | None:
        """U, where ``e`` is (c if x == a else U) and U is c at x = a anyway; None where it is not."""
        if not isinstance(e, Select) or not isinstance(e.mask, Compare) or e.mask.op not in ("==", "!="):
            return None
        here, other = (e.chosen, e.other) if e.mask.op == "==" else (e.other, e.chosen)
        if not isinstance(other, Access) or other.tensor not in self.defined:
            return None
        definition = self.defined[other.tensor]
        there = substitute(definition.body, dict(zip(definition.letters, other.places, strict=True)))
        return other if Normalizer()(substitute(there, {e.mask.right: e.mask.left})) == here else None


class WithoutTotals:
    """Facts without totals: for a total's own left side, and to find what cancels within products that have names."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def access(self, e: Access) -> Expr | None:
        return self.facts.access(e)

    def total(self, e: Reduce) -> Expr | None:
        return None

    def exponent(self, e: Access, n: int) -> int:
        return self.facts.exponent(e, n)

    def places(self, e: Access) -> tuple[Expr, ...]:
        return self.facts.places(e)

    def contracted(self, parts: list[Expr], bound: list[Letter]) -> tuple[list[Expr], list[Letter]] | None:
        return self.facts.contracted(parts, bound)

    def unmasked(self, parts: list[Expr]) -> list[Expr]:
        return self.facts.unmasked(parts)


def _negative(e: Expr) -> bool:
    return isinstance(e, Pow) and isinstance(e.exponent, Num) and e.exponent.value < 0
