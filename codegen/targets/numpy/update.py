"""The optimizers of a model as array statements over the flat vector.

In: an `Update` and the names that an epoch uses. Out: the lines that change the parameters after a gradient, an array
statement for each equation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codegen.function import Group, Update
from codegen.targets.numpy.printer import NumpyPrinter
from derive.functions import Parameter


def update_lines(
    update: Update, state: Mapping[str, str], hyper: Mapping[str, str], v: Mapping[str, str], printer: NumpyPrinter
) -> Iterator[str]:
    """The statements of one step; ``v`` are the names of what every epoch has."""
    if update.reads("t"):
        yield f"{v['t']} = {v['steps']}[0]"
    for s in update.schedules:
        yield f"{hyper[s.keyword]} = DTYPE.type({s.name}(float({v['steps']}[0]), float({v['last']})))"
    norm = ""
    if update.reads("norm"):
        norm, grad = printer.names.fresh("norm"), v["grad"]
        trained = [f"{grad}[{a}:{b}]" for a, b in update.runs] or [grad]
        vector = trained[0] if len(trained) == 1 else f"np.concatenate([{', '.join(trained)}])"
        yield f"{norm} = np.linalg.norm({vector})"
    vectors = {"w": v["theta"], "g": v["grad"], **state}
    known = {"t": v["t"], "T": v["last"], "norm": norm}
    for group in update.groups:
        printer.parameters = {**known, **{name: hyper[k] for name, k in group.hyper.items()}}
        yield from update.heading(group)
        yield from _group(group, vectors, printer)


def _group(group: Group, vectors: Mapping[str, str], printer: NumpyPrinter) -> Iterator[str]:
    """One optimizer, for the pieces of the vector that it trains."""
    indent, part = "", "".join(f"[{a}:{b}]" for a, b in group.runs)
    if len(group.runs) > 1:
        parts, name = printer.names.fresh("parts"), printer.names.fresh("part")
        yield f"{parts} = ({', '.join(f'slice({a}, {b})' for a, b in group.runs)})"
        yield f"for {name} in {parts}:"
        indent, part = "    ", f"[{name}]"
    printer.parameters |= {s: vector + part for s, vector in vectors.items()}
    for target, e in group.equations:
        text = printer.real(e)
        if target in vectors:
            yield f"{indent}{vectors[target]}{part or '[:]'} = {text}"
            continue
        printer.parameters[target] = printer.parameters.get(target) or printer.names.fresh(target)
        alias = isinstance(e, Parameter) and e.name in vectors  # which a later line may change
        yield f"{indent}{printer.parameters[target]} = {f'np.copy({text})' if alias else text}"
