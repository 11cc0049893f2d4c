"""The function that runs blocks of samples on threads, and how it is called.

In: a function in blocks, and the text of the function of one block. Out: the `Kernel` with the loop over blocks, which
adds their totals in order, and the lines and the sizes that the function around it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from codegen.function import Function, Kernel, Setting, pieces
from codegen.steps import LINE, Blocks
from codegen.targets.numba.printer import NumbaPrinter
from derive.expr import Access, Expr, mul
from derive.program import Tensor

_SEVERAL = 1 << 15  # gradients so large are added up on threads, too


@dataclass(frozen=True)
class Share:
    """What one block takes of the workspace, as text with the number of its samples called as the batch is."""

    work: str
    int_work: str
    gradients: int
    sums: int

    @property
    def numbers(self) -> int:
        """How many of them are no intermediate results: private totals, up to the next line of the cache."""
        return -(-(self.gradients + self.sums) // LINE) * LINE

    def sizes(self, batch: str, threads: int) -> tuple[str, str]:
        """What all blocks take, however many of the threads there are: numbers and integers."""
        count = f"({batch} // {threads} + 2)"
        work, integers = (_with(text, batch, count) for text in (self.work, self.int_work))
        own = self.numbers + LINE
        return f"{threads} * ({own} + {work})", "0" if integers == "0" else f"{threads} * ({LINE} + {integers})"


def start_of_shares(work: str) -> str:
    """Where shares begin behind so many numbers: at the next line of the cache."""
    return str(-(-int(work) // LINE) * LINE) if work.isdecimal() else f"({work}) // {LINE} * {LINE} + {LINE}"


def _with(text: str, batch: str, count: str) -> str:
    return re.sub(rf"\b{batch}\b", count, text)


def calls(
    step: Blocks, function: Function, setting: Setting, printer: NumbaPrinter, vectors: dict[str, str], whole: bool
) -> Iterator[str]:
    """The lines that compute all samples: in one block, or in several on threads. ``whole``: some are integers."""
    assert function.block is not None
    names, n = printer.names, setting.batch
    given = [vectors["theta"], *([vectors["grad"]] if function.block.gradients else []), vectors["shares"]]
    given += [vectors["int_shares"]] if whole else []
    given += [names.tensor(step.sums)] if step.sums is not None else []
    given += [printer.access(Access(t, ())) if not t.rank else names.tensor(t) for t in function.block.inputs]
    given += [names.tensor(t) for t in function.block.outputs]
    blocks = printer.threads = vectors["blocks"]
    yield ""
    yield f"# the samples, from {step.least} on in blocks on threads, each with its own share of the workspace"
    yield f"{blocks} = min({step.threads}, _threads()) if {n} >= {step.least} else 1"
    yield f"if {blocks} == 1:"
    yield f"    _called_at({vectors['block']}, ({n}, {n}, {', '.join(given)}))"
    yield "else:"
    yield f"    {function.name}_blocks({blocks}, {n}, {vectors['block']}, {', '.join(given)})"


def blocks_loop(function: Function, block: Kernel, share: Share, setting: Setting) -> Kernel:
    """The loop over blocks."""
    one = function.block
    assert one is not None
    assert setting.batch is not None
    names, n = setting.names.scope(), setting.batch
    given = [names.fresh(a) if a in ("theta", "grad", "work", "int_work", "sums") else a for a in block.arguments[2:]]
    v = {
        w: names.fresh(w)
        for w in ("blocks", "most", "own", "its", "first", "count", "start", "thread", "block", "b", "p")
    }
    printer = NumbaPrinter(
        names, setting.extents | {str(setting.program.batch): v["count"]}, setting.dtype, setting.sizes
    )
    vectors = [a for a in given if a.rstrip("_0123456789") in ("theta", "grad", "work", "int_work", "sums")]
    own = f"{share.numbers} + {_with(share.work, n, v['most'])}" if share.numbers else _with(share.work, n, v["most"])
    lines = [
        f"{v['most']} = ({n} + {v['blocks']} - 1) // {v['blocks']}",
        f"{v['own']} = ({own}) // {LINE} * {LINE} + {LINE}",
    ]
    integers = share.int_work != "0"
    if integers:
        lines.append(f"{v['its']} = ({_with(share.int_work, n, v['most'])}) // {LINE} * {LINE} + {LINE}")
    theta, *rest = vectors
    place = {"grad": "", "work": "", "int_work": "", "sums": ""}
    for name in rest:
        place[name.rstrip("_0123456789")] = name
    work = place["work"]
    passed = [theta]
    if one.gradients:
        private = printer.view(work, v["start"], (mul(share.gradients),))
        passed.append(f"{private} if {v['b']} else {place['grad']}")
    rest_size = f"{v['own']} - {share.numbers}" if share.numbers else v["own"]
    passed.append(f"_view({work}, {_after(v['start'], share.numbers)}, ({rest_size},))")
    if integers:
        passed.append(f"_view({place['int_work']}, {v['b']} * {v['its']}, ({v['its']},))")
    if share.sums:
        private = printer.view(work, _after(v["start"], share.gradients), (mul(share.sums),))
        passed.append(f"{private} if {v['b']} else {place['sums']}")
    batch = setting.program.batch
    arrays = given[len(given) - len(one.inputs) - len(one.outputs) :]
    for t, name in zip((*one.inputs, *one.outputs), arrays, strict=True):
        passed.append(_slice(t, name, batch, v["first"], printer))
    lines += [
        f"for {v['thread']} in prange({v['blocks']}):",
        f"    {v['b']} = np.int64({v['thread']})",
        f"    {v['first']} = {v['b']} * {n} // {v['blocks']}",
        f"    {v['count']} = ({v['b']} + 1) * {n} // {v['blocks']} - {v['first']}",
        f"    {v['start']} = {v['b']} * {v['own']}",
        f"    _called_at({v['block']}, (",
        f"        {v['count']}, {n}, {passed[0]},",
        *(f"        {text}," for text in passed[1:]),
        "    ))",
        *_added(function, share, v, place, setting),
    ]
    return Kernel(f"{function.name}_blocks", (v["blocks"], n, v["block"], *given), tuple(lines), parallel=True)


def _after(start: str, count: int) -> str:
    return f"{start} + {count}" if count else start


def _slice(t: Tensor, name: str, batch: Expr | None, first: str, printer: NumbaPrinter) -> str:
    """The samples of a block; what has no samples is given whole."""
    if batch not in t.axes:
        return name
    apart = printer.integer(mul(*t.axes[1:]))
    return printer.view(name, first if apart == "1" else f"{first} * ({apart})", t.axes)


def _added(
    function: Function, share: Share, v: dict[str, str], place: dict[str, str], setting: Setting
) -> Iterator[str]:
    """The lines that add the totals of all blocks but the first to its own, in their order."""
    assert function.block is not None
    if share.numbers:
        yield "# the totals of the other blocks, in their order, so that rounding is the same every time"
    mine = {t for t, _ in function.block.gradients}
    runs = pieces(s for s in setting.slices if s.tensor in mine)
    work, b, p = place["work"], v["b"], v["p"]
    several = sum(stop - first for first, stop in runs) >= _SEVERAL
    for first, stop in runs:
        indent = ""
        bounds = f"{first}, {stop}" if first else f"{stop}"
        if several:
            size = stop - first
            edges = [f"{f'{first} + ' if first else ''}{k} * {size} // {v['blocks']}" for k in (b, f"({b} + 1)")]
            yield f"for {v['thread']} in prange({v['blocks']}):"
            yield f"    {b} = np.int64({v['thread']})"
            yield f"    {v['first']}, {v['count']} = {edges[0]}, {edges[1]}"
            indent, bounds = "    ", f"{v['first']}, {v['count']}"
        other = v["most"]  # which is not needed any more
        yield f"{indent}for {other} in range(1, {v['blocks']}):"
        yield f"{indent}    for {p} in range({bounds}):"
        yield f"{indent}        {place['grad']}[{p}] += {work}[{other} * {v['own']} + {p}]"
    if share.sums:
        yield f"for {v['most']} in range(1, {v['blocks']}):"
        yield f"    for {p} in range({share.sums}):"
        start = _after(f"{v['most']} * {v['own']}", share.gradients)
        yield f"        {place['sums']}[{p}] += {work}[{start} + {p}]"
