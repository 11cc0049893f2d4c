"""A syntax tree to its canonical text: one spacing, the fewest brackets, no comments, one spelling a number.

The text parses back to the same tree, so equal texts are equal models; `digest` is the identity of a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from derive.errors import GradcError
from derive.language import tree as syntax
from derive.language.literals import literal_text

# How tightly an expression binds, loosest first; a part that binds less tightly than its place asks stands in brackets.
CONDITIONAL, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, POSTFIX, ATOM = range(11)
CHAINS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT}

# A piece of the output: finished text, or an expression with the level that its place asks for and whether it stands
# in an index, where sums and products are written without spaces.
_Part = tuple[syntax.Expr | syntax.Slice, int, bool]
_Piece = str | _Part


def text(tree: syntax.Tree) -> str:
    r"""The canonical text of a model.

    >>> from derive.language.parse import parse
    >>> print(text(parse("param  W:[d,h]~zeros()  # weights\nZ=(X@W)+(b)")), end="")
    param W : [d, h] ~ zeros()
    Z = X @ W + b
    """
    lines: list[str] = []
    stack: list[tuple[syntax.Statement | str, int]] = [(s, 0) for s in reversed(tree.statements)]
    while stack:
        statement, depth = stack.pop()
        if isinstance(statement, str):
            lines.append("  " * depth + statement)
            continue
        lines.append("  " * depth + _written(_statement(statement)))
        if isinstance(statement, syntax.Repeat | syntax.Block | syntax.Rule):
            stack.append(("end", depth))
            if isinstance(statement, syntax.Block):
                stack.append((f"return {', '.join(statement.returns)}", depth + 1))
            stack.extend((s, depth + 1) for s in reversed(statement.body))
    return "".join(f"{line}\n" for line in lines)


def expression_text(expr: syntax.Expr) -> str:
    """The canonical text of an expression.

    >>> from derive.language.parse import parse_expression
    >>> expression_text(parse_expression("-(x)^2*sum[i](w[i + 1])"))
    '-x^2 * sum[i] w[i+1]'
    """
    return _written([(expr, CONDITIONAL, False)])


def digest(tree: syntax.Tree) -> str:
    """The SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(text(tree).encode("ascii")).hexdigest()


def _written(pieces: list[_Piece]) -> str:
    """The pieces as text; an explicit stack, so that depth costs no recursion."""
    out: list[str] = []
    stack = list(reversed(pieces))
    while stack:
        piece = stack.pop()
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece[0], syntax.Slice):
            stack.extend(reversed([*_maybe(piece[0].start), ":", *_maybe(piece[0].stop)]))
        else:
            stack.extend(reversed(_expression(piece[0], piece[1], piece[2])))
    return "".join(out)


# --- statements ---------------------------------------------------------------------------------------------


def _statement(s: syntax.Statement) -> list[_Piece]:
    """The line of a statement; of `repeat` and `block` the first."""
    match s:
        case syntax.ModelName(name=name):
            return [f"model {name}"]
        case syntax.Include(path=path):
            return [f'include "{path}"']
        case syntax.Option(name=name, value=value):
            return [f"option {name} = {value}"]
        case syntax.Dims(items=items):
            return ["dims ", *_listed(_dim(item) for item in items)]
        case syntax.Batch(name=name):
            return [f"batch {name}"]
        case syntax.Declaration():
            return _declaration(s)
        case syntax.ConstDecl(name=name, shape=shape, value=value):
            return [f"const {name}", *_shape(shape), " = ", (value, CONDITIONAL, False)]
        case syntax.Function(name=name, parameters=parameters, body=body):
            return [f"fn {name}({', '.join(parameters)}) = ", (body, CONDITIONAL, False)]
        case syntax.Assignment(name=target, places=places, value=value):
            return [(target, ATOM, False), *_places(places), " = ", (value, CONDITIONAL, False)]
        case syntax.Update(name=target, places=places, value=value):
            return ["update ", (target, ATOM, False), *_places(places), " = ", (value, CONDITIONAL, False)]
        case syntax.Minimize(value=value):
            return ["minimize ", (value, CONDITIONAL, False)]
        case syntax.Optimizer(call=call):
            only = [" for ", *_listed([(n, ATOM, False)] for n in s.names)] if s.names else []
            return ["optimizer ", (call, ATOM, False), *only]
        case syntax.Freeze(names=names):
            return ["freeze ", *_listed([(n, ATOM, False)] for n in names)]
        case syntax.Rule(name=name, parameters=parameters):
            return ["rule ", (syntax.CallExpr(name, parameters), ATOM, False)]
        case syntax.Init(name=name, parameters=parameters, value=value):
            return ["init ", (syntax.CallExpr(name, parameters), ATOM, False), " = ", (value, CONDITIONAL, False)]
        case syntax.Output(names=names):
            return ["output ", *_listed([(n, ATOM, False)] for n in names)]
        case syntax.Repeat(letter=letter, start=start, stop=stop):
            return [f"repeat {letter} = ", (start, SUM, True), "..", (stop, SUM, True)]
        case syntax.Block():
            return _block(s)


