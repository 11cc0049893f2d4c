"""Writes `docs/performance.md` and its chart from the results of `compare`.

In: the JSON file. Out: the page, the same for the same file. What is missed stands in the tables like everything else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.training import results
from benchmarks.training.chart import chart
from benchmarks.training.results import Row
from benchmarks.training.workload import ONE
from benchmarks.training.workloads import WORKLOADS
from codegen.files import write_text

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "training" / "results.json"
PAGE, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"

_HOW = """\
## How it was measured

- **A step** is forward, loss, backward and update of one mini-batch. gradc runs the module that `gradc build`
  writes from a model file, unchanged, through its `fit` with mini-batches in order; an epoch is one call of `fit`
  over a data set of about {epoch} milliseconds of work (at least four steps, at most 2,000), so its checks of what
  it is given are in the time.
- **Everyone** starts from the same weights and sees the same mini-batches, laid out as each library likes them best
  before the clock starts. After the first epoch, which also compiles, all weights must agree, or nothing is timed:
  to 2·10⁻³ of their change in float32, 10⁻⁸ in float64 (norms, tensor by tensor). In A128_adam and G256 it is 10⁻²
  in float32: a unit near 0 passes its relu in one library and not in another; in float64 all agree. How far they are
  apart stands above each table below.
- **In turns**: all ways run one after the other, A B C A B C …, in {rounds} rounds, so that what slows the
  machine slows all. A turn is an epoch, or as many as fill that time where a way is quicker. Times are microseconds a
  step; the ratio is that of the medians of the strongest peer, whichever that is, and gradc. Each begins after a pause
  of 0.05 s, when no thread of the one before spins any more; rows without figures for products at the peak were
  measured without pauses.
- **One process** for each workload, precision and number of threads, on as many processors as it has threads; every
  library is told that number.
- **Products at the peak** is how long the matrix products of a step, convolutions included, would take if nothing
  else was to be done, at the rate of a product whose operands lie in the first cache. That rate is measured in the
  same rounds, by the kernel that gradc emits. It is close to the least that a step can take; what is above it is
  memory, work element by element, and calls.
- **PyTorch** runs eagerly with its fused optimizers, with the loss compiled by `torch.compile`, and with the whole
  step in one compiled graph; convolutions contiguous and with channels last; targets are class numbers. **JAX**
  runs a jitted step with donated weights, and a whole epoch in one `lax.scan`. **NumPy** is written by hand where
  someone would write that.
- **Physics-informed networks** meet two kinds of peers: derivatives nested as users write them, in each way that
  the library has, and u, u_x, u_t, u_xx propagated by hand.
- **The logistic regression** is a whole solve: SciPy's L-BFGS-B with the settings that scikit-learn gives it, from
  zero to a gradient below 10⁻⁶, in float64, for everyone; what differs is the function of loss and gradient (gradc:
  the emitted `loss_and_grad_flat`; building the module is not in the time). Solutions are compared in place of
  weights.
- gradc's time to build and compile, and that of `torch.compile` and `jax.jit`, is not in these figures.

