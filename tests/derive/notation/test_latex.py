"""LaTeX: balanced for random forms; tests/codegen/test_article.py compiles it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from derive.expr import Call, Dim, Expr, compare, fresh, num, power, select, sum_over
from derive.functions import PRIMITIVES
from derive.notation import Notation
from derive.program import Equation, Program, Tensor

n, m = Dim("n"), Dim("m")
i, j, k = fresh(n, "i"), fresh(m, "j"), fresh(m, "k")
A, B, u, s = Tensor("A1", (n, m)), Tensor("sigma_out", (m, m)), Tensor("uhat", (n,)), Tensor("lambda", ())

LEAVES = st.sampled_from([A[i, j], u[i], s[()], num(1) / 3, num(2), n**-1, sum_over([k], A[i, k] * B[k, j])])


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] - p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (1 + p[1] ** 2)),
        inner.map(lambda e: Call(PRIMITIVES["exp"], e)),
        inner.map(lambda e: power(e, num(1) / 2)),
        inner.map(lambda e: power(e, 3)),
        pairs.map(lambda p: select(compare("<", 0, p[0]), p[1], 0)),
        inner.map(lambda e: compare("<=", 1, e)),
    )


BODIES = st.recursive(LEAVES, grown, max_leaves=8)


def balanced(text: str) -> bool:
    depth = 0
    for c in text:
        depth += {"{": 1, "}": -1}.get(c, 0)
        if depth < 0:
            return False
    return (
        depth == 0
        and text.count(r"\left") == text.count(r"\right")
        and text.count(r"\begin{") == text.count(r"\end{")
        and text.replace("\\left(", "(").count("(") == text.count(")")
    )


@settings(max_examples=80, deadline=None)
@given(BODIES)
def test_balanced(body):
    equation = Equation(Tensor("out", (n, m)), (i, j), body)
    for options in ({}, {"exact": True}, {"cotangents": "partial"}):
        notation = Notation(Program("p", equations=(equation,)), **options)
        assert balanced(notation.latex(equation))
        assert balanced(notation.latex_index(equation))
        unicode = notation.formula(equation)
        assert unicode.count("(") == unicode.count(")")
        assert "ᵀᵀ" not in unicode
        assert "ᵀ)ᵀ" not in unicode
