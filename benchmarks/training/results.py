"""What was measured: a machine and rows, kept in a JSON file that grows workload by workload.

In: rows. Out: the file, and what follows from a row: the strongest peer and the ratio of its median to gradc's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.training.workload import ONE
from benchmarks.training.workloads import WORKLOADS
from codegen.files import write_text

Row = dict[str, Any]
Key = tuple[str, str, int]


def key(row: Row) -> Key:
    """What a row tells of; a later row of the same replaces it."""
    return row["workload"], row["dtype"], row["threads"]


def empty(machine: dict[str, str]) -> dict[str, Any]:
    """Results without a row."""
    return {"machine": machine, "rows": []}


def load(path: Path, machine: dict[str, str] | None = None) -> dict[str, Any]:
    """What the file has, or the beginning of one; rows of another ``machine`` cannot stand beside new ones."""
    if not path.exists():
        return empty(machine or {})
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if machine is not None and results["machine"] != machine:
        names = sorted(k for k in machine | results["machine"] if machine.get(k) != results["machine"].get(k))
        raise SystemExit(f"{path} was measured with another {', '.join(names)}; give a file that is not there yet")
    return results


def add(results: dict[str, Any], row: Row) -> dict[str, Any]:
    """The results with this row, in the order of the workloads."""
    order = list(WORKLOADS)
    rows = [r for r in results["rows"] if key(r) != key(row)] + [row]
    rows.sort(key=lambda r: (r["threads"], r["dtype"], order.index(r["workload"])))
    return results | {"rows": rows}


def save(path: Path, results: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    write_text(path, json.dumps(results, indent=1) + "\n")


def named(rows: Iterable[Row]) -> list[str]:
    """The workloads of these rows, in their order."""
    there = {r["workload"] for r in rows}
    return [name for name in WORKLOADS if name in there]


def strongest(row: Row) -> str | None:
    """The peer with the smallest median."""
    peers = {name: way["median"] for name, way in row["ways"].items() if name not in ("gradc", ONE)}
    return min(peers, key=lambda name: peers[name]) if peers else None


def ratio(row: Row) -> float | None:
    """How many times as long as gradc the strongest peer takes."""
    peer = strongest(row)
    return row["ways"][peer]["median"] / row["ways"]["gradc"]["median"] if peer else None


def gained(row: Row) -> float | None:
    """How many times as fast gradc is on the threads of this row as on one, both of them in the same rounds."""
    one = row["ways"].get(ONE)
    return one["median"] / row["ways"]["gradc"]["median"] if one else None


def asked(row: Row) -> float | None:
    """The ratio that is asked for."""
    return WORKLOADS[row["workload"]].asked(row["dtype"], row["threads"])


def floor(row: Row) -> float | None:
    """Microseconds that the matrix products of a step take at the measured peak of all its cores; None if not known."""
    if not row.get("products"):
        return None
    return float(row["products"] / (row["peak"] * row["threads"]) * 1e6)
