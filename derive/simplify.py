"""From raw cotangents to textbook forms.

In: a program with cotangents. Out: an equal one in which no equation costs more than it did, and a report of what
fired. Forward equations are taken as they are; their facts (ΣP = 1, E = P·S …) are what the cotangents are
simplified with. Cotangents that nobody asked for are inlined where that pays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from derive.cost import Cost, cost
from derive.expr import Access, Add, Compare, Expr, Letter, Reduce, add, mul, num, split_coefficient
from derive.extract import extract
from derive.facts import Facts, WithoutTotals
from derive.hoist import Namer, is_product, is_scale, split_scale
from derive.named_parts import NamedParts
from derive.normal import Normalizer, TooLargeError
from derive.program import Equation, Program, Tensor, reads
from derive.rewrite import factors, map_children, rename_binders, substitute, terms, walk
from derive.together import together

ROUNDS = 4
MAX_NODES = 3000
MAX_DEPTH = 8


@dataclass(frozen=True)
class Firing:
    """One thing that simplification did: the rule, the cotangent it served, what the equation cost before and after."""

    rule: str
    tensor: str
    before: Cost
    after: Cost

    def __str__(self) -> str:
        return f"{self.tensor}: {self.rule} ({self.before} → {self.after})"


@dataclass
class Report:
    """What fired, by name, and what was left as it was."""

    firings: list[Firing] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.firings), *self.kept])


class _Work:
    """The equations under simplification, the normalizer and the report, for one run."""

    def __init__(self, given: Program) -> None:
        self.given = given
        self.facts = Facts(given)
        self.sums, self.scales = Namer(given), dict[Tensor, Fraction]()
        for e in given.equations:
            if e.out.hidden and is_pointwise_sum(e.body):
                self.scales[e.out], one = monic(e.body)
                self.sums.remember(e.with_body(one))
        self.normal = Normalizer(self.facts, keep_whole=True)
        self.bare = Normalizer(WithoutTotals(self.facts), keep_whole=True)
        self.report = Report()
        self._reads: dict[Equation, frozenset[Tensor]] = {}
        self.refused = set[tuple[Equation, ...]]()  # what was not worth inlining, and where: it is not tried again

    def reads(self, e: Equation) -> frozenset[Tensor]:
        """The tensors that an equation reads, looked up once."""
        if e not in self._reads:
            self._reads[e] = frozenset(reads(e.body))
        return self._reads[e]

    def shortest(self, body: Expr) -> Expr:
        """The extracted normal form.

        Raises TooLargeError where there is none.
        """
        named = self.named(together(body))  # before a sum with a name is lost in what it is multiplied by
        candidates = dict.fromkeys((named, body, *self.unfolded(body), *self.without_sums(body)))
        return min((self.named(extract(self.normal(e))) for e in candidates), key=cost)

    def named(self, e: Expr) -> Expr:
        """``e`` with a sum that has a name in the forward program read by it: D for 1 − A², 2 D for 2 − 2 A²."""
        e = map_children(e, self.named)
        if not is_pointwise_sum(e):
            return e
        scale, one = monic(e)
        found = self.sums.find(one)
        return e if found is None else mul(num(scale / self.scales[found.tensor]), found)

    def without_sums(self, body: Expr) -> list[Expr]:
        """``body`` with these names written out, so that all of what is equal is found."""
        found = body
        for t in reads(body):
            if t in self.scales:
                found = inline(found, self.facts.defined[t])
        return [] if found is body else [found]

    def unfolded(self, body: Expr) -> list[Expr]:
        """``body`` with products that gradc named written out, where a factor within may cancel with one outside."""
        squares = self.facts.squares
        tensors = {f.tensor for rule in squares.cancelling for f in rule.factors}.union(squares.elements)
        found = body
        for _ in range(MAX_DEPTH if tensors else 0):
            names = [t for t in reads(found) if t.hidden and t in self.facts.defined]
            products = [self.facts.defined[t] for t in names if is_product(self.facts.defined[t].body)]
            inside = [e for e in products if tensors.intersection(reads(e.body))]
            if not inside:
                break
            found = inline(found, inside[0])
        return [] if found is body else [self.bare(found)]

    def improve(self, body: Expr, tensor: Tensor, rule: str = "normal form") -> Expr:
        """The cheaper of ``body`` and its extracted normal form."""
        before = Counter(self.facts.fired)
        try:
            short = self.shortest(body)
        except TooLargeError:
            self.report.kept.append(f"{tensor.name}: kept as derived, its expansion is too large")
            return body
        was, now = cost(body), cost(short)
        if now > was:
            return body
        if short != body:
            used = sorted((Counter(self.facts.fired) - before).keys())
            for name in [*used, rule] if now < was or used else []:
                self.report.firings.append(Firing(name, tensor.name, was, now))
        return short


def is_pointwise_sum(e: Expr) -> bool:
    """A sum of several terms, element by element."""
    return isinstance(e, Add) and bool(e.letters) and not any(isinstance(n, Reduce) for n in walk(e))


def monic(e: Expr) -> tuple[Fraction, Expr]:
    """A sum as a number times a sum, one of whose terms has no number in front: the same term of all its multiples."""
    scale, _ = min(map(split_coefficient, terms(e)), key=lambda t: t[1].key)
    return scale, mul(num(1 / scale), e)


def simplify(program: Program, given: Program) -> tuple[Program, Report]:
    """The program with its derived equations (those not in ``given``) in shortest form, and the report."""
    forward = given.equations
    backward = [e for e in program.equations if e not in set(forward)]
    work = _Work(given)
    backward = _shared([e.with_body(work.improve(e.body, e.out)) for e in backward], program)
    wanted = {bar for _, bar in program.gradients}
    for _ in range(ROUNDS):
        count = len(backward)
        backward = _inline_round(backward, wanted, work)
        if len(backward) == count:
            break
    return program.with_equations([*forward, *_by_name(backward, work)]), work.report


def _by_name(backward: list[Equation], work: _Work) -> list[Equation]:
    """The equations with products and sums in them that an equation before them is the name of.

    What gradc named is such a name where it is read anyway: otherwise the reader has one more to look up. A gradient
    that was given is none: a Hessian that reads it does not look symmetric.
    """
    read = frozenset[Tensor]().union(*(work.reads(e) for e in backward))
    given = [e.with_body(work.facts.valued(e.body)) for e in work.given.equations if not e.out.hidden or e.out in read]
    given = [e for e in given if e.out.primal not in work.given.declared]
    known, between = NamedParts(given), NamedParts([*given, *(e for e in backward if e.out in read)])
    out: list[Equation] = []
    for e in backward:
        body = (known if e.out in read else between).read(e.body)
        if body != e.body:
            work.report.firings.append(Firing("parts with a name", e.out.name, cost(e.body), cost(body)))
        out.append(e.with_body(body))
        known.remember(out[-1])
    return _behind_what_they_read(out)


def _behind_what_they_read(backward: list[Equation]) -> list[Equation]:
    """What reads a later equation, and is read by none, behind that."""
    index = {e.out: k for k, e in enumerate(backward)}
    last = {e.out: max((index[t] for t in reads(e.body) if t in index), default=-1) for e in backward}
    read = frozenset[Tensor]().union(*(reads(e.body) for e in backward))
    moved = {e.out for e in backward if e.out not in read and last[e.out] > index[e.out]}
    return sorted(backward, key=lambda e: (last[e.out], True) if e.out in moved else (index[e.out], False))


def _shared(backward: list[Equation], program: Program) -> list[Equation]:
    """What two cotangents have in common is read from the first: equal right sides, and sums over one."""
    namer = Namer(program)
    out = []
    backward = _summed_behind(backward, program)

    def found(e: Expr) -> Expr:
        return (namer.find(e) if e.letters and not isinstance(e, (Access, Letter)) else None) or e

    for equation in backward:
        parts = [split_scale(t) for t in terms(equation.body)]
        sums = [(c, replaced(r, found(r.body)) if isinstance(r, Reduce) and r.op == "sum" else r) for c, r in parts]
        shared = equation.with_body(found(add(*(mul(c, r) for c, r in sums))))
        namer.remember(equation)
        out.append(shared)
    return out


def _summed_behind(backward: list[Equation], program: Program) -> list[Equation]:
    """A gradient that nothing reads, and that sums up what a later cotangent is, stands behind that: db = 1ᵀ dZ."""
    namer, index = Namer(program), {e.out: k for k, e in enumerate(backward)}
    for e in backward:
        namer.remember(e)
    read = frozenset[Tensor]().union(*(reads(e.body) for e in backward))

    def place(e: Equation) -> tuple[int, bool]:
        rests = [split_scale(t)[1] for t in terms(e.body)] if e.out not in read else []
        summed = [namer.find(r.body) for r in rests if isinstance(r, Reduce) and r.op == "sum"]
        behind = max((index[a.tensor] for a in summed if a is not None and a.tensor in index), default=-1)
        return max(index[e.out], behind), behind > index[e.out]

    return sorted(backward, key=place)


def replaced(r: Reduce, body: Expr) -> Expr:
    """The same reduction of something else."""
    return r if body == r.body else Reduce(r.op, r.binders, body)


def _inline_round(backward: list[Equation], wanted: set[Tensor], work: _Work) -> list[Equation]:
    """Try each unasked cotangent once, from the loss to the inputs."""
    for candidate in list(backward):
        current = next((e for e in backward if e.out is candidate.out), None)
        if current is None or current.out in wanted:
            continue
        users = [e for e in backward if e is not current and current.out in work.reads(e)]
        if not users:
            backward = [e for e in backward if e is not current]
            continue
        replaced = None if (current, *users) in work.refused else _substituted(current, users, work)
        if replaced is None:
            work.refused.add((current, *users))
            continue
        table = {u.out: r for u, r in zip(users, replaced, strict=True)}
        backward = [table.get(e.out, e) for e in backward if e is not current]
    return backward


def _substituted(d: Equation, users: list[Equation], work: _Work) -> list[Equation] | None:
    """The users of ``d`` with its body in its place, if that is worth it."""
    fired = Counter(work.facts.fired)
    rest = split_scale(d.body)[1]
    number = is_scale(d.body)
    alias = number or isinstance(rest, Access) or all(_is_delta(f) for f in factors(rest))
    new = []
    for user in users:
        unfolded = inline(user.body, d)
        if unfolded.size > MAX_NODES:
            return None
        try:
            short = work.shortest(unfolded)
        except TooLargeError:
            return None
        new.append(user.with_body(unfolded if alias and cost(unfolded) < cost(short) else short))
    before = cost(d.body, *(u.body for u in users)) if len(users) == 1 else _total([d, *users])
    after = _total(new)
    hidden = d.out.primal is None or d.out.primal.hidden
    single = len(users) == 1 and hidden
    if number or after < before or (after == before and (alias or single)):
        used = sorted((Counter(work.facts.fired) - fired).keys())
        rule = "; ".join([f"{d.out.name} inlined", *used])
        for u, n in zip(users, new, strict=True):
            work.report.firings.append(Firing(rule, u.out.name, cost(u.body) + cost(d.body), cost(n.body)))
        return new
    return None


def _is_delta(e: Expr) -> bool:
    """[i == j] on letters: a Kronecker delta, which is cheaper nowhere than where it is used."""
    return isinstance(e, Compare) and e.op == "==" and all(isinstance(x, Letter) for x in (e.left, e.right))


def _total(equations: list[Equation]) -> Cost:
    total = Cost()
    for e in equations:
        total = total + cost(e.body)
    return total


def closed_form(program: Program, given: Program, result: Tensor) -> Equation:
    """The equation of ``result`` with every other derived equation inlined, where that is no slower in order.

    For printing: a Jacobian is one formula where it can be. The degree of its cost never rises.
    """
    derived = [e for e in program.equations if e.out not in given.defined]
    equation = next(e for e in derived if e.out is result)
    work = _Work(given)
    body = equation.body
    for d in reversed(derived):
        if d.out is not result and d.out in reads(body):
            body = inline(body, d)
    try:
        short = extract(work.normal(body))
    except TooLargeError:
        return equation
    gradients = (e for e in work.given.equations if e.out.primal in work.given.declared and e.out in reads(short))
    short = NamedParts(gradients, sums=True).read(short)  # dx dxᵀ where one of the two is read as dx already
    chain = [e for e in derived if e.out is result or e.out in _behind(derived, result)]
    return equation.with_body(short) if cost(short).degree <= _total(chain).degree else equation


def _behind(equations: list[Equation], result: Tensor) -> set[Tensor]:
    defined, found, stack = {e.out: e for e in equations}, set[Tensor](), [result]
    while stack:
        t = stack.pop()
        if t in defined and t not in found:
            found.add(t)
            stack.extend(reads(defined[t].body))
    return found


def inline(e: Expr, d: Equation) -> Expr:
    """``e`` with every access of ``d.out`` replaced by the definition there (its binders made new, once for each)."""
    known: dict[Expr, Expr] = {}

    def visit(node: Expr) -> Expr:
        if d.out not in node.tensors:
            return node
        if node not in known:
            own = isinstance(node, Access) and node.tensor is d.out
            known[node] = defined(node) if own else map_children(node, visit)  # type: ignore[arg-type]
        return known[node]

    def defined(node: Access) -> Expr:
        return substitute(rename_binders(d.body), dict(zip(d.letters, node.places, strict=True)))

    return visit(e)
