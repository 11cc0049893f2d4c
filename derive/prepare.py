"""Rewrite the forward program so that what derivation needs has a name.

In: a program as it was read. Out: an equal program (more equations) in which every reduction, every kernel
inside a reduction, every kernel that a derivative would otherwise divide by, and every shared sum is an
equation of its own. This is what makes the textbook's reuse (P, σ, x̂ …) possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from derive.expr import Access, Add, Call, Expr, MatrixCall, Num, Pow, Reduce, power
from derive.hoist import STEMS, Namer, guarded, hoist, is_scale, map_branches, ordered_letters, split_scale, standard
from derive.matrix_functions import MATRIX_FUNCTIONS, At
from derive.normal import Normalizer, TooLargeError
from derive.order import ordered
from derive.program import Equation, Program, Tensor
from derive.recognize import known_in, recognized
from derive.rewrite import accesses, map_children, substitute, terms, walk
from derive.roots import in_front_of_roots
from derive.square_products import by_factors

_STEMS = {"exp": "E", "tanh": "T", "erf": "R", "sigmoid": "S", "softplus": "S"}


def prepare(program: Program) -> Program:
    """The program with its hidden intermediates named, and equal ones shared."""
    known = known_in(program)
    own = (e.with_body(by_factors(in_front_of_roots(unfold(recognized(e.body, known))))) for e in program.equations)
    expanded = hoist(program.with_equations(own))
    wanted = _worth_a_name(expanded)
    namer = Namer(expanded)
    out: list[Equation] = []
    making: list[Tensor] = []

    def emit(equation: Equation) -> None:
        before, namer.around = namer.around, equation.letters
        known = namer.find(equation.body) if not isinstance(equation.body, (Access, Num)) else None
        namer.remember(equation)
        making.append(equation.out)
        body = (
            known if known is not None and known.tensor is not equation.out else map_branches(equation.body, visit, ())
        )
        making.pop()
        out.append(equation.with_body(body))
        namer.around = before

    def visit(e: Expr, given: tuple[Expr, ...]) -> Expr:
        if isinstance(e, Access):
            return e
        if isinstance(e, Pow) and isinstance(e.exponent, Num) and _key(positive := _positive_power(e)) in wanted:
            name = namer.name(guarded(positive, given), "s", emit)
            if name.tensor not in making:  # under its guard it stands in its own definition
                return name if positive == e else power(name, -1)
        if isinstance(e, (Call, Add)) and _key(e) in wanted:
            stem = _STEMS.get(e.function.name, "K") if isinstance(e, Call) else "D"
            name = namer.name(guarded(e, given), stem, emit)
            if name.tensor not in making:
                return name
        return map_branches(e, visit, given)

    for equation in expanded.equations:
        emit(equation)
    return ordered(with_slopes(hoist(expanded.with_equations(out))))


def with_slopes(program: Program) -> Program:
    """What the slopes of inverses, determinants and factors are made of, under names: A⁻¹ for log |det A|."""
    namer = Namer(program)
    out: list[Equation] = []

    def named(e: Reduce) -> Access:
        return namer.name(e, STEMS[e.op], out.append)

    for equation in program.equations:
        out.append(equation)
        namer.remember(equation)
        for node in (split_scale(t)[1] for t in terms(equation.body)):
            if isinstance(node, Reduce) and node.op in MATRIX_FUNCTIONS:
                _mark_symmetric(node, program.defined)
                places = node.places if isinstance(node, MatrixCall) else ()
                MATRIX_FUNCTIONS[node.op].slope(At(node, named), *places)
    return program.with_equations(out)


def _mark_symmetric(node: Reduce, defined: Mapping[Tensor, Equation]) -> None:
    """Let the matrix that a function is of say that it is symmetric, where its equation says so."""
    t = node.body.tensor if isinstance(node.body, Access) and node.body.places == node.binders else None
    if t is None or t.rank != 2 or t not in defined:
        return
    normal, (i, j) = Normalizer(), defined[t].letters
    with suppress(TooLargeError):
        t.symmetric = normal(defined[t].body) == normal(substitute(defined[t].body, {i: j, j: i}))


def unfold(e: Expr) -> Expr:
    """Unfold each defined function that hides a kernel (SiLU hides σ), down to those that are one (σ, relu)."""
    e = map_children(e, unfold)
    if isinstance(e, Call) and e.function.definition is not None:
        body = e.function.expand(*e.arguments)
        if any(_is_kernel(n) for c in body.children for n in walk(c)):
            return unfold(body)
    return e


def _is_kernel(e: Expr) -> bool:
    """A function value worth a name of its own: its derivative is short in terms of itself."""
    if isinstance(e, Call):
        definition = e.function.definition
        return e.function.name in ("tanh", "erf") or (definition is not None and _is_kernel(_outer(definition)))
    if isinstance(e, Pow) and isinstance(e.exponent, Num) and not is_scale(e.base):
        if e.exponent.value.denominator != 1:
            return True
        return e.exponent.value < 0 and isinstance(e.base, Add) and any(isinstance(n, Call) for n in walk(e.base))
    return False


def _outer(definition: Expr) -> Expr:
    """log(1 + e^z) counts as a kernel like 1/(1 + e^-z)."""
    if isinstance(definition, Call) and definition.function.name == "log":
        return power(definition.arguments[0], -1)
    return definition


def _positive_power(e: Pow) -> Expr:
    """√v for 1/√v: the positive power is the one that gets the name; reciprocals of sums stay whole."""
    assert isinstance(e.exponent, Num)
    v = e.exponent.value
    return power(e.base, Num(-v)) if v < 0 and v.denominator != 1 else e


def _key(e: Expr) -> Expr:
    return standard(e, ordered_letters(e))


def _worth_a_name(program: Program) -> set[Expr]:
    wanted: set[Expr] = set()
    sums: Counter[Expr] = Counter()
    for equation in program.equations:
        for node in walk(equation.body):
            if isinstance(node, Pow) and _is_kernel(node):
                wanted.add(_key(_positive_power(node)))
            elif isinstance(node, Call) and _is_kernel(node):
                wanted.add(_key(node))
            elif isinstance(node, Reduce):
                wanted.update(_key(n) for n in walk(node.body) if isinstance(n, Call) and n.function.name == "exp")
            elif (
                isinstance(node, Add)
                and node.letters
                and accesses(node)
                and not any(isinstance(n, Reduce) for n in walk(node))
            ):
                sums[_key(node)] += 1
    return wanted | {key for key, count in sums.items() if count > 1}
