"""Times a training step as a dense network grows: in width, batch, depth and data, each with its slope.

In: nothing. Out: a chart of four panels, `docs/scaling.svg`, and its numbers in `docs/scaling.json`, from which the
same chart is drawn again by `--draw`. A slope is that of a straight line through the logarithms: 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import codegen
import derive
from benchmarks.training.dense import Dense

DOCS = Path(__file__).parents[1] / "docs"
RANGES = {
    "width": (64, 128, 256, 512),
    "batch": (16, 32, 64, 128, 256, 512),
    "depth": (1, 2, 4, 8, 16),
    "samples": (1024, 2048, 4096, 8192, 16384),
}
TITLES = {
    "width": "width h of 64-h-h-10, batch 64: a step",
    "batch": "batch of 64-128-10: a step",
    "depth": "hidden layers of 64, batch 64: a step",
    "samples": "samples, 64-32-10, batch 64: an epoch",
}
_WIDE, _HIGH, _EDGE = 420, 300, 60


def workload(what: str, size: int) -> tuple[Dense, int]:
    """The network and how many steps are timed together."""
    if what == "width":
        return Dense(f"width{size}", 64, widths=(64, size, size, 10)), 20
    if what == "batch":
        return Dense(f"batch{size}", size, widths=(64, 128, 10)), 50
    if what == "depth":
        return Dense(f"depth{size}", 64, widths=(64, *[64] * size, 10)), 50
    return Dense("samples", 64, widths=(64, 32, 10)), size // 64


def microseconds(what: str, size: int, rounds: int = 40) -> float:
    """The shortest time of a step, the least disturbed one; of an epoch where the data grow."""
    w, steps = workload(what, size)
    module = codegen.compile(derive.parse(w.model()), dtype="float32")
    data = w.data("float32", steps)
    params = module.init_params(seed=0)
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        module.fit(params, data, epochs=1, batch_size=w.batch, shuffle=False)
        times.append(time.perf_counter() - start)
    return min(times[1:]) * 1e6 / (1 if what == "samples" else steps)


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent: of the straight line that fits the logarithms best.

    >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def drawn(found: dict[str, dict[str, float]]) -> str:
    """The chart: the same numbers, the same text."""
    wide, high = 2 * _WIDE, 2 * _HIGH
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif">']
    lines.append(f'<rect width="{wide}" height="{high}" fill="white"/>')
    for k, (what, times) in enumerate(found.items()):
        lines.append(f'<g transform="translate({k % 2 * _WIDE} {k // 2 * _HIGH})" font-size="11">')
        lines += panel(TITLES[what], {int(size): t for size, t in times.items()})
        lines.append("</g>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def panel(title: str, times: dict[int, float]) -> Iterator[str]:
    """One curve with logarithmic axes, its line and its slope."""
    sizes, values = list(times), list(times.values())
    low, top = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))

    def x(size: float) -> str:
        return f"{_EDGE + (_WIDE - 2 * _EDGE) * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]):.1f}"

    def y(value: float) -> str:
        return f"{_HIGH - _EDGE - (_HIGH - 2 * _EDGE) * math.log(value / low) / math.log(top / low):.1f}"

    exponent = slope(sizes, values)
    middle = math.exp(float(np.mean(np.log(values)))), math.exp(float(np.mean(np.log(sizes))))
    ends = [middle[0] * (s / middle[1]) ** exponent for s in (sizes[0], sizes[-1])]
    yield f'<text x="{_EDGE}" y="24" font-size="13">{title}</text>'
    yield f'<text x="{_EDGE}" y="42" fill="#0b5394">slope {exponent:.2f}</text>'
    for power in range(round(math.log10(low)), round(math.log10(top)) + 1):
        level = y(10.0**power)
        yield f'<path d="M{_EDGE} {level}H{_WIDE - _EDGE}" stroke="#ddd"/>'
        yield f'<text x="{_EDGE - 6}" y="{level}" text-anchor="end">{_time(10.0**power)}</text>'
    for size in sizes:
        yield f'<text x="{x(size)}" y="{_HIGH - _EDGE + 18}" text-anchor="middle">{size}</text>'
    yield f'<path d="M{x(sizes[0])} {y(ends[0])}L{x(sizes[-1])} {y(ends[1])}" stroke="#9fc5e8" stroke-dasharray="4 3"/>'
    points = "L".join(f"{x(s)} {y(t)}" for s, t in times.items())
    yield f'<path d="M{points}" fill="none" stroke="#0b5394" stroke-width="1.5"/>'
    for size, value in times.items():
        yield f'<circle cx="{x(size)}" cy="{y(value)}" r="3" fill="#0b5394"/>'


def _time(value: float) -> str:
    return f"{value:g} µs" if value < 1e3 else f"{value / 1e3:g} ms"


def main() -> None:
    """Measure, unless only the chart is wanted, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="draw the chart of the numbers that are there")
    numbers = DOCS / "scaling.json"
    if not parser.parse_args().draw:
        found = {what: {str(s): round(microseconds(what, s), 2) for s in sizes} for what, sizes in RANGES.items()}
        numbers.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    found = json.loads(numbers.read_text(encoding="utf-8"))
    (DOCS / "scaling.svg").write_text(drawn(found), encoding="utf-8")
    for what, times in found.items():
        print(f"{what:8} slope {slope([int(s) for s in times], list(times.values())):.2f}  {times}")


if __name__ == "__main__":
    main()
