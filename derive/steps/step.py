"""What a derivation is told in: steps, each an equality of two sides that was evaluated before it is shown.

In: sides (expressions over letters, or matrix forms). Out: `Step` and `Steps`, which print as text and as LaTeX.
`Ratio` is a derivative as a tensor, ∂out/∂T; `Slice` a part of a tensor at fixed letters, P[n,:].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Any

from derive.errors import Span
from derive.expr import Expr, Letter
from derive.forms import Form
from derive.notation.notebook import Typeset, html_table
from derive.program import Equation, Tensor

_HEAD = ("step", "equality", "reason")


class StepError(AssertionError):
    """A step that does not hold: a defect of gradc, never of a model."""


@dataclass(eq=False, repr=False)
class Ratio(Tensor):
    """The derivative ∂of/∂by as a tensor: the axes of ``of``, then those of ``by``.

    A ``total`` one, dof/dby, follows every path between the two where ∂of/∂by follows only one.
    """

    of: Tensor | None = None
    by: Tensor | None = None
    total: bool = False

    @staticmethod
    def make(of: Tensor, by: Tensor, *, total: bool = False) -> Ratio:
        """The ratio of two tensors."""
        return Ratio(f"∂{of.name}/∂{by.name}", (*of.axes, *by.axes), "cotangent", of=of, by=by, total=total)


@dataclass(eq=False, repr=False)
class Slice(Tensor):
    """``of`` at ``fixed`` letters (None where it keeps its axis)."""

    of: Tensor | None = None
    fixed: tuple[Letter | None, ...] = ()

    @staticmethod
    def make(of: Tensor, fixed: tuple[Letter | None, ...]) -> Slice:
        """The slice of a tensor."""
        axes = tuple(a for a, f in zip(of.axes, fixed, strict=True) if f is None)
        return Slice(of.name, axes, of.kind, of=of, fixed=fixed)


@dataclass(frozen=True)
class RowColumn:
    """A product of two matrices, read element by element: ``Row_i(A)·Col_j(B)``."""

    product: Form


@dataclass(frozen=True, eq=False)
class Written:
    """A product of small matrices that are written out, entry by entry: rows of entries."""

    matrices: tuple[tuple[tuple[Expr, ...], ...], ...]


Side = Expr | Form | RowColumn | Written


@dataclass(frozen=True, eq=False)
class Claim:
    """An equality that the reason of a step rests on, over the letters of the step; it is tested like the step."""

    before: Expr | Form
    after: Expr | Form


Reason = str | Tensor | Expr | Equation | Claim
"""A piece of the sentence behind a step: words, or what is printed as a formula."""


@dataclass(frozen=True)
class Phrase:
    """A piece of that sentence as it is printed: words, or a formula in Unicode and in LaTeX."""

    text: str
    tex: str
    formula: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One equality: ``before = after`` over ``letters``, wherever ``where`` holds (everywhere if it is None).

    ``target`` is the tensor whose derivative is told, ``span`` the model line that the step reads, ``reason`` the
    sentence behind it and ``phrases`` that sentence as it is printed. ``text`` and ``tex`` are both sides in Unicode
    and in LaTeX. Slices in a form are taken at the letters ``fixed``. ``rests_on`` are the tensors whose
    derivatives the step writes out.
    """

    rule: str
    target: Tensor
    before: Side
    after: Side
    letters: tuple[Letter, ...]
    where: Expr | None = None
    reason: tuple[Reason, ...] = ()
    span: Span | None = field(default=None, repr=False)
    fixed: tuple[Letter, ...] = ()
    rests_on: tuple[Tensor, ...] = ()
    text: tuple[str, str] = ("", "")
    tex: tuple[str, str] = ("", "")
    phrases: tuple[Phrase, ...] = ()

    @property
    def note(self) -> str | None:
        """The reason as text, formulas in Unicode."""
        return "".join(p.text for p in self.phrases) or None

    @property
    def latex_note(self) -> str | None:
        """The reason as text of LaTeX, formulas between dollar signs."""
        return "".join(f"${p.tex}$" if p.formula else _escaped(p.tex) for p in self.phrases) or None

    def __str__(self) -> str:
        return " = ".join(self.text)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    def _repr_html_(self) -> str:
        return html_table(_HEAD, [(self.rule, str(self), self.note or "")])

    def latex(self) -> str:
        """The equality in LaTeX."""
        return " = ".join(self.tex)


