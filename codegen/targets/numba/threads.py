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
    turns: bool = False

    @property
    def numbers(self) -> int:
        """How many of them are no intermediate results: totals of a thread, and of a turn where it has several."""
        return (1 + self.turns) * self.totals

    @property
    def totals(self) -> int:
        """Private totals, up to the next line of the cache."""
        return -(-(self.gradients + self.sums) // LINE) * LINE

    def sizes(self, batch: str, step: Blocks) -> tuple[str, str]:
        """What all blocks take, however many of the threads there are: numbers and integers."""
        count = f"{batch} // {step.threads} + 2" if step.threads > 1 else batch
        count = f"({count})" if step.samples is None else f"min({count}, {step.most})"
        work, integers = (_with(text, batch, count) for text in (self.work, self.int_work))
        own = self.numbers + LINE
        times = f"{step.threads} * " if step.threads > 1 else ""
        return f"{times}({own} + {work})", "0" if integers == "0" else f"{times}({LINE} + {integers})"


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
    blocks = vectors["blocks"]
    loops = []
    yield ""
    if step.threads > 1:
        printer.threads = blocks
        loops.append(blocks)
        yield f"# the samples, from {step.least} on in blocks on threads, each with its own share of the workspace"
        yield f"{blocks} = min({step.threads}, _threads()) if {n} >= {step.least} else 1"
    if step.samples is not None:
        apart = f"({step.samples} * {blocks})" if loops else f"{step.samples}"
        loops.append(vectors["turns"])
        yield f"# some {step.samples} samples at a time, so that what is computed from them stays in the cache"
        yield f"{loops[-1]} = max(1, {n} // {apart})"
    yield f"if {' * '.join(loops)} == 1:"
    yield f"    _called_at({vectors['block']}, ({n}, {n}, {', '.join(given)}))"
    yield "else:"
    yield f"    {function.name}_blocks({', '.join(loops)}, {n}, {vectors['block']}, {', '.join(given)})"


def blocks_loop(function: Function, block: Kernel, share: Share, step: Blocks, setting: Setting) -> Kernel:
    """The loop over blocks: over threads, over the turns that one takes, or over both."""
    one = function.block
    assert one is not None
    assert setting.batch is not None
    names, n = setting.names.scope(), setting.batch
    given = [names.fresh(a) if a in ("theta", "grad", "work", "int_work", "sums") else a for a in block.arguments[2:]]
    threads, turns = step.threads > 1, step.samples is not None
    words = ["blocks", "most", "own", "its", "first", "count", "start", "thread", "block", "b", "p"]
    words += ["turns", "turn", "k", "all_grad", "all_sums", "its_grad", "its_sums"] if turns else []
    v = {w: names.fresh(w) for w in words}
    printer = NumbaPrinter(
        names, setting.extents | {str(setting.program.batch): v["count"]}, setting.dtype, setting.sizes
    )
    place = {a.rstrip("_0123456789"): a for a in given}
    loops = [v[w] for w, there in (("blocks", threads), ("turns", turns)) if there]
    number = v["k"] if threads and turns else v["turn"] if turns else v["b"]
    every = f"({' * '.join(loops)})" if len(loops) > 1 else loops[0]
    most = _with(share.work, n, v["most"])
    own = f"{share.numbers} + {most}" if share.numbers else most
    lines = [f"{v['most']} = ({n} + {every} - 1) // {every}", f"{v['own']} = ({own}) // {LINE} * {LINE} + {LINE}"]
    integers = share.int_work != "0"
    if integers:
        lines.append(f"{v['its']} = ({_with(share.int_work, n, v['most'])}) // {LINE} * {LINE} + {LINE}")
    start = v["start"] if threads else "0"

    def private(first: int, size: int) -> str:
        return printer.view(place["work"], _after(start, first), (mul(size),))

    totals, of_a_thread, of_a_turn, after = dict[str, str](), list[str](), list[str](), list[str]()
    mine = {t for t, _ in one.gradients}
    runs = {"grad": pieces(s for s in setting.slices if s.tensor in mine), "sums": [(0, share.sums)]}
    for w, first, size in (("grad", 0, share.gradients), ("sums", share.gradients, share.sums)):
        if size:
            totals[w] = f"{private(first, size)} if {v['b']} else {place[w]}" if threads else place[w]
        if size and turns:
            if threads:
                of_a_thread.append(f"{v[f'all_{w}']} = {totals[w]}")
                totals[w] = v[f"all_{w}"]
            its = v[f"its_{w}"]
            of_a_turn.append(f"{its} = {private(share.totals + first, size)} if {v['turn']} else {totals[w]}")
            for begin, stop in runs[w]:
                after.append(f"    for {v['p']} in range({f'{begin}, ' * bool(begin)}{stop}):")
                after.append(f"        {totals[w]}[{v['p']}] += {its}[{v['p']}]")
            totals[w] = its
    left = f"{v['own']} - {share.numbers}" if share.numbers else v["own"]
    passed = [place["theta"], *([totals["grad"]] if "grad" in totals else [])]
    passed.append(f"_view({place['work']}, {_after(start, share.numbers)}, ({left},))")
    if integers:
        its_start = f"{v['b']} * {v['its']}" if threads else "0"
        passed.append(f"_view({place['int_work']}, {its_start}, ({v['its']},))")
    passed += [totals["sums"]] if "sums" in totals else []
    arrays = given[len(given) - len(one.inputs) - len(one.outputs) :]
    for t, name in zip((*one.inputs, *one.outputs), arrays, strict=True):
        passed.append(_slice(t, name, setting.program.batch, v["first"], printer))
    body = [
        f"{v['first']} = {number} * {n} // {every}",
        f"{v['count']} = ({number} + 1) * {n} // {every} - {v['first']}",
        *of_a_turn,
        f"_called_at({v['block']}, (",
        f"    {v['count']}, {n}, {passed[0]},",
        *(f"    {text}," for text in passed[1:]),
        "))",
        *([f"if {v['turn']}:", *after] if after else []),
    ]
    if turns:
        counted = [f"{number} = {v['b']} * {v['turns']} + {v['turn']}"] if threads else []
        body = [f"for {v['turn']} in range({v['turns']}):", *(f"    {x}" for x in (*counted, *body))]
    if threads:
        its_own = [f"{v['b']} = np.int64({v['thread']})", f"{start} = {v['b']} * {v['own']}", *of_a_thread]
        body = [f"for {v['thread']} in prange({v['blocks']}):", *(f"    {x}" for x in (*its_own, *body))]
        body += _added(function, share, v, place, setting)
    arguments = (*loops, n, v["block"], *given)
    return Kernel(f"{function.name}_blocks", arguments, (*lines, *body), parallel=threads)


def _after(start: str, count: int) -> str:
    return start if not count else f"{count}" if start == "0" else f"{start} + {count}"


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
