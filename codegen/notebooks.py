"""Notebooks of the examples, run without Jupyter: the outputs that a kernel would store, the same on every machine.

In: the text of a notebook. Out: the same notebook with its cells run in order. It holds no times and no paths. Rounding
errors, which gradient checks show, differ between machines: outputs that differ from the stored ones in nothing else
are left as they are. Cells are programs and are run as such: this is for the project's own examples, which
`python -m codegen.regenerate` rebuilds; no command of gradc calls it, and no model text comes here.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

_ROUNDING = re.compile(r"\b\d\.\de[-+]\d\d\b")
_TYPES = {"text/html": "_repr_html_", "text/latex": "_repr_latex_"}

Cell = dict[str, Any]


def executed(path: Path) -> str:
    """The notebook at ``path`` with the outputs that its cells have today, run in its folder.

    An exception in a cell is not caught: an example that fails is no example.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    with contextlib.chdir(path.parent):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                outputs = run("".join(cell["source"]), names, count)
                if cell.get("execution_count") != count or not alike(outputs, cell.get("outputs")):
                    cell["outputs"], cell["execution_count"] = outputs, count
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def run(source: str, names: dict[str, Any], count: int) -> list[Cell]:
    """What a cell gives: what it printed, and the value of its last line where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[Cell] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(text)})
    if value is not None:
        found = {"text/plain": repr(value)} | {k: getattr(value, m)() for k, m in _TYPES.items() if hasattr(value, m)}
        data = {kind: _lines(text) for kind, text in sorted(found.items())}
        outputs.append({"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"})
    return outputs


def alike(a: object, b: object) -> bool:
    """Whether two outputs differ in rounding errors at most.

    >>> alike(["error 1.3e-12"], ["error 9.8e-13"]), alike(["1.5"], ["1.6"])
    (True, False)
    """
    first, second = (_ROUNDING.sub("0", json.dumps(x, sort_keys=True)) for x in (a, b))
    return first == second


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
