"""What a person asks of a model: its gradient, Jacobians, Hessians, and their formulas.

In: a program. Out: objects that print as mathematics and that code can be made of. A derived quantity is again a
model: it derives, prints and compiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derive import pipeline
from derive.curvature import gauss_newton_product, hessian_diagonal
from derive.errors import GradcError
from derive.evaluate import evaluate
from derive.formulas import Formula, Gradient, SymbolicGradient
from derive.language import tree
from derive.language.includes import included
from derive.language.parse import parse as parse_tree
from derive.notation import Notation, source_line
from derive.notation.expanded import Expanded, expanded
from derive.notation.notebook import InNotebook, Shown
from derive.notation.partial import Partial
from derive.pipeline import Derivation
from derive.products import as_forward, directed, direction_of, hessian_product
from derive.program import Program, Tensor
from derive.repeat.derivation import Repeated, understood
from derive.repeat.flat import flat_derivation
from derive.repeat.unroll import remaining
from derive.results import named_results
from derive.samples import per_sample_gradient
from derive.simplify import closed_form
from derive.steps import Steps, steps_of
from derive.textbook import spelled_out, told_in_shares

_READABLE = 100


class Differentiable(InNotebook):
    """Anything with a program: what it can be asked for."""

    @property
    def program(self) -> Program:
        """The index equations."""
        raise NotImplementedError

    @property
    def repeated(self) -> Repeated | None:
        """What is behind the program where the model has repetitions."""
        return None

    def sized(self, sizes: Mapping[str, int | Sequence[int]]) -> tuple[Differentiable, dict[str, int]]:
        """The model at these sizes as far as they concern its depth, and those that are left for what is made of it.

        Raises GradcError for a list of widths that no family of dims takes.
        """
        if self.repeated is None:
            lists = [name for name, size in sizes.items() if not isinstance(size, int)]
            if lists:
                raise GradcError(f"the size {lists[0]} is a list, and no family of dims is called so")
            return self, {name: size for name, size in sizes.items() if isinstance(size, int)}
        scheme = self.repeated.scheme
        left = remaining(scheme, sizes)
        return (self if left.keys() == sizes.keys() else ModelAtDepth(Repeated(scheme, sizes))), left

    def _members(self, name: str) -> tuple[Tensor, ...]:
        """The tensor of that name, or all parameters of that family (`W` or `W{l}`)."""
        family = name.partition("{")[0]
        members = tuple(t for t in self.program.declared if t.family == family)
        return members or (self.variable(name),)

    def variable(self, name: str) -> Tensor:
        """The tensor of that name.

        Raises GradcError where there is none.
        """
        try:
            return self.program.tensor(name)
        except KeyError:
            known = ", ".join(t.name for t in self.program.tensors)
            raise GradcError(f"no tensor {name} in the model; it has {known}") from None

    def _variables(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        """The named variables and members of families, or all parameters."""
        wanted = tuple(dict.fromkeys(t for n in names for t in self._members(n))) or self.program.trained
        for t in wanted:
            if t.dtype == "int" or t.kind == "const":
                raise GradcError(f"{t.name} is not a real variable: there is no derivative by it")
        return wanted

    def gradient(self, *names: str) -> Gradient:
        """The gradient of the objective by the named variables, or by all parameters.

        Raises GradcError where there is no objective, or no such variable.
        """
        program = self.program
        wrt = self._variables(names)
        if self.repeated is None:
            return Gradient(pipeline.gradient(program, wrt))
        derivation, induction = self.repeated.gradient(wrt)
        if induction is None:
            return Gradient(derivation)
        outline = self.repeated.outline
        return Gradient(derivation, SymbolicGradient(*flat_derivation(outline, induction), outline))

    def jacobian(self, y: str, x: str) -> DerivedModel:
        """∂y/∂x, a model whose output ``result`` has the axes of y, then those of x."""
        program = self.program
        pair = self.variable(y), self.variable(x)
        return DerivedModel(pipeline.jacobian(program, *pair), f"jacobian_{y}_{x}", of=pair)

    def hessian(self, x: str) -> DerivedModel:
        """The second derivatives of the objective by x, of shape x + x."""
        first = pipeline.gradient(self.program, (self.variable(x),))
        pair = first.results[0], self.variable(x)
        return DerivedModel(pipeline.jacobian(as_forward(first.formulas), *pair), f"hessian_{x}", of=pair)

    def hvp(self, *names: str, mode: str | None = None) -> DerivedModel:
        """The Hessian by the named variables together, or by all parameters, times a direction.

        The direction has a part for each variable, which is an extra input, named in ``directions``; of one variable
        also in ``direction``, and the output is ``result``. Of several the outputs are ``result_x``, for each x.
        ``mode`` says how it is derived, ``forward`` over reverse or ``reverse`` over reverse; without, as is cheaper.

        Raises GradcError where there is no objective, or no such variable.
        """
        wanted = self._variables(names)
        first = pipeline.gradient(self.program, wanted)
        directions = direction_of(first.formulas, wanted)
        title = "_".join(("hvp", *names))
        return DerivedModel(hessian_product(first, directions, mode), title, directions=directions)

    def hessian_diagonal(self, x: str) -> DerivedModel:
        """The diagonal of the Hessian by x, of the shape of x: the Hessian itself is not made first."""
        return DerivedModel(hessian_diagonal(self.program, self.variable(x)), f"hessian_diagonal_{x}")

    def gauss_newton(self, *names: str, of: str) -> DerivedModel:
        """Jᵀ H J times a direction, with J = ∂of/∂(variables) and H the Hessian of the objective by ``of``.

        Variables, directions and outputs are those of `hvp`. It is the Hessian product but for how ``of`` bends, and
        positive semidefinite where the objective is convex in ``of``.

        Raises GradcError where ``of`` does not stand between the variables and the objective.
        """
        wanted = self._variables(names)
        directions = direction_of(self.program, wanted)
        done = gauss_newton_product(self.program, self.variable(of), directions)
        return DerivedModel(done, "_".join(("gauss_newton", *names)), directions=directions)

    def per_sample(self, x: str) -> DerivedModel:
        """The gradient by x sample by sample, with the batch in front: the sum over it is the gradient.

        Raises GradcError where the objective is no sum over samples that are kept apart.
        """
        return DerivedModel(per_sample_gradient(self.program, self.variable(x)), f"per_sample_{x}")

    def tangent(self, x: str, y: str | None = None) -> DerivedModel:
        """The derivative of y (the objective, or the only output) along a direction in x: one forward pass.

        The direction is an extra input, named in ``direction``.

        Raises GradcError where it is not clear which y is meant.
        """
        program = self.program
        roots = [program.objective] if program.objective is not None else list(program.outputs)
        if y is None and len(roots) != 1:
            raise GradcError("say which tensor: tangent(x, y)")
        variable, root = self.variable(x), self.variable(y) if y is not None else roots[0]
        seeds = direction_of(program, (variable,))
        done = pipeline.tangent(directed(program, seeds), variable, seeds[variable], root)
        return DerivedModel(done, f"tangent_{x}", directions=seeds)

    def evaluate(self, values: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Every tensor at the given values, by the definition."""
        return evaluate(self.program, values)

    @property
    def inference(self) -> Differentiable | None:
        """The model as it is used, where that differs from the one that is trained."""
        return None if self.program.inference is None else _Form(self.program.inference)

    def _shown(self) -> list[Shown]:
        notation = Notation(self.program)
        written = [e for e in self.program.equations if not e.out.hidden]
        return [replace(s, source=source_line(e) or "") for e in written for s in Formula(e, notation)._shown()]


