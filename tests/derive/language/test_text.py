"""The canonical text: it parses back to the same tree, for every tree; its digest sees what matters and no more."""

from __future__ import annotations

import contextlib
import hashlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.errors import GradcError
from derive.language import tree as t
from derive.language.lexer import REDUCERS, RESERVED
from derive.language.literals import literal_text, literal_value
from derive.language.parse import parse, parse_expression
from derive.language.text import digest, expression_text, text

identifiers = st.one_of(
    st.sampled_from(["x", "y", "W1", "edge", "T", "lambda", "E", "e1", "pi"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,5}", fullmatch=True).filter(lambda n: n not in RESERVED),
)
decimals = st.builds(
    lambda digits, exponent: Fraction(digits) * Fraction(10) ** exponent, st.integers(0, 10**6), st.integers(-12, 20)
)
numbers = decimals.map(lambda v: t.Number(v, literal_text(v) or ""))


def _chain(operands: st.SearchStrategy[t.Expr], ops: list[str]) -> st.SearchStrategy[t.Expr]:
    pairs = st.lists(st.tuples(st.sampled_from(ops), operands), min_size=1, max_size=3).map(tuple)
    return st.builds(t.Chain, operands, pairs)


def _call(inner: st.SearchStrategy[t.Expr], names: st.SearchStrategy[str]) -> st.SearchStrategy[t.CallExpr]:
    named = st.lists(st.tuples(identifiers, inner), max_size=2, unique_by=lambda pair: pair[0])
    arguments = st.builds(
        lambda plain, named: tuple(t.Argument(v) for v in plain) + tuple(t.Argument(v, n) for n, v in named),
        st.lists(inner, max_size=2),
        named,
    )
    return st.builds(t.CallExpr, names, arguments)


def _larger(inner: st.SearchStrategy[t.Expr]) -> st.SearchStrategy[t.Expr]:
    maybe = st.none() | inner
    items = st.lists(inner | st.builds(t.Slice, maybe, maybe), min_size=1, max_size=3).map(tuple)
    binders = st.lists(st.builds(t.Binder, identifiers, maybe), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.builds(t.Name, identifiers, inner),
        st.builds(t.Unary, st.sampled_from(["-", "not"]), inner),
        *(_chain(inner, ops) for ops in (["+", "-"], ["*", "/", "@"], ["and"], ["or"])),
        st.builds(t.Power, inner, inner),
        st.builds(t.Transpose, inner),
        st.builds(t.Index, inner, items, st.none() | st.just("edge") | inner),
        st.builds(t.Comparison, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner),
        st.builds(t.Conditional, inner, inner, inner),
        st.builds(t.Reduction, st.sampled_from(sorted(REDUCERS)), binders, inner),
        _call(inner, identifiers | st.sampled_from(sorted(REDUCERS))),
        st.builds(t.ListExpr, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    )


expressions = st.recursive(numbers | st.builds(t.Name, identifiers), _larger, max_leaves=12)
small = st.recursive(numbers | st.builds(t.Name, identifiers), _larger, max_leaves=3)
names = st.builds(t.Name, identifiers, st.none() | small)
shapes = st.none() | st.lists(small, max_size=3).map(tuple)
families = st.builds(
    lambda name, ends, values: t.DimItem(t.Name(name), t.ListExpr(tuple(values)), ends),
    identifiers,
    st.tuples(small, small),
    st.lists(small, min_size=1, max_size=3),
)
words = st.lists(identifiers, min_size=1, max_size=3).map(tuple)
places = st.lists(st.builds(t.Place, small, st.none() | small), min_size=1, max_size=3).map(tuple)
simple_statements: st.SearchStrategy[t.Statement] = st.one_of(
    st.builds(t.ModelName, identifiers),
    st.builds(t.Include, st.from_regex(r"[a-z0-9_./ #']{1,9}", fullmatch=True)),
    st.builds(t.Option, identifiers, identifiers | decimals.map(lambda v: literal_text(v) or "")),
    st.builds(
        t.Dims, st.lists(st.builds(t.DimItem, names, st.none() | small) | families, min_size=1, max_size=3).map(tuple)
    ),
    st.builds(t.Batch, identifiers),
    st.builds(
        t.Declaration,
        st.sampled_from(["input", "target", "param"]),
        names,
        shapes,
        st.lists(_call(small, identifiers), max_size=2).map(tuple),
        st.none() | st.tuples(small, small),
        st.none() | _call(small, identifiers),
    ),
    st.builds(t.ConstDecl, identifiers, expressions, shapes),
    st.builds(t.Function, identifiers, words, expressions),
    st.builds(t.Assignment, names, st.none() | places, expressions),
    st.builds(t.Minimize, expressions),
    st.builds(t.Optimizer, _call(small, identifiers)),
    st.builds(t.Output, st.lists(names, min_size=1, max_size=3).map(tuple)),
)
statements = st.recursive(
    simple_statements,
    lambda inner: st.one_of(
        st.builds(t.Repeat, identifiers, small, small, st.lists(inner, max_size=2).map(tuple)),
        st.builds(t.Block, identifiers, words, st.just(()) | words, st.lists(inner, max_size=2).map(tuple), words),
    ),
    max_leaves=3,
)
trees = st.lists(statements, max_size=3).map(lambda found: t.Tree(tuple(found)))


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_every_expression_parses_back(expr: t.Expr) -> None:
    written = expression_text(expr)
    assert parse_expression(written) == expr
    assert expression_text(parse_expression(written)) == written


@settings(max_examples=80, deadline=None)
@given(trees)
def test_every_tree_parses_back(tree: t.Tree) -> None:
    written = text(tree)
    assert parse(written) == tree
    assert text(parse(written)) == written
    assert written.isascii()


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_no_pair_of_brackets_can_be_spared(expr: t.Expr) -> None:
    written = expression_text(expr)
    opened: list[int] = []
    pairs = []
    for k, sign in enumerate(written):
        if sign in "([":
            opened.append(k)
        elif sign in ")]":
            start = opened.pop()
            called = start > 0 and (written[start - 1].isalnum() or written[start - 1] == "_")
            if sign == ")" and not called:
                pairs.append((start, k))
    for start, end in pairs:
        without = written[:start] + " " + written[start + 1 : end] + " " + written[end + 1 :]
        with contextlib.suppress(GradcError):
            assert parse_expression(without) != expr, without


@given(decimals)
def test_a_number_has_one_text_and_that_text_its_value(value: Fraction) -> None:
    written = literal_text(value)
    assert written is not None
    assert literal_value(written) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y = 1e-3", "y = 0.001"),
        ("y = x**2", "y=x ^ 2"),
        ("y = x.T", "y = x'"),
        ("y = ((a+b))", "y = a + b  # sum"),
        ("input X : [n] one_hot()", "input X : [n] one_hot"),
        ("optimizer adam(lr = 0.10)", "optimizer adam(lr=1e-1)"),
    ],
)
def test_one_model_has_one_digest(one: str, other: str) -> None:
    assert digest(parse(one)) == digest(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("y = a * b @ c", "y = (a * b) @ c"), ("y = a - b - c", "y = a - (b - c)"), ("y = x", "z = x")],
)
def test_different_models_have_different_digests(one: str, other: str) -> None:
    assert digest(parse(one)) != digest(parse(other))


def test_the_digest_is_the_hash_of_the_text() -> None:
    tree = parse("y  =  a+b # c")
    assert digest(tree) == hashlib.sha256(b"y = a + b\n").hexdigest()


def test_spans_are_outside_equality() -> None:
    assert parse("y   = a") == parse("\n\ny = a")


EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.gc"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_the_examples_keep_their_meaning(path: Path) -> None:
    tree = parse(path.read_text(encoding="utf-8"), path.name)
    assert parse(text(tree)) == tree
