"""From a program to the context of a template: functions planned, tables of shapes and promises, the docstring.

In: a derived program, sizes, a dtype, a target. Out: a dictionary of plain text and numbers; the template
gives it the shape of a file and decides nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from codegen.blocks import in_blocks
from codegen.contract import contraction
from codegen.descent import behind_readers, descended, rate
from codegen.factors import inverses, solved, without_inverses
from codegen.function import Function, Setting, Slice
from codegen.interface import calls, promises
from codegen.kernels import along, few, windows_of
from codegen.members import entry, key, offset, rounds, single
from codegen.naming import names_of
from codegen.noise import drawn
from codegen.plan import plan
from codegen.schedule import copies, schedule
from codegen.steps import Blocks, Fold, Gemm, Part, RoundParts, Routine, Step, every, item_reads, parts_of
from codegen.targets import Target
from codegen.targets.numba.elementary import elementary
from codegen.targets.shapes import Shapes
from codegen.targets.text import quoted
from codegen.updates import update_of
from derive.errors import GradcError
from derive.evaluate import extent
from derive.expr import Expr, Reduce
from derive.notation import source_line
from derive.program import Equation, Program, Tensor, needed, reads
from derive.rewrite import walk
from derive.starts import distribution
from derive.training import unread

_INFERENCE = ("forward", "evaluation")


def context(
    program: Program,
    target: Target,
    dtype: str,
    sizes: Mapping[str, int],
    formulas: Mapping[Tensor, str],
    inference: tuple[Program, Mapping[Tensor, str]] | None = None,
    product: tuple[Program, Mapping[Tensor, str]] | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Everything that a module's template prints.

    ``inference`` is the other form of the model with its formulas, where there is one; ``product`` the program of
    Hessian products. The gradient runs on so many ``threads`` at most.
    """
    names, extents = names_of(program)
    missing = [t for t in program.parameters if any(program.batch in _dims(a) for a in t.axes)]
    if missing:
        raise GradcError(f"parameter {missing[0].name} has the batch axis {program.batch}")
    slices, total = [], 0
    for t in (*program.parameters, *program.states):
        size = 1
        for axis in t.axes:
            size *= extent(axis, sizes)
        slices.append(Slice(t, total, size))
        total += size
    setting = Setting(program, dtype, names, extents, sizes, tuple(slices), Comments(program, formulas), threads)
    functions = planned(program, target, sizes, inference and inference[0], product and product[0], threads)
    others = {} if inference is None else dict.fromkeys(_INFERENCE, _other(setting, *inference))
    if product is not None:
        others["product"] = _other(setting, *product)
    for role, function in functions.items():
        others.get(role, setting).comment.also(function.slices)  # type: ignore[attr-defined]
    kernels = {}
    for role, function in functions.items():
        its = others.get(role, setting)
        its.comment.start()  # type: ignore[attr-defined]
        kernels[role] = target.kernel(function, its)
    update = update_of(program, slices, extents) if _trains(program, functions) else None
    epoch = target.epoch(kernels["step"], functions["step"], update, setting) if update else None
    shapes = Shapes(extents)
    steps = [s for f in functions.values() for s in every(f.steps)]
    texts = [t for k in kernels.values() for t in k.together]
    inputs = program.data
    shown = {t: shapes.call(t, setting.batch) for t in inputs}
    return {
        "program": program,
        "dtype": dtype,
        "docstring": _docstring(program, formulas, inference),
        "dims": [(extents[d.name], d.name, sizes[d.name]) for d in program.dims],
        "batch": setting.batch,
        "constants": [
            (names.tensor(t), _values(t), "np.int64" if t.dtype == "int" else "DTYPE", t.rank)
            for t in program.declared
            if t.kind == "const"
        ],
        "shapes": [entry(s.tensor, shapes.tuple(single(s.tensor))) for s in slices],
        "offsets": [entry(s.tensor, offset(s.tensor, s.offset, s.size)) for s in slices],
        "bounds": [entry(s.tensor, _limits(s.tensor.bounds)) for s in slices if s.tensor.bounds],
        "axes": [entry(s.tensor, quoted(shapes.axes(single(s.tensor)))) for s in slices],
        "total": setting.total,
        "inputs": [
            (t.name, t.dtype, shapes.axes(t), shown[t], _batch_axis(t, program), list(promises(t, program, shapes)))
            for t in inputs
        ],
        "kernels": [*kernels.values()],
        "typed": [k for k in texts if k.kinds],
        "calls": calls(program, functions, kernels, setting, shapes),
        "epoch": epoch,
        "step": kernels.get("step"),
        "uses_special": any("special." in line for k in texts for line in k.lines),
        "elementary": elementary((line for k in [*texts, *([epoch] if epoch else [])] for line in k.lines), dtype),
        "uses_factors": any(isinstance(s, Routine) and not isinstance(s, Blocks) for s in steps),
        "uses_threads": any(k.parallel for k in texts),
        "uses_blocks": any(k.name.endswith("_blocks") for k in texts),
        "uses_own_arrays": any(k.allocates for k in [*texts, *([epoch] if epoch else [])]),
        "uses_tiles": any(isinstance(s, (Gemm, Fold)) for s in steps),
        "windows": dict.fromkeys(windows_of(s, sizes) for s in steps if isinstance(s, Gemm) and s.left.windows),
        "uses_folds": any(isinstance(s, Fold) for s in steps),
        "uses_onto": any("_matmul_onto" in line or "_matmul_in_blocks" in line for k in texts for line in k.lines),
        "uses_rows": any("_matmul_in_blocks" in line for k in texts for line in k.lines),
        "uses_fixed": any("_matmul_fixed" in line for k in texts for line in k.lines),
        "uses_numbers": any("_numbers(" in line for k in [*texts, *([epoch] if epoch else [])] for line in k.lines),
        "uses_uncounted": any("_uncounted(" in line for k in texts for line in k.lines),
        "uses_few": any("_matvec(" in line for k in texts for line in k.lines)
        or any(isinstance(s, Gemm) and not along(s) and few(s, sizes, 4 if dtype == "float32" else 8) for s in steps),
        "uses_added": any("_added(" in line for k in texts for line in k.lines),
        "trained": [t.name for t in functions["step"].inputs if t.kind != "noise"] if update else [],
        "update": update,
        "draws": any(distribution(program, s.tensor)[0] != "constant" for s in slices),
        "starts": [
            (key(s.tensor), rounds(s.tensor) if s.tensor.layers else None, _drawn(s.tensor, program, shapes))
            for s in slices
        ],
        "states": [t.name for t in program.states],
        "noise": [(t.name, setting.batch or "_", drawn(t, program, shapes)) for t in inputs if t.kind == "noise"],
    }


