r"""A derivation as a LaTeX article: the model, its formulas, their gradients, and the steps where they are asked for.

In: a gradient. Out: a whole document that compiles with any TeX Live. LaTeX itself measures what fits: a formula is
given as pieces between which a line may end, and a piece wider than the page is made smaller.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from codegen.sheets import heading, in_indices, parts_of, sources_of
from derive.formulas import Gradient
from derive.notation.index_text import IndexPrinter
from derive.notation.norm_notes import norm_notes
from derive.notation.style import ATOM, Style
from derive.notation.wrapping import wrapped
from derive.program import Equation, Program, Tensor
from derive.repeat.display import heading as loop_heading
from derive.repeat.scheme import Repeat
from derive.steps import Step, Steps

_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[a4paper,margin=2.2cm]{geometry}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{amsmath,amssymb,graphicx,textcomp}
\setlength{\parindent}{0pt}
\setcounter{secnumdepth}{0}
\setcounter{MaxMatrixCols}{40}
% A line of a group is \formula{left side}{pieces of the right side}{shape}; a step has its rule in front. The left
% sides of a group are as wide as the widest, which \widest finds.
\newlength{\before}\newlength{\behind}\newlength{\leftside}\newlength{\rightside}
\newsavebox{\formulabox}
\newenvironment{formulas}[2]{\par\setlength{\before}{#1}\setlength{\behind}{#2}\setlength{\leftside}{0pt}}{\par}
\newcommand{\widest}[1]{\sbox{\formulabox}{$\displaystyle #1$}%
  \ifdim\wd\formulabox>\leftside \setlength{\leftside}{\wd\formulabox}\fi}
\newcommand{\formula}[3]{\row{}{#1}{#2}{\hfill\footnotesize$#3$}}
\newcommand{\loopheading}[1]{\par\medskip{\small\itshape #1}\par}
\newcommand{\row}[4]{\par\smallskip
  \setlength{\rightside}{\dimexpr\linewidth-\before-\behind-\leftside\relax}%
  \makebox[\before][l]{\small\itshape #1}\makebox[\leftside][r]{$\displaystyle #2$}%
  \parbox[t]{\rightside}{\raggedright\hangindent=1.6em\hangafter=1 #3\strut}\makebox[\behind][r]{#4}\par}
\newcommand{\piece}[1]{\sbox{\formulabox}{$\displaystyle {}#1$}%
  \ifdim\wd\formulabox>\dimexpr\rightside-1.6em\relax
    \resizebox{\dimexpr\rightside-1.6em\relax}{!}{\usebox{\formulabox}}\else\usebox{\formulabox}\fi\allowbreak}
\newcommand{\either}[2]{\sbox{\formulabox}{$\displaystyle {}#1$}% the first if it fits
  \ifdim\wd\formulabox>\dimexpr\rightside-1.6em\relax #2\else\usebox{\formulabox}\allowbreak\fi}
\newcommand{\step}[4]{\row{#1}{#2}{#3 \ifx\relax#4\relax\else\enspace{\small(#4)}\fi}{}}
\newcommand{\code}[2]{{\raggedright\small\ttfamily\hangindent=4em\hangafter=1
  \makebox[2.2em][l]{\normalfont\scriptsize#1}#2\strut\par}}
\newcommand{\unknown}[1]{{\tiny U+#1}}
\let\under\underset % what stands under the factors of a product stands on one line, and apart
\renewcommand{\underset}[2]{\mskip3mu\under{#1}{\mathstrut#2}\mskip3mu}
\begin{document}
"""
_SPECIAL = {c: rf"\{c}" for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedbl{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "-": "-{}",
    "|": r"\textbar{}",
}
_SIGNS = {
    "′": "'", "″": "''", "−": "-", "·": r"\cdot", "⊙": r"\odot", "⊘": r"\oslash", "×": r"\times", "÷": r"\div",
    "∂": r"\partial", "∇": r"\nabla", "√": r"\surd", "∞": r"\infty", "∈": r"\in", "≠": r"\ne", "≤": r"\le", "≥": r"\ge",
    "≈": r"\approx", "→": r"\to", "←": r"\leftarrow", "⇒": r"\Rightarrow", "‖": r"\Vert", "∘": r"\circ", "∑": r"\sum",
    "…": r"\dots", "⋯": r"\cdots", "–": r"\text{--}", "—": r"\text{---}", "⟨": r"\langle", "⟩": r"\rangle",
}  # fmt: skip
_SMALL = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
_LARGE = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψΓΔΘΛΞΠΣΥΦΨΩ", re.findall(r"\w+", f"{_SMALL} {_LARGE}"), strict=True))
_ALIKE = dict(zip("ΑΒΕΗΙΚΜΝΟΡΤΧΥΖο", "ABEHIKMNOPTXYZo", strict=True))  # Greek letters that LaTeX has as Latin ones
_SIGNS |= {c: rf"\{name}" for c, name in (_GREEK | {"ω": "omega", "ς": "varsigma"}).items()}
_SIGNS |= {c: rf"\mathrm{{{latin}}}" for c, latin in _ALIKE.items() if c not in _GREEK}


@dataclass(frozen=True)
class Line:
    """A formula in LaTeX, what stands beside it at the right margin, and the repetition that it belongs to."""

    tex: str
    beside: str = ""
    loop: Repeat | None = None

    @property
    def left(self) -> str:
        """What stands before its equals sign."""
        return self.tex.partition(" = ")[0]

    @property
    def right(self) -> str:
        """What stands behind it."""
        return self.tex.partition(" = ")[2]


def article(gradient: Gradient, *, steps: bool = False, shapes: bool = False, deltas: bool = False) -> str:
    """The document; ``shapes`` writes them under the factors, ``deltas`` writes δ for layers."""
    parts = parts_of(gradient, deltas=deltas, shapes=shapes)
    notation, loops = parts.notation, (gradient.symbolic or gradient).loops

    def group(equations: Iterable[Equation], *, index: bool = False) -> str:
        lines = []
        for e in equations:
            tex = notation.latex_index(e) if index else notation.latex(e)
            lines.append(Line(tex, "" if shapes or index else _shape(e, notation.tex), loops.get(e.out)))
        return formulas(lines)

    said = in_indices(notation, parts.forward, parts.backward)
    notes = [plain(said[0].upper() + said[1:])] if said else []
    notes += [note.latex() for note in norm_notes(notation, parts.backward)]
    sections = [
        ("Model", "\n\n".join(map(listing, sources_of(gradient.program)))),
        ("Forward", group(parts.forward)),
        ("Gradients", group(parts.backward) + "".join(f"\n\n{note}." for note in notes)),
        *((title.capitalize(), group(equations)) for title, equations in parts.further),
        ("Names within these formulas", group(parts.names)),
        ("Gradients in indices", group(parts.backward, index=True)),
    ]
    if steps:
        told = gradient.telling
        title = "Steps" if gradient.symbolic is None or told is not gradient else "Steps at this depth"
        sections.append((title, story(told.steps(), told.notation.tex.tensor)))
    return document(notation.program, sections)


def document(program: Program, sections: Sequence[tuple[str, str]]) -> str:
    """A whole article about a program, its sections given as LaTeX; empty ones are left out."""
    name, _, sizes = heading(program).removeprefix("# ").partition(": ")
    parts = [rf"\section{{{plain(name)}}}", plain(sizes)]
    parts += [f"\\subsection{{{plain(title)}}}\n{body}" for title, body in sections if body]
    return _PREAMBLE + "\n\n".join(parts) + "\n\n\\end{document}\n"


def formulas(lines: Sequence[Line]) -> str:
    """Formulas aligned at their equals signs, those of a repetition below its heading."""
    if not lines:
        return ""
    widest = [rf"\widest{{{line.left}}}" for line in lines]
    rows = []
    for loop, inside in groupby(lines, lambda line: line.loop):
        rows += [rf"\loopheading{{{loop_heading(loop, latex=True)}}}"] if loop is not None else []
        rows += [rf"\formula{{{line.left}}}{{{pieces(line.right)}}}{{{line.beside}}}" for line in inside]
        rows += [r"\smallskip"] if loop is not None else []
    behind = "5em" if any(line.beside for line in lines) else "0pt"
    return "\n".join([rf"\begin{{formulas}}{{0pt}}{{{behind}}}", *dict.fromkeys(widest), *rows, r"\end{formulas}"])


def pieces(right: str) -> str:
    r"""A right side as pieces between which a line may end.

    >>> print(pieces("a + b"))
    \piece{ = a}\piece{+ b}
    """
    first, *rest = wrapped(right, 1)
    return "".join(map(_piece, (f" = {first}", *rest)))


def _piece(tex: str) -> str:
    """One piece; should it be too wide its lines may end within its parentheses."""
    inner = _opened(tex)
    if len(inner) == 1:
        return rf"\piece{{{tex}}}"
    return rf"\either{{{tex}}}{{{''.join(map(_piece, inner))}}}"


def _opened(tex: str) -> list[str]:
    r"""A piece as several, between which its longest parentheses are left open.

    >>> _opened(r"-\sum\left(a + b\right)^{2}")
    ['-\\sum\\bigl(a', '+ b\\bigr)^{2}']
    """
    groups, depth, start = [], 0, 0
    for k, c in enumerate(tex):
        if tex.startswith(r"\left(", k) and depth == 0:
            start = k
        depth += (c in "([{") - (c in ")]}")
        if c == "\\":
            depth += tex.startswith((r"\left", r"\begin"), k) - tex.startswith((r"\right", r"\end"), k)
        if c == ")" and depth == 0 and tex.startswith(r"\left(", start):
            groups.append((k - start, start, k))
    if not groups:
        return [tex]
    _, start, end = max(groups)
    inner = wrapped(tex[start + len(r"\left(") : end - len(r"\right")], 1)
    inner[0] = tex[:start] + r"\bigl(" + inner[0]
    inner[-1] += r"\bigr)" + tex[end + 1 :]
    return inner if len(inner) > 1 else [tex]


def story(steps: Steps, name: Callable[[Tensor], str]) -> str:
    """The steps, target by target, each with its rule in front and its reason behind."""
    blocks = []
    for target in dict.fromkeys(s.target for s in steps):
        own = [s for s in steps if s.target is target]
        spans = dict.fromkeys(s.span for s in own if s.span is not None)
        places = [_line(s.line, s.source.line(s.line).partition("#")[0].strip()) for s in spans]
        follows = [False, *(a.tex[1] == b.tex[0] for a, b in pairwise(own))]
        lefts = ["" if same else s.tex[0] for s, same in zip(own, follows, strict=True)]
        widest = [rf"\widest{{{left}}}" for left in dict.fromkeys(lefts)]
        rows = [
            rf"\step{{{plain(s.rule)}}}{{{left}}}{{{pieces(s.tex[1])}}}{{{_reason(s)}}}"
            for left, s in zip(lefts, own, strict=True)
        ]
        blocks.append("\n".join([
            rf"\subsubsection{{By ${name(target)}$}}", *places,
            r"\begin{formulas}{3.3cm}{0pt}", *widest, *rows, r"\end{formulas}",
        ]))  # fmt: skip
    return "\n\n".join(blocks)


def _reason(step: Step) -> str:
    return "".join(f"${p.tex}$" if p.formula else plain(p.text) for p in step.phrases)


def listing(lines: Sequence[str]) -> str:
    """A model text as its author wrote it, its lines numbered."""
    return "\n".join(_line(k, line.expandtabs(4)) for k, line in enumerate(lines, 1))


def _line(number: int, text: str) -> str:
    """A numbered line; a long word of it may end after any sign."""
    text = re.sub(r"\S{40,}", lambda word: re.sub(r"\W", "\\g<0>\u200b", word[0]), text)
    return rf"\code{{{number}}}{{{plain(text).replace(' ', chr(92) + ' ')}}}"


def plain(text: str) -> str:
    r"""Words that LaTeX prints as they are; a sign that it has not is given by its number.

    >>> print(plain("0 where n ≠ n′"))
    0 where n $\ne$ n$'$
    """
    return "".join(map(_sign, text))


def _sign(c: str) -> str:
    if c == "\u200b":  # where a line may end
        return r"\allowbreak{}"
    if c.isascii():
        return _SPECIAL.get(c, c if c.isprintable() else " ")
    if c in _SIGNS:
        return f"${_SIGNS[c]}$"
    kind, _, code = unicodedata.decomposition(c).rpartition(" ")
    if kind in ("<super>", "<sub>"):
        return rf"\text{kind[1:-1]}script{{{_sign(chr(int(code, 16)))}}}"
    if "\u00a1" <= c <= "\u00ff" and c.isprintable():
        return c
    return rf"\unknown{{{ord(c):04X}}}"


def _shape(e: Equation, style: Style) -> str:
    r"""``n \times h``; a number has none."""
    extents = IndexPrinter(style, e)
    return r" \times ".join(style.wrap(extents.piece(a), ATOM) for a in e.out.axes)
