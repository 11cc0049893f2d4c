"""The ratios as a picture: how many times as long as gradc the strongest peer takes, a bar for each precision.

In: rows of results on one thread. Out: an SVG that depends on nothing else. The axis counts in powers of two; a line
across a bar is the ratio that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.training import results
from benchmarks.training.results import Row

_LEFT, _RIGHT, _TOP, _BELOW, _WIDE = 150.0, 50.0, 62.0, 26.0, 760.0
_BAR, _GAP, _WORDS = 11.0, 9.0, 30.0
_COLOURS = {"float32": "#2b6cb0", "float64": "#dd8a34"}


def chart(rows: Sequence[Row]) -> str:
    """The picture of these rows, workload below workload."""
    names = results.named(rows)
    found = {(r["workload"], r["dtype"]): r for r in rows if results.ratio(r) is not None}
    ratios = [results.ratio(r) or 1.0 for r in found.values()] + [results.asked(r) or 1.0 for r in found.values()]
    low = min(-1, math.floor(math.log2(min(ratios, default=1))))
    high = max(1, math.ceil(math.log2(max(ratios, default=1))))
    each = 2 * _BAR + _GAP
    height = _TOP + each * len(names) + _BELOW

    def across(ratio: float) -> float:
        return _LEFT + (math.log2(ratio) - low) / (high - low) * (_WIDE - _LEFT - _RIGHT)

    def parts() -> Iterator[str]:
        yield _text(12, 22, "time of the strongest peer / time of gradc, one thread", "start", 15)
        for k, (dtype, colour) in enumerate(_COLOURS.items()):
            yield f'<rect x="{_LEFT + 90 * k:.1f}" y="34" width="11" height="11" fill="{colour}"/>'
            yield _text(_LEFT + 90 * k + 16, 44, dtype, "start")
        yield f'<path d="M{_LEFT + 186:.1f} 33v13" stroke="#111" stroke-width="2"/>'
        yield _text(_LEFT + 194, 44, "asked for", "start")
        for power in range(low, high + 1):
            x, bottom = across(2.0**power), height - _BELOW
            yield f'<path d="M{x:.1f} {_TOP - 6:.1f}V{bottom:.1f}" stroke="{"#555" if power == 0 else "#ddd"}"/>'
            yield _text(x, bottom + 16, f"{2.0**power:g}", "middle")
        for k, name in enumerate(names):
            top = _TOP + each * k
            yield _text(_LEFT - 8, top + _BAR + 4, name, "end")
            for line, (dtype, colour) in enumerate(_COLOURS.items()):
                if (name, dtype) in found:
                    yield from _bar(found[name, dtype], across, top + line * _BAR, colour)

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDE:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {_WIDE:.0f} {height:.0f}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts()) + "\n</svg>\n"
    )


def _bar(row: Row, across: Callable[[float], float], y: float, colour: str) -> Iterator[str]:
    ratio, asked = results.ratio(row) or 1.0, results.asked(row)
    start, end = sorted((across(1.0), across(ratio)))
    yield f'<rect x="{start:.1f}" y="{y:.1f}" width="{end - start:.1f}" height="{_BAR - 1:.1f}" fill="{colour}"/>'
    if asked:
        line = across(asked)
        yield f'<path d="M{line:.1f} {y - 1:.1f}v{_BAR + 1:.1f}" stroke="#111" stroke-width="2"/>'
        end = line if end < line < end + _WORDS else end
    yield _text(end + 4, y + _BAR - 2, f"{ratio:.2f}", "start", 10)


def _text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