class Comments:
    """The formula and the model line above each group of statements; each formula once a function."""

    def __init__(self, program: Program, formulas: Mapping[Tensor, str]) -> None:
        self.formulas = formulas
        self.order = [e.out for e in program.equations]
        self.shown: set[Tensor] = set()
        self.slices: dict[Tensor, Tensor] = {}

    def also(self, slices: Mapping[Tensor, Tensor]) -> None:
        """Slices of tensors in the rounds of a recurrence; the formula is that of the tensor."""
        self.slices.update(slices)

    def start(self) -> None:
        """A new function begins."""
        self.shown = set()

    def __call__(self, step: Step | Part) -> list[str]:
        found = [step] if isinstance(step, Part) else parts_of(step)
        origins = {self.slices.get(e.out, e.out): e for p in found for e in (*p.within, p.origin)}
        new = [t for t in self.order if t in origins and t not in self.shown]
        self.shown.update(new)
        if not new:
            return ["", f"# {', '.join(t.name for t in origins)}, from the parts above"]
        lines = []
        for t in new:
            known = self.formulas.get(t)
            text = formula(origins[t], self.formulas) if known is None else " ".join(known.split())
            if text:  # what only hands a layer on has none
                lines.append(f"# {text}{_line(origins[t])}")
        return ["", *lines]


def formula(equation: Equation, formulas: Mapping[Tensor, str]) -> str:
    """The formula of an equation as it is shown above its statements."""
    text = formulas.get(equation.out)
    return " ".join((f"{equation.left!r} = {equation.body!r}" if text is None else text).split())


def _line(equation: Equation) -> str:
    text = source_line(equation)
    # joined from words, so that no line break of any kind leaves the comment
    return f"    (line {equation.span.line}: {' '.join(text.split())})" if equation.span and text else ""


def _other(setting: Setting, program: Program, formulas: Mapping[Tensor, str]) -> Setting:
    """What the functions of another program over the same tensors share; extents and constants keep their names."""
    names, _ = names_of(program)
    return replace(setting, program=program, names=names, comment=Comments(program, formulas))


def planned(
    program: Program,
    target: Target,
    sizes: Mapping[str, int],
    inference: Program | None,
    product: Program | None,
    threads: int = 1,
) -> dict[str, Function]:
    """The functions of the module by their roles: what is wanted from each, scheduled and planned."""
    out: dict[str, Function] = {}
    used = inference or program
    outputs = used.outputs or unread(used)
    if outputs:
        out["forward"] = _function("_forward", used, target, sizes, outputs, (), None)
    if program.objective is not None:
        out["loss"] = _function("_loss", program, target, sizes, (), (), program.objective)
        if inference is not None:
            out["evaluation"] = _function("_evaluation", inference, target, sizes, (), (), inference.objective)
        if program.gradients:
            after = [after for _, after in program.updates]
            pairs, goal = program.gradients, program.objective
            descends = target.name == "numba" and _trains(program, {"step"}) and rate(program) is not None
            out["step"] = _function("_loss_and_grad", program, target, sizes, after, pairs, goal, threads, descends)
    if product is not None:
        out["product"] = _function("_hvp", product, target, sizes, (), product.gradients, None)
    return out


