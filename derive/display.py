"""What a person is shown of a derived equation: products that gradc named are written out, other names explained.

In: a derived equation and the program that it is part of. Out: the same equation over the user's tensors as far as
products go (X w for a hidden S), and the hidden definitions that it still rests on (E = exp(Z)).
"""

from __future__ import annotations

from collections.abc import Mapping

from derive.cases import term_by_term
from derive.contract import is_delta
from derive.expr import Access, Add, Call, Expr, Pow, Reduce, Select
from derive.extract import extract, in_front
from derive.facts import Facts
from derive.forms import effort
from derive.functions import ABS, PRIMITIVES
from derive.hoist import is_product, split_scale
from derive.lift import lift
from derive.matrix_functions import MATRIX_FUNCTIONS
from derive.normal import Normalizer, TooLargeError
from derive.norms import Norms
from derive.program import Equation, Program, Tensor, reads
from derive.recognize import known_in, recognized
from derive.rewrite import factors, walk
from derive.shares import all_shares, declared
from derive.simplify import MAX_NODES, inline
from derive.spread import in_contractions
from derive.together import under_one_sum
from derive.turned import turned

_KERNELS = (PRIMITIVES["exp"], ABS)
_LONG = 100  # nodes above which names read better than what they stand for


def is_plain(program: Program) -> bool:
    """Whether nothing between the variables and the objective has a name of the user's: no network."""
    return all(is_gradcs(e.out, program) for e in program.equations)


def is_gradcs(t: Tensor, program: Program) -> bool:
    """Whether gradc named it: the objective too has its name from gradc."""
    return t.hidden or t.kind != "value" or t is program.objective


def readable(equation: Equation, program: Program) -> Equation:
    """The equation with hidden matrix products written out, but for what has a line of its own beside other things."""
    if equation.out.kind != "value" or equation.span is None:
        equation = _in_functions(equation, program)
    equation = _in_shares(equation, program)
    equation = _in_contractions(_written_out(equation, program))
    if equation.span is not None:
        return equation
    equation = _no_longer(equation, equation.with_body(under_one_sum(equation.body)))
    return equation.with_body(turned(in_front(term_by_term(equation.body))))


def _written_out(equation: Equation, program: Program) -> Equation:
    """The equation with what gradc's names stand for where that says itself what it is.

    A product of matrices may be longer so, as far as that is one product of matrices. Beside other things, and in
    indices, what has a line of its own is read by its name.
    """
    chained, told = _is_matrix_product(equation.body), _told(program)
    named = _inlined(equation, program, told if equation.span is None else frozenset())
    if not chained:
        return named
    whole = _inlined(equation, program, frozenset())
    return whole if whole.body == named.body or lift(whole) is not None else named


def _inlined(equation: Equation, program: Program, kept: frozenset[Tensor]) -> Equation:
    """The equation with hidden products and norms in the place of their names, but for those that are ``kept``."""
    norms, defined = Norms(program.defined), program.defined
    for _ in range(len(defined)):
        hidden = [t for t in reads(equation.body) if t.hidden and t in defined and t not in kept]
        products = [t for t in hidden if is_written_out(defined[t].body) or _is_norm(t, norms)]
        scaled = {t: e for t in hidden if (e := _of_diagonal(defined[t])) is not None}
        if not products and not scaled:
            break
        first = (products or list(scaled))[0]
        equation = equation.with_body(inline(equation.body, scaled.get(first, defined[first])))
    return equation


def _of_diagonal(equation: Equation) -> Equation | None:
    """A product with a diagonal matrix, Σ_k X[i,k] a[k] [k == j], as X[i,j] a[j]; None for anything else."""
    body = split_scale(equation.body)[1]
    if not isinstance(body, Reduce) or body.op != "sum" or not any(map(is_delta, factors(body.body))):
        return None
    found = Normalizer()(equation.body)
    return None if found.reduces or isinstance(found, Add) else equation.with_body(found)


def _told(program: Program) -> frozenset[Tensor]:
    """The names of gradc's that have a line: cotangents, and what these are the cotangents of.

    Where nothing else has a name, nothing has a line; nor has it where one result is printed alone, as a Hessian is.
    """
    cotangents = frozenset(e.out for e in program.equations if e.out.kind == "cotangent")
    alone = is_plain(program) or not program.gradients
    return cotangents.union(() if alone else (t.primal for t in cotangents if t.primal is not None))


def _is_matrix_product(e: Expr) -> bool:
    """Whether it is a product of matrices, or of two vectors that share no axis."""
    parts = [f for f in factors(e) if f.letters]
    apart = len(parts) > 1 and len(frozenset().union(*(f.letters for f in parts))) == sum(len(f.letters) for f in parts)
    return is_product(e) or (apart and all(isinstance(f, Access) for f in parts))


