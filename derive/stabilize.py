"""The last rewrites: forms that stay finite in floating point where the mathematics does.

In: a derived and simplified program. Out: an equal one for the code, and the names of what fired. It stands outside the
proofs: formulas are printed from the program before it. Every rule is one function in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from derive.expr import (
    ONE,
    Access,
    Add,
    Call,
    Expr,
    Letter,
    Mul,
    Num,
    Pow,
    Reduce,
    Select,
    add,
    call,
    compare,
    mul,
    num,
    power,
    select,
    split_coefficient,
    split_power,
)
from derive.functions import EXPM1, LOG1P, PRIMITIVES
from derive.hoist import Namer, split_scale
from derive.program import Equation, Program, Tensor
from derive.rewrite import factors, map_children, substitute

EXP, LOG = PRIMITIVES["exp"], PRIMITIVES["log"]
Definitions = dict[Tensor, Equation]
Rule = Callable[[Expr, Definitions], Expr | None]


def stabilize(program: Program) -> tuple[Program, list[str]]:
    """The program in stable form, and one line for each rewrite that fired."""
    fired: dict[str, None] = {}
    program = _open_logarithms(program, fired)
    program = _shift_exponentials(program, fired)

    def rewrite(e: Expr) -> Expr:
        e = map_children(e, rewrite)
        for name, rule in RULES:
            better = rule(e, definitions)
            if better is not None:
                fired.setdefault(f"{current.out.name}: {name}")
                return rewrite(better)
        if isinstance(e, Call) and e.function.definition is not None and e.function not in (LOG1P, EXPM1):
            opened = e.function.expand(*e.arguments)
            better = rewrite(opened)
            return e if better == opened else better
        return e

    definitions = program.defined
    out = []
    for current in program.equations:
        out.append(current.with_body(rewrite(current.body)))
    return program.with_equations(out), list(fired)


# --- logarithms of quotients, and shifts ----------------------------------------------------------------


def _exponent(e: Expr, definitions: Definitions) -> Expr | None:
    """X where ``e`` is exp(x), or an element of a tensor defined so."""
    if isinstance(e, Call) and e.function == EXP:
        return e.arguments[0]
    if isinstance(e, Access) and e.tensor in definitions:
        d = definitions[e.tensor]
        if isinstance(d.body, Call) and d.body.function == EXP:
            return substitute(d.body.arguments[0], dict(zip(d.letters, e.places, strict=True)))
    return None


def _open_logarithms(program: Program, fired: dict[str, None]) -> Program:
    """log(E/S) with E = exp(x) is x − log S, so that no probability has to be positive in floating point."""
    definitions = program.defined

    def visit(e: Expr) -> Expr:
        e = map_children(e, visit)
        if isinstance(e, Call) and e.function == LOG:
            p = e.arguments[0]
            d = definitions.get(p.tensor) if isinstance(p, Access) else None
            body, name = p, current.out.name
            if isinstance(p, Access) and d is not None:
                body, name = substitute(d.body, dict(zip(d.letters, p.places, strict=True))), p.tensor.name
            if isinstance(body, Mul):
                parts = [split_power(f) for f in factors(body)]
                exponents = [_exponent(b, definitions) for b, _ in parts]
                if any(x is not None for x in exponents) and all(b.letters for b, _ in parts):
                    fired.setdefault(f"log {name}: logarithm of a quotient taken apart")
                    return add(
                        *(
                            mul(k, x if x is not None else call(LOG, b))
                            for (b, k), x in zip(parts, exponents, strict=True)
                        )
                    )
        return e

    out = []
    for current in program.equations:
        out.append(current.with_body(visit(current.body)))
    return program.with_equations(out)


def _shift_exponentials(program: Program, fired: dict[str, None]) -> Program:
    """Where only the ratio of exp(x) to Σ exp(x) matters (or log Σ exp(x)), exp(x − max x) takes its place."""
    for equation in program.equations:
        body = equation.body
        if not isinstance(body, Reduce) or body.op != "sum" or equation.out in _kept(program):
            continue
        e = body.body
        x = _exponent(e, program.defined)
        if x is None or not isinstance(e, Access) or e.tensor in _kept(program):
            continue
        letters_known = set(e.places) == {*equation.letters, *body.binders} and len(set(e.places)) == len(e.places)
        if letters_known and _shift_invariant(program, e.tensor, equation):
            program = _shifted(program, equation, body, e, x)
            fired.setdefault(f"{equation.out.name}: exponentials shifted by their maximum")
    return program


def _kept(program: Program) -> set[Tensor]:
    return {*program.outputs, *([program.objective] if program.objective else []), *(b for _, b in program.gradients)}


Weights = dict[tuple[Expr, ...], Expr]  # how often the factor exp(−shift) of a row stands in a product


def _shift_invariant(program: Program, e: Tensor, s: Equation) -> bool:
    """Whether all that is kept stays as it is when a row of E and the element of S are scaled by one factor.

    Each expression is a product of such factors, row by row, or it is not homogeneous and the answer is no.
    """
    total = split_scale(s.body)[1]
    assert isinstance(total, Reduce)
    assert isinstance(total.body, Access)
    row_of_e = [total.body.places.index(a) for a in s.letters]
    known: dict[Tensor, tuple[tuple[Letter, ...], Weights]] = {}

    def row(x: Access) -> tuple[Expr, ...]:
        return x.places if x.tensor is s.out else tuple(x.places[k] for k in row_of_e)

    def weights(x: Expr) -> Weights | None:
        match x:
            case Access() if x.tensor in (e, s.out):
                return {row(x): ONE}
            case Access() if x.tensor in known:
                letters, own = known[x.tensor]
                table = dict(zip(letters, x.places, strict=True))
                return {tuple(substitute(p, table) for p in places): k for places, k in own.items()}
            case Call() if x.function == LOG and isinstance(x.arguments[0], Access) and x.arguments[0].tensor is s.out:
                return {}
            case Mul():
                return _product_of(weights(f) for f in x.args)
            case Pow() if isinstance(x.exponent, Num):
                base = weights(x.base)
                return None if base is None else {places: mul(k, x.exponent) for places, k in base.items()}
            case Add():
                return _common([weights(t) for t in x.args])
            case Select():
                both = _common([weights(x.chosen), weights(x.other)])
                return both if weights(x.mask) == {} else None
            case Reduce() if x.op == "sum":
                inside = weights(x.body)
                bound = frozenset(x.binders)
                mixed = any(p.letters & bound for places in inside or () for p in places)
                return None if mixed else inside
        return {} if all(weights(c) == {} for c in x.children) else None

    kept = _kept(program)
    for q in program.equations:
        if q.out is e or q.out is s.out:
            continue
        found = weights(q.body)
        if found is None or (found and q.out in kept):
            return False
        if found:
            known[q.out] = (q.letters, found)
    return True


def _product_of(parts: Iterable[Weights | None]) -> Weights | None:
    out: Weights = {}
    for part in parts:
        if part is None:
            return None
        for places, k in part.items():
            out[places] = add(out.get(places, num(0)), k)
    return {places: k for places, k in out.items() if k != num(0)}


def _common(parts: list[Weights | None]) -> Weights | None:
    return parts[0] if all(p == parts[0] for p in parts) else None


def _shifted(program: Program, s: Equation, total: Reduce, e: Access, x: Expr) -> Program:
    namer = Namer(program)
    m = Tensor(namer.unique("M"), s.out.axes, hidden=True)
    places = dict(zip(e.places, program.defined[e.tensor].letters, strict=True))
    shift = m.at(substitute(a, places) for a in s.letters)
    log_s = Tensor(namer.unique("lse"), s.out.axes, hidden=True)

    def visit(node: Expr) -> Expr:
        if isinstance(node, Call) and node.function == LOG and isinstance(node.arguments[0], Access):
            a = node.arguments[0]
            if a.tensor is s.out:
                return log_s.at(a.places)
        return map_children(node, visit)

    out: list[Equation] = []
    for q in program.equations:
        if q.out is e.tensor:
            out.append(Equation(m, s.letters, Reduce("max", total.binders, x)))
            own = _exponent(q.left, program.defined)
            assert own is not None
            out.append(q.with_body(call(EXP, own - shift)))
        elif q.out is s.out:
            out.append(q)
            out.append(Equation(log_s, s.letters, m.at(s.letters) + call(LOG, s.left)))
        else:
            out.append(q.with_body(visit(q.body)))
    return program.with_equations(out)


# --- local rules ----------------------------------------------------------------------------------------


def _sigmoid_argument(e: Expr, definitions: Definitions) -> Expr | None:
    """Z where ``e`` is 1/(1 + exp(−z)), or an element of a tensor defined so."""
    if isinstance(e, Access) and e.tensor in definitions:
        d = definitions[e.tensor]
        z = _sigmoid_argument(d.body, definitions) if not isinstance(d.body, Access) else None
        return None if z is None else substitute(z, dict(zip(d.letters, e.places, strict=True)))
    if isinstance(e, Call) and e.function.definition is not None:
        return _sigmoid_argument(e.function.expand(*e.arguments), definitions)
    if isinstance(e, Pow) and e.exponent == num(-1) and isinstance(e.base, Add):
        u = [t for t in e.base.args if t != ONE]
        if len(u) == 1 and len(e.base.args) == 2:
            x = _exponent(u[0], definitions)
            return None if x is None else mul(-1, x)
    return None


def _softplus(x: Expr) -> Expr:
    """log(1 + e^x) without overflow: max(x, 0) + log1p(e^−|x|)."""
    positive = compare("<=", 0, x)
    magnitude = select(positive, x, mul(-1, x))
    return add(select(positive, x, 0), call(LOG1P, call(EXP, mul(-1, magnitude))))


def _log_sigmoid(e: Expr, definitions: Definitions) -> Expr | None:
    if not isinstance(e, Call) or e.function != LOG:
        return None
    z = _sigmoid_argument(e.arguments[0], definitions)
    if z is not None:
        return mul(-1, _softplus(mul(-1, z)))
    z = _sigmoid_argument(add(1, mul(-1, e.arguments[0])), definitions)
    return None if z is None else mul(-1, _softplus(z))


def _log_of_one_plus_exp(e: Expr, definitions: Definitions) -> Expr | None:
    if isinstance(e, Call) and e.function.definition is not None and e.function != LOG1P:
        inner = e.function.expand(*e.arguments)
        return _log_of_one_plus_exp(inner, definitions) if isinstance(inner, Call) else None
    if isinstance(e, Call) and e.function == LOG and isinstance(e.arguments[0], Add):
        rest = [t for t in e.arguments[0].args if t != ONE]
        if len(rest) == 1 and len(e.arguments[0].args) == 2 and isinstance(rest[0], Call) and rest[0].function == EXP:
            return _softplus(rest[0].arguments[0])
    return None


def _log_of_cosh(e: Expr, definitions: Definitions) -> Expr | None:
    """log(cosh(x)) is |x| + log1p(e^−2|x|) − log 2, which cannot overflow."""
    x = e.arguments[0] if isinstance(e, Call) and e.function == LOG else None
    if not isinstance(x, Call) or x.function != PRIMITIVES["cosh"]:
        return None
    x = x.arguments[0]
    magnitude = select(compare("<=", 0, x), x, mul(-1, x))
    return add(magnitude, call(LOG1P, call(EXP, mul(-2, magnitude))), mul(-1, call(LOG, num(2))))


def _log_of_one_plus(e: Expr, definitions: Definitions) -> Expr | None:
    if isinstance(e, Call) and e.function == LOG and isinstance(e.arguments[0], Add) and ONE in e.arguments[0].args:
        return call(LOG1P, add(e.arguments[0], -1))
    return None


def _exp_minus_one(e: Expr, definitions: Definitions) -> Expr | None:
    """c·exp(x) − c is c·expm1(x)."""
    if not isinstance(e, Add):
        return None
    for t in e.args:
        coefficient, rest = split_coefficient(t)
        if isinstance(rest, Call) and rest.function == EXP and num(-coefficient) in e.args:
            others = [u for u in e.args if u is not t and u != num(-coefficient)]
            return add(*others, mul(coefficient, call(EXPM1, rest.arguments[0])))
    return None


def _logistic_quotient(e: Expr, definitions: Definitions) -> Expr | None:
    """u^p/(1 + u)^q with u = exp(a), 0 < p ≤ q: (1/(1 + 1/u))^p · (1/(1 + u))^(q−p), which cannot overflow."""
    if not isinstance(e, Mul):
        return None
    for f in e.args:
        base, exponent = split_power(f)
        if not isinstance(base, Add) or not isinstance(exponent, Num) or exponent.value >= 0 or len(base.args) != 2:
            continue
        u = next((t for t in base.args if t != ONE), None)
        if u is None or ONE not in base.args or not isinstance(u, Call) or u.function != EXP:
            continue
        for g in e.args:
            inner, p = split_power(g)
            if inner == u and isinstance(p, Num) and 0 < p.value <= -exponent.value:
                rest = [h for h in e.args if h is not f and h is not g]
                inverse = add(1, call(EXP, mul(-1, u.arguments[0])))
                return mul(*rest, power(inverse, -p.value), power(base, p.value + exponent.value))
    return None


RULES: tuple[tuple[str, Rule], ...] = (
    ("log σ by softplus", _log_sigmoid),
    ("softplus without overflow", _log_of_one_plus_exp),
    ("log cosh without overflow", _log_of_cosh),
    ("log1p", _log_of_one_plus),
    ("expm1", _exp_minus_one),
    ("logistic quotient", _logistic_quotient),
)