def _function(
    name: str,
    program: Program,
    target: Target,
    sizes: Mapping[str, int],
    outputs: Iterable[Tensor],
    gradients: Iterable[tuple[Tensor, Tensor]],
    objective: Tensor | None,
    threads: int = 1,
    descends: bool = False,
) -> Function:
    pairs = tuple(gradients)
    own = [g for t, g in pairs if t.kind != "param"]
    twice = [g for k, (_, g) in enumerate(pairs) if g in [h for _, h in pairs[:k]]]
    results = [*own, *outputs]
    whole, stands = copies(program, (*results, *(g for _, g in pairs), *([objective] if objective else [])))
    assert not twice, "each variable has a cotangent of its own"
    goal = stands[objective] if objective else None
    wanted = [*(stands[t] for t in results), *(stands[g] for _, g in pairs), *([goal] if goal else [])]
    parts = schedule(whole, wanted, frozenset(target.functions), sizes)
    if descends:
        parts = tuple(behind_readers(parts, [(t, stands[g]) for t, g in pairs]))
    made = Function(
        name,
        _inputs(program, needed(whole, wanted)),
        tuple(stands[t] for t in results),
        tuple((t, stands[g]) for t, g in pairs if t.kind == "param"),
        goal,
        tuple(without_inverses(list(_with_products(parts)), wanted, item_reads)),
        plan(parts, wanted, sizes),
    )
    if target.name == "numba" and objective is not None and pairs:
        made = in_blocks(made, parts, wanted, program, sizes, threads)
    return replace(made, descended=descended(made, program.trained, sizes)) if descends else made


def _with_products(parts: Iterable[Part | RoundParts | Routine]) -> Iterator[Part | RoundParts | Gemm | Routine]:
    """The parts, with those that are matrix products taken apart."""
    known: dict[Tensor, Routine] = {}
    for part in parts:
        if isinstance(part, RoundParts):
            yield part.each(_with_products)
            continue
        if isinstance(part, Routine):
            known |= inverses([part])
            yield part
            continue
        product = contraction(part)
        if product is None:
            yield part
        else:
            yield from product[0]
            yield solved(product[1], known)


def _inputs(program: Program, parts: Iterable[Equation]) -> tuple[Tensor, ...]:
    """The data that equations read; where they only count samples, the first data that has samples."""
    read = {t for p in parts for t in reads(p.body)}
    data = program.data
    bound = [b for p in parts for x in walk(p.body) if isinstance(x, Reduce) for b in x.binders]
    extents = [s.extent for s in (*bound, *(s for p in parts for s in p.letters))]
    counted = any(x == program.batch for p in parts for x in walk(p.body))
    counted = counted or any(program.batch in _dims(e) for e in extents)
    if counted and not any(program.batch in t.axes for t in read):
        counting = sorted((t for t in data if program.batch in t.axes), key=lambda t: t.kind == "noise")
        read |= set(counting[:1])
    return tuple(t for t in data if t in read)


def _trains(program: Program, functions: Container[str]) -> bool:
    return "step" in functions and set(program.trained) <= {t for t, _ in program.gradients}


def _dims(e: Expr) -> set[Expr]:
    return {e} if not e.children else set().union(*(_dims(c) for c in e.children))


def _limits(bounds: tuple[Fraction | None, Fraction | None]) -> str:
    low, high = bounds
    return f"({'-np.inf' if low is None else float(low)}, {'np.inf' if high is None else float(high)})"


def _drawn(t: Tensor, program: Program, shapes: Shapes) -> str:
    return drawn(t, program, shapes, shape=shapes.tuple(single(t)))


def _batch_axis(t: Tensor, program: Program) -> int | None:
    return t.axes.index(program.batch) if program.batch in t.axes else None


def _values(t: Tensor) -> str:
    def shown(values: Any) -> str:
        if isinstance(values, (list, tuple)):
            return f"[{', '.join(shown(v) for v in values)}]"
        return str(int(values)) if t.dtype == "int" else repr(float(values))

    return shown(t.values)


def _docstring(
    program: Program, formulas: Mapping[Tensor, str], inference: tuple[Program, Mapping[Tensor, str]] | None
) -> str:
    lines = [f"{program.name or 'A model'}: its value, its gradient and its training, generated by gradc."]
    if program.text:
        lines += ["", "The model:", "", *("    " + line for line in program.text.strip().splitlines())]
    if program.equations:
        computed = (formula(e, formulas) for e in program.equations)
        lines += ["", "What is computed:", "", *("    " + text for text in computed if text)]
    if inference is not None:
        trained, (used, others) = [formula(e, formulas) for e in program.equations], inference
        different = [text for e in used.equations if (text := formula(e, others)) and text not in trained]
        lines += ["", "What is computed otherwise when it is not trained:", "", *("    " + text for text in different)]
    return "\n".join(line.rstrip() for line in lines).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
