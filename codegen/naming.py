"""Names in emitted code: from a model's names to Python identifiers, decided once.

In: the names that people gave (which win) and the tensors and letters that need one. Out: identifiers that
are no keyword, no builtin and nothing that the emitted module uses itself. Identity is never a name:
two tensors that print alike get two identifiers.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from derive.program import Program, Tensor

# What an emitted module means by these words. Its private names begin with an underscore, which no name
# of a model does.
MODULE_WORDS = frozenset(
    {"np", "math", "njit", "os", "tempfile", "DIMS", "PARAMS", "DTYPE", "STATES", "BOUNDS", "real", "zip"}
    | {"typed_passes", "untyped_passes", "Compiler", "CompilerBase", "PassManager"}
    | {"ctypes", "llvm", "ir", "types", "cfunc", "cgutils", "intrinsic", "models", "register_model"}
    | {"sys", "functools", "typeof", "FunctionCache", "normalize_signature"}
    | {"prange"}
)
PUBLIC_WORDS = frozenset(
    {"init_params", "forward", "loss", "loss_and_grad", "loss_and_grad_flat", "fit", "save", "load"}
    | {"next_state", "seed", "training", "rng", "params", "inputs", "theta", "grad", "arrays", "results", "value", "a"}
    | {"hvp", "hvp_flat", "direction", "directions", "product"}
)
_LETTERS = "ijklpqrstuv"
_FORBIDDEN = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | MODULE_WORDS


def identifier(name: str) -> str:
    """``name`` with everything that an identifier cannot hold replaced.

    >>> identifier("dZ{1}")
    'dZ_1'
    """
    clean = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_") or "v"
    return f"v{clean}" if clean[0].isdigit() else clean


class Names:
    """A name space: every request is answered with an identifier that nothing else has.

    What was once an index is never a value, even after it was given back: one name has one type in a function.

    >>> names = Names(["lambda", "x"])
    >>> names.fresh("x"), names.fresh("lambda"), names.fresh("y")
    ('x_2', 'lambda_2', 'y')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(_FORBIDDEN)
        self._values: set[str] = set()
        self._indices: set[str] = set()
        self._tensors: dict[Tensor, str] = {}
        self._taken.update(taken)

    def fresh(self, wish: str) -> str:
        """An unused identifier like ``wish``, from now on taken."""
        name = self._free(wish, self._indices)
        self._values.add(name)
        return name

    def _free(self, wish: str, others: set[str]) -> str:
        base = identifier(wish)
        name, count = base, 1
        while name in self._taken or name in others:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name

    def loop(self, wish: str) -> str:
        """An identifier for an index: ``wish`` where it is free, else the first free letter."""
        free = (w for w in (identifier(wish), *_LETTERS) if w not in self._taken | self._values)
        name = self._free(next(free, "i"), self._values)
        self._indices.add(name)
        return name

    def scope(self) -> Names:
        """A name space inside this one: what is named there does not concern the outside."""
        inner = Names()
        inner._taken, inner._tensors = set(self._taken), dict(self._tensors)
        inner._values, inner._indices = set(self._values), set(self._indices)
        return inner

    def alias(self, tensor: Tensor, other: Tensor) -> None:
        """Let two tensors that share their memory share their name."""
        self._tensors[tensor] = self.tensor(other)

    def release(self, name: str) -> None:
        """Give back a name whose scope ended."""
        self._taken.discard(name)

    def tensor(self, tensor: Tensor) -> str:
        """The identifier of a tensor, always the same one."""
        if tensor not in self._tensors:
            self._tensors[tensor] = self.fresh(tensor.name)
        return self._tensors[tensor]


def names_of(program: Program) -> tuple[Names, dict[str, str]]:
    """The name space of an emitted module, and the identifiers of the extents.

    Extents live at module level, beside the public functions; tensors are local to functions. What a
    person named comes first, cotangents and temporaries after it.
    """
    names = Names()
    hidden = Names(PUBLIC_WORDS)
    dims = [d.name for d in program.dims] + ([program.batch.name] if program.batch else [])
    extents = {d: hidden.fresh(d) for d in dims}
    for taken in extents.values():
        names.fresh(taken)
    people = [t for t in program.tensors if t.kind != "cotangent"]
    for t in (*people, *(t for t in program.tensors if t.kind == "cotangent")):
        names.tensor(t)
    return names, extents
