"""The two forms of a model: the one that is trained, and the one that is used.

In: a program as it was read, which may mention `training`. Out: the training form, where that is 1, with the inference
form beside it, where that is 0, if they differ. Both are ordinary programs over the same tensors.
"""

from __future__ import annotations

from dataclasses import replace

from derive.expr import ONE, TRAINING, ZERO, Expr
from derive.program import Equation, Program, Tensor, needed, reads
from derive.repeat.scheme import Item, Repeat, Scheme
from derive.rewrite import substitute, walk


def formed(program: Program) -> Program:
    r"""The training form of a program as read, with its ``inference`` form where there is another.

    >>> from derive.language.parse import parse
    >>> from derive.language.read import read
    >>> program = read(parse("input x\ny = 2*x if training else 3*x"))
    >>> program.equations[0].body, program.inference.equations[0].body
    (2·x, 3·x)
    """
    used = tuple(e for e in program.equations if e.out.kind != "update")
    if not any(_mentioned(e) for e in program.equations):
        return program
    if program.objective is None and not program.outputs:  # of both forms the same results
        program = replace(program, outputs=unread(program))
    trained = program.with_equations(at(e, ONE) for e in program.equations)
    if not any(map(_mentioned, used)):
        return trained
    plain = program.with_equations(at(e, ZERO) for e in used)
    wanted = [*program.outputs, *([program.objective] if program.objective is not None else [])]
    return replace(trained, inference=plain.with_equations(needed(plain, wanted)))


def trained_scheme(scheme: Scheme) -> Scheme:
    """The training form of a model whose depth is a symbol; its frame has the other form, to be printed only."""
    used = tuple(e for e in scheme.equations if e.out.kind != "update")
    frame = scheme.frame
    if any(map(_mentioned, used)):
        plain = replace(frame, declared=scheme.declared, equations=tuple(at(e, ZERO) for e in used))
        frame = replace(frame, inference=plain)
    return replace(scheme, frame=frame, items=tuple(map(_trained, scheme.items)))


def _trained(item: Item) -> Item:
    if isinstance(item, Repeat):
        return replace(item, items=tuple(map(_trained, item.items)))
    return at(item, ONE) if isinstance(item, Equation) else item


def at(equation: Equation, phase: Expr) -> Equation:
    """The equation where `training` is this number."""
    return equation.with_body(substitute(equation.body, {TRAINING: phase})) if _mentioned(equation) else equation


def _mentioned(equation: Equation) -> bool:
    return any(e is TRAINING for e in walk(equation.body))


def otherwise(program: Program) -> tuple[Equation, ...]:
    """The equations of the inference form that the training form does not have."""
    if program.inference is None:
        return ()
    trained = program.defined
    return tuple(e for e in program.inference.equations if e.out not in trained or trained[e.out].body != e.body)


def unread(program: Program) -> tuple[Tensor, ...]:
    """What a model without `output` returns: what no equation reads, apart from the objective."""
    read = {t for e in program.equations for t in reads(e.body)}
    skip = {program.objective, *(g for _, g in program.gradients)}
    return tuple(e.out for e in program.equations if e.out not in read | skip and e.out.kind == "value")
