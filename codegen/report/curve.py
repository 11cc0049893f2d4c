"""The loss of a training, epoch by epoch, as inline SVG.

In: the epochs that were measured. Out: markup. The axis of the loss counts in powers of ten where the losses differ by
more than a factor of a hundred; its ticks stand at 1, 2 or 5 times a power of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from codegen.train import Epoch

_WIDE, _HIGH = 540.0, 290.0
_LEFT, _RIGHT, _TOP, _BELOW = 74.0, 16.0, 16.0, 50.0
_RATIO = 100.0  # from this ratio of the largest loss to the smallest the axis is logarithmic
_TICKS = 6
_MARGIN = 0.04  # of a logarithmic axis below the smallest value and above the largest
_DOTS = 60  # so many epochs are dots too


@dataclass(frozen=True)
class Axis:
    """An axis: where a value lies from 0 to 1, and the values that have a tick."""

    place: Callable[[float], float]
    ticks: tuple[float, ...]


def curve_svg(epochs: Sequence[Epoch]) -> Markup:
    """The picture of the loss over what was trained on and, where there is one, over what was held out."""
    lines = [("train", "trained on", [(e.number, e.train.loss) for e in epochs])]
    held = [(e.number, e.held.loss) for e in epochs if e.held is not None]
    if held:
        lines.append(("held", "held out", held))
    losses = [loss for _, _, points in lines for _, loss in points if math.isfinite(loss)]
    if not losses:
        return Markup("")
    logarithmic = min(losses) > 0 and max(losses) > _RATIO * min(losses)
    across = epoch_axis(epochs[0].number, epochs[-1].number)
    up = (log_axis if logarithmic else plain_axis)(min(losses), max(losses))

    def x(number: float) -> float:
        return _LEFT + across.place(number) * (_WIDE - _LEFT - _RIGHT)

    def y(loss: float) -> float:
        return _HIGH - _BELOW - up.place(loss) * (_HIGH - _TOP - _BELOW)

    first, last = lines[0][2][0][1], lines[0][2][-1][1]
    parts = [
        Markup(
            '<svg class="curve" role="img" aria-label="the loss goes from {:.4g} to {:.4g} in {} epochs" '
            'width="{:.0f}" height="{:.0f}" viewBox="0 0 {:.0f} {:.0f}">'
        ).format(first, last, len(epochs), _WIDE, _HIGH, _WIDE, _HIGH)
    ]
    for value in up.ticks:
        parts.append(_path("grid", [(_LEFT, y(value)), (_WIDE - _RIGHT, y(value))]))
        parts.append(_text("up", _LEFT - 8, y(value) + 4, number(value)))
    for value in across.ticks:
        parts.append(_path("tick", [(x(value), _HIGH - _BELOW), (x(value), _HIGH - _BELOW + 5)]))
        parts.append(_text("across", x(value), _HIGH - _BELOW + 19, f"{value:.0f}"))
    parts.append(_path("axis", [(_LEFT, _TOP), (_LEFT, _HIGH - _BELOW), (_WIDE - _RIGHT, _HIGH - _BELOW)]))
    parts.append(_text("across", (_LEFT + _WIDE - _RIGHT) / 2, _HIGH - 10, "epoch"))
    turned = Markup(' transform="rotate(-90)"')
    name = "loss (logarithmic)" if logarithmic else "loss"
    parts.append(_text("across", -(_TOP + _HIGH - _BELOW) / 2, 14, name, turned))
    for kind, _, points in lines:
        places = [(x(n), y(loss)) for n, loss in points if math.isfinite(loss)]
        parts.append(_path(kind, places))
        if len(places) <= _DOTS:
            parts += [Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(kind, *p) for p in places]
    if held:  # a key, where curves that fall leave room for it
        parts.append(
            Markup('<rect x="{:.0f}" y="{:.0f}" width="130" height="40"/>').format(_WIDE - _RIGHT - 130, _TOP - 4)
        )
        for k, (kind, words, _) in enumerate(lines):
            right, high = _WIDE - _RIGHT - 96, _TOP + 12 + 18 * k
            parts.append(_path(kind, [(right - 26, high - 4), (right - 4, high - 4)]))
            parts.append(_text("key", right, high, words))
    return Markup("\n").join([*parts, Markup("</svg>")])


def plain_axis(low: float, high: float) -> Axis:
    """An axis from 0 where the values allow it, else from below the smallest, to above the largest.

    >>> plain_axis(0.1, 0.7).ticks
    (0.0, 0.2, 0.4, 0.6, 0.8)
    """
    low = min(low, 0.0) if low < 0.5 * high else low
    size = step((high - low or abs(high) or 1.0) / (_TICKS - 1))
    start, end = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    if start == end:
        start, end = start - 1, end + 1
    return Axis(
        lambda v: (v / size - start) / (end - start),
        tuple(round(k * size, 12 - math.floor(math.log10(size))) for k in range(start, end + 1)),
    )


def log_axis(low: float, high: float) -> Axis:
    """An axis whose ticks stand at powers of ten; at 2 and 5 times those too where few of them lie between.

    >>> log_axis(0.003, 2).ticks
    (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    >>> log_axis(1e-9, 2).ticks
    (1e-08, 1e-06, 0.0001, 0.01, 1.0)
    """
    start, end = math.log10(low), math.log10(high)
    margin = _MARGIN * (end - start)
    start, end = start - margin, end + margin
    every = math.ceil((end - start) / _TICKS)
    between = (1, 2, 5) if high < 1000 * low else (1,)
    powers = range(math.floor(start), math.floor(end) + 1)
    ticks = (float(f"{m}e{k}") for k in powers if k % every == 0 for m in between)
    inside = tuple(v for v in ticks if start <= math.log10(v) <= end)
    return Axis(lambda v: (math.log10(v) - start) / (end - start), inside)


def epoch_axis(first: int, last: int) -> Axis:
    """An axis from the first epoch to the last, its ticks at round numbers.

    >>> epoch_axis(1, 40).ticks
    (1, 10, 20, 30, 40)
    """
    size = max(1, round(step((last - first) / _TICKS or 1)))
    rounds = [k for k in range(size, last + 1, size) if k > first + size / 3]
    return Axis(lambda v: (v - first) / (last - first) if last > first else 0.5, (first, *rounds))


def step(least: float) -> float:
    """The smallest of 1, 2 and 5 times the powers of ten that is not below ``least``.

    >>> step(0.03), step(7)
    (0.05, 10.0)
    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def number(value: float) -> str:
    """A tick's number: short, and without an exponent where there is room.

    >>> number(0.05), number(0.0), number(1e-5)
    ('0.05', '0', '10⁻⁵')
    """
    if value and not 1e-4 <= abs(value) < 1e6:
        digits, _, power = f"{value:.2g}".partition("e")
        if power:
            raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
            return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"
    return f"{value:g}"


def _path(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    return Markup('<polyline class="{}" points="{}"/>').format(kind, " ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def _text(kind: str, x: float, y: float, text: str, more: Markup | str = "") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}"{}>{}</text>').format(kind, x, y, more, text)