def _block(s: syntax.Block) -> list[_Piece]:
    """The first line of a block."""
    shapes = s.shapes or (None,) * len(s.inputs)
    inputs: list[list[_Piece]] = [[n, *_shape(shape)] for n, shape in zip(s.inputs, shapes, strict=True)]
    plain = len(s.sizes) - len(s.defaults)
    sizes: list[list[_Piece]] = [[n] for n in s.sizes[:plain]]
    sizes += [[n, " = ", (d, SUM, True)] for n, d in zip(s.sizes[plain:], s.defaults, strict=True)]
    return [f"block {s.name}(", *_listed(inputs), *(["; "] if sizes else []), *_listed(sizes), ")"]


def _places(places: tuple[syntax.Place, ...] | None) -> list[_Piece]:
    return [] if places is None else ["[", *_listed(_ranged(p.value, p.extent) for p in places), "]"]


def _dim(item: syntax.DimItem) -> list[_Piece]:
    name: list[_Piece] = [(item.name, ATOM, False)]
    if item.family is not None:
        name += ["{", (item.family[0], SUM, True), "..", (item.family[1], SUM, True), "}"]
    return name if item.value is None else [*name, " = ", (item.value, SUM, True)]


def _declaration(s: syntax.Declaration) -> list[_Piece]:
    pieces: list[_Piece] = [f"{s.kind} ", (s.name, ATOM, False), *_shape(s.shape)]
    for p in s.properties:
        pieces += [" ", (p, ATOM, False)] if p.arguments else [f" {p.function}"]
    if s.bounds is not None:
        pieces += [" in ", (s.bounds[0], SUM, True), "..", (s.bounds[1], SUM, True)]
    if s.initializer is not None:
        pieces += [" ~ ", (s.initializer, ATOM, False)]
    return pieces


def _shape(shape: tuple[syntax.Expr, ...] | None) -> list[_Piece]:
    return [] if shape is None else [" : [", *_listed([(e, SUM, True)] for e in shape), "]"]


def _ranged(value: syntax.Expr, extent: syntax.Expr | None) -> list[_Piece]:
    """``i`` or ``i:extent``."""
    return [(value, SUM, True)] if extent is None else [(value, SUM, True), ":", (extent, SUM, True)]


def _maybe(e: syntax.Expr | None) -> list[_Piece]:
    return [] if e is None else [(e, SUM, True)]


def _listed(groups: Iterable[list[_Piece]]) -> list[_Piece]:
    """Groups of pieces with commas between them."""
    pieces: list[_Piece] = []
    for group in groups:
        pieces += [", ", *group] if pieces else group
    return pieces


# --- expressions --------------------------------------------------------------------------------------------


def _expression(e: syntax.Expr, level: int, tight: bool) -> list[_Piece]:
    """An expression whose place asks for ``level``: its own pieces, in brackets where it binds less tightly."""
    pieces = _pieces(e, tight)
    return pieces if _level(e) >= level else ["(", *pieces, ")"]


