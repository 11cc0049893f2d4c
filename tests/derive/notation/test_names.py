"""Names: users win over generated ones, letters are distinct, LaTeX names are well formed."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive.expr import Dim, compare, fresh, sum_over
from derive.notation.latex import LatexStyle
from derive.notation.names import Names, latex_name
from derive.program import DimDecl, Equation, Program, Tensor

n, h = Dim("n"), Dim("h")
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True)


def balanced(text: str) -> bool:
    depth = 0
    for k, c in enumerate(text):
        if c in "{}" and (k == 0 or text[k - 1] != "\\"):
            depth += 1 if c == "{" else -1
        if depth < 0:
            return False
    return depth == 0 and text.count(r"\left") == text.count(r"\right")


def test_a_users_name_wins():
    w, user = Tensor("W1", (n,), "param"), Tensor("dW1", (n,), "param")
    bar = Tensor("dW1", (n,), "cotangent", primal=w)
    program = Program("m", declared=(w, user), gradients=((w, bar),))
    names = Names(program)
    assert (names[w], names[user], names[bar]) == ("W1", "dW1", "dW1_")


def test_cotangents_are_named_after_the_primal():
    w = Tensor("w", (n,), "param")
    bar = Tensor("something", (n,), "cotangent", primal=w)
    again = Tensor("else", (n,), "cotangent", primal=bar)
    names = Names(Program("m", declared=(w,)), extra=(bar, again))
    assert (names[bar], names[again]) == ("dw", "ddw")


@given(st.lists(NAME, min_size=1, max_size=8))
def test_display_names_are_distinct(words):
    users = [Tensor(x, (n,), "param") for x in dict.fromkeys(words)]
    bars = [Tensor("d" + t.name, (n,), "cotangent", primal=t) for t in users]
    names = Names(Program("m", declared=tuple(users)), extra=bars)
    assert [names[t] for t in users] == [t.name for t in users]
    assert len({names[t] for t in [*users, *bars]}) == 2 * len(users)
    python = [names.python(t) for t in [*users, *bars]]
    assert len(set(python)) == len(python)
    assert all(p.isidentifier() and not keyword.iskeyword(p) and p != "np" for p in python)


def test_letters_are_distinct_and_unlike_tensors():
    i, j, k = fresh(n, "n"), fresh(n, "n"), fresh(h, "a")
    a, y = Tensor("a", (n, n, h)), Tensor("y", (n,))
    equation = Equation(y, (i,), sum_over([j, k], a[i, j, k]))
    found = Names(Program("m", dims=(DimDecl("n"), DimDecl("h")), declared=(a,), equations=(equation,))).letters(
        equation
    )
    assert found[i] == "n"
    assert len(set(found.values())) == 3
    assert not {"a", "y"} & set(found.values())


def test_a_letter_whose_value_is_used_is_not_called_like_an_extent():
    i = fresh(n, "n")
    y = Tensor("y", (n,))
    program = Program("m", dims=(DimDecl("n"),), equations=(Equation(y, (i,), i * n),))
    assert Names(program).letters(program.equations[0])[i] != "n"
    i2, j2 = fresh(n, "n"), fresh(n, "n")
    d = Tensor("D", (n, n))
    program = Program("m", dims=(DimDecl("n"),), equations=(Equation(d, (i2, j2), compare("==", i2, j2)),))
    assert sorted(Names(program).letters(program.equations[0]).values()) == ["n", "n′"]


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x", "x"),
        ("W1", "W_{1}"),
        ("W12", "W_{12}"),
        ("W1hat", r"\hat{W}_{1}"),
        ("xbar", r"\bar{x}"),
        ("sigma", r"\sigma"),
        ("Theta2", r"\Theta_{2}"),
        ("w_out", r"w_{\mathrm{out}}"),
        ("loss", r"\mathrm{loss}"),
        ("A1B2", r"\mathrm{A1B2}"),
        ("dW1_", r"\mathrm{dW}'_{1}"),
        ("delta_1", r"\delta_{1}"),
    ],
)
def test_latex_names(name, latex):
    assert latex_name(name) == latex


def test_latex_cotangents():
    names = Names(Program("m"))
    style = LatexStyle(names)

    def bar(name: str, **options) -> str:
        return style.tensor(Tensor("d", (), "cotangent", primal=Tensor(name, (), **options)))

    assert bar("W1") == r"\bar{W}_{1}"
    assert bar("sigma") == r"\bar{\sigma}"
    assert bar("xhat") == r"\overline{\hat{x}}"
    assert bar("out") == r"\overline{\mathrm{out}}"
    assert bar("v", latex=r"\mathbf{v}_{a}") == r"\overline{\mathbf{v}_{a}}"


@given(NAME)
def test_latex_names_are_balanced(name):
    assert balanced(latex_name(name))
    style = LatexStyle(Names(Program("m")))
    assert balanced(style.tensor(Tensor("d", (), "cotangent", primal=Tensor(name, ()))))
