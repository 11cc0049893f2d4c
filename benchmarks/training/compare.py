"""One training step of gradc against PyTorch, JAX, NumPy and scikit-learn, side by side.

In: workloads, precisions, numbers of threads. Out: a table of medians and ratios, and a file of all results. Each
workload runs in a process of its own (`measure`), where all take turns from the same weights on the same
mini-batches. Peers that are not installed are left out: `pip install '.[peers]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.training import results
from benchmarks.training.machine import described
from benchmarks.training.measure import LIBRARIES
from benchmarks.training.results import Row
from benchmarks.training.workload import Workload
from benchmarks.training.workloads import WORKLOADS


def separately(w: Workload, dtype: str, threads: int, options: argparse.Namespace) -> Row | None:
    """The row of a workload, from a process with as many processors as threads; nothing where it failed."""
    number = str(threads)
    flags = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} intra_op_parallelism_threads={number}"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, number) | {"XLA_FLAGS": flags}
    processors = sorted(os.sched_getaffinity(0))[-threads:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.json"
        command = [sys.executable, "-m", "benchmarks.training.measure", w.name, dtype, "--row", str(path)]
        command += ["--rounds", str(options.rounds), "--epoch", str(options.epoch)]
        command += [x for name in options.only for x in ("--only", name)]
        done = subprocess.run(command, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, processors))
        if done.returncode:
            return None
        row: Row = json.loads(path.read_text())
    return row | {"threads": threads}


def told(row: Row) -> str:
    """One workload: a line for each way."""
    each = f", {row['steps']} steps an epoch" if row["unit"] == "step" else ""
    lines = [f"\n{row['workload']}: {row['title']}, {row['dtype']}, {row['threads']} thread(s){each}"]
    ours = row["ways"]["gradc"]["median"]
    for name, way in row["ways"].items():
        count = way.get("evaluations")
        evaluations = f"   {count} evaluations of {way['median'] / count:.1f} µs" if count else ""
        lines.append(
            f"  {name:41} {way['median']:11.2f} µs median {way['minimum']:11.2f} minimum   {way['median'] / ours:6.2f} "
            f"of gradc's   first epoch {way['first']:6.2f} s   weights {way['gap']:.0e} apart{evaluations}"
        )
    return "\n".join(lines)


def table(rows: list[Row]) -> str:
    """The ratios, one workload a line."""
    lines = ["workload             dtype    threads    gradc µs   ratio  asked  strongest peer"]
    for row in rows:
        ratio, asked = results.ratio(row), results.asked(row)
        lines.append(
            f"{row['workload']:20} {row['dtype']} {row['threads']:8} {row['ways']['gradc']['median']:11.2f} "
            f"{'-' if ratio is None else f'{ratio:.2f}':>7} {asked or '-':>6}  {results.strongest(row) or '-'}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for, and keep every row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="names; all where none is given", metavar="WORKLOAD")
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append", help="both where none is given")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 where none is given")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epoch", type=float, default=30.0, help="about how many milliseconds of work an epoch is")
    parser.add_argument("--only", action="append", default=[], choices=sorted(LIBRARIES), help="only these peers")
    parser.add_argument("--json", type=Path, help="keep the results here; rows that it has are replaced")
    parser.add_argument("--resume", action="store_true", help="leave out what the file has")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.json and options.only:
        parser.error("a file has rows of all peers: --only does not go with --json")
    cores = len(os.sched_getaffinity(0))
    machine = described()
    kept = results.load(options.json, machine) if options.json else results.empty(machine)
    there = {results.key(row) for row in kept["rows"]} if options.resume else set()
    rows, failed = [], []
    for threads in [n for n in options.threads or [1, 2] if n <= cores]:
        for dtype in options.dtype or ["float32", "float64"]:
            for w in [WORKLOADS[name] for name in options.workloads or WORKLOADS]:
                if dtype not in w.dtypes or (w.name, dtype, threads) in there:
                    continue
                row = separately(w, dtype, threads, options)
                if row is None:
                    failed.append(f"{w.name} {dtype} on {threads}")
                    continue
                print(told(row), flush=True)
                rows.append(row)
                kept = results.add(kept, row)
                if options.json:
                    results.save(options.json, kept)
    print(f"\n{table(rows)}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
