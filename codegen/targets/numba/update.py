"""The optimizers of a model as compiled loops over the flat vector.

In: an `Update` and the names that an epoch uses. Out: the lines that change the parameters after a gradient: what is
the same for all elements first, then one fused loop for each optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codegen.descent import factor
from codegen.function import Group, Update
from codegen.targets.numba.printer import NumbaPrinter
from derive.expr import Expr, Mask
from derive.functions import Parameter
from derive.rewrite import map_children, walk


def update_lines(
    update: Update, state: Mapping[str, str], hyper: Mapping[str, str], v: Mapping[str, str], printer: NumbaPrinter
) -> Iterator[str]:
    """The statements of one step; ``v`` are the names of what every epoch has."""
    for s in update.schedules:
        call = f"{s.name}(float({v['steps']}[0]), float({v['last']}))"
        yield f"{hyper[s.keyword]} = {printer.converted(call)}"
    norm = ""
    if update.reads("norm"):
        squares, norm = printer.names.fresh("squares"), printer.names.fresh("norm")
        yield f"{squares} = 0.0"
        yield from _loop(update.runs, [f"{squares} += float({v['grad']}[{v['p']}]) ** 2"], v, printer)
        yield f"{norm} = {printer.converted(f'math.sqrt({squares})')}"
    known = {"w": v["w"], "g": v["g"], "t": printer.converted(f"{v['steps']}[0]"), "norm": norm}
    known["T"] = printer.converted(v["last"])
    local: dict[str, str] = {}
    for group in update.groups:
        for name in dict.fromkeys((*group.call.rule.state, *(target for target, _ in group.equations))):
            if name not in known and name not in local:
                local[name] = printer.names.fresh(name)
        printer.parameters = {**known, **local, **{name: hyper[k] for name, k in group.hyper.items()}}
        yield from update.heading(group)
        yield from _group(group, state, v, printer)


def rate_lines(
    update: Update | None, hyper: Mapping[str, str], v: Mapping[str, str], printer: NumbaPrinter
) -> Iterator[str]:
    """By what a step multiplies the gradients that it adds to parameters itself; nothing without such an update."""
    if update is not None:
        (group,) = update.groups
        ((_, e),) = group.equations
        printer.parameters = {name: hyper[k] for name, k in group.hyper.items()}
        yield f"{v['rate']} = {printer.real(factor(e))}  # what a step adds to parameters, times their gradients"


def _group(group: Group, state: Mapping[str, str], v: Mapping[str, str], printer: NumbaPrinter) -> Iterator[str]:
    """One optimizer: what is the same for all elements, and the loop over those that it trains."""
    kept = [s for s in state if s in group.call.rule.state or any(s == target for target, _ in group.equations)]
    varying = {"w", "g", *kept, *(target for target, _ in group.equations)}
    before: dict[Expr, str] = {}
    texts = [(target, printer.real(_hoisted(e, varying, before, printer))) for target, e in group.equations]
    for e, name in before.items():
        yield f"{name} = {printer.real(e)}"
    body = [f"{v['w']} = {v['theta']}[{v['p']}]", f"{v['g']} = {v['grad']}[{v['p']}]"]
    body += [f"{printer.parameters[s]} = {state[s]}[{v['p']}]" for s in kept]
    body += [f"{printer.parameters[target]} = {text}" for target, text in texts]
    body += [f"{state[s]}[{v['p']}] = {printer.parameters[s]}" for s in kept]
    body += [f"{v['theta']}[{v['p']}] = {v['w']}"]
    yield from _loop(group.runs, body, v, printer)


def _loop(
    runs: tuple[tuple[int, int], ...], body: list[str], v: Mapping[str, str], printer: NumbaPrinter
) -> Iterator[str]:
    """The statements for every element of these pieces of the vector; of the whole where there are none."""
    if len(runs) <= 1:
        bounds = f"{v['theta']}.shape[0]" if not runs else ", ".join(str(b) for b in runs[0] if b)
        yield f"for {v['p']} in range({bounds}):"
        yield from (f"    {line}" for line in body)
        return
    parts, first, stop = (printer.names.fresh(w) for w in ("parts", "first", "stop"))
    yield f"{parts} = ({', '.join(map(str, runs))})"
    yield f"for {first}, {stop} in {parts}:"
    yield f"    for {v['p']} in range({first}, {stop}):"
    yield from (f"        {line}" for line in body)


def _hoisted(e: Expr, local: set[str], before: dict[Expr, str], printer: NumbaPrinter) -> Expr:
    """``e`` with what depends on no element replaced by a name that is computed before the loop."""
    if not any(isinstance(x, Parameter) and x.name in local for x in walk(e)) and not isinstance(e, Mask):
        if not e.children:
            return e
        if e not in before:
            before[e] = printer.names.fresh("scale")
            printer.parameters[before[e]] = before[e]
        return Parameter(before[e])
    return map_children(e, lambda child: _hoisted(child, local, before, printer))
