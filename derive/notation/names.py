"""The one place where tensors and letters get the names that people read.

In: a program. Out: a display name for each tensor, letters for each equation. A user's name always wins over a
generated one: a cotangent that would be called like a declared tensor gets underscores until it is not.
"""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Iterable, Mapping

from derive.contract import is_delta
from derive.expr import Access, Dim, Expr, Letter, Reduce
from derive.notation.elements import Element
from derive.program import Equation, Program, Tensor

GREEK_PATTERN = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon"
    "|phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)
MEMBER = re.compile(r"(.+?)\{(.+)\}(_*)")
"""The name of a family's member: stem, layer, and what tells it from another of that name."""
_SPARE = "ijklmpqrstuvw"


class Names:
    """Display names of one program's tensors.

    ``deltas`` gives the layer of each cotangent that is printed as δ.

    >>> from derive.expr import Dim
    >>> n = Dim("n"); w, user = Tensor("w", (n,), "param"), Tensor("dw", (n,), "param")
    >>> dw = Tensor("dw", (n,), "cotangent", primal=w)
    >>> names = Names(Program("m", declared=(w, user), equations=()), extra=(dw,))
    >>> names[user], names[dw]
    ('dw', 'dw_')
    """

    def __init__(
        self, program: Program, extra: Iterable[Tensor] = (), deltas: Mapping[Tensor, str] | None = None
    ) -> None:
        self.program = program
        self.deltas = dict(deltas or {})
        self._names: dict[Tensor, str] = {}
        self._taken: dict[str, Tensor] = {}
        self._dims = program.numbers
        self._written = set(re.findall(r"[A-Za-z]\w*", " ".join(re.findall(r"\[([^\]]*)\]", program.text))))
        tensors = [*program.tensors, *extra, *(g for _, g in program.gradients)]
        spans = {e.out: e.span for e in program.equations}
        users = [t for t in tensors if t.kind != "cotangent" and (t in program.declared or spans.get(t) is not None)]
        for t in (*users, *tensors):
            self._claim(t)

    def _claim(self, tensor: Tensor) -> str:
        if tensor in self._names:
            return self._names[tensor]
        wanted = tensor.name
        if tensor.kind == "cotangent" and tensor.primal is not None:
            wanted = "d" + self._claim(tensor.primal)
        name = wanted
        while name in self._taken or name in self.program.constants:
            name += "_"
        self._taken[name] = tensor
        self._names[tensor] = name
        return name

    def __getitem__(self, tensor: Tensor) -> str:
        """The display name; a tensor that the program does not hold gets one when it is first asked for."""
        return self._claim(tensor)

    def python(self, tensor: Tensor) -> str:
        """The display name as a Python identifier that hides neither a keyword nor NumPy."""
        name = self[tensor]
        while identifier(name) != name or self._taken.get(name, tensor) is not tensor:
            name += "_"
        return name

    def free(self, *choices: str) -> str:
        """The first of the choices that no tensor is called."""
        return next((c for c in choices if c not in self._taken), choices[-1] + "_")

    def letters(self, equation: Equation) -> dict[Letter, str]:
        """A name for each letter of an equation, distinct within it and unlike every tensor.

        A letter may be called like the extent that it runs over, as in the language, unless its value is used
        (in a Kronecker delta it is not).
        """
        found, values = letters_of(equation)
        tensors = {self[t] for t in self._names}.union(self.program.constants)
        named: dict[Letter, str] = {}
        used: set[str] = set()
        for letter in found:
            avoid = tensors | used | (self._dims if letter in values else set())
            named[letter] = next(c for c in self._candidates(letter) if c not in avoid)
            used.add(named[letter])
        return named

    def letter(self, letter: Letter, taken: Iterable[str], *, value: bool = False) -> str:
        """A name for one letter, unlike those taken and unlike every tensor; a prime comes before another letter."""
        numbers = self._dims if value else self.program.constants
        avoid = {*taken, *(self[t] for t in self._names), *numbers}
        return next(c for c in self._candidates(letter, primes=True) if c not in avoid)

    def _candidates(self, letter: Letter, *, primes: bool = False) -> Iterable[str]:
        """The letter that the author wrote, else the name of the axis, else any other."""
        hint = letter.hint if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", letter.hint) else "i"
        axis = letter.extent.name if isinstance(letter.extent, Dim) and "{" not in letter.extent.name else hint
        if hint != axis and hint in self._dims:
            hint = axis
        elif self._written and hint not in self._written:
            hint, axis = axis, hint
        yield from (hint, hint + "′", hint + "″", axis) if primes else (hint, axis, hint + "′", hint + "″")
        yield from _SPARE
        yield from (f"i{k}" for k in itertools.count(1))


def identifier(name: str) -> str:
    """The name as a Python identifier that hides neither a keyword nor NumPy.

    >>> identifier("lambda"), identifier("nu")
    ('lambda_', 'nu')
    """
    return f"{name}_" if keyword.iskeyword(name) or name in ("np", "float") else name


def letters_of(equation: Equation) -> tuple[list[Letter], set[Letter]]:
    """The letters, free ones first, and those whose value is used outside of a place on its own."""
    order: dict[Letter, None] = dict.fromkeys(equation.letters)
    values: set[Letter] = set()
    stack: list[Expr] = [equation.body]
    while stack:
        node = stack.pop()
        if isinstance(node, Letter):
            order.setdefault(node)
            values.add(node)
        elif isinstance(node, (Access, Element)):
            for place in node.places:
                if isinstance(place, Letter):
                    order.setdefault(place)
                else:
                    stack.append(place)
        elif is_delta(node):
            order.update(dict.fromkeys(c for c in node.children if isinstance(c, Letter) and c not in order))
        else:
            if isinstance(node, Reduce):
                order.update(dict.fromkeys(b for b in node.binders if b not in order))
            stack.extend(reversed(node.children))
    return list(order), values


def latex_name(name: str) -> str:
    r"""A name as LaTeX writes it.

    >>> latex_name("W1"), latex_name("sigma_out"), latex_name("xhat"), latex_name("loss")
    ('W_{1}', '\\sigma_{\\mathrm{out}}', '\\hat{x}', '\\mathrm{loss}')
    """
    member = MEMBER.fullmatch(name)
    if member is not None:
        return f"{latex_name(member[1] + member[3])}^{{{member[2]}}}"
    head, *tail = [p for p in re.sub(r"\W", "", name).split("_") if p] or ["x"]
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)(hat|tilde|bar|)(\d*)", head)
    if match is None or (match[2] and match[4]):
        base, below = rf"\mathrm{{{head}}}", list[str]()
    else:
        base, below = _latex_base(match[1]), [p for p in (match[2], match[4]) if p]
        if match[3]:
            base = rf"\{match[3]}{{{base}}}"
    below += [p if len(p) == 1 or p.isdigit() else rf"\mathrm{{{p}}}" for p in tail]
    base += "'" * (len(name) - len(name.rstrip("_")))
    return base + (f"_{{{','.join(below)}}}" if below else "")


def _latex_base(word: str) -> str:
    if GREEK_PATTERN.fullmatch(word):
        return f"\\{word}"
    return word if len(word) == 1 else rf"\mathrm{{{word}}}"
