"""δ-notation: cotangents of pre-activations, numbered by layer.

In: a derived program. Out: the same gradients with δ of each layer written through δ of the next, and the numbers.
A pre-activation is found by structure, not by name: its equation multiplies a parameter by what it was given.
"""

from __future__ import annotations

from collections import Counter

from derive.expr import Access, Expr, Num, Reduce
from derive.program import Equation, Program, Tensor, reads
from derive.rewrite import accesses, factors, rename_binders, substitute, terms, walk
from derive.shapes import show_extent


def layers(program: Program) -> dict[Tensor, int]:
    """The pre-activations in forward order, counted from 1.

    What is multiplied with another computed matrix (a query with a key) is no pre-activation.
    """
    forward = [e for e in program.equations if e.out.kind == "value"]
    mixed = set[Tensor]()
    for node in (n for e in forward for n in walk(e.body) if isinstance(n, Reduce) and n.op == "sum"):
        values = [f.tensor for f in factors(node.body) if isinstance(f, Access) and f.tensor.kind == "value"]
        if len(values) > 1:
            mixed.update(values)
    found = [e.out for e in forward if _is_affine(e.body) and e.out not in mixed]
    return {t: k for k, t in enumerate(found, 1)}


def _is_affine(body: Expr) -> bool:
    """Exactly one term is a sum of parameter times something else; all other terms are parameters."""
    products = [t for t in terms(body) if isinstance(t, Reduce)]
    rest = [t for t in terms(body) if not isinstance(t, Reduce)]
    if len(products) != 1 or products[0].op != "sum" or len(products[0].binders) != 1:
        return False
    pair = factors(products[0].body)
    if len(pair) != 2 or not all(isinstance(f, Access) for f in pair):
        return False
    kinds = sorted(f.tensor.kind == "param" for f in pair if isinstance(f, Access))
    return kinds == [False, True] and all(isinstance(t, Access) and t.tensor.kind == "param" for t in rest)


def with_deltas(program: Program) -> tuple[Program, dict[Tensor, str]]:
    """The program with other cotangents inlined where they are read once, and the layer of each δ.

    Layers of a repetition go by their index, so that δ of layer l+1 is δ of layer l one round on.
    """
    layer = layers(program)
    symbolic = {t.family for t in layer if t.family is not None and not isinstance(t.index, Num)}
    number = {t: str(k) for t, k in layer.items()}
    bars = dict.fromkeys(t for e in program.equations for t in (e.out, *reads(e.body)) if t.kind == "cotangent")
    if symbolic:
        number = {
            t.primal: show_extent(t.primal.index)
            for t in bars
            if t.primal is not None and t.primal.family in symbolic and t.primal.index is not None
        }
    deltas = {t: number[t.primal] for t in bars if t.primal in number}
    kept = set(deltas) | {g for _, g in program.gradients} | set(program.outputs)
    uses = Counter(n.tensor for e in program.equations for n in walk(e.body) if isinstance(n, Access))
    defined = {e.out for e in program.equations}
    elsewhere = {t.family for t in uses if t.kind == "cotangent" and t not in defined}  # in another round
    inlined: dict[Tensor, Equation] = {}
    out: list[Equation] = []
    for equation in program.equations:
        found = equation.with_body(_inline(equation.body, inlined))
        tensor = equation.out
        if (
            tensor.kind == "cotangent"
            and tensor not in kept
            and uses[tensor] == 1
            and tensor.family not in elsewhere - {None}
        ):
            inlined[tensor] = found
        else:
            out.append(found)
    return program.with_equations(out), deltas


def _inline(body: Expr, inlined: dict[Tensor, Equation]) -> Expr:
    if not any(t in inlined for t in reads(body)):
        return body
    table: dict[Expr, Expr] = {}
    for access in accesses(body):
        if access.tensor in inlined:
            definition = inlined[access.tensor]
            moved = dict(zip(definition.letters, access.places, strict=True))
            table[access] = substitute(rename_binders(definition.body), moved)
    return substitute(body, table)
