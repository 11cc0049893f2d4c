"""The examples' texts, for tests against other libraries; where neither is installed there is nothing to collect."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = [name for name in ("torch", "jax") if find_spec(name) is None]
collect_ignore = [f"with_{name}.py" for name in MISSING] + (["test_peers.py"] if len(MISSING) == 2 else [])
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture(scope="session")
def examples() -> dict[str, str]:
    return {p.stem: p.read_text(encoding="utf-8") for p in EXAMPLES.glob("*.gc")}
