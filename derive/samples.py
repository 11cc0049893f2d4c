"""Gradients sample by sample: the sum over the batch that ends a gradient is not taken.

In: a program whose objective is a sum over samples, and a variable. Out: the derivation of an array with the batch in
front of the variable's axes, which sums to the gradient. Each sample is given the variable as its own; that no sample
sees what another one was given is established equation by equation.
"""

from __future__ import annotations

from derive.chain_rule import partials
from derive.errors import GradcError
from derive.expr import Access, Dim, Expr, Letter, Reduce, add, fresh, mul, power, sum_over
from derive.hoist import Namer, split_scale
from derive.pipeline import Derivation, finish, pulled_back
from derive.prepare import prepare
from derive.program import Equation, Program, Tensor, reads
from derive.rewrite import accesses, map_children, terms


def per_sample_gradient(program: Program, x: Tensor) -> Derivation:
    """The derivatives of the objective by x through each sample alone; what no sample acts on is shared out evenly.

    Raises GradcError where samples are mixed, or the objective is no sum over them.
    """
    if program.objective is None:
        raise GradcError("no objective: there is no gradient to take sample by sample")
    if program.batch is None:
        raise GradcError(f"{program.name} has no batch: there are no samples")
    prepared = prepare(program)
    own = _Lifted(prepared, x, program.batch)
    lifted = prepared.with_equations(own.equations, declared=(*prepared.declared, own.copies[x]))
    pulled = pulled_back(lifted, (own.copies[x],))
    before = set(own.equations)
    back = {copy: t for t, copy in own.copies.items()}
    new = [e.with_body(_dropped(e.body, back)) for e in pulled.equations if e not in before]
    bar = pulled.gradients[0][1]
    raw = prepared.with_equations([*prepared.equations, *new], gradients=((x, bar),))
    return finish(program, prepared, raw)


class _Lifted:
    """The equations with a copy of the variable for each sample, and of what is made of it before samples meet it."""

    def __init__(self, program: Program, x: Tensor, batch: Dim) -> None:
        self.x, self.batch = x, batch
        self.copies = {x: x.like(axes=(batch, *x.axes))}
        self.sampled: set[Tensor] = set()  # has the samples along an axis, and each place rests on its own sample
        self.pooled: set[Tensor] = set()  # a sum over samples
        active = self._active(program)
        for t in active - {x}:
            if batch in t.axes:
                self.sampled.add(t)
        self.equations = tuple(self._lift(e) if e.out in active else e for e in program.equations)
        if program.objective not in self.pooled:
            raise GradcError(f"no sample acts on the objective together with {x.name}")

    def _active(self, program: Program) -> set[Tensor]:
        active, before = {self.x}, 0
        while before < len(active):  # again for what a recurrence reads before it stands there
            before = len(active)
            active |= {e.out for e in program.equations if any(t in active for t in reads(e.body))}
        return active

    def _lift(self, e: Equation) -> Equation:
        mine = [a for a in e.letters if a.extent == self.batch]
        if len(mine) > 1:
            raise self._mixed(e)
        if mine:
            return e.with_body(self._at(e, e.body, mine[0]))
        read = set(reads(e.body))
        bound = [b for t in terms(e.body) for b in _binders(t) if b.extent == self.batch]
        if not bound and not read & self.pooled:
            m = fresh(self.batch, "n")
            copy = e.out.like(axes=(self.batch, *e.out.axes))
            self.copies[e.out] = copy
            return Equation(copy, (m, *e.letters), self._at(e, e.body, m), e.span, e.note)
        self.pooled.add(e.out)
        return e.with_body(add(*(self._collected(e, t) for t in terms(e.body))))

    def _collected(self, e: Equation, term: Expr) -> Expr:
        """A term of an equation behind the sum over samples."""
        read = set(reads(term))
        bound = [b for b in _binders(term) if b.extent == self.batch]
        if len(bound) > 1 or (bound and read & self.pooled):
            raise self._mixed(e)
        if bound:
            _, rest = split_scale(term)
            if not isinstance(rest, Reduce) or rest.op != "sum":
                raise self._mixed(e)
            return self._at(e, term, bound[0])
        if read & self.pooled:
            self._check_linear(e, term)
            return term
        if not read & set(self.copies):
            return term
        m = fresh(self.batch, "n")
        scale, rest = split_scale(self._at(e, term, m))
        if isinstance(rest, Reduce) and rest.op != "sum":
            raise GradcError(
                f"per-sample gradients of {self.x.name}: name the {rest.op} of {self.x.name} in {e.out.name}"
            )
        inner, binders = (rest.body, rest.binders) if isinstance(rest, Reduce) else (rest, ())
        return mul(power(self.batch, -1), scale, sum_over([m, *binders], inner))

    def _check_linear(self, e: Equation, term: Expr) -> None:
        moving = self.pooled | self.sampled | set(self.copies)
        for p in partials(e.with_body(term), moving, Namer(Program("")), lambda _: None):
            if moving & set(reads(p.factor)):
                raise GradcError(
                    f"per-sample gradients of {self.x.name}: the objective is no sum over samples, {e.out.name} is not "
                    f"linear in {p.access.tensor.name}"
                )

    def _at(self, e: Equation, body: Expr, sample: Letter) -> Expr:
        """``body`` for that sample: copies are read there, and nothing of another sample."""
        for a in accesses(body):
            places = [p for p, axis in zip(a.places, a.tensor.axes, strict=True) if axis == self.batch]
            if a.tensor in self.pooled or (a.tensor in self.sampled and places != [sample]):
                raise self._mixed(e)

        def visit(node: Expr) -> Expr:
            node = map_children(node, visit)
            copy = self.copies.get(node.tensor) if isinstance(node, Access) else None
            return node if copy is None or not isinstance(node, Access) else copy.at((sample, *node.places))

        return visit(body)

    def _mixed(self, e: Equation) -> GradcError:
        return GradcError(
            f"per-sample gradients of {self.x.name}: {e.out.name} mixes samples, so that none has a gradient of its own"
        )


def _binders(term: Expr) -> tuple[Letter, ...]:
    _, rest = split_scale(term)
    return rest.binders if isinstance(rest, Reduce) else ()


def _dropped(e: Expr, back: dict[Tensor, Tensor]) -> Expr:
    """``e`` with copies read as what they are copies of."""
    e = map_children(e, lambda c: _dropped(c, back))
    return back[e.tensor].at(e.places[1:]) if isinstance(e, Access) and e.tensor in back else e
