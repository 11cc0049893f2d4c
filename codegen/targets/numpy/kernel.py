"""Whole NumPy functions: parameters from the flat vector, array statements, results into given arrays.

In: a `Function` and what the module shares. Out: a `Kernel` with the same calling convention as the other
targets, but for the workspace, which NumPy allocates itself.
"""

from __future__ import annotations

from codegen.function import Function, Kernel, Setting, Update
from codegen.noise import next_states, row
from codegen.steps import item_reads
from codegen.targets.numpy.printer import FUNCTIONS, NumpyPrinter
from codegen.targets.numpy.update import update_lines
from codegen.targets.shapes import Shapes

TEMPLATE = "numpy/module.py.jinja"
__all__ = ["FUNCTIONS", "TEMPLATE", "epoch", "kernel"]


def kernel(function: Function, setting: Setting) -> Kernel:
    """The function as text."""
    names = setting.names.scope()
    theta, grad = names.fresh("theta"), names.fresh("grad")
    printer = NumpyPrinter(names, setting.extents)
    read = {t for item in function.order for t in item_reads(item)}
    results = {t: names.fresh(f"{names.tensor(t)}_out") for t in function.outputs}
    lines = []
    for s in setting.slices:
        if s.tensor in read:
            shape = ", ".join(printer.integer(a) for a in s.tensor.axes)
            piece = f"{theta}[{s.offset}:{s.offset + s.size}]" if s.tensor.rank else f"{theta}[{s.offset}]"
            lines.append(f"{names.tensor(s.tensor)} = {piece}" + (f".reshape(({shape}))" if s.tensor.rank > 1 else ""))
    lines += printer.lines(function.order, setting.comment)
    slices = {s.tensor: s for s in setting.slices}
    for t, g in function.gradients:
        s = slices[t]
        flat = f"{names.tensor(g)}.ravel()" if t.rank > 1 else names.tensor(g)
        lines.append(f"{grad}[{s.offset}:{s.offset + s.size}] = {flat}")
    lines += [f"{results[t]}[...] = {names.tensor(t)}" for t in function.outputs]
    if function.returned is not None:
        lines.append(f"return {names.tensor(function.returned)}")
    front = [setting.batch] if setting.batch else []
    own = [theta, *([grad] if function.gradients else [])]
    arguments = (*front, *own, *(names.tensor(t) for t in function.inputs), *results.values())
    leading = (*front, "theta", *(["grad"] if function.gradients else []))
    return Kernel(function.name, arguments, tuple(lines), leading)


def epoch(step: Kernel, function: Function, update: Update, setting: Setting) -> Kernel:
    """One pass over the data: shuffle, then gather, step and update for every mini-batch."""
    names = setting.names.scope()
    words = ("total", "order", "random", "draw", "other", "start", "k", "rows", "steps", "theta", "grad", "value")
    v = {w: names.fresh(w) for w in (*words, "batch_size", "shuffle", "count", "t", "last")}
    batch = setting.batch or names.fresh("n")
    sample = setting.program.batch
    noise = [t for t in function.inputs if t.kind == "noise"]
    data = [t for t in function.inputs if t.kind != "noise"]
    whole = {t: names.fresh(f"all_{names.tensor(t)}") if sample in t.axes else names.tensor(t) for t in data}
    state = {s: names.fresh(s) for s in update.state}
    hyper = {k: names.fresh(k) for k in (*(k for k, _ in update.hyper), *(s.keyword for s in update.schedules))}
    lines = [
        f"{v['count']} = {v['order']}.shape[0]",
        f"if {v['shuffle']}:",
        f"    for {v['k']} in range({v['count']} - 1, 0, -1):",
        f"        {v['other']} = _draw({v['random']}, {v['k']} + 1)",
        f"        {v['order']}[[{v['k']}, {v['other']}]] = {v['order']}[[{v['other']}, {v['k']}]]",
        f"{v['total']} = 0.0",
        f"for {v['start']} in range(0, {v['count']}, {v['batch_size']}):",
        f"    {v['rows']} = {v['order']}[{v['start']} : {v['start']} + {v['batch_size']}]",
        f"    {batch} = len({v['rows']})",
    ]
    for t in data:
        if sample is not None and sample in t.axes:
            axis = t.axes.index(sample)
            lines.append(f"    {names.tensor(t)} = np.take({whole[t]}, {v['rows']}, axis={axis})")
    generator = [names.fresh("generator")] if noise else []
    shapes, dtype = Shapes(setting.extents), f"{v['theta']}.dtype"
    lines += [f"    {names.tensor(t)} = {row(t, setting.program, shapes, generator[0], dtype)}" for t in noise]
    lines += [f"    {names.tensor(t)} = np.empty({shapes.tuple(t)}, {dtype})" for t in function.outputs]
    call = [*([batch] if setting.batch else []), v["theta"], v["grad"]]
    call += [names.tensor(t) for t in (*function.inputs, *function.outputs)]
    printer = NumpyPrinter(names, setting.extents)
    lines += [
        f"    {v['value']} = {step.name}({', '.join(call)})",
        f"    {v['total']} += float({v['value']}) * {batch}",
        f"    {v['steps']}[0] += 1",
        *("    " + line for line in update_lines(update, state, hyper, v, printer)),
        *("    " + line for line in next_states(function, setting, v["theta"], state, names)),
        f"return {v['total']} / {v['count']}",
    ]
    arguments = [v[w] for w in ("theta", "grad", "order", "random", "steps", "batch_size", "shuffle")]
    arguments += [*whole.values(), *state.values(), *(hyper[k] for k, _ in update.hyper)]
    arguments += [*([v["last"]] if update.last else []), *generator]
    given = ["theta", "grad", "order", "random", "steps", "size", "bool(shuffle)", "*arrays", "*state"]
    given += [f"DTYPE.type({name})" for name, _ in update.hyper]
    given += update.last + ["generator"] * len(generator)
    return Kernel("_epoch", tuple(arguments), tuple(lines), tuple(given))
