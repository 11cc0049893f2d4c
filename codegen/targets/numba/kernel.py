"""Whole Numba functions: what they take, how the workspace is cut, the steps, what they return.

In: a `Function` and what the module shares. Out: a `Kernel`. Arrays are cut from three vectors, the
parameters, the gradient and the workspace, so that a call passes few arguments and allocates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from codegen.descent import remaining
from codegen.function import Function, Kernel, Setting, Update
from codegen.kernels import copied
from codegen.naming import Names
from codegen.noise import next_states, row
from codegen.steps import Blocks, parts_of, reads_of
from codegen.targets.numba.printer import FUNCTIONS, NumbaPrinter
from codegen.targets.numba.threads import Share, blocks_loop, calls, start_of_shares
from codegen.targets.numba.update import rate_lines, update_lines
from codegen.targets.scalar import SUM
from codegen.targets.shapes import Shapes
from derive.expr import Dim, Expr, Num, add, as_expr, mul
from derive.program import Tensor
from derive.rewrite import substitute, walk

TEMPLATE = "numba/module.py.jinja"
_AS_THEY_ARE = ["grad", "DTYPE.type(0)"]  # where a step leaves gradients that training adds to parameters at once
__all__ = ["FUNCTIONS", "TEMPLATE", "epoch", "kernel"]


def kernel(function: Function, setting: Setting) -> Kernel:
    """The function as text."""
    return _made(function, setting)[0]


def _made(function: Function, setting: Setting) -> tuple[Kernel, str, str]:
    """The function as text, and how many numbers and integers of the workspace it takes."""
    names, plan = setting.names.scope(), function.plan
    for t, stands_for in plan.laid.items():
        names.alias(t, stands_for)
    for step in plan.steps:  # a sum that its equation's tensor is written over goes by that name
        for part in parts_of(step):
            under = plan.shared.get(part.origin.out)
            if part.out == under and part.out != part.origin.out:
                names.alias(under, part.origin.out)
    every = [names.fresh(f"all_{setting.batch}")] if function.every is not None else []
    extents = setting.extents | {d.name: e for d, e in zip([function.every], every, strict=False) if d is not None}
    printer = NumbaPrinter(names, extents, setting.dtype, setting.sizes)
    words = ["theta", "grad", "work", "int_work", *(["sums"] if function.sums else [])]
    words += ["block", "blocks", "turns", "shares", "int_shares"] if function.block else []
    words += ["onto", "rate"] if function.descended else []
    vectors = {v: names.fresh(v) for v in words}
    results = {t: names.fresh(f"{names.tensor(t)}_out") if t.rank == 0 else names.tensor(t) for t in function.outputs}
    parts, share = _parts(function, setting)
    if share is not None:
        whole = share.int_work != "0"
        printer.blocks = lambda step: calls(step, function, setting, printer, vectors, whole)
    printer.rates = {g: vectors["rate"] for t, g in function.gradients if t in function.descended}
    steps = list(printer.steps(plan, setting.comment))
    read = {t for step in plan.steps for t in reads_of(step)}
    params = [
        _cut(names.tensor(s.tensor), vectors["theta"], s.offset, s.tensor, printer)
        for s in setting.slices
        if s.tensor in read
    ]
    targets = {t: s for t, g in function.gradients for s in setting.slices if s.tensor == t}
    totals = [(g, "onto" if g in printer.rates else "grad", targets[t].offset) for t, g in function.gradients]
    totals += [(s.tensor, "sums", s.offset) for s in function.sums]
    views = [_cut(names.tensor(g), vectors[v], offset, g, printer) for g, v, offset in totals if g.rank]
    pieces, work, int_work = _workspace(function, setting, names, printer, vectors)
    if printer.products:
        pieces.append(f"{printer.strip} = {vectors['work']}[{work}:]")
        each = f"{setting.threads} * " if share is not None and setting.threads > 1 else ""
        work = f"{work} + {each}{_strip(printer, setting)}"
    if share is not None:
        work = start_of_shares(work)
        pieces.append(f"{vectors['shares']} = {vectors['work']}[{work}:]")
        more, int_more = share.sizes(setting.batch or "", _blocks(function))
        if int_more != "0":
            pieces.append(f"{vectors['int_shares']} = {vectors['int_work']}[{int_work}:]")
        work, int_work = (
            b if a == "0" else a if b == "0" else f"{a} + {b}" for a, b in ((work, more), (int_work, int_more))
        )
    last = [f"{vectors[v]}[{offset}] = {names.tensor(g)}" for g, v, offset in totals if not g.rank]
    last += [f"{results[t]}[()] = {names.tensor(t)}" for t in function.outputs if not t.rank]
    if function.returned is not None:
        last.append(f"return {names.tensor(function.returned)}")
    alone = [f"# on one thread: {function.serial}"] if function.serial else []
    lines = [*alone, *params, *views, *pieces, *steps, *last]
    arguments = [setting.batch] if setting.batch else []
    arguments += every
    arguments += [vectors["block"]] if share is not None else []
    arguments += [vectors["theta"]] + ([vectors["grad"]] if function.gradients else [])
    arguments += [vectors["onto"], vectors["rate"]] if function.descended else []
    arguments += [vectors["work"]] + ([vectors["int_work"]] if int_work != "0" else [])
    arguments += [vectors["sums"]] if function.sums else []
    arguments += [names.tensor(t) for t in function.inputs] + [results[t] for t in function.outputs]
    leading = [setting.batch] if setting.batch else []
    leading += ["_block()"] if share is not None else []
    leading += ["theta", *(["grad"] if function.gradients else []), *(_AS_THEY_ARE if function.descended else [])]
    leading += [f"_workspace(DTYPE, {work})"]
    leading += [f"_workspace(np.int64, {int_work})"] if int_work != "0" else []
    kinds = ["int64"] * (bool(setting.batch) + len(every) + (share is not None))
    kinds += [_kind(1, setting.dtype)] * (1 + bool(function.gradients))
    kinds += [_kind(1, setting.dtype), setting.dtype] if function.descended else []
    kinds += [_kind(1, setting.dtype)]
    kinds += [_kind(1, "int64")] if int_work != "0" else []
    kinds += [_kind(1, setting.dtype)] if function.sums else []
    kinds += [_kind(t.rank, _number(t, setting)) for t in function.inputs]
    kinds += [_kind(t.rank, _number(t, setting), result=True) for t in function.outputs]
    made = Kernel(function.name, tuple(arguments), tuple(lines), tuple(leading), tuple(kinds), parts)
    return made, work, int_work


def _parts(function: Function, setting: Setting) -> tuple[tuple[Kernel, ...], Share | None]:
    """The function of one block of samples, the loop over blocks, and what a block takes of the workspace."""
    if function.block is None:
        return (), None
    block, work, int_work = _made(function.block, setting)
    count = sum(s.size for s in function.block.sums)
    step = _blocks(function)
    share = Share(work, int_work, setting.total if function.block.gradients else 0, count, step.samples is not None)
    return (block, blocks_loop(function, block, share, step, setting)), share


def _blocks(function: Function) -> Blocks:
    return next(s for s in function.plan.steps if isinstance(s, Blocks))


def _number(t: Tensor, setting: Setting) -> str:
    return "int64" if t.dtype == "int" else setting.dtype


def _kind(rank: int, number: str, result: bool = False) -> str:
    """The type of an array in one piece; of a number, which as a result is an array, too."""
    if rank == 0:
        return f"Array({number},0,'C')" if result else number
    return f"{number}[{':,' * (rank - 1)}::1]"


def _cut(name: str, vector: str, offset: int, tensor: Tensor, printer: NumbaPrinter) -> str:
    if tensor.rank == 0:
        return f"{name} = {vector}[{offset}]"
    return f"{name} = {printer.view(vector, str(offset), tensor.axes)}"


def _workspace(
    function: Function, setting: Setting, names: Names, printer: NumbaPrinter, vectors: dict[str, str]
) -> tuple[list[str], str, str]:
    """The lines that cut the workspace, and its sizes."""
    plan, ends, starts = function.plan, {"real": as_expr(0), "int": as_expr(0)}, []
    known = _known((size for _, size in plan.slots), setting)
    for dtype, size in plan.slots:
        starts.append(ends[dtype])
        ends[dtype] = add(ends[dtype], substitute(size, known))
    lines = []
    for t, slot in plan.places.items():
        name, (dtype, _) = names.tensor(t), plan.slots[slot]
        if t in plan.shared:
            other = names.tensor(plan.shared[t])
            lines += [f"{name} = {other}  # written over it"] if name != other else []
            continue
        vector = vectors["work" if dtype == "real" else "int_work"]
        note = "  # its axes in another order" if t in plan.laid else ""
        lines.append(f"{name} = {printer.view(vector, printer.integer(starts[slot]), t.axes)}{note}")
    return lines, printer.integer(ends["real"]), printer.integer(ends["int"])


def _strip(printer: NumbaPrinter, setting: Setting) -> str:
    """How many numbers the products copy at most: a strip of columns, as long as the longest sum."""
    needed = [copied(g, setting.sizes) for g in printer.products]
    known = _known(needed, setting)
    inner = dict.fromkeys(substitute(e, known) for e in needed)
    fixed = [e.value for e in inner if isinstance(e, Num)]
    texts = [str(max(fixed))] if fixed else []
    texts += [printer.integer(e) for e in inner if not isinstance(e, Num)]
    longest = f"max({', '.join(texts)})" if len(texts) > 1 else texts[0]
    return f"_STRIP * {longest}"


def _known(sizes: Iterable[Expr], setting: Setting) -> dict[Expr, Expr]:
    """The extents among these whose size is known."""
    dims = [node for size in sizes for node in walk(size) if isinstance(node, Dim)]
    return {d: Num(Fraction(setting.sizes[d.name])) for d in dims if d.name in setting.sizes}


def epoch(step: Kernel, function: Function, update: Update, setting: Setting) -> Kernel:
    """One pass over the data: shuffle, then gather, step and update for every mini-batch."""
    names = setting.names.scope()
    words = ("step", "total", "order", "rows", "draw", "other", "start", "k", "row", "value", "steps", "theta", "grad",
             "work", "int_work", "rate", "batch_size", "shuffle", "random", "count", "p", "w", "g", "t",
             "last")  # fmt: skip
    v = {w: names.fresh(w) for w in words}
    batch = setting.batch or names.fresh("n")
    data = [t for t in function.inputs if t.kind != "noise"]
    noise = [t for t in function.inputs if t.kind == "noise"]
    moved = [t for t in data if setting.program.batch in t.axes]
    gathered = {t: names.fresh(f"{names.tensor(t)}_rows") for t in moved}
    whole = {t: names.fresh(f"all_{names.tensor(t)}") if t in gathered else names.tensor(t) for t in data}
    state = {s: names.fresh(f"{s}_state") for s in update.state}
    hyper = {k: names.fresh(k) for k in (*(k for k, _ in update.hyper), *(s.keyword for s in update.schedules))}
    block = [names.fresh("block")] if step.parts else []
    works = [w for w, kind in (("work", "DTYPE"), ("int_work", "int64")) if any(kind in x for x in step.leading)]
    printer = NumbaPrinter(names, setting.extents, setting.dtype, setting.sizes)
    lines = [
        f"{v['count']} = {v['order']}.shape[0]",
        f"if {v['shuffle']}:",
        f"    for {v['k']} in range({v['count']} - 1, 0, -1):",
        f"        {v['other']} = _draw({v['random']}, {v['k']} + 1)",
        f"        {v['row']} = {v['order']}[{v['k']}]",
        f"        {v['order']}[{v['k']}] = {v['order']}[{v['other']}]",
        f"        {v['order']}[{v['other']}] = {v['row']}",
        f"{v['total']} = 0.0",
        *rate_lines(update if function.descended else None, hyper, v, printer),
        f"for {v['start']} in range(0, {v['count']}, {v['batch_size']}):",
        f"    {batch} = min({v['batch_size']}, {v['count']} - {v['start']})",
    ]
    for t in moved:
        lines += ["    " + line for line in _gather(t, gathered[t], whole[t], batch, v, printer, setting.program.batch)]
    generator = [names.fresh("generator")] if noise else []
    shapes, dtype = Shapes(setting.extents), f"{v['theta']}.dtype"
    lines += [f"    {names.tensor(t)} = {row(t, setting.program, shapes, generator[0], dtype)}" for t in noise]
    lines += [f"    {names.tensor(t)} = np.empty({shapes.tuple(t)}, {dtype})" for t in function.outputs]
    onto = [v["theta"], v["rate"]] if function.descended else []
    call = ", ".join([*([batch] if setting.batch else []), *block, v["theta"], v["grad"], *onto, *(v[w] for w in works),
                      *(names.tensor(t) for t in (*function.inputs, *function.outputs))])  # fmt: skip
    lines += [
        f"    {v['value']} = {v['step']}({call})",
        f"    {v['total']} += {v['value']} * {batch}",
        f"    {v['steps']}[0] += 1",
        *("    " + line for line in update_lines(remaining(update, function, setting), state, hyper, v, printer)),
        *("    " + line for line in next_states(function, setting, v["theta"], state, names)),
        f"return {v['total']} / {v['count']}",
    ]
    arguments = [v["step"], *block]
    arguments += [v[w] for w in ("theta", "grad", *works, "order", "random", "steps", "batch_size", "shuffle")]
    arguments += [whole[t] for t in data] + [gathered[t] for t in moved]
    arguments += [*state.values(), *(hyper[k] for k, _ in update.hyper)]
    arguments += [*([v["last"]] if update.last else []), *generator]
    leading = [x for x in step.leading if x != setting.batch]
    if function.descended:
        del leading[leading.index(_AS_THEY_ARE[1]) - 1 : leading.index(_AS_THEY_ARE[1]) + 1]
    given = ["_step()"] + [re.sub(rf"\b{batch}\b", "size", x) for x in leading]
    given += ["order", "random", "steps", "size", "bool(shuffle)", "*arrays", "*rows", "*state"]
    given += [f"DTYPE.type({name})" for name, _ in update.hyper]
    given += update.last + ["generator"] * len(generator)
    vector = _kind(1, setting.dtype)
    kinds = ["int64"] * len(block) + [vector, vector, *(vector if w == "work" else _kind(1, "int64") for w in works)]
    kinds += [_kind(1, "int64"), _kind(1, "uint64"), _kind(1, "int64"), "int64", "boolean"]
    kinds += [_kind(t.rank, _number(t, setting)) for t in data] + [_kind(1, _number(t, setting)) for t in moved]
    kinds += [vector] * len(state) + [setting.dtype] * len(update.hyper) + ["int64"] * bool(update.last)
    kinds += ["npy_rng"] * len(generator)
    return Kernel("_epoch", tuple(arguments), tuple(lines), tuple(given), tuple(kinds))


def _gather(
    t: Tensor, rows: str, whole: str, batch: str, v: dict[str, str], printer: NumbaPrinter, sample: Expr | None
) -> Iterator[str]:
    """The chosen samples of ``t``, next to each other: copied there, or where they lie if nothing is shuffled."""
    names = printer.names
    axis, name = t.axes.index(sample), names.tensor(t)
    near = axis == 0
    indent = "    " if near else ""
    if near:
        yield f"if {v['shuffle']}:"
    yield f"{indent}{name} = {printer.view(rows, '0', t.axes)}"
    loops = [names.fresh("ijklq"[k % 5]) for k in range(t.rank)]
    for k, extent in enumerate(t.axes):
        yield f"{indent}for {loops[k]} in range({batch if k == axis else printer.integer(extent)}):"
        indent += "    "
        if k == axis:
            yield f"{indent}{v['row']} = {v['order']}[{v['start']} + {loops[k]}]"
    source = ", ".join(v["row"] if k == axis else loops[k] for k in range(t.rank))
    yield f"{indent}{name}[{', '.join(loops)}] = {whole}[{source}]"
    if near:
        yield "else:"
        apart = printer.integer(mul(*t.axes[1:]), SUM)
        first = v["start"] if apart == "1" else f"{v['start']} * {apart}"
        yield f"    {name} = {printer.view(whole, first, t.axes)}"
    for loop in loops:
        names.release(loop)