Again: delete `benchmarks/training/results.json`, then `./run speed`. It takes an hour or two, goes on where it was
interrupted, and writes this page. One workload anew, in its place in the file:
`python -m benchmarks.training.compare C16 --dtype float32 --threads 1 --json benchmarks/training/results.json`.
"""


def page(found: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_lines(found)).rstrip() + "\n"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    rows: list[Row] = found["rows"]
    yield "# Performance\n"
    yield "How long a training step takes in the code that gradc emits, side by side with PyTorch, JAX, NumPy and"
    yield "scikit-learn, in the same minutes on one machine. `python -m benchmarks.training.page` writes this page.\n"
    yield "![ratios of the strongest peer's time to gradc's](performance.svg)\n"
    yield "The machine:\n"
    yield "| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in found["machine"].items())
    for threads, dtype in dict.fromkeys((r["threads"], r["dtype"]) for r in rows):
        some = [r for r in rows if (r["threads"], r["dtype"]) == (threads, dtype)]
        yield f"\n## {dtype}, {_threads(threads)}\n"
        yield from _table(some)
    yield from _scaling(rows)
    yield from _missed(rows)
    rounds = sorted({str(r["rounds"]) for r in rows})
    epochs = sorted({f"{r['epoch']:g}" for r in rows})
    yield "\n" + _HOW.format(rounds=" or ".join(rounds), epoch=" or ".join(epochs))
    yield "## All medians\n\nMicroseconds a step, or a solve."
    for name in results.named(rows):
        yield from _medians([r for r in rows if r["workload"] == name])


def _table(rows: Sequence[Row]) -> Iterator[str]:
    what = ("gradc, median µs", "minimum", "products at the peak", "strongest peer", "its median µs", "ratio", "asked")
    yield f"| workload | | {' | '.join(what)} | |"
    yield "|---|---|--:|--:|--:|---|--:|--:|--:|---|"
    for row in rows:
        ours, peer, ratio, asked = row["ways"]["gradc"], results.strongest(row), results.ratio(row), results.asked(row)
        theirs = _number(row["ways"][peer]["median"]) if peer else ""
        verdict = "" if asked is None or ratio is None else "reached" if ratio >= asked else "**missed**"
        least = results.floor(row)
        cells = [row["workload"], row["title"], _number(ours["median"]), _number(ours["minimum"])]
        cells += ["" if least is None else _number(least), peer or "", theirs]
        cells += ["" if ratio is None else f"{ratio:.2f}", f"{asked or ''}", verdict]
        yield f"| {' | '.join(cells)} |"


def scaled(rows: Sequence[Row]) -> list[tuple[Row, float]]:
    """Each row of more than one thread, and how many times as fast gradc is there as on one, in the same rounds."""
    return [(row, times) for row in rows if (times := results.gained(row)) is not None]


def _scaling(rows: Sequence[Row]) -> Iterator[str]:
    found = scaled(rows)
    if not found:
        return
    yield "\n## gradc on two threads and on one\n"
    yield "Both in turns, in the processes of two threads; where a step is too small for a second thread, the code"
    yield "is the same.\n"
    yield "| workload | | one thread, µs | two threads, µs | times as fast | asked | |\n|---|---|--:|--:|--:|--:|---|"
    for row, times in found:
        asked = WORKLOADS[row["workload"]].scaling
        verdict = "reached" if times >= asked - _NOISE else "**missed**"
        one, two = (_number(row["ways"][name]["median"]) for name in (ONE, "gradc"))
        yield f"| {row['workload']} | {row['dtype']} | {one} | {two} | {times:.2f} | {asked} | {verdict} |"


_NOISE = 0.02  # medians of the same code, in turns, are that far apart


def _missed(rows: Sequence[Row]) -> Iterator[str]:
    """What was asked for and is not reached, with the reason where one is known."""
    missed = []
    for row in rows:
        ratio, asked = results.ratio(row), results.asked(row)
        if ratio is not None and asked is not None and ratio < asked:
            missed.append((row, f"{ratio:.2f} of {asked} asked for, beside {results.strongest(row)}{_at_most(row)}"))
    for row, times in scaled(rows):
        asked = WORKLOADS[row["workload"]].scaling
        if times < asked - _NOISE:
            missed.append((row, f"{times:.2f} times as fast on two threads, {asked} asked for"))
    yield "\n## What is not reached\n"
    if not missed:
        yield "Of what was measured, everything that was asked for is reached."
    for name in results.named(row for row, _ in missed):
        lines = [f"{row['dtype']}: {words}" for row, words in missed if row["workload"] == name]
        why = WORKLOADS[name].why
        yield f"- **{name}**: {'; '.join(lines)}.{f' {why}' if why else ''}"
    there = {(r["workload"], r["dtype"]) for r in rows}
    absent = [f"{name} in {dtype}" for name, w in WORKLOADS.items() for dtype in w.dtypes if (name, dtype) not in there]
    if absent:
        yield f"\nNot measured: {', '.join(absent)}."


def _at_most(row: Row) -> str:
    """Which ratio a step would have that was nothing but its products, at the peak."""
    least, peer = results.floor(row), results.strongest(row)
    if not least or peer is None:
        return ""
    return f" ({row['ways'][peer]['median'] / least:.2f} if a step was nothing but its products, at the peak)"


def _medians(rows: Sequence[Row]) -> Iterator[str]:
    """Every way of one workload, a column for each precision and number of threads."""
    gaps = {
        dtype: max(way["gap"] for r in rows if r["dtype"] == dtype for way in r["ways"].values())
        for dtype in dict.fromkeys(r["dtype"] for r in rows)
    }
    told = " and ".join(f"{gap:.0e} in {dtype}" for dtype, gap in gaps.items())
    what = "Solutions" if rows[0]["unit"] == "solve" else "Weights"
    yield f"\n### {rows[0]['workload']}\n\n{rows[0]['title']}. {what} are at most {told} of their change apart.\n"
    yield "| | " + " | ".join(f"{r['dtype']}, {_threads(r['threads'])}" for r in rows) + " |"
    yield "|---|" + "--:|" * len(rows)
    for name in dict.fromkeys(name for r in rows for name in r["ways"]):
        yield f"| {name} | " + " | ".join(_cell(r["ways"].get(name)) for r in rows) + " |"


def _cell(way: dict[str, Any] | None) -> str:
    if way is None:
        return ""
    count = way.get("evaluations")
    return _number(way["median"]) + (f" ({count} evaluations of {_number(way['median'] / count)})" if count else "")


def _number(value: float) -> str:
    """Three digits that count, all of those before the point.

    >>> [_number(x) for x in (4.1234, 41.234, 412.34, 41234.5)]
    ['4.12', '41.2', '412', '41,234']
    """
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}" if value < 1000 else f"{value:,.0f}"


def _threads(count: int) -> str:
    return {1: "one thread", 2: "two threads"}.get(count, f"{count} threads")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=RESULTS)
    found = results.load(parser.parse_args().json)
    write_text(PAGE, page(found))
    write_text(CHART, chart([r for r in found["rows"] if r["threads"] == 1]))


if __name__ == "__main__":
    main()
