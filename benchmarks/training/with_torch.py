"""PyTorch: eager with its own optimizer, the loss compiled, and the whole step in one compiled graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.training.workload import Array, Arrays, Form, Way, Workload


def ways(w: Workload, dtype: str, steps: int, start: Arrays) -> dict[str, Way]:
    """The three ways of each form."""
    found: dict[str, Way] = {}
    for name, form in w.in_torch(torch).items() if w.unit == "step" else ():
        for way, made in _trained(w, form, dtype, steps, start):
            found[f"torch {way}, {name}" if name else f"torch {way}"] = made
    return found


def _trained(w: Workload, form: Form, dtype: str, steps: int, start: Arrays) -> Iterator[tuple[str, Way]]:
    prepared = [form.data(piece) for piece in w.pieces(w.data(dtype, steps))]
    pieces = [{k: torch.as_tensor(a) for k, a in piece.items()} for piece in prepared]
    made = {
        "eager": lambda: _by_autograd(w, form.loss, form, form.start(start), pieces),
        "compiled loss": lambda: _by_autograd(w, torch.compile(form.loss), form, form.start(start), pieces),
        "compiled step": lambda: _whole(w, form, dtype, form.start(start), pieces),
    }
    for way in form.ways or made:
        yield way, made[way]()


def _by_autograd(w: Workload, loss: Callable[..., Any], form: Form, first: Arrays, pieces: list[Any]) -> Way:
    p = {k: _tensor(a).requires_grad_() for k, a in first.items()}

    def epoch() -> None:
        if w.optimizer == "adam":
            optimizer: Any = torch.optim.Adam(p.values(), lr=w.rate, fused=True)
        else:
            optimizer = torch.optim.SGD(p.values(), lr=w.rate, fused=True)
        for piece in pieces:
            optimizer.zero_grad(set_to_none=True)
            loss(p, piece).backward()
            optimizer.step()

    return Way(epoch, lambda: form.found({k: a.detach().numpy() for k, a in p.items()}))


def _whole(w: Workload, form: Form, dtype: str, first: Arrays, pieces: list[Any]) -> Way:
    p = {k: _tensor(a) for k, a in first.items()}
    m, v = ({k: torch.zeros_like(a) for k, a in p.items()} for _ in range(2))

    @torch.compile(fullgraph=True)
    def step(p: Any, m: Any, v: Any, t: Any, piece: Any) -> Any:
        g, value = torch.func.grad_and_value(form.loss)(p, piece)
        for k in p:
            if w.optimizer == "sgd":
                p[k].sub_(g[k], alpha=w.rate)
            else:
                m[k].lerp_(g[k], 0.1)
                v[k].mul_(0.999).addcmul_(g[k], g[k], value=0.001)
                p[k].sub_(w.rate * (m[k] / (1 - 0.9**t)) / ((v[k] / (1 - 0.999**t)).sqrt() + 1e-8))
        return value

    counts = [torch.tensor(float(s + 1), dtype=getattr(torch, dtype)) for s in range(len(pieces))]

    def epoch() -> None:
        for k in p:
            m[k].zero_(), v[k].zero_()
        with torch.no_grad():
            for t, piece in zip(counts, pieces, strict=True):
                step(p, m, v, t, piece)

    return Way(epoch, lambda: form.found({k: a.numpy() for k, a in p.items()}))


def _tensor(a: Array) -> torch.Tensor:
    """A copy with the order of axes in memory that ``a`` has."""
    return torch.as_tensor(np.array(a, order="K"))