class _Form(Differentiable):
    """One form of a model that has two."""

    def __init__(self, program: Program) -> None:
        self._program = program

    @property
    def program(self) -> Program:
        return self._program


class ParsedModel(Differentiable):
    """A model read from text; ``file`` is where the text stands, for what it includes.

    ``freeze`` names parameters that are not trained, as a line `freeze W, b` at the end of the text would.
    """

    def __init__(self, text: str, name: str = "<text>", file: Path | None = None, freeze: Sequence[str] = ()) -> None:
        self.notices: list[str] = []
        syntax = parse_tree(text, name)
        if file is not None:
            syntax = included(syntax, file)
        if freeze:
            line = tree.Freeze(tuple(tree.Name(n) for n in freeze))
            syntax = replace(syntax, statements=(*syntax.statements, line))
        self._program, self._repeated = understood(syntax, self.notices)

    @property
    def program(self) -> Program:
        """The index equations, at the default depth."""
        return self._program

    @property
    def repeated(self) -> Repeated | None:
        """What is behind the program where the text has repetitions."""
        return self._repeated


class ModelAtDepth(Differentiable):
    """A model with repetitions at another depth than its default."""

    def __init__(self, repeated: Repeated) -> None:
        self._repeated = repeated

    @property
    def program(self) -> Program:
        """The index equations."""
        return self._repeated.program

    @property
    def repeated(self) -> Repeated:
        """The repetitions behind the program."""
        return self._repeated