def _level(e: syntax.Expr) -> int:
    match e:
        case syntax.Conditional():
            return CONDITIONAL
        case syntax.Chain():
            return CHAINS[e.rest[0][0]]
        case syntax.Comparison():
            return COMPARE
        case syntax.Unary(op="not"):
            return NOT
        case syntax.Unary() | syntax.Reduction():
            return PRODUCT if _reduces(e) else UNARY
        case syntax.Power():
            return POWER
        case syntax.Transpose() | syntax.Index():
            return POSTFIX
        case _:
            return ATOM


def _reduces(e: syntax.Expr) -> bool:
    """A reduction, or minus a reduction: it takes the whole product behind it, so it stands last in one."""
    while isinstance(e, syntax.Unary) and e.op == "-":
        e = e.operand
    return isinstance(e, syntax.Reduction)


def _pieces(e: syntax.Expr, tight: bool) -> list[_Piece]:
    match e:
        case syntax.Number(value=value, text=written):
            return [literal_text(value) or written]
        case syntax.Name(name=name, index=index):
            return [name] if index is None else [name, "{", (index, SUM, True), "}"]
        case syntax.Unary(op="not", operand=operand):
            return ["not ", (operand, NOT, tight)]
        case syntax.Unary(operand=operand):
            return ["-", (operand, PRODUCT if _reduces(operand) else UNARY, tight)]
        case syntax.Chain():
            return _chain(e, tight)
        case syntax.Power(base=base, exponent=exponent):
            return [(base, POSTFIX, tight), "^", (exponent, UNARY, tight)]
        case syntax.Transpose(operand=operand):
            return [(operand, POSTFIX, tight), "'"]
        case syntax.Index(operand=operand, items=items, padding=padding):
            inside = _listed([(i, SUM, True)] for i in items)
            if isinstance(padding, str):
                inside += [f" | {padding}"]
            elif padding is not None:  # the tensor `edge` stands in brackets, for the word is taken
                inside += [" | (edge)"] if padding == syntax.Name("edge") else [" | ", (padding, SUM, True)]
            return [(operand, POSTFIX, tight), "[", *inside, "]"]
        case syntax.Comparison(op=op, left=left, right=right):
            return [(left, SUM, tight), f" {op} ", (right, SUM, tight)]
        case syntax.Conditional(chosen=chosen, condition=condition, other=other):
            return [(chosen, OR, tight), " if ", (condition, OR, tight), " else ", (other, CONDITIONAL, tight)]
        case syntax.Reduction(op=op, binders=binders, body=body):
            bound = _listed(_ranged(syntax.Name(b.name), b.extent) for b in binders)
            return [f"{op}[", *bound, "] ", (body, PRODUCT, tight)]
        case syntax.CallExpr(function=function, arguments=arguments):
            given: list[list[_Piece]] = [
                ["" if a.name is None else f"{a.name}=", (a.value, CONDITIONAL, tight)] for a in arguments
            ]
            return [f"{function}(", *_listed(given), ")"]
        case syntax.Dots():
            return [".."]
        case syntax.ListExpr(items=items):
            return ["[", *_listed([(i, CONDITIONAL, tight)] for i in items), "]"]
        case _:
            raise GradcError(f"{type(e).__name__} is no expression")


def _chain(e: syntax.Chain, tight: bool) -> list[_Piece]:
    """Operands bind more tightly than their chain; the last of a product may be a reduction."""
    own = CHAINS[e.rest[0][0]]
    pieces: list[_Piece] = [(e.first, own + 1, tight)]
    for number, (op, operand) in enumerate(e.rest):
        last = own == PRODUCT and number == len(e.rest) - 1 and _reduces(operand)
        pieces += [op if tight and own in (SUM, PRODUCT) else f" {op} ", (operand, PRODUCT if last else own + 1, tight)]
    return pieces
