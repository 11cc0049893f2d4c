"""A derivative as a textbook states it: one formula over the names of the model alone.

In: a derived equation and its program. Out: an equal equation in which everything that gradc named is written out and
what that makes possible is shortened; the equation itself where that would cost an order more. For printing only:
code keeps its intermediates.
"""

from __future__ import annotations

from derive.contract import is_delta
from derive.cost import Cost, cost
from derive.display import is_gradcs, readable
from derive.expr import Access, Expr, MatrixCall, Reduce
from derive.extract import extract
from derive.factored import factored
from derive.facts import Facts
from derive.forms import effort
from derive.hoist import split_scale
from derive.in_shares import in_shares
from derive.lift import lift
from derive.normal import Normalizer, TooLargeError
from derive.program import Equation, Program, Tensor, reads
from derive.recognize import known_in, recognized
from derive.rewrite import factors, walk
from derive.simplify import MAX_NODES, inline

READABLE = 60  # nodes of a formula without names


def _is_whole(t: Tensor, program: Program) -> bool:
    """Whether it is a function of a whole matrix, an inverse say, which is no sum that could be shortened."""
    return isinstance(split_scale(program.defined[t].body)[1], MatrixCall)


def textbook(equation: Equation, program: Program) -> Equation:
    """The shortest formula for ``equation.out`` over the user's own names.

    What gradc named is written out name by name, the last first. The sum that a name stands for is shortened with the
    rest or kept as it is, whichever costs less.
    """
    kept = [e for e in program.equations if not is_gradcs(e.out, program) or _is_whole(e.out, program)]
    own = [written_out(e, program) for e in kept]
    normal = Normalizer(Facts(program.with_equations(e for e in own if e is not None)), keep_whole=True)
    body: Expr | None = equation.body
    candidates: list[Expr] = []
    while body is not None:
        candidates = [body, *_shortened(body, normal)]
        body = _without_a_name(min(candidates, key=_length), program)
    whole = written_out(equation, program)
    if whole is None:
        return readable(equation, program)
    candidates += [whole.body, *_shortened(whole.body, normal)]
    found = [equation.with_body(c) for c in candidates if _named(c, program) is None]
    best = min([c for c in found if lift(c) is not None] or found, key=lambda c: _length(c.body))
    body, shares = _in_shares(whole.body, best.body, program.with_equations(e for e in own if e is not None))
    body = factored(recognized(body, known_in(program), upright=True))
    dearer = cost(body, *(p.body for p in shares)).degree > _chain(equation, program).degree
    for p in reversed(shares):
        body = inline(body, p)
    best = best.with_body(body)
    short = readable(equation, program)
    spoken = lift(short) is not None and _named(short.body, program) is None
    return short if dearer and (lift(best) is None or spoken) else best


def _in_shares(whole: Expr, best: Expr, program: Program) -> tuple[Expr, list[Equation]]:
    """The shortest formula in terms of shares, with what they are; else the best without."""
    found = [in_shares(e, program) for e in (whole, best)]
    found = [(e, shares) for e, shares in found if shares] or [(best, [])]
    return min(found, key=lambda f: _length(f[0]))


def told_in_shares(equation: Equation, program: Program) -> Equation:
    """The equation over the user's own names in terms of shares, softmax(x), where all totals go by them.

    For what is shown by itself; the equation as it is where there are none, or where it and all that it rests on is
    shorter.
    """
    body, defined = equation.body, program.defined
    length = body.size
    while hidden := [t for t in reads(body) if t in defined and (t.hidden or t.kind == "cotangent")]:
        last = defined[max(hidden, key=lambda t: t.number)]
        length += last.body.size
        body = inline(body, last)
        if body.size > MAX_NODES:
            return equation
    kept = program.with_equations(e for e in program.equations if not e.out.hidden and e.out.kind != "cotangent")
    body, shares = in_shares(body, kept)
    if not shares or body.size > max(READABLE, length):
        return equation
    for p in reversed(shares):
        body = inline(body, p)
    whole = equation.with_body(body)
    return whole if lift(whole, diagonals=True) is not None or lift(equation, diagonals=True) is None else equation


def spelled_out(equation: Equation, program: Program) -> Equation:
    """The equation without names that nobody gave, where it stays readable and keeps its matrix form.

    For what is shown by itself. A sum that is read at several places is shorter by its name.
    """
    body, defined = equation.body, program.defined
    while hidden := [t for t in reads(body) if t in defined and (t.hidden or _is_nobodys(t, defined[t]))]:
        last = max(hidden, key=lambda t: t.number)
        sums = any(isinstance(x, Reduce) for x in walk(defined[last].body))
        if sums and sum(isinstance(x, Access) and x.tensor == last for x in walk(body)) > 2:
            return equation
        body = inline(body, defined[last])
        if body.size > READABLE:
            return equation
    whole = equation.with_body(body)
    form = lift(whole, diagonals=True)
    if form is None:
        return whole if lift(equation, diagonals=True) is None else equation
    for found in _shortened(body, Normalizer(Facts(program.with_equations(())), keep_whole=True)):
        short = lift(equation.with_body(found), diagonals=True)
        if short is not None and effort(short)[-1] < effort(form)[-1] and cost(found) < cost(body):
            return equation.with_body(found)
    return whole


def _is_nobodys(t: Tensor, definition: Equation) -> bool:
    """Whether it is the derivative by what gradc named, or the seed of a Jacobian, ∂Y/∂Y."""
    seed = all(is_delta(f) for f in factors(definition.body))
    return t.kind == "cotangent" and (seed or (t.primal is not None and t.primal.hidden))


def _length(e: Expr) -> tuple[Cost, int]:
    """What it costs, and how long it is."""
    return cost(e), e.size


def _shortened(e: Expr, normal: Normalizer) -> list[Expr]:
    """The extracted normal form, if its expansion is not too large."""
    try:
        return [extract(normal(e))]
    except TooLargeError:
        return []


def written_out(equation: Equation, program: Program) -> Equation | None:
    """The equation with every sum in it that gradc named; None where it gets too long."""
    body: Expr | None = equation.body
    while body is not None and _named(body, program) is not None:
        body = _without_a_name(body, program)
    return None if body is None else equation.with_body(body)


def _named(e: Expr, program: Program) -> Tensor | None:
    """The last of the tensors read that gradc named."""
    read, defined = set(reads(e)), program.defined
    found = (t for t in reversed(defined) if t in read and is_gradcs(t, program))
    return next((t for t in found if not _is_whole(t, program)), None)


def _without_a_name(e: Expr, program: Program) -> Expr | None:
    """``e`` with the last name of gradc's written out; None where there is none, or it gets too long."""
    named = _named(e, program)
    if named is None:
        return None
    unfolded = inline(e, program.defined[named])
    return unfolded if unfolded.size <= MAX_NODES else None


def _chain(equation: Equation, program: Program) -> Cost:
    """What the equation costs with all that it rests on, each computed once."""
    defined, seen, stack, total = program.defined, {equation.out}, [equation], Cost()
    while stack:
        e = stack.pop()
        total = total + cost(e.body)
        for t in reads(e.body):
            if t in defined and t not in seen and is_gradcs(t, program) and not _is_whole(t, program):
                seen.add(t)
                stack.append(defined[t])
    return total
