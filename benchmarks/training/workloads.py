"""All workloads by name, with the ratios that are asked for."""

from __future__ import annotations

from typing import Any

from benchmarks.training.convnet import Convnet
from benchmarks.training.dense import Dense
from benchmarks.training.gru import Gru
from benchmarks.training.logistic import Logistic
from benchmarks.training.pinn import Pinn
from benchmarks.training.transformer import Transformer
from benchmarks.training.workload import Workload

_CURVE: dict[str, Any] = {"activation": "tanh", "loss": "mse"}

WORKLOADS: dict[str, Workload] = {
    w.name: w
    for w in (
        Dense("A32", 32, widths=(784, 128, 10), least=1.4),
        Dense("A128", 128, widths=(784, 128, 10), least=1.15),
        Dense("A512", 512, widths=(784, 128, 10), least=1.05),
        # float32: one unit near 0 passes its relu in JAX and PyTorch and not in float64, gradc and NumPy
        Dense("A128_adam", 128, "adam", 1e-3, widths=(784, 128, 10), least=1.25, within=1e-2),
        Dense("B100", 100, widths=(784, 10, 10), least=2.8),
        Dense("C16", 16, widths=(64, 32, 10), least=4.0, least64=1.8),
        Dense("C64", 64, widths=(64, 32, 10), least=2.2, least64=1.8),
        Dense("D32", 32, widths=(2, 16, 16, 1), **_CURVE, least=5.0, least64=1.8),
        Dense("E256", 256, widths=(10, 64, 64, 1), **_CURVE, least=1.2),
        Dense("F128", 128, widths=(784, 512, 512, 10), least=1.2),
        # float32: four layers of relu, and gradc is nearer to float64 (3e-3) than JAX and NumPy are (5e-3)
        Dense("G256", 256, widths=(1024, 1024, 1024, 1024, 1024, 10), least=0.98, within=1e-2),
        Pinn("H1000", 1000, least=4.0, least64=1.8, scaling=1.35),
        Pinn("H1000_by_hand", 1000, by_hand=True, least=2.3, least64=1.8, scaling=1.35),
        Convnet("I64", 64, least=3.0),
        Gru("gru", 32, least=1.0),
        Transformer("transformer", 16, least=1.0),
        Logistic("logistic", 20_000),
        Dense("other_93_47_7", 32, widths=(93, 47, 7), least=2.2, least64=1.8),
        Dense("other_300_100_10", 64, widths=(300, 100, 10), least=1.15),
        Dense("other_12_24_24_3", 32, widths=(12, 24, 24, 3), **_CURVE, least=4.0, least64=1.8),
    )
}
