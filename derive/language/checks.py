"""A token that does not fit, and what would: the message of a syntax error, with a hint for the likely mistake.

`explain` speaks of the signs that a user writes. The hints are one table; each looks at the tokens around
the mistake and stays silent where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from lark import Token

from derive.errors import Source, SourceError, Span
from derive.language.lexer import CLOSING, RESERVED, SIGNS, WORDS, Lexing, token_span

_STARTS = {"NAME", "NUMBER", "LPAR", "MINUS", "LSQB"}
_CLASSES = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": 'a path in `"`',
    "REDUCER": "`sum`, `mean`, `max`, `min` or `prod`",
    "COMPARE": "a comparison",
    "_NEWLINE": "the end of the line",
    "$END": "the end",
}
_OPERATORS = {"MULTIPLY", "PLUS", "MINUS", "POWER", "TRANSPOSE", "COMPARE", "AND", "OR", "IF"}
_SPELLING = {kind: sign for sign, kind in reversed(SIGNS.items())} | {
    kind: word for word, kind in WORDS.items() if kind not in ("KIND", "REDUCER")
}
_STATEMENTS = {"KIND", "MODEL", "DIMS", "MINIMIZE"}
_FOREIGN = {
    "let": "an equation needs no `let`: write `Z = …`",
    "var": "an equation needs no `var`: write `Z = …`",
    "set": "an equation needs no `set`: write `Z = …`",
    "def": "a function is written `fn f(x) = …`",
    "function": "a function is written `fn f(x) = …`",
    "func": "a function is written `fn f(x) = …`",
    "lambda": "there is no `lambda`: write `fn f(x) = …` on a line of its own",
    "for": "layers are written `repeat l = 1..L` … `end`, sums `sum[i] …`",
    "while": "there are no loops but `repeat l = 1..L` … `end`",
    "import": 'another file is read by `include "block.gc"`',
    "from": 'another file is read by `include "block.gc"`',
    "parameter": "write `param`",
    "params": "write `param`",
    "inputs": "write `input`",
    "outputs": "write `output`",
    "targets": "write `target`",
    "dim": "write `dims`",
    "loss": "the objective is written `minimize …`",
    "maximize": "write `minimize -(…)`",
    "constant": "write `const`",
}


@dataclass(frozen=True)
class _Mistake:
    """The token that does not fit (None: the text ends), those before it in its statement, and what would fit."""

    token: Token | None
    before: list[Token]
    after: Token | None
    accepted: Collection[str]

    @property
    def sign(self) -> str:
        """The token as it is written; empty at the end of the line."""
        return "" if self.token is None or self.token.type == "_NEWLINE" else str(self.token)

    @property
    def kind(self) -> str:
        return "_NEWLINE" if self.token is None else self.token.type

    @property
    def wants_expression(self) -> bool:
        return {"NAME", "NUMBER", "LPAR"} <= set(self.accepted)

    @property
    def previous(self) -> str:
        """The token before, as it is written."""
        return str(self.before[-1]) if self.before else ""


def explain(lexing: Lexing, number: int, accepted: Collection[str]) -> SourceError:
    """The error for token ``number``, where only ``accepted`` would have fitted."""
    tokens, source = lexing.tokens, lexing.source
    unclosed = lexing.problem
    if unclosed is not None and "never closed" in unclosed.message and unclosed.span is not None:
        opening = unclosed.span
        if number >= len(tokens) or (opening.line, opening.column) < (tokens[number].line, tokens[number].column):
            return unclosed
    token = tokens[number] if number < len(tokens) else None
    if token is None and ({"END", "RETURN"} & set(accepted)):
        return _unended(tokens, source)
    start = number
    while start > 0 and tokens[start - 1].type != "_NEWLINE":
        start -= 1
    after = tokens[number + 1] if number + 1 < len(tokens) else None
    mistake = _Mistake(token, tokens[start:number], after, accepted)
    found = f"unexpected `{mistake.sign}`" if mistake.sign else "the line ends too early"
    message = f"{found}; expected {_expected(mistake)}"
    hint = next((said for look in _HINTS if (said := look(mistake))), None)
    return SourceError(message, _place(token, tokens, source), hint=hint)


def _unended(tokens: list[Token], source: Source) -> SourceError:
    """The text ends inside a `repeat` or a `block`: the innermost one that is open."""
    opened: list[Token] = []
    for token in tokens:
        if token.type in ("REPEAT", "BLOCK", "RULE"):
            opened.append(token)
        elif token.type == "END":
            opened.pop()
    word = opened[-1]
    closing = "`return …` and `end`" if word.type == "BLOCK" else "`end`"
    return SourceError(f"`{word}` is never closed", token_span(word, source), hint=f"close it by {closing}")


def _place(token: Token | None, tokens: list[Token], source: Source) -> Span:
    """The token that does not fit; for the end of a line the place just behind its last token."""
    if token is not None and token.type != "_NEWLINE":
        return token_span(token, source)
    if token is not None:
        line, column = token.line or 1, token.column or 1
    elif tokens:
        line, column = tokens[-1].end_line or 1, tokens[-1].end_column or 1
    else:
        line, column = 1, 1
    return Span(source, line, column, line, column + 1)


def _expected(mistake: _Mistake) -> str:
    """What would fit, in words: classes for expressions and operators, the signs themselves for the rest."""
    left = set(mistake.accepted)
    words: list[str] = []
    if left >= _STATEMENTS:
        words.append("a statement")
        left = {kind for kind in left if kind in ("END", "RETURN")}
    if left >= _STARTS - {"LSQB"}:
        words.append("an expression")
        left -= _STARTS | {"REDUCER", "NOT"}
    if len(left & _OPERATORS) >= 3:
        words.append("an operator")
        left -= _OPERATORS | {"LSQB", "LPAR"}
    if not mistake.sign:
        left -= {"_NEWLINE", "$END"}
    order = [*_CLASSES, *_SPELLING]
    named = sorted(left, key=lambda kind: order.index(kind) if kind in order else len(order))
    words += [_CLASSES[k] if k in _CLASSES else f"`{_SPELLING.get(k, k.lower())}`" for k in named]
    if len(words) > 6:
        words = [*words[:6], "…"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing more"


# --- hints: the likely mistakes, the surest first -----------------------------------------------------------


def _foreign_word(m: _Mistake) -> str | None:
    """A word of another language: it stands first, or is `lambda` anywhere."""
    first = str(m.before[0]) if m.before else m.sign
    if len(m.before) <= 1 and first in _FOREIGN and m.sign != "=":
        return _FOREIGN[first]
    return _FOREIGN["lambda"] if m.previous == "lambda" else None


def _reserved_word(m: _Mistake) -> str | None:
    """A reserved word where a name is wanted, or used as a name."""
    if m.sign in RESERVED and "NAME" in m.accepted:
        named = m.after is not None and m.after.type in ("EQUAL", "COLON")
        statement = "KIND" in m.accepted
        if named or not (statement or (m.wants_expression and m.sign in ("and", "or", "if", "else", "in"))):
            return f"`{m.sign}` is a reserved word; choose another name"
    if m.previous in RESERVED and m.kind in ("EQUAL", "COLON", "COMMA", "LBRACE") and len(m.before) <= 2:
        return f"`{m.previous}` is a reserved word; choose another name"
    if m.before and m.before[-1].type == "REDUCER" and m.kind != "NAME":
        return f"`{m.previous}` is a reserved word; as a function it is `{m.previous}(x)` or `{m.previous}[i] x[i]`"
    if m.before and m.before[-1].type == "REDUCER":
        return f"write `{m.previous}({m.sign})`, or `{m.previous}[i] …` with the letter that it runs over"
    return None


def _type(token: Token) -> str:
    return token.type


def _equation(m: _Mistake) -> str | None:
    """A statement that begins like an equation and has no single `=`."""
    if "EQUAL" not in m.accepted or not m.before or m.before[0].type != "NAME" or "EQUAL" in map(_type, m.before):
        return None
    if m.sign == "==":
        return "`==` compares; an equation has one `=`"
    if m.sign in ("+", "-", "*", "/") and m.after is not None and m.after.type == "EQUAL":
        return f"a name is defined once; write a new name, `{m.before[0]}2 = {m.before[0]} {m.sign} …`"
    if m.sign == ":":
        return f"an equation has `=`; a declaration begins with its kind: `param {m.before[0]} : …`"
    return f"an equation is `name = expression`; is the `=` missing after `{m.previous}`?"


def _assignment_inside(m: _Mistake) -> str | None:
    if m.sign != "=" or "EQUAL" in m.accepted:
        return None
    if m.before and m.before[0].type in ("KIND",):
        return "an initial value follows `~`, as in `~ normal(0, 0.1)`" if "TILDE" in m.accepted else None
    if len(m.before) > 2:
        return "`=` defines, once a line; a comparison is `==`"
    return None


def _declaration(m: _Mistake) -> str | None:
    """A shape without its colon or its brackets."""
    if not m.before:
        return None
    first = m.before[0]
    if first.type == "KIND" and len(m.before) == 2 and m.kind in ("LSQB", "LPAR"):
        return f"a colon stands before the shape: `{first} {m.previous} : […]`"
    if m.previous == ":" and first.type in ("KIND", "CONST") and len(m.before) == 3:
        return f"a shape stands in brackets: `{first} {m.before[1]} : [n, d]`; a scalar has no shape and no colon"
    if first.type == "DIMS" and m.sign == ":":
        return f"write `{m.previous} = …`"
    if first.type == "DIMS" and m.kind in ("NAME", "NUMBER"):
        return "the entries of `dims` are separated by commas"
    if first.type == "FN" and m.sign == "=" and len(m.before) == 2:
        return f"a function names its arguments: `fn {m.previous}(x) = …`; a fixed number is a `const`"
    return None


def _comparison_chain(m: _Mistake) -> str | None:
    if m.kind != "COMPARE" or m.wants_expression:
        return None
    earlier = next((t for t in reversed(m.before) if t.type == "COMPARE"), None)
    if earlier is None:
        return None
    return "comparisons do not chain; write `a < b and b < c`"


def _operator(m: _Mistake) -> str | None:
    """Operators of other languages, and operators that lack a side."""
    if m.previous == "/" and m.sign == "/":
        return "there is no whole-number division; a comment begins with `#`"
    if m.previous in ("<", ">", "=", "-") and m.sign in (">", "<"):
        return (
            "an unequal sign is `!=`" if m.previous == "<" else "there are no arrows; comparisons are < <= > >= == !="
        )
    if m.sign == "|":
        return "`|` stands only before the padding of an index, `x[i-1 | 0]`; write `or`, or `abs(x)`"
    if m.sign == ";":
        return "one statement a line, without `;`"
    if m.sign == "{":
        return "`{…}` is the layer of a family and stands directly behind its name, `Z{l-1}`"
    if m.kind == "STRING":
        return "text stands only after `include`"
    return None


def _brackets(m: _Mistake) -> str | None:
    if m.sign in CLOSING.values() and m.wants_expression:
        return "is there a comma, or an operator, too many?" if m.previous not in CLOSING else "nothing stands inside"
    return None


def _juxtaposed(m: _Mistake) -> str | None:
    """Two operands side by side."""
    if m.wants_expression or m.kind not in ("NAME", "NUMBER", "LPAR", "REDUCER") or not m.before:
        return None
    if m.before[0].type in ("KIND", "DIMS", "BATCH", "MODEL", "OPTION", "OUTPUT", "OPTIMIZER"):
        return None
    if m.before[-1].type in ("NAME", "NUMBER", "RPAR", "RSQB", "TRANSPOSE"):
        left, right = m.previous, m.sign
        return f"write the operator between `{left}` and `{right}`: `*` (element-wise) or `@` (matrix product)"
    return None


def _line_end(m: _Mistake) -> str | None:
    if m.sign:
        return None
    if m.wants_expression:
        return "an expression goes on on the next line only inside ( ) or [ ]"
    if "ELSE" in m.accepted:
        return "a conditional has both branches: `a if c else b`"
    return None


_HINTS: tuple[Callable[[_Mistake], str | None], ...] = (
    _foreign_word,
    _reserved_word,
    _comparison_chain,
    _equation,
    _declaration,
    _assignment_inside,
    _operator,
    _brackets,
    _juxtaposed,
    _line_end,
)
