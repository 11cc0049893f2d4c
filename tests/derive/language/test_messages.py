"""Invalid programs: where the error points, what it says, what it suggests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.errors import SourceError
from derive.language.lexer import RESERVED
from derive.language.parse import parse, parse_expression
from derive.language.text import text
from derive.language.tree import Tree

# text, line, column, a word of the message, a word of the hint (empty: any)
INVALID = [
    ("y = .5", 1, 5, "`.5` is not a number", "0.5"),
    ("y = 2. + x", 1, 5, "`2.` is not a number", "2.0"),
    ("y = 0x10", 1, 5, "`0x10`", "16"),
    ("y = 1_000", 1, 5, "`1_000`", "1000"),
    ("y = 1e400", 1, 5, "beyond float64", ""),
    ("y = 1e-400", 1, 5, "below float64", ""),
    ("y = 9e999999999999", 1, 5, "beyond float64", ""),
    ("y = " + "1" * 401, 1, 5, "at most 400", ""),
    ("y = 1e", 1, 5, "`1e` is not a number", "1e-3"),
    ("y = 2x", 1, 5, "`2x` is not a number", "2*x"),
    ("x = 1\ny = a − b", 2, 7, "`−` is not ASCII", "`-`"),
    ("y = a · b", 1, 7, "not ASCII", "`*`"),
    ("y = a ⊙ b", 1, 7, "not ASCII", "`*`"),
    ("y = a × b", 1, 7, "not ASCII", "`*`"),
    ("y = x’", 1, 6, "not ASCII", "`'`"),
    ("include “a.gc”", 1, 9, "not ASCII", '`"`'),
    ("y = σ(x)", 1, 5, "not ASCII", "ASCII letters"),
    ("y = x₁", 1, 5, "not ASCII", "ASCII"),
    ("y = aβ", 1, 5, "not ASCII", "ASCII letters"),
    ("y = a\u00a0+ b", 1, 6, "U+00A0 is not ASCII", "space"),
    ("y = a & b", 1, 7, "`&`", "and"),
    ("y = a % b", 1, 7, "`%`", "remainder"),
    ("y = a + \\\n b", 1, 9, "`\\`", "brackets"),
    ("y = _x", 1, 5, "`_`", "letter first"),
    ("y = \x00", 1, 5, "`\\x00`", ""),
    ("y = " + "x" * 65, 1, 5, "at most 64", ""),
    ("y = (a + b\nz = 3\n", 1, 5, "`(` is never closed", "`)`"),
    ("y = f(a, [b, c)\n", 1, 15, "`)` does not close `[`", "`]`"),
    ("y = a + b)", 1, 10, "`)` closes nothing", ""),
    ("Z{l = 3\ny = 1", 1, 2, "`{` is never closed", "`}`"),
    ("Z X @ W", 1, 3, "expected", "`=` missing"),
    ("X @ W", 1, 3, "unexpected `@`", "`=` missing"),
    ("X", 1, 2, "ends too early", "name = expression"),
    ("Z == X", 1, 3, "unexpected `==`", "one `=`"),
    ("Z += X", 1, 3, "unexpected `+`", "defined once"),
    ("Z := X", 1, 3, "unexpected `:`", "`=`"),
    ("y = a < b < c", 1, 11, "unexpected `<`", "do not chain"),
    ("y = a == b == c", 1, 12, "unexpected `==`", "do not chain"),
    ("y = a if x = 0 else b", 1, 12, "unexpected `=`", "`==`"),
    ("let y = 3", 1, 5, "unexpected `y`", "no `let`"),
    ("def f(x): x", 1, 5, "unexpected `f`", "fn f(x)"),
    ("y = lambda x: x", 1, 12, "unexpected `x`", "no `lambda`"),
    ("for i in x", 1, 5, "unexpected `i`", "repeat"),
    ("loss mse(y, p)", 1, 6, "unexpected `mse`", "minimize"),
    ("param target : [n]", 1, 7, "unexpected `target`", "reserved word"),
    ("min = 3", 1, 1, "unexpected `min`", "reserved word"),
    ("target = 3", 1, 8, "unexpected `=`", "reserved word"),
    ("batch in", 1, 7, "unexpected `in`", "reserved word"),
    ("y = end + 1", 1, 5, "unexpected `end`", "reserved word"),
    ("y = f(x, in=2)", 1, 10, "unexpected `in`", "reserved word"),
    ("y = max * 2", 1, 9, "unexpected `*`", "reserved word"),
    ("y = sum x", 1, 9, "unexpected `x`", "sum(x)"),
    ("y = softmax(axis=1, Z)", 1, 21, "without a name", "before `axis=`"),
    ("y = f(x, a=1, a=2)", 1, 15, "given twice", ""),
    ("y = f(a b)", 1, 9, "unexpected `b`", "operator between"),
    ("y = a b", 1, 7, "unexpected `b`", "element-wise"),
    ("y = (a)(b)", 1, 8, "unexpected `(`", "operator between"),
    ("y = a +", 1, 8, "ends too early; expected an expression", "next line only inside"),
    ("y = a if b", 1, 11, "expected `else`", "both branches"),
    ("y = f(a,)", 1, 9, "unexpected `)`", "too many"),
    ("y = x[]", 1, 7, "unexpected `]`", "nothing stands inside"),
    ("y = a // b", 1, 8, "unexpected `/`", "`#`"),
    ("y = a <> b", 1, 8, "unexpected `>`", "`!=`"),
    ('y = "text"', 1, 5, "unexpected", "include"),
    ("y = 1; z = 2", 1, 6, "unexpected `;`", "one statement a line"),
    ("y = |x|", 1, 5, "unexpected `|`", "abs(x)"),
    ("input X [n, d]", 1, 9, "unexpected `[`", "colon"),
    ("input X : n, d", 1, 11, "unexpected `n`", "brackets"),
    ("input X : (n, d)", 1, 11, "unexpected `(`", "brackets"),
    ("param W : [d] = zeros()", 1, 15, "unexpected `=`", "`~`"),
    ("param W : [d] ~ zeros", 1, 22, "expected `(`", ""),
    ("dims d: 784", 1, 7, "unexpected `:`", "`d = …`"),
    ("dims d = 3 h = 4", 1, 12, "unexpected `h`", "commas"),
    ("fn f = 3", 1, 6, "unexpected `=`", "names its arguments"),
    ("fn f(x) x + 1", 1, 9, "expected `=`", ""),
    ("optimizer adam", 1, 15, "expected `(`", ""),
    ("include block.gc", 1, 9, "expected a path", ""),
    ("model 3d", 1, 7, "`3d` is not a number", ""),
    ("repeat l = 1..3\nZ{l} = 1\n", 1, 1, "`repeat` is never closed", "`end`"),
    ("repeat l = 1..2\nend\nblock f(x)\ny = x\n", 3, 1, "`block` is never closed", "`return …` and `end`"),
    ("repeat l = 1:3\nend", 1, 13, "expected `..`", ""),
    ("end", 1, 1, "unexpected `end`; expected a statement", ""),
    ("block f(x)\ny = x\nend", 3, 1, "expected `return`", ""),
    ("y = x[i | edge, j]", 1, 15, "unexpected `,`", ""),
]


@pytest.mark.parametrize(("written", "line", "column", "message", "hint"), INVALID, ids=[v[0][:24] for v in INVALID])
def test_invalid_programs_point_at_the_mistake(written: str, line: int, column: int, message: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(written, "model.gc")
    error = caught.value
    assert error.span is not None
    assert message in error.message, str(error)
    assert (error.span.line, error.span.column) == (line, column), str(error)
    assert hint in (error.hint or ""), str(error)
    shown = str(error)
    assert shown.startswith(f"model.gc:{line}:{column}: error: ")
    assert "^" in shown
    assert "ANON" not in shown
    assert "_NEWLINE" not in shown


def test_the_first_mistake_is_the_one_reported() -> None:
    with pytest.raises(SourceError, match="unexpected `b`"):
        parse("y = a b\nz = 2.\n")
    with pytest.raises(SourceError, match=r"`2\.`"):
        parse("z = 2.\ny = a b\n")


def test_an_expression_alone_is_no_line_of_statements() -> None:
    for wrong in ("", "a = b", "a\nb", "a +"):
        with pytest.raises(SourceError):
            parse_expression(wrong)


def test_lines_are_counted_as_they_are_shown() -> None:
    with pytest.raises(SourceError) as caught:
        parse("# a\u2028b\x0cc\x85d\r\n\ry = a b\n")
    assert caught.value.span is not None
    assert caught.value.span.line == 3
    assert "    3 | y = a b" in str(caught.value)


WORDS = [*sorted(RESERVED), "x", "y", "f{1}", "1", "2.5", "0..1", "[i]", "y=x", "(a,b=1)", "é", '"s"']
FRAGMENTS = [*WORDS, *"<=+-*@^'()[]{},:;|~#", "==", ".T", "..", "\n", "y = x\n"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
def test_any_text_is_a_tree_or_an_error_with_a_place(fragments: list[str]) -> None:
    written = " ".join(fragments)
    found, error = _read(written)
    if found is not None:
        assert parse(text(found)) == found
        return
    assert error is not None
    assert error.span is not None
    assert 1 <= error.span.line <= written.count("\n") + 1
    assert "lpar" not in str(error).lower()
    assert "NEWLINE" not in str(error)


def _read(written: str) -> tuple[Tree | None, SourceError | None]:
    try:
        return parse(written), None
    except SourceError as error:
        return None, error
