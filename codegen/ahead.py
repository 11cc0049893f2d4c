"""Compiling a module before anybody calls it: its functions, for the types that they are always given.

In: the path of an emitted module of the Numba target. Out: nothing here; files of compiled code beside it, by its name,
which any later process with the same kind of processor finds. It runs in a process of its own, as users import it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from derive.errors import GradcError


def precompile(path: str | Path) -> None:
    """Call ``precompile()`` of the module."""
    path = Path(path).resolve()
    if not path.stem.isidentifier() or path.suffix != ".py":
        raise GradcError(f"{path.name} cannot be imported, so that nobody would find its code: call it NAME.py")
    code = f"import {path.stem}; {path.stem}.precompile()"
    done = subprocess.run([sys.executable, "-c", code], cwd=path.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GradcError(f"{path.name} does not compile: {done.stderr.strip().splitlines()[-1]}")
