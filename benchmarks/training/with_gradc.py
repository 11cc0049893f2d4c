"""gradc: the module that `gradc build` writes, trained by its own `fit`, or solved by the gradient that it emits."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numba import config

import derive
from benchmarks.training.solver import solved
from benchmarks.training.workload import ONE, Arrays, Way, Workload
from codegen.api import build


def ways(w: Workload, dtype: str, steps: int, folder: Path) -> tuple[dict[str, Way], Arrays]:
    """The ways of gradc: on as many threads as Numba may use, and on one; and the weights at the start."""
    numbers = {"gradc": config.NUMBA_NUM_THREADS} | ({ONE: 1} if config.NUMBA_NUM_THREADS > 1 else {})
    both = {name: _way(w, dtype, steps, folder / f"{w.name}_{dtype}_{n}.py", n) for name, n in numbers.items()}
    return {name: way for name, (way, _) in both.items()}, both["gradc"][1]


def _way(w: Workload, dtype: str, steps: int, path: Path, threads: int) -> tuple[Way, Arrays]:
    build(derive.parse(w.model()), path, dtype=dtype, threads=threads)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    params = module.init_params(seed=0)
    start = {k: np.array(a) for k, a in params.items()}
    data = w.data(dtype, steps)
    if w.unit == "solve":
        return solved(lambda theta: module.loss_and_grad_flat(theta, **data), start), start

    def epoch() -> None:
        module.fit(params, data, epochs=1, batch_size=w.batch, shuffle=False)

    return Way(epoch, lambda: params), start
