"""PyTorch: eager with its own optimizer, the module compiled, and the whole step in one compiled graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.training.with_gradc import Epoch, Weights
from benchmarks.training.workloads import Array, Workload


def epochs(w: Workload, dtype: str, steps: int, start: dict[str, Array]) -> dict[str, tuple[Epoch, Weights]]:
    """The three ways; targets are labels, which is PyTorch's quicker form of the same loss."""
    x, y = w.data(dtype, steps)
    labels = torch.as_tensor(y.argmax(axis=1) if w.loss == "cross_entropy" else y)
    pieces = list(zip(torch.as_tensor(x).split(w.batch), labels.split(w.batch), strict=True))
    last = len(w.widths) - 1

    def loss(p: dict[str, Any], a: Any, target: Any) -> Any:
        for k in w.layers:
            a = torch.addmm(p[f"b{k}"], a, p[f"W{k}"])
            if k < last:
                a = torch.relu(a) if w.activation == "relu" else torch.tanh(a)
        return functional.cross_entropy(a, target) if w.loss == "cross_entropy" else functional.mse_loss(a, target)

    def by_autograd(value: Callable[..., Any]) -> tuple[Epoch, Weights]:
        p = {k: torch.tensor(a, requires_grad=True) for k, a in start.items()}

        def epoch() -> None:
            if w.optimizer == "adam":
                optimizer: Any = torch.optim.Adam(p.values(), lr=w.rate, fused=True)
            else:
                optimizer = torch.optim.SGD(p.values(), lr=w.rate, fused=True)
            for a, target in pieces:
                optimizer.zero_grad(set_to_none=True)
                value(p, a, target).backward()
                optimizer.step()

        return epoch, lambda: {k: a.detach().numpy() for k, a in p.items()}

    def whole() -> tuple[Epoch, Weights]:
        p = {k: torch.tensor(a) for k, a in start.items()}
        m, v = ({k: torch.zeros_like(a) for k, a in p.items()} for _ in range(2))

        @torch.compile(fullgraph=True)
        def step(p: Any, m: Any, v: Any, t: Any, a: Any, target: Any) -> Any:
            g, value = torch.func.grad_and_value(loss)(p, a, target)
            for k in p:
                if w.optimizer == "sgd":
                    p[k].sub_(g[k], alpha=w.rate)
                else:
                    m[k].lerp_(g[k], 0.1)
                    v[k].mul_(0.999).addcmul_(g[k], g[k], value=0.001)
                    p[k].sub_(w.rate * (m[k] / (1 - 0.9**t)) / ((v[k] / (1 - 0.999**t)).sqrt() + 1e-8))
            return value

        counts = [torch.tensor(float(s + 1), dtype=getattr(torch, dtype)) for s in range(steps)]

        def epoch() -> None:
            for k in p:
                m[k].zero_(), v[k].zero_()
            with torch.no_grad():
                for t, (a, target) in zip(counts, pieces, strict=True):
                    step(p, m, v, t, a, target)

        return epoch, lambda: {k: a.numpy() for k, a in p.items()}

    return {
        "torch, eager": by_autograd(loss),
        "torch, compiled module": by_autograd(torch.compile(loss)),
        "torch, compiled step": whole(),
    }
