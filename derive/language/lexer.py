"""Model text to tokens: names, exact numbers, signs; comments and newlines inside brackets are gone.

What the text can get wrong below the grammar is said here, in its own terms: brackets that do not match,
signs outside ASCII, numbers of another spelling, names and nesting beyond the limits.
"""

from __future__ import annotations

import itertools
import re

from lark import Token

from derive.errors import GradcError, Source, SourceError, Span
from derive.language.literals import literal_hint, literal_value

MAX_BYTES, MAX_NESTING, MAX_NAME = 1_000_000, 200, 64

KEYWORDS = frozenset(("model", "include", "option", "dims", "batch", "const", "fn", "minimize", "optimizer", "output"))
KEYWORDS |= {"repeat", "block", "return", "end", "if", "else", "in", "not"}
KINDS = frozenset(("input", "target", "param"))
REDUCERS = frozenset(("sum", "mean", "max", "min", "prod"))
# words only where a name follows them
CONTEXTUAL = {"noise": "KIND", "state": "KIND", "update": "UPDATE", "freeze": "FREEZE"}
CONTEXTUAL |= {"rule": "RULE", "init": "INIT"}
RESERVED = KEYWORDS | KINDS | REDUCERS | {"and", "or"}

WORDS = (
    {w: w.upper() for w in KEYWORDS | {"and", "or"}} | dict.fromkeys(KINDS, "KIND") | dict.fromkeys(REDUCERS, "REDUCER")
)
SIGNS = {
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), "COMPARE"),
    **dict.fromkeys(("*", "/", "@"), "MULTIPLY"),
    **dict.fromkeys(("^", "**"), "POWER"),
    **dict.fromkeys(("'", ".T"), "TRANSPOSE"),
    **{"+": "PLUS", "-": "MINUS", "=": "EQUAL", "~": "TILDE", ":": "COLON", ";": "SEMICOLON", ",": "COMMA"},
    **{"..": "_DOTS", "|": "VBAR", "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE"},
}
CLOSING = {"(": ")", "[": "]", "{": "}"}

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\#[^\n\r]*)
      | (?P<newline>\r\n?|\n)
      | (?P<word>[A-Za-z][A-Za-z0-9_]*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<string>"[^"\n\r]*")
      | (?P<sign>\*\*|\.\.|\.T(?![A-Za-z0-9_])|[<>=!]=|[-+*/@^'<>=~:;,|()\[\]{}])""",
    re.VERBOSE,
)
_BAD_NUMBER = re.compile(r"[0-9]*\.?[0-9A-Za-z_]*(?:(?<=[eE])[+-][0-9]*)?")

_ASCII = {
    **dict.fromkeys("−–—‐", "-"),
    **dict.fromkeys("·⊙×∙⋅∗", "*"),
    **dict.fromkeys("÷∕", "/"),
    **dict.fromkeys("‘’′ᵀ⊤", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **{
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "²": "^2",
        "³": "^3",
        "∑": "sum[i]",
        "Σ": "sum[i]",
        "∏": "prod[i]",
        "√": "sqrt",
    },
    **{"∈": "in", "…": "..", "\u00a0": "a plain space", "\ufeff": "no byte order mark", "←": "=", "∧": "and"},
    **{"∨": "or", "¬": "not", "π": "pi", "∞": "a bound that is a number"},
}
_OTHER_SIGNS = {
    "&": "`and`",
    "!": "`not`, or `!=`",
    "%": "no sign: there is no remainder",
    "\\": "brackets: inside ( ) or [ ] an expression may go on on the next line",
    "_": "a letter first: names are letters, then letters, digits and `_`",
    '"': 'a closing `"` on the same line',
    ".": "`..` for a range, `.T` or `'` for a transpose, `0.5` for a number",
}


class Lexing:
    """The tokens of a text, and the first thing below the grammar that is wrong with it, if anything."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens: list[Token] = []
        self.problem: SourceError | None = None
        self._open: list[Token] = []
        self._position, self._line, self._line_start = 0, 1, 0
        if len(source.text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            self.problem = SourceError("the text is longer than 1 MB", Span(source, 1, 1, 1, 1))
            return
        try:
            self._run()
        except SourceError as problem:
            self.problem = problem

    def _run(self) -> None:
        text = self.source.text
        while self._position < len(text):
            found = _TOKEN.match(text, self._position)
            if found is None:
                raise self._stray()
            kind, value = found.lastgroup, found.group()
            if kind == "newline":
                self._newline(value)
            elif kind == "word":
                self._word(value)
            elif kind == "number":
                self._number(value)
            elif kind == "string":
                if not value.isascii():
                    raise self._error("a path is written in ASCII", value)
                self._add("STRING", value)
            elif kind == "sign":
                self._sign(value)
            self._position = found.end()
            if kind == "newline":
                self._line, self._line_start = self._line + 1, self._position
        if self._open:
            raise self._unclosed()
        self._newline("")

    def _add(self, kind: str, value: str) -> Token:
        column = self._position - self._line_start + 1
        end = self._position + len(value)
        token = Token(kind, value, self._position, self._line, column, self._line, column + len(value), end)
        self.tokens.append(token)
        return token

    def _error(self, message: str, value: str, hint: str | None = None) -> SourceError:
        column = self._position - self._line_start + 1
        return SourceError(message, Span(self.source, self._line, column, self._line, column + len(value)), hint=hint)

    def _newline(self, value: str) -> None:
        if self._open and self._open[-1].value == "{":
            raise self._unclosed()
        if not self._open and self.tokens and self.tokens[-1].type != "_NEWLINE":
            self._add("_NEWLINE", value)

    def _word(self, value: str) -> None:
        following = self.source.text[self._position + len(value) : self._position + len(value) + 1]
        if len(value) > MAX_NAME:
            raise self._error(f"a name has at most {MAX_NAME} characters, this one {len(value)}", value)
        if following and not following.isascii() and following.isalnum():
            value += following
            raise self._error(f"`{value}` is not ASCII", value, f"write {_ascii(following)} in place of `{following}`")
        token = self._add(WORDS.get(value, "NAME"), value)
        if token.type == "NAME" and len(self.tokens) > 1 and not self._open:
            self._statement(*self.tokens[-3:-1])
            if value == "for" and self.tokens[-2].type == "RPAR" and self._begins_with("OPTIMIZER"):
                self.tokens[-1] = token.update(type="FOR")

    def _statement(self, *before: Token) -> None:
        """A name follows: where one word stands before it on its line, that may begin a statement."""
        word = before[-1]
        if word.type == "NAME" and word in CONTEXTUAL and (len(before) == 1 or before[0].type == "_NEWLINE"):
            self.tokens[-2] = word.update(type=CONTEXTUAL[word])

    def _begins_with(self, kind: str) -> bool:
        """Whether the line so far begins with such a token."""
        line = itertools.takewhile(lambda token: token.type != "_NEWLINE", reversed(self.tokens))
        return [token.type for token in line][-1] == kind

    def _number(self, value: str) -> None:
        rest = _BAD_NUMBER.match(self.source.text, self._position)
        whole = rest.group() if rest else value
        if self.source.text.startswith(("..", ".T"), self._position + len(value)):
            whole = value
        if len(whole) > len(value):
            raise self._error(f"`{whole}` is not a number", whole, literal_hint(whole))
        try:
            literal_value(value)
        except GradcError as problem:
            raise self._error(str(problem), value) from None
        self._add("NUMBER", value)

    def _sign(self, value: str) -> None:
        if value in CLOSING.values():
            if not self._open:
                raise self._error(f"`{value}` closes nothing", value, "take it away, or open the bracket before it")
            opening = self._open.pop()
            if CLOSING[opening.value] != value:
                where = f"`{opening.value}` of line {opening.line}, column {opening.column}"
                raise self._error(f"`{value}` does not close {where}", value, f"write `{CLOSING[opening.value]}`")
        if len(self._open) >= MAX_NESTING and value in CLOSING:
            raise self._error(f"nested more than {MAX_NESTING} deep", value, "give the inner parts names")
        token = self._add(SIGNS[value], value)
        if value in CLOSING:
            self._open.append(token)

    def _unclosed(self) -> SourceError:
        token = self._open[-1]
        message = f"`{token.value}` is never closed"
        return SourceError(message, token_span(token, self.source), hint=f"add the `{CLOSING[token.value]}`")

    def _stray(self) -> SourceError:
        sign = self.source.text[self._position]
        if sign == "." and re.match(r"\.[0-9]", self.source.text[self._position :]):
            found = re.compile(r"\.[0-9A-Za-z_]*").match(self.source.text, self._position)
            value = found.group() if found else sign
            return self._error(
                f"`{value}` is not a number", value, f"write `0{value}`: a digit stands before the point"
            )
        if sign.isascii():
            shown = sign if sign.isprintable() else repr(sign)[1:-1]
            hint = f"write {_OTHER_SIGNS[sign]}" if sign in _OTHER_SIGNS else None
            return self._error(f"`{shown}` is not a sign of the language", sign, hint)
        shown = f"`{sign}`" if sign.isprintable() else f"U+{ord(sign):04X}"
        return self._error(f"{shown} is not ASCII", sign, f"write {_ascii(sign)}")


def token_span(token: Token, source: Source) -> Span:
    """Where a token stands."""
    line, column = token.line or 1, token.column or 1
    return Span(source, line, column, token.end_line or line, token.end_column or column)


def _ascii(sign: str) -> str:
    """What to write in place of a sign outside ASCII."""
    plain = _ASCII.get(sign)
    if plain is None:
        return "a name of ASCII letters" if sign.isalpha() else "an ASCII sign"
    return plain if " " in plain else f"`{plain}`"
