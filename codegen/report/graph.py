"""The graph of a model as inline SVG: what is computed of what, from the inputs at the top to the loss.

In: a program. Out: markup. Layers are longest paths; an edge that crosses layers bends through a place of its own in
each of them, so that no line runs through a box.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from derive.expr import Add
from derive.program import Program, Tensor, needed, reads
from derive.shapes import show_extent

_HIGH, _GAP_X, _STEP_Y, _CHARACTER, _BEND, _MARGIN = 40.0, 22.0, 74.0, 8.2, 14.0, 4.0
_SWEEPS = 4
Node = Hashable
Edge = tuple[Node, Node]


@dataclass(frozen=True)
class Box:
    """A tensor and where the middle of its box stands."""

    tensor: Tensor
    kind: str
    x: float
    y: float
    width: float


def edges_of(program: Program) -> list[tuple[Tensor, Tensor]]:
    """What is read by what, in the order of the equations; names that gradc gave are passed through.

    What a recurrence reads of itself, or of what follows, is left out.
    """
    roots = [*([program.objective] if program.objective else []), *program.outputs]
    equations = needed(program, roots)
    seen: dict[Tensor, dict[Tensor, None]] = {}
    for e in equations:
        found: dict[Tensor, None] = {}
        for t in reads(e.body):
            found.update(seen[t] if t.hidden and t in seen else {t: None})
        seen[e.out] = {t: None for t in found if t in seen or t in program.declared}
    return [(t, out) for out, found in seen.items() for t in found if not out.hidden or out in roots]


def layers_of(edges: Iterable[Edge]) -> dict[Node, int]:
    """The layer of each node: below everything that it reads; what reads nothing stands close above its readers.

    The edges into a node stand before those out of it.

    >>> layers_of([("x", "a"), ("a", "b"), ("w", "b")])
    {'x': 0, 'a': 1, 'b': 2, 'w': 1}
    """
    edges = list(edges)
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for a, b in edges:
        above.setdefault(a, [])
        above.setdefault(b, []).append(a)
        below.setdefault(a, []).append(b)
    layer = dict.fromkeys(above, 0)
    for a, b in edges:
        layer[b] = max(layer[b], layer[a] + 1)
    for node, operands in above.items():
        if not operands:
            layer[node] = min(layer[b] for b in below[node]) - 1
    return layer


def rows_of(layer: dict[Node, int], edges: Iterable[Edge]) -> tuple[list[list[Node]], list[list[Node]]]:
    """The nodes of each layer in order, bends of long edges included, and the way of each edge."""
    rows: list[list[Node]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node, k in layer.items():
        rows[k].append(node)
    ways: list[list[Node]] = []
    for a, b in edges:
        bends: list[Node] = [(a, b, k) for k in range(layer[a] + 1, layer[b])]
        for k, bend in enumerate(bends, layer[a] + 1):
            rows[k].append(bend)
        ways.append([a, *bends, b])
    near: dict[Node, list[Node]] = {}
    for way in ways:
        for a, b in pairwise(way):
            near.setdefault(a, []).append(b)
            near.setdefault(b, []).append(a)
    for _ in range(_SWEEPS):  # each node to the mean of its neighbours, as fractions of their rows
        for row in [*rows, *reversed(rows)]:
            place = {n: (k + 0.5) / len(r) for r in rows for k, n in enumerate(r)}
            row.sort(key=lambda n: sum(place[m] for m in near[n]) / len(near[n]))
    return rows, ways


def _kind(t: Tensor, program: Program) -> str:
    return "loss" if t is program.objective else t.kind


def graph_svg(program: Program) -> Markup:
    """The picture; empty for a program that computes nothing."""
    edges = edges_of(program)
    if not edges:
        return Markup("")
    rows, ways = rows_of(layers_of(edges), edges)
    labels = {n: (n.name, _extents(n)) for row in rows for n in row if isinstance(n, Tensor)}
    wide = {n: _width(*labels[n]) if isinstance(n, Tensor) else _BEND for row in rows for n in row}
    spans = [sum(wide[n] for n in row) + _GAP_X * (len(row) - 1) for row in rows]
    total = max(spans) + 2 * _MARGIN
    at: dict[Node, tuple[float, float]] = {}
    for k, (row, span) in enumerate(zip(rows, spans, strict=True)):
        x = (total - span) / 2
        for n in row:
            at[n] = (x + wide[n] / 2, k * _STEP_Y + _HIGH / 2 + _MARGIN)
            x += wide[n] + _GAP_X
    high = (len(rows) - 1) * _STEP_Y + _HIGH + 2 * _MARGIN
    lines = [_line([at[n] for n in way]) for way in ways]
    boxes = [
        _box(Box(n, _kind(n, program), *at[n], wide[n]), *labels[n])
        for row in rows
        for n in row
        if isinstance(n, Tensor)
    ]
    names = ", ".join(f"{a} → {b}" for a, b in edges)
    head = Markup(
        '<svg class="graph" role="img" aria-label="{}" width="{:.0f}" height="{:.0f}" viewBox="0 0 {:.1f} {:.1f}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    ).format(names, total, high, total, high)
    return Markup("\n").join([head, *lines, *boxes, Markup("</svg>")])


def _width(*texts: str) -> float:
    return max(map(len, texts)) * _CHARACTER + 18


def _extents(t: Tensor) -> str:
    return "×".join(f"({shown})" if isinstance(a, Add) else shown for a in t.axes for shown in [show_extent(a)])


def _line(points: list[tuple[float, float]]) -> Markup:
    """A curve from below the first box to above the last, upright at each bend."""
    half = _HIGH / 2
    (x, y), text = points[0], f"M{points[0][0]:.1f} {points[0][1] + half:.1f}"
    y += half
    for k, (to_x, to_y) in enumerate(points[1:], 1):
        to_y -= half if k == len(points) - 1 else 0
        middle = (y + to_y) / 2
        text += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return Markup('<path class="edge" d="{}" marker-end="url(#arrow)"/>').format(text)


def _box(box: Box, name: str, extents: str) -> Markup:
    left, top = box.x - box.width / 2, box.y - _HIGH / 2
    one = not extents
    return Markup(
        '<g class="{}"><title>{} {}</title><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="7"/>'
        '<text class="name" x="{:.1f}" y="{:.1f}">{}</text><text class="axes" x="{:.1f}" y="{:.1f}">{}</text></g>'
    ).format(
        box.kind, box.kind, name, left, top, box.width, _HIGH,
        box.x, box.y + (5 if one else -2), name, box.x, box.y + 13, extents,
    )  # fmt: skip
