"""gradc: the module that `gradc build` writes, trained by its own `fit`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

import derive
from benchmarks.training.workloads import Array, Workload
from codegen.api import build

Epoch = Callable[[], None]
Weights = Callable[[], dict[str, Array]]


def epochs(
    w: Workload, dtype: str, steps: int, folder: Path
) -> tuple[dict[str, tuple[Epoch, Weights]], dict[str, Array]]:
    """The ways in which gradc trains one epoch, each with a look at its weights; and the weights at the start."""
    path = folder / f"{w.name}_{dtype}.py"
    build(derive.parse(w.model()), path, dtype=dtype)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    params = module.init_params(seed=0)
    start = {k: np.array(a) for k, a in params.items()}
    x, y = w.data(dtype, steps)

    def epoch() -> None:
        module.fit(params, {"X": x, "Y": y}, epochs=1, batch_size=w.batch, shuffle=False)

    return {"gradc": (epoch, lambda: params)}, start
