"""One workload, in one precision and on as many threads as this process has: everyone in turns, A B C A B C ….

In: names. Out: a row of results, with the times of each way, and how fast a core multiplies at best, which takes its
turn as well. Before anything is timed, the weights of all must agree
after the first epoch, which also compiles what is to be compiled.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import derive
from benchmarks.training import with_gradc
from benchmarks.training.workload import Arrays, Workload
from benchmarks.training.workloads import WORKLOADS
from codegen.bench import operations_of_products, peak
from codegen.prepared import prepared

_PAUSE = 0.05  # seconds after which threads of the one before do not spin any more, waiting for work
_PRODUCTS = 2000  # of which one measurement of the peak consists
LIBRARIES = {"numpy": "with_numpy", "sklearn": "with_sklearn", "jax": "with_jax", "torch": "with_torch"}


def measured(w: Workload, dtype: str, rounds: int, milliseconds: float, only: list[str]) -> dict[str, Any]:
    """The row of a workload, without its number of threads; times are microseconds of a step or a solve."""
    steps = w.steps(milliseconds)
    with tempfile.TemporaryDirectory() as folder:
        ways, start = with_gradc.ways(w, dtype, steps, Path(folder))
        for library, module in LIBRARIES.items():
            if importlib.util.find_spec(library) is not None and (not only or library in only):
                peer = importlib.import_module(f"benchmarks.training.{module}")
                ways |= peer.ways(w, dtype, steps, start)
        first = {name: _turn(way.run, 0) for name, way in ways.items()}
        weights = {name: {k: np.array(a) for k, a in way.weights().items()} for name, way in ways.items()}
        gaps = {name: apart(found, weights["gradc"], start) for name, found in weights.items()}
        far = [f"{name} by {gap:.1e}" for name, gap in gaps.items() if not gap <= w.agree(dtype)]
        if far:
            raise SystemExit(f"{w.name} {dtype}: weights differ from gradc's, {', '.join(far)} of their change")
        times: dict[str, list[float]] = {name: [] for name in ways}
        peaks: list[float] = []
        operations, multiply = peak(dtype)
        multiply(_PRODUCTS)
        for _ in range(rounds):
            for name, way in ways.items():
                time.sleep(_PAUSE)
                times[name].append(_turn(way.run, milliseconds) / steps * 1e6)
            peaks.append(operations * _PRODUCTS / _turn(lambda: multiply(_PRODUCTS), milliseconds))
    found = {
        name: {"median": statistics.median(t), "minimum": min(t), "first": first[name], "gap": gaps[name]}
        for name, t in times.items()
    }
    for name, way in ways.items():
        if way.evaluations is not None:
            found[name]["evaluations"] = way.evaluations()
    row = {"workload": w.name, "title": w.title, "dtype": dtype, "unit": w.unit, "steps": steps, "rounds": rounds,
           "epoch": milliseconds, "peak": statistics.median(peaks), "ways": found}  # fmt: skip
    if w.unit == "step":
        row["products"] = operations_of_products(prepared(derive.parse(w.model()), dtype=dtype), w.batch)
    return row


def apart(found: Arrays, ours: Arrays, start: Arrays) -> float:
    """The norm of the difference of weights, in parts of the norm of their change; the largest of all names.

    Norms, because Adam moves an entry as far as others by a derivative that is all rounding. Where a name has not
    changed, as a bias that the loss does not feel, the largest change stands for its own.

    >>> zero, one = np.zeros(3), np.ones(3)
    >>> apart({"w": 3 * one, "b": one}, {"w": 2 * one, "b": zero}, {"w": zero, "b": zero})
    0.5
    """
    changes = {k: float(np.linalg.norm(a - start[k])) for k, a in ours.items()}
    largest = max(changes.values())
    return float(np.max([np.linalg.norm(found[k] - a) / (changes[k] or largest) for k, a in ours.items()]))


def _turn(run: Callable[[], None], milliseconds: float) -> float:
    """Seconds of an epoch: of one, or the mean of as many as it takes to fill the time."""
    began, epochs = time.perf_counter(), 0
    while True:
        run()
        epochs += 1
        passed = time.perf_counter() - began
        if passed * 1e3 >= milliseconds:
            return passed / epochs


def main() -> None:
    """Measure one workload and write its row; `compare` calls this in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("dtype", choices=["float32", "float64"])
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--epoch", type=float, required=True)
    parser.add_argument("--only", action="append", default=[], choices=LIBRARIES)
    parser.add_argument("--row", type=Path, required=True)
    options = parser.parse_args()
    w = WORKLOADS[options.workload]
    row = measured(w, options.dtype, options.rounds, options.epoch, options.only)
    options.row.write_text(json.dumps(row))


if __name__ == "__main__":
    main()
