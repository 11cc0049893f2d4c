"""Lines about any layer: ``dW{l} = dZ{l} @ A{l-1}'`` is held against layer l, whose number stays a symbol.

In: a model and lines. Out: a `Verdict` for each, in order. What speaks of the letter of a repetition is judged in the
program of that layer, what speaks of its last layer in the program of the last one, all else in the program written
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from derive.claims.line import Stated
from derive.claims.verify import Verdict, verify_formulas
from derive.errors import GradcError, Source
from derive.program import Program
from derive.repeat.derivation import Repeated
from derive.repeat.layer import last_program, layer_program
from derive.repeat.unroll import depths

_INDEX = re.compile(r"\w\{\s*([A-Za-z]\w*)")


def verify_lines(
    program: Program,
    repeated: Repeated | None,
    lines: Iterable[str | Stated],
    *,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
) -> list[Verdict]:
    """A verdict for each line; ``repeated`` is what is behind the program where the model has repetitions.

    Raises SourceError where a line cannot be read, GradcError where it speaks of what the model has not.
    """
    stated = [s if isinstance(s, Stated) else Stated(s.strip(), Source(s.strip(), "<formula>")) for s in lines]
    if repeated is None:
        return verify_formulas(program, stated, sizes=sizes, seed=seed)
    places = [_place(s, repeated) for s in stated]
    found: dict[int, Verdict] = {}
    for place in dict.fromkeys(places):
        chosen = [k for k, p in enumerate(places) if p == place]
        about = program if place == "" else (last_program if place == "last" else layer_program)(repeated.outline)
        known = {d.name for d in about.dims}
        given = {name: size for name, size in (sizes or {}).items() if place == "" or name in known}
        verdicts = verify_formulas(about, [stated[k] for k in chosen], sizes=given, seed=seed)
        found.update(zip(chosen, verdicts, strict=True))
    return [found[k] for k in range(len(stated))]


def _place(line: Stated, repeated: Repeated) -> str:
    """What a line speaks of: ``layer``, ``last``, or nothing of the kind."""
    bases = set(_INDEX.findall(line.text))
    if not bases:
        return ""
    if bases == {repeated.outline.letter}:
        return "layer"
    if bases <= depths(repeated.scheme):
        return "last"
    shown = " and ".join(sorted(bases))
    raise GradcError(
        f"{line.text}: a line speaks of layer {repeated.outline.letter} or of the last layers, this one of {shown}"
    )
