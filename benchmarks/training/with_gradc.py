"""gradc: the module that `gradc build` writes, trained by its own `fit`, or solved by the gradient that it emits."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numba import config

import derive
from benchmarks.training.solver import solved
from benchmarks.training.workload import Arrays, Way, Workload
from codegen.api import build


def ways(w: Workload, dtype: str, steps: int, folder: Path) -> tuple[dict[str, Way], Arrays]:
    """The one way of gradc, on as many threads as Numba may use, and the weights at the start."""
    path = folder / f"{w.name}_{dtype}.py"
    build(derive.parse(w.model()), path, dtype=dtype, threads=config.NUMBA_NUM_THREADS)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    params = module.init_params(seed=0)
    start = {k: np.array(a) for k, a in params.items()}
    data = w.data(dtype, steps)
    if w.unit == "solve":
        return {"gradc": solved(lambda theta: module.loss_and_grad_flat(theta, **data), start)}, start

    def epoch() -> None:
        module.fit(params, data, epochs=1, batch_size=w.batch, shuffle=False)

    return {"gradc": Way(epoch, lambda: params)}, start