class DerivedModel(Differentiable):
    """A derivative that is again a model, with one output, ``result``; of several variables one for each.

    ``directions`` are the names of extra inputs, by the variable along which each of them points.
    """

    def __init__(
        self,
        derivation: Derivation,
        name: str,
        directions: Mapping[Tensor, Tensor] | None = None,
        of: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.derivation = derivation
        self.directions = {x.name: d.name for x, d in (directions or {}).items()}
        self._of = of
        found, one = derivation.formulas.gradients, len(derivation.results) == 1
        names = {bar: "result" if one else f"result_{x.name}" for x, bar in found}
        self._program, self.results = named_results(derivation.formulas, names, name)

    @property
    def direction(self) -> str | None:
        """The name of the extra input, where there is one."""
        return next(iter(self.directions.values()), None) if len(self.directions) < 2 else None

    @property
    def program(self) -> Program:
        """The index equations."""
        return self._program

    @cached_property
    def formulas(self) -> tuple[Formula, ...]:
        """The equations of the results."""
        d = self.derivation
        closed = [told_in_shares(closed_form(d.formulas, d.prepared, t), d.formulas) for t in d.results]
        notation = Notation(self._program, diagonals=True)
        return tuple(Formula(replace(e, out=t), notation) for e, t in zip(closed, self.results, strict=True))

    @property
    def formula(self) -> Formula:
        """The equation of the result, of several that of the first one."""
        return self.formulas[0]

    @cached_property
    def shown(self) -> tuple[Formula, ...]:
        """What prints: the results, along a direction with all cotangents and tangents where those read better."""
        if not self.directions or all(len(str(f)) <= _READABLE for f in self.formulas):
            return self.formulas
        notation, kinds = Notation(self._program), ("cotangent", "tangent")
        steps = [e for e in self._program.equations if e.out in self.results or e.out.kind in kinds]
        return tuple(Formula(e, notation) for e in steps)

    def steps(self) -> Steps:
        """How the derivative is found, from the result back to the variable; every step was tested by number."""
        return steps_of(self.derivation)

    @property
    def matrix(self) -> str | None:
        """The matrix form, or None."""
        return self.formula.matrix

    @property
    def index(self) -> str:
        """The index form."""
        return self.formula.index

    @cached_property
    def partial(self) -> Partial:
        """∂y/∂x as one writes it by hand: its element, its structure, and the matrix written out.

        Raises GradcError where this is neither a Jacobian nor a Hessian.
        """
        if self._of is None:
            raise GradcError("only a Jacobian or a Hessian is written out")
        notation = self.formula.notation
        spelled = spelled_out(notation.shown(self.formula.equation), self._program)
        return Partial(notation.shown(spelled), *self._of, notation)

    @property
    def element(self) -> str:
        """The general element: ``∂a_i/∂z_j = [i = j] a_i (1 − a_i)``."""
        return self.partial.element()

    @property
    def structure(self) -> str | None:
        """The Jacobian in numerator layout, ``∂a/∂x = diag(a ⊙ (1 − a)) W``; None where it is no matrix."""
        return self.partial.structure()

    def expanded(
        self,
        layout: str = "numerator",
        size: Mapping[str, int] | None = None,
        at: Sequence[int | str | None] | None = None,
    ) -> Expanded:
        """The matrix written out with its dots (see `derive.notation.expanded.expanded`)."""
        return expanded(self.partial, layout, size, at)

    def latex(self) -> str:
        """LaTeX of the result."""
        return self.formula.latex()

    @property
    def shape(self) -> tuple[str, ...]:
        """The axes of the result, in the model's names."""
        return self.formula.shape

    def result(self, values: Mapping[str, ArrayLike]) -> NDArray[Any]:
        """The derivative's value, by the definition."""
        return np.asarray(self.evaluate(values)["result"])

    def __str__(self) -> str:
        return "\n".join(map(str, self.shown))

    def _shown(self) -> list[Shown]:
        return [s for f in self.shown for s in f._shown()]


def parse(text: str, name: str = "<text>", *, freeze: Sequence[str] = ()) -> ParsedModel:
    r"""The model that a text denotes; ``freeze`` names parameters that are not trained.

    >>> print(parse("dims d\nparam x : [d]\nminimize sum(x^2)").gradient("x")["x"])
    dx = 2 x

    Raises SourceError where the text is no model.
    """
    return ParsedModel(text, name, freeze=freeze)


def load(path: str | Path, *, freeze: Sequence[str] = ()) -> ParsedModel:
    """The model in a file; ``freeze`` names parameters that are not trained.

    Raises GradcError where the file cannot be read, SourceError where it is no model.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise GradcError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GradcError(f"{file} is not UTF-8 text") from None
    return ParsedModel(text, file.name, file, freeze)