class Steps(tuple[Step, ...]):
    """The steps of a derivation in order."""

    __slots__ = ()

    def by(self, target: Tensor) -> Steps:
        """The steps that tell of the derivative by one tensor, and of those that are written out in it."""
        wanted, size = {target}, 0
        while size < len(wanted):
            size = len(wanted)
            wanted |= {t for s in self if s.target in wanted for t in s.rests_on}
        return Steps(s for s in self if s.target in wanted)

    def __str__(self) -> str:
        lines: list[str] = []
        last: Step | None = None
        for step in self:
            if last is None or last.target is not step.target:
                lines += [*([""] if lines else []), *self._heading(step.target)]
                last = None
            follows = last is not None and last.text[1] == step.text[0]
            shown = f"  = {step.text[1]}" if follows else str(step)
            lines.append(f"  {step.rule:<23}{shown}" + (f"   ({step.note})" if step.note else ""))
            last = step
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A table for each tensor whose derivative is told, under the model lines through which it acts."""
        parts: list[str] = []
        for target in dict.fromkeys(s.target for s in self):
            name, *lines = self._heading(target)
            parts.append(
                "<br>\n".join([f"<b>{escape(name)}</b>", *(f"<code>{escape(x.strip())}</code>" for x in lines)])
            )
            own = [s for s in self if s.target is target]
            follows = [False, *(a.text[1] == b.text[0] for a, b in pairwise(own))]
            texts = [f"\u2003= {s.text[1]}" if same else str(s) for s, same in zip(own, follows, strict=True)]
            parts.append(html_table(_HEAD, [(s.rule, t, s.note or "") for s, t in zip(own, texts, strict=True)]))
        return "\n".join(parts)

    def typeset(self) -> Typeset:
        """The steps for a notebook to typeset."""
        return Typeset(self.latex(), str(self))

    def _heading(self, target: Tensor) -> list[str]:
        """The tensor, and the model lines through which it acts."""
        spans = dict.fromkeys(s.span for s in self if s.target is target and s.span is not None)
        return [target.name, *(f"    line {s.line}: {_line(s)}" for s in spans)]

    def as_json(self) -> list[dict[str, Any]]:
        """The steps as plain data, a dictionary each."""
        return [
            {
                "by": s.target.name,
                "rule": s.rule,
                "before": s.text[0],
                "after": s.text[1],
                "latex": s.latex(),
                "line": None if s.span is None else s.span.line,
                "source": None if s.span is None else _line(s.span),
                "note": s.note,
                "latex_note": s.latex_note,
            }
            for s in self
        ]

    def latex(self) -> str:
        r"""The steps as one aligned display, the rule and the reason behind each."""
        lines = []
        for last, s in zip((None, *self), self, strict=False):
            follows = last is not None and last.target is s.target and last.tex[1] == s.tex[0]
            left = "" if follows else s.tex[0] + " "
            words = _escaped(s.rule) + (f": {s.latex_note}" if s.phrases else "")
            lines.append(rf"{left}&= {s.tex[1]} && \text{{{words}}}")
        return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])

    _repr_latex_ = latex


def _escaped(words: str) -> str:
    for sign, tex in (("_", r"\_"), ("≠", r"$\ne$"), ("′", "$'$"), ("·", r"$\cdot$")):
        words = words.replace(sign, tex)
    return words


def _line(span: Span) -> str:
    if span.used is not None:
        return span.used.line
    return span.source.line(span.line).partition("#")[0].strip()
