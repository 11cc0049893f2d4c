"""Formulas as JSON, for other programs.

In: a program. Out: a dict that `json.dumps` takes. Schema, version 1::

    {"schema": "gradc-formulas", "version": 1, "model": name, "digest": text or "",
     "dims": {name: default or null},
     "equations": [{"name": text, "kind": "value" | "cotangent", "of": name or null, "shape": [text, ...],
                    "index": text, "matrix": text or null, "latex": text, "python": text or null}],
     "gradients": {variable: name of its cotangent}}

Fields are only ever added within a version.
"""

from __future__ import annotations

from typing import Any

from derive.notation.notation import Notation
from derive.program import Program

VERSION = 1


def to_json(program: Program, notation: Notation | None = None) -> dict[str, Any]:
    """The formulas of a program.

    >>> to_json(Program("empty"))["version"]
    1
    """
    notes = notation or Notation(program)
    names = notes.names
    return {
        "schema": "gradc-formulas",
        "version": VERSION,
        "model": program.name,
        "digest": program.digest,
        "dims": {d.name: d.default for d in program.dims},
        "equations": [
            {
                "name": names[e.out],
                "kind": e.out.kind,
                "of": names[e.out.primal] if e.out.primal is not None else None,
                "shape": [str(a) for a in e.out.axes],
                "index": notes.index(e),
                "matrix": notes.matrix(e),
                "latex": notes.latex(e),
                "python": notes.python(e),
            }
            for e in notes.program.equations
        ],
        "gradients": {names[t]: names[g] for t, g in program.gradients},
    }
