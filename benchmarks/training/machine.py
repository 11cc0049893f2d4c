"""The machine that figures come from: processor, caches and versions; no names of hosts, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch", "jax", "scikit-learn")
_SETS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}


def described() -> dict[str, str]:
    """Facts by name, in the order in which they are told."""
    told = _processor_info()
    flags = (told.get("flags") or told.get("Features") or "").split()
    sets = [name for flag, name in _SETS.items() if flag in flags]
    facts = {
        "processor": f"{told.get('model name') or platform.machine()}{_number(told)}",
        "vector instructions": sets[0] if sets else "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        **{f"{name} cache": size for name, size in _caches().items()},
        "system": platform.system(),
        "python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts["BLAS of numpy"] = f"{blas['name']} {blas['version']}"
    return facts


def _processor_info() -> dict[str, str]:
    """The first processor as the system tells of it."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line]
    return {name.strip(): value.strip() for name, value in lines}


def _number(told: dict[str, str]) -> str:
    """Family and model, which tell processors apart whose names say nothing."""
    return f", family {told['cpu family']} model {told['model']}" if {"cpu family", "model"} <= set(told) else ""


def _caches() -> dict[str, str]:
    """Sizes of the caches of data by their level, each as one core sees it."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            kib = int(size.removesuffix("K"))
            found[f"L{level}"] = f"{kib / 1024:g} MiB" if kib >= 1024 else f"{kib} KiB"
    return found
