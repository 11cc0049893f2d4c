"""Programs to text, and what runs it.

The names of the Python interface are found when first asked for, so that the command line starts without them:
`build`, `compile` and `check`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.api import build, compile
    from codegen.verify import check

__all__ = ["build", "check", "compile"]

_HOMES = {"build": "codegen.api", "compile": "codegen.api", "check": "codegen.verify"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'codegen' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