def _in_contractions(equation: Equation) -> Equation:
    """The equation with sums of products of matrices apart, where its matrix form is shorter so."""
    apart = equation.with_body(in_contractions(equation.body))
    if apart.body is equation.body:
        return equation
    was, now = (lift(e) for e in (equation, apart))
    return apart if now is not None and (was is None or effort(now)[-1] < effort(was)[-1]) else equation


def _no_longer(equation: Equation, other: Equation) -> Equation:
    """The other one where its matrix form is no longer; in indices it is shorter."""
    if other.body == equation.body:
        return equation
    was, now = (lift(e) for e in (equation, other))
    return other if was is None or (now is not None and effort(now)[-1] <= effort(was)[-1]) else equation


def _is_norm(t: Tensor, norms: Norms) -> bool:
    """Whether it is ‖x‖² or ‖x‖, which says itself what it is."""
    body = norms.defined[t].body
    return not t.axes and (norms.root(body) is not None) and not isinstance(body, Select)


def _in_shares(equation: Equation, program: Program) -> Equation:
    """The equation without gradc's names of exponentials and their totals, where all of them are shares: softmax(x)."""
    body, defined = equation.body, program.defined
    while named := [t for t in reads(body) if t.hidden and t in defined and _is_of_shares(defined[t].body, defined)]:
        body = inline(body, defined[max(named, key=lambda t: t.number)])
        if body.size > MAX_NODES:
            return equation
    if body is equation.body or not all_shares(body):
        return equation
    found = equation.with_body(body)
    return found if lift(found) is not None else equation


def _is_of_shares(e: Expr, defined: Mapping[Tensor, Equation]) -> bool:
    """Whether it is one of those that shares are made of, or the total of them."""
    if isinstance(e, Reduce) and e.op == "sum" and isinstance(e.body, Access) and e.body.tensor in defined:
        return e.body.tensor.hidden and _is_of_shares(defined[e.body.tensor].body, defined)
    return isinstance(e, Call) and e.function.name in declared()


def _in_functions(equation: Equation, program: Program) -> Equation:
    """The equation without gradc's names of exponentials and absolute values, where that is shorter or ends in σ."""
    body, defined = equation.body, program.defined
    while (kernel := _kernel(body, defined)) is not None and body.size <= MAX_NODES:
        body = inline(body, kernel)
    if body is equation.body or not any(isinstance(n, Pow) and isinstance(n.base, Add) for n in walk(body)):
        return equation
    functions = known_in(program)
    try:
        found = recognized(extract(Normalizer(Facts(program.with_equations(())))(body)), functions)
    except TooLargeError:
        return equation
    calls = {n.function for n in walk(found) if isinstance(n, Call)}
    was, now = (e.size for e in (equation.body, found))
    better = now < was or (now <= _LONG and PRIMITIVES["exp"] not in calls and not calls.isdisjoint(functions))
    return equation.with_body(found) if better else equation


def _kernel(e: Expr, defined: Mapping[Tensor, Equation]) -> Equation | None:
    """The definition of a name of gradc's that such a function stands in, under further such names too."""
    return next((defined[t] for t in reads(e) if _is_kernel(t, defined)), None)


def _is_kernel(t: Tensor, defined: Mapping[Tensor, Equation]) -> bool:
    hidden = t.hidden or (t.primal is not None and t.primal.hidden and t.kind == "cotangent")
    if not hidden or t not in defined or defined[t].body.reduces:
        return False
    own = any(isinstance(n, Call) and n.function in _KERNELS for n in walk(defined[t].body))
    return own or any(_is_kernel(u, defined) for u in reads(defined[t].body))


def definitions(equation: Equation, program: Program) -> list[Equation]:
    """The hidden forward equations that a readable equation rests on, in the program's order.

    Where the equation is the cotangent of a hidden tensor, that tensor's own is among them.
    """
    defined = program.defined
    found: dict[Tensor, Equation] = {}
    norms = Norms(defined)
    stack = [equation]
    primal = equation.out.primal
    if primal is not None and primal.hidden and primal in defined:
        found[primal] = readable(defined[primal], program)
        stack.append(found[primal])
    while stack:
        e = stack.pop()
        for t in reads(norms.printed(e.body, own=e.span is None)):
            if t.hidden and t.kind == "value" and t in defined and t not in found:
                found[t] = readable(defined[t], program)
                stack.append(found[t])
    return [found[e.out] for e in program.equations if e.out in found]


def is_written_out(e: Expr) -> bool:
    """Whether a formula shows what a name stands for: a product, a function of a whole matrix."""
    rest = split_scale(e)[1]
    return is_product(e) or (isinstance(rest, Reduce) and rest.op in MATRIX_FUNCTIONS)
