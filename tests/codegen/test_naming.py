"""Identifiers of emitted code."""

from __future__ import annotations

import ast
import keyword
from pathlib import Path

import pytest

from codegen.naming import Names, identifier, names_of
from codegen.targets.text import quoted, tidy
from derive.expr import Dim
from derive.program import DimDecl, Equation, Program, Tensor, letters_for


def test_two_tensors_of_one_name_are_two_identifiers():
    names = Names()
    a, b = Tensor("g", ()), Tensor("g", ())
    assert names.tensor(a) != names.tensor(b)
    assert names.tensor(a) == names.tensor(a)


def test_a_persons_name_wins():
    n = Dim("n")
    user, bar = Tensor("dW", (n,), "param"), Tensor("dW", (n,), "cotangent")
    letters = letters_for((n,))
    program = Program("m", (DimDecl("n", 3),), declared=(user,), equations=(Equation(bar, letters, user[letters]),))
    names, extents = names_of(program)
    assert names.tensor(user) == "dW"
    assert names.tensor(bar) == "dW_2"
    assert extents == {"n": "n"}


def test_nothing_forbidden_comes_out():
    names = Names()
    for wish in ("lambda", "np", "print", "1x", "δ", "", "a b", "np", "match"):
        name = names.fresh(wish)
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in ("np", "print", "match")
    assert identifier("Z{1}") == "Z_1"


def test_scopes_do_not_leak():
    outer = Names(["x"])
    inner = outer.scope()
    assert inner.fresh("y") == "y"
    assert outer.fresh("y") == "y"
    assert inner.fresh("x") == "x_2"


def test_loop_letters_fall_back_to_free_ones():
    names = Names(["n", "i"])
    assert names.loop("n") == "j"
    assert names.loop("k") == "k"
    names.release("k")
    assert names.loop("k") == "k"


def test_an_index_is_never_a_value_even_after_it_was_given_back():
    names = Names()
    names.release(names.loop("u"))
    assert names.fresh("u") == "u_2"
    names.release(names.fresh("j"))
    assert names.loop("j") != "j"


@pytest.mark.parametrize("path", sorted(Path("generated").glob("*.py")), ids=lambda p: p.stem)
def test_no_name_of_an_emitted_function_has_two_types(path):
    """Compiled without single assignment, an integer that is also a number would turn into a double."""
    functions = [f for f in ast.parse(path.read_text()).body if isinstance(f, ast.FunctionDef)]
    functions = [f for f in functions if any(ast.unparse(d) == "_compiled" for d in f.decorator_list)]
    assert functions or "@_allocating" in path.read_text()
    for function in functions:
        stored = [x.id for x in ast.walk(function) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
        indices = [x.target.id for x in ast.walk(function) if isinstance(x, ast.For)]
        for name in set(indices):
            assert stored.count(name) == indices.count(name), (function.name, name)


def test_long_lines_break_inside_brackets_only():
    call = "    value = f(" + ", ".join(f"argument_{k}" for k in range(20)) + ")"
    sums = "    x = " + " + ".join(f"term_{k} * (a + b)" for k in range(12))
    head = "def f(" + ", ".join(f"argument_{k}" for k in range(20)) + "):\n    pass"
    text = tidy('"""doc\n"""\n' + "\n".join([head, "def g():", call, sums]))
    assert max(map(len, text.splitlines())) <= 120
    compile(text, "m", "exec")


def test_quotes():
    assert quoted(["a", None]) == '["a", None]'
