"""Reading: a syntax tree to a `Program` of index equations.

In: the tree of a model. Out: named tensors and one index equation for each line that defines something. Every
mistake is a `SourceError` where it stands; what a reader should know but need not mend is a notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive.errors import NotSupportedYet, SourceError, Span
from derive.expr import ONE, TRAINING, ZERO, Const, Dim, Expr, Letter
from derive.inner import asked, resolved
from derive.language import tree
from derive.language.blocks import Expansion, Round, expanded
from derive.language.declarations import (
    declare,
    declare_const,
    declare_dim,
    declare_widths,
    plain_name,
)
from derive.language.expressions import Elaborator
from derive.language.families import Loop, full_name
from derive.language.indices import Range, Scope
from derive.language.initializers import read_init
from derive.language.names import Names, check_name, defined_names, line_of
from derive.language.optimizers import check_groups, freeze, read_optimizer
from derive.language.recurrences import Recurrences, is_line
from derive.language.rules import read_rule
from derive.language.tensors import Hints, Value, check_numbers, of_tensor
from derive.language.text import digest, text
from derive.language.vocabulary import Vocabulary, options_of
from derive.numeric import with_values
from derive.program import Equation, OptimizerCall, Program, Rule, Tensor
from derive.repeat.members import base_and_offset
from derive.repeat.scheme import DimFamily, Item, Repeat, Scheme
from derive.repeat.unroll import unroll
from derive.rewrite import walk
from derive.shapes import show_axes
from derive.training import formed


def read(syntax: tree.Tree, notices: list[str] | None = None) -> Program:
    """The program that a model text denotes; ``notices`` receives remarks that are no errors.

    Repetitions are written out at the default depth.
    """
    program, scheme = read_scheme(syntax, notices)
    return program if scheme is None else formed(resolved(unroll(scheme)))


def read_scheme(syntax: tree.Tree, notices: list[str] | None = None) -> tuple[Program, Scheme | None]:
    """The program of a text without repetitions; of one with repetitions its frame and the scheme.

    A scheme is that of both forms, and may mention `training`.
    """
    return _Reader(syntax, notices).read()


class _Reader:
    """Takes the statements in order; each adds to what is known."""

    def __init__(self, syntax: tree.Tree, notices: list[str] | None) -> None:
        self.syntax = syntax
        self.statements = expanded(syntax).statements  # for their names: what they define does not depend on shapes
        self.options = options_of(syntax)
        self.vocabulary = Vocabulary(self.options)
        self.elab = Elaborator(Names(self.statements), self.vocabulary, notices=notices)
        self.expansion = Expansion(syntax, self.elab)
        self.elab.differentiate = self.differentiate
        self.recurrences = Recurrences(self.elab, self.hints, self.unused)
        self.elab.named = self.named
        self.elab.names.elsewhere = self.elab.families.find
        self.every_name = {n for s in self.statements for n in defined_names(s)}
        self.once: dict[str, Span | None] = {}
        self.name = "model"
        self.items: list[Item] = []
        self.widths: list[DimFamily] = []
        self.objective: Tensor | None = None
        self.outputs: list[Tensor] = []
        self.parameters: list[Tensor] = []
        self.rules: dict[str, Rule] = {}
        self.optimizers: list[tuple[OptimizerCall, tree.Optimizer]] = []

    def read(self) -> tuple[Program, Scheme | None]:
        for statement in self.syntax.statements:
            for written in self.expansion.statement(statement):
                self.take(written)
        self.recurrences.finish()
        check_groups(self.optimizers, self.parameters)
        members = any(t.family is not None for t in self.declared + [e.out for e in self.equations])
        if not self.widths and not members and not any(isinstance(i, Repeat) for i in self.items):
            return formed(resolved(self.program(self.declared, self.equations))), None
        frame = self.program([], [])
        return frame, Scheme(frame, tuple(self.items), tuple(self.widths))

    @property
    def declared(self) -> list[Tensor]:
        return [i for i in self.items if isinstance(i, Tensor)]

    @property
    def equations(self) -> list[Equation]:
        return [i for i in self.items if isinstance(i, Equation)]

    def program(self, declared: list[Tensor], equations: list[Equation]) -> Program:
        return Program(
            name=self.name,
            dims=tuple(self.elab.dims),
            batch=self.elab.batch,
            declared=tuple(declared),
            equations=tuple(equations),
            objective=self.objective,
            outputs=tuple(self.outputs),
            optimizers=tuple(call for call, _ in self.optimizers),
            options=self.options,
            constants=tuple(e.name for e in self.elab.names.entries.values() if isinstance(e, Const) and e.value),
            text=text(self.syntax),
            digest=digest(self.syntax),
        )

    def take(self, node: tree.Statement | Round) -> None:
        match node:
            case tree.ModelName(name):
                self.only_once("model", node.span)
                check_name(name, node.span)
                self.name = name
            case tree.Option():
                pass  # read before everything else: it chooses between declarations
            case tree.Dims(items):
                for item in items:
                    if item.family is None:
                        declare_dim(self.elab, item)
                    else:
                        self.widths.append(declare_widths(self.elab, item))
            case tree.Batch(name):
                self.only_once("batch", node.span)
                self.elab.names.define(name, Dim(name), node.span)
                self.elab.batch = Dim(name)
            case tree.Declaration():
                tensor = declare(self.elab, node)
                self.items.append(tensor)
                self.parameters += [tensor] if tensor.kind == "param" else []
            case tree.ConstDecl():
                constant = declare_const(self.elab, node)
                if constant is not None:
                    self.items.append(constant)
            case tree.Function():
                self.vocabulary.declare(node, self.constants)
            case tree.Assignment():
                self.assign(node)
            case tree.Update():
                self.update(node)
            case tree.Minimize(value):
                self.only_once("minimize", node.span)
                self.minimize(value, node.span)
            case tree.Freeze():
                freeze(node, self.parameters)
            case tree.Rule(name):
                if name in self.rules:
                    raise SourceError(f"the rule {name} is defined twice", node.span, hint="choose another name")
                self.rules[name] = read_rule(node, self.vocabulary, self.values)
            case tree.Init(name):
                if name in self.elab.initializers:
                    raise SourceError(f"the initializer {name} is defined twice", node.span, hint="choose another name")
                self.elab.initializers[name] = read_init(node, self.vocabulary, self.values)
            case tree.Optimizer():
                self.optimizers.append((read_optimizer(self.elab, self.vocabulary, self.rules, node), node))
            case tree.Output(names):
                self.output(names)
            case tree.Include():
                hint = "read the model with derive.load(path), or write the lines of that file here"
                raise SourceError("a text that is no file has no folder to include from", node.span, hint=hint)
            case Round():
                self.repeat(node)
            case tree.Block() | tree.Repeat():
                pass  # a block is written out where it is used, a repetition comes as a round

    @property
    def constants(self) -> dict[str, Expr]:
        """The numbers that have names: what functions and rules see of a model."""
        found = {k: e for k, e in self.elab.names.entries.items() if isinstance(e, Expr) and e is not TRAINING}
        return {k: e for k, e in found.items() if not any(isinstance(x, Dim) for x in walk(e))}

    @property
    def values(self) -> dict[str, Expr]:
        """The same, each as its value: rules and initializers are arithmetic on numbers."""
        return {k: with_values(e) for k, e in self.constants.items()}

    def only_once(self, word: str, span: Span | None) -> None:
        if word in self.once:
            raise SourceError(f"a model has one {word}; the first is{line_of(self.once[word])}", span)
        self.once[word] = span

    def repeat(self, round_: Round) -> None:
        """One round, read with its letter as a symbol."""
        node = round_.node
        check_name(node.letter, node.span)
        bounds = [self.elab.extent(e) for e in (node.start, node.stop)]
        for index, bound in zip(bounds, (node.start, node.stop), strict=True):
            if base_and_offset(index) is None:
                hint = "write 1..L, with a dim or a number on either side"
                raise SourceError("a repetition runs from layer to layer", bound.span or node.span, hint=hint)
        for inside in node.body:
            if not isinstance(inside, tree.Declaration | tree.Assignment | tree.Update | tree.Repeat):
                raise SourceError(
                    "a repetition holds declarations and equations",
                    inside.span,
                    hint="write this line before `repeat` or after its `end`",
                )
        first, last = bounds
        outside, self.items = self.items, []
        self.elab.families.begin(Loop(node.letter, first, last, round_.families, node.span))
        for written in round_.statements:
            self.take(written)
        self.elab.families.end()
        self.items = [*outside, Repeat(node.letter, first, last, tuple(self.items), span=node.span)]

    # --- equations ---------------------------------------------------------------------------------------

    def assign(self, node: tree.Assignment) -> None:
        name, span = full_name(self.elab.names, node.name), node.name.span or node.span
        check_name(node.name.name, span)
        if node.places is not None and is_line(node):
            self.recur(name, node, span)
            return
        self.elab.names.check_new(name, span)
        if node.places is None:
            value = self.elab.value(node.value)
            equation = self.tensor_equation(name, value, span)
            entry = replace(of_tensor(equation.out, value.row), classes=value.classes, labels=value.labels)
        else:
            equation = self.index_equation(name, node, node.places)
            entry = of_tensor(equation.out)
        self.elab.families.define(name, equation.out)
        self.items.append(equation)
        self.elab.names.define(name, replace(entry, dims=tuple(self.elab.dims)), span)

    def update(self, node: tree.Update) -> None:
        """The equation of a state's next value, which no other equation reads."""
        name, span = full_name(self.elab.names, node.name), node.name.span or node.span
        entry = self.elab.names.find(name, span)
        state = entry.tensor if isinstance(entry, Value) else None
        if state is None or state.kind != "state":
            hint = f"what a training step changes by an equation is declared: state {name} : […] ~ zeros()"
            raise SourceError(f"{name} is no state, and only a state is updated", span, hint=hint)
        if not any(i is state for i in self.items):
            raise SourceError(f"{name} is updated where it is declared{line_of(state.span)}", span)
        if any(isinstance(i, Equation) and i.out.primal is state for i in self.items):
            raise SourceError(f"{name} is updated twice", span, hint="a state has one next value")
        stem = self.unused(f"{node.name.name}_next")
        after = full_name(self.elab.names, replace(node.name, name=stem))
        if node.places is None:
            equation = self.tensor_equation(after, self.elab.value(node.value), span)
        else:
            assignment = tree.Assignment(node.name, node.places, node.value, span=node.span)
            equation = self.index_equation(after, assignment, node.places)
        if equation.out.axes != state.axes:
            dims = self.elab.dims
            message = f"{name} is {show_axes(state.axes, dims)}, its next value {show_axes(equation.out.axes, dims)}"
            raise SourceError(message, node.value.span or span)
        self.every_name.add(stem)
        equation.out.kind, equation.out.primal = "update", state
        self.elab.families.define(after, equation.out)
        self.items.append(equation)

    def tensor_equation(self, name: str, value: Value, span: Span | None) -> Equation:
        hints = self.hints((), value.span or span)
        letters = tuple(hints.fresh(a) for a in value.axes)
        out = Tensor(name, value.axes, span=span, dtype="real" if value.labels is None else "int")
        return self.equation(out, letters, value.build(letters, hints), value.span)

    def recur(self, name: str, node: tree.Assignment, span: Span | None) -> None:
        """One of the two lines of a recurrence."""
        if self.elab.families.open:
            raise NotSupportedYet("a recurrence within a repetition", span)
        if name not in self.recurrences.open:
            self.elab.names.check_new(name, span)
            behind = next((i for i in reversed(self.items) if isinstance(i, Equation | Tensor)), None)
            self.elab.names.define(name, self.recurrences.begin(name, node, behind), span)
            return
        known, first, rest, whole = self.recurrences.end(name, node)
        check_numbers(first.body, first.span)
        check_numbers(rest.body, rest.span)
        self.every_name.add(rest.out.name)
        self.items.insert(self.items.index(known.behind) + 1 if known.behind else 0, first)
        self.items.append(rest)
        self.elab.names.entries[name] = whole
        self.recurrences.check(self.equations, span)

    def equation(self, out: Tensor, letters: tuple[Letter, ...], body: Expr, span: Span | None) -> Equation:
        check_numbers(body, span)
        return Equation(out, letters, self.recurrences.complete(letters, body, span), span=span)

    def hints(self, left: tuple[str, ...], span: Span | None) -> Hints:
        """Hints that keep clear of the letters that the user wrote in this equation."""
        used, self.elab.letters = self.elab.letters, set()
        return Hints(used.union(left), span)

    def index_equation(self, name: str, node: tree.Assignment, places: tuple[tree.Place, ...]) -> Equation:
        ranges = [self.left_letter(name, place, node) for place in places]
        names = [r.name for r in ranges]
        for k, r in enumerate(ranges):
            if r.name in names[:k]:
                raise SourceError(
                    f"the letter {r.name} stands twice on the left", r.span, hint="a diagonal is built with diag(v)"
                )
        value = self.elab.value(node.value, Scope({r.name: r for r in ranges}))
        axes = tuple(r.resolve(self.elab.sizes) for r in ranges)
        hints = self.hints(tuple(names), node.span)
        letters = tuple(hints.named(a, r.name) for a, r in zip(axes, ranges, strict=True))
        for r, letter in zip(ranges, letters, strict=True):
            r.letter = letter
        out = Tensor(name, axes, span=node.name.span)
        return self.equation(out, letters, value.build((), hints), node.span)

    def left_letter(self, name: str, place: tree.Place, node: tree.Assignment) -> Range:
        letter, span = place.value, place.span or node.span
        if not isinstance(letter, tree.Name):
            raise NotSupportedYet(f"a recurrence or a part of {name} on the left", span)
        check_name(letter.name, span)
        extent = None if place.extent is None else self.elab.extent(place.extent)
        return Range(plain_name(letter, "a letter"), span, extent)

    def differentiate(self, u: Value, x: Tensor, span: Span | None) -> Tensor:
        """The tensor of ∂u/∂x, under a name that nobody uses; what leads to it is found when all is read."""
        if self.elab.families.open:
            raise NotSupportedYet("d(u, x) within a repetition", u.span)
        of = u.tensor
        if of is None:
            of = self.named(u).tensor
            assert of is not None
        wish = replace(asked(f"d{of.name}_d{x.name}", of, x, self.elab.batch), span=span)
        self.name_new([wish])
        return wish.out

    def named(self, v: Value) -> Value:
        """The value under a name that nobody uses: an equation of its own."""
        if self.elab.families.open:
            raise SourceError(f"{v.text} needs a line of its own within a repetition", v.span)
        equation = self.tensor_equation("u", v, v.span)
        equation.out.hidden = True
        self.name_new([equation])
        return of_tensor(equation.out, dims=tuple(self.elab.dims))

    def name_new(self, equations: Iterable[Equation]) -> None:
        for e in equations:
            e.out.name = self.unused(e.out.name)
            self.every_name.add(e.out.name)
            self.items.append(e)

    # --- objective, outputs, optimizer -------------------------------------------------------------------

    def minimize(self, node: tree.Expr, span: Span | None) -> None:
        value = self.elab.value(node)
        if any(a != ONE for a in value.axes):
            mean = f"mean({value.text})"
            raise SourceError(
                f"minimize takes a number, and this is {value.show()}", node.span or span, hint=f"reduce it: {mean}"
            )
        named = self.elab.names.get(node.name) if isinstance(node, tree.Name) else None
        if isinstance(named, Value) and named.tensor is not None and not named.rank and named.tensor.kind == "value":
            self.objective = named.tensor
            return
        scalar = replace(value, axes=(), build=lambda _, hints: value.build((ZERO,) * value.rank, hints))
        equation = self.tensor_equation(self.unused("loss", "objective"), scalar, span)
        self.items.append(equation)
        self.objective = equation.out

    def unused(self, *wishes: str) -> str:
        """A name for what has none; the user's names come first."""
        numbered = (f"{wishes[0]}{k}" for k in range(1, len(self.every_name) + 2))
        return next(n for n in (*wishes, *numbered) if n not in self.every_name)

    def output(self, names: tuple[tree.Name, ...]) -> None:
        for node in names:
            entry = self.elab.names.find(full_name(self.elab.names, node), node.span)
            if not isinstance(entry, Value) or entry.tensor is None:
                raise SourceError(f"{node.name} is no tensor, and an output is one", node.span)
            if entry.tensor in self.outputs:
                raise SourceError(f"the output {node.name} stands twice", node.span)
            self.outputs.append(entry.tensor)
