"""One training step of gradc against PyTorch, JAX and NumPy by hand, side by side.

In: workloads, precisions, numbers of threads. Out: a table of medians, minima and ratios. All take turns in one
process (A B C A B C …), from the same weights on the same mini-batches, and after the first epoch their weights
must agree. Peers that are not installed are left out: `pip install '.[peers]'`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.training.workloads import WORKLOADS, Workload

AGREE = {"float32": 2e-3, "float64": 1e-8}  # how far weights may be apart after an epoch, of their largest change
LIBRARIES = {"numpy": "benchmarks.training.with_numpy", "jax": "benchmarks.training.with_jax",
             "torch": "benchmarks.training.with_torch"}  # fmt: skip


def measured(w: Workload, dtype: str, rounds: int, milliseconds: float, only: list[str]) -> dict[str, Any]:
    """Microseconds a step of every way in every round."""
    import numpy as np

    from benchmarks.training import with_gradc

    steps = max(4, min(200, int(milliseconds * 1e-3 * 30e9 / w.flops)))
    with tempfile.TemporaryDirectory() as folder:
        ways, start = with_gradc.epochs(w, dtype, steps, Path(folder))
        for library, module in LIBRARIES.items():
            if importlib.util.find_spec(library) is not None and (not only or library in only):
                ways |= importlib.import_module(module).epochs(w, dtype, steps, start)
        weights, warm = {}, {}
        for name, (epoch, look) in ways.items():
            began = time.perf_counter()
            epoch()
            warm[name] = time.perf_counter() - began
            weights[name] = {k: np.array(a) for k, a in look().items()}
        gaps = {}
        for name, found in weights.items():
            for k, ours in weights["gradc"].items():
                gap = np.abs(found[k] - ours).max() / np.abs(ours - start[k]).max()
                gaps[name] = max(gaps.get(name, 0.0), float(gap))
                if not gap <= AGREE[dtype]:
                    raise SystemExit(f"{w.name} {dtype}: {k} of {name} is {gap:.1e} from gradc's")
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (epoch, _) in ways.items():
                began = time.perf_counter()
                epoch()
                times[name].append((time.perf_counter() - began) / steps * 1e6)
    return {"times": times, "first": warm, "gaps": gaps, "steps": steps}


def report(w: Workload, dtype: str, threads: int, found: dict[str, Any]) -> dict[str, Any]:
    """Print one workload's rows; its row for the table."""
    times = found["times"]
    median = {name: statistics.median(t) for name, t in times.items()}
    print(f"\n{w.name}: {'-'.join(map(str, w.widths))}, batch {w.batch}, {w.optimizer}, {dtype}, {threads} thread(s), "
          f"{found['steps']} steps an epoch")  # fmt: skip
    ratios = {}
    for name, t in times.items():
        ratios[name] = statistics.median(a / b for a, b in zip(t, times["gradc"], strict=True))
        print(f"  {name:24} {median[name]:10.2f} µs median {min(t):10.2f} minimum   {ratios[name]:6.2f} of gradc's   "
              f"first epoch {found['first'][name]:6.2f} s   weights {found['gaps'][name]:.0e} apart")  # fmt: skip
    peers = [name for name in times if name != "gradc"]
    best = min(peers, key=lambda name: median[name]) if peers else None
    if best:
        asked = f", asked for {w.least}" if w.least and dtype == "float32" and threads == 1 else ""
        print(f"  strongest peer: {best}, ratio {ratios[best]:.2f}{asked}")
    return {"workload": w.name, "dtype": dtype, "threads": threads, "gradc": median["gradc"], "peer": best,
            "ratio": ratios[best] if best else None, "asked": w.least}  # fmt: skip


def main() -> None:
    """Measure in a process for each precision and number of threads, so that libraries obey the number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="names; all where none is given", metavar="WORKLOAD")
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epoch", type=float, default=10.0, help="about how many milliseconds of work an epoch is")
    parser.add_argument("--only", action="append", default=[], choices=sorted(LIBRARIES), help="only these peers")
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    chosen = [WORKLOADS[name] for name in options.workloads or WORKLOADS]
    if options.inside:
        (dtype,), (threads,) = options.dtype, options.threads
        rows = [
            report(w, dtype, threads, measured(w, dtype, options.rounds, options.epoch, options.only)) for w in chosen
        ]
        options.json.write_text(json.dumps(rows))
        return
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in options.dtype or ["float32", "float64"]:
            for threads in options.threads or [1]:
                for w in chosen:
                    table += separately(w, dtype, threads, options, Path(folder) / "rows.json")
    print("\nworkload             dtype    threads   gradc µs   ratio  asked  strongest peer")
    for row in table:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{row['workload']:20} {row['dtype']} {row['threads']:8} {row['gradc']:10.2f} {ratio:>7} "
              f"{row['asked'] or '-':>6}  {row['peer'] or '-'}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


def separately(w: Workload, dtype: str, threads: int, options: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """One workload in a process of its own, on as many processors as it has threads."""
    number = str(threads)
    flags = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} intra_op_parallelism_threads={number}"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, number) | {"XLA_FLAGS": flags}
    command = [sys.executable, "-m", "benchmarks.training.compare", w.name, "--inside", "--dtype", dtype, "--threads"]
    command += [number, "--rounds", str(options.rounds), "--epoch", str(options.epoch), "--json", str(path)]
    command += [x for name in options.only for x in ("--only", name)]
    processors = sorted(os.sched_getaffinity(0))[-threads:]
    subprocess.run(command, env=environment, check=True, preexec_fn=lambda: os.sched_setaffinity(0, processors))
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


if __name__ == "__main__":
    main()
