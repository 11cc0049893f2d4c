"""Arguments of calls: bound to parameters by place or by name, and axes found by number or by extent."""

from __future__ import annotations

from derive.errors import SourceError, Span
from derive.expr import Expr, Num
from derive.language import tree
from derive.language.extents import extent
from derive.language.names import Names, suggest
from derive.language.tensors import Value
from derive.shapes import show_extent


def bind(
    node: tree.CallExpr, required: tuple[str, ...], optional: tuple[str, ...] = (), keyword_only: tuple[str, ...] = ()
) -> dict[str, tree.Expr]:
    """The arguments by parameter name; an error for a missing, an extra, a repeated or an unknown one."""
    name, bound = node.function, dict[str, tree.Expr]()
    places = [*required, *optional]
    signature = f"{name}({', '.join([*places, *(k + '=…' for k in keyword_only)])})"
    for k, argument in enumerate(node.arguments):
        span = argument.span or argument.value.span or node.span
        if argument.name is None:
            if k >= len(places):
                hint = f"write {keyword_only[0]}=…" if keyword_only else f"it is {signature}"
                raise SourceError(f"{name} takes {_arguments(len(places))}, not {_positional(node)}", span, hint=hint)
            bound[places[k]] = argument.value
        elif argument.name not in places and argument.name not in keyword_only:
            hint = suggest(argument.name, [*places, *keyword_only]) or f"it is {signature}"
            raise SourceError(f"{name} has no argument {argument.name}", span, hint=hint)
        elif argument.name in bound:
            raise SourceError(f"{name} gets {argument.name} twice", span)
        else:
            bound[argument.name] = argument.value
    missing = [r for r in required if r not in bound]
    if missing:
        raise SourceError(f"{name} needs {' and '.join(missing)}", node.span, hint=f"it is {signature}")
    return bound


def _arguments(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"


def _positional(node: tree.CallExpr) -> int:
    return sum(a.name is None for a in node.arguments)


def find_axis(names: Names, node: tree.Expr, v: Value) -> int:
    """The axis that ``axis=`` speaks of: counted (from either end) or named by its extent."""
    return axis_of(extent(names, node), v, node.span)


def axis_of(e: Expr, v: Value, span: Span | None) -> int:
    """The number of an axis that is given by number or by extent."""
    if isinstance(e, Num):
        k = int(e.value)
        if not -v.rank <= k < v.rank:
            raise SourceError(
                f"there is no axis {k} in {v.show()}", span, hint=f"its axes are 0 to {v.rank - 1}" if v.rank else None
            )
        return k % v.rank
    places = [k for k, a in enumerate(v.axes) if a == e]
    if not places:
        raise SourceError(f"{v.show()} has no axis {show_extent(e, v.dims)}", span)
    if len(places) > 1:
        counted = " or ".join(f"axis={k}" for k in places)
        raise SourceError(
            f"{v.show()} has the axis {show_extent(e, v.dims)} more than once", span, hint=f"write {counted}"
        )
    return places[0]
