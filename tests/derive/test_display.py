"""What is shown: products that gradc named are written out; the other names it gave are explained."""

import pytest

import derive
from derive.claims.verify import PROVED, verify_formulas
from derive.display import readable


@pytest.mark.parametrize(
    ("text", "variable", "shown"),
    [
        ("dims d\nparam x : [d]\ninput A : [d, d]\nminimize x' @ A @ x", "x", "dx = (A + Aᵀ) x"),
        ("dims d\nbatch n\ninput X : [n, d]\nparam w : [d]\nminimize sum((X @ w)^2)", "w", "dw = 2 Xᵀ X w"),
        ("dims d\nparam x : [d]\nminimize log(sum(exp(x)))", "x", "dx = softmax(x)"),
        ("dims d\nparam x : [d]\ninput g : [d]\nminimize sum(g * silu(x))", "x", None),
    ],
)
def test_a_formula_says_what_its_names_are(text: str, variable: str, shown: str | None) -> None:
    formula = derive.parse(text).gradient(variable)[variable]
    if shown is not None:
        assert str(formula) == shown
    for word in formula.definitions:
        assert word in str(formula)


def test_a_gradient_lists_definitions_once() -> None:
    text = "dims d = 3, c = 2\nbatch n\ninput X : [n, d]\ntarget Y : [n, c] simplex\nparam W : [d, c]\n"
    shown = str(
        derive.parse(text + "Z = X @ W\nminimize sum(Y * exp(Z)^2 / col(sum(exp(Z) + Z, axis=1))) / n").gradient()
    )
    assert shown.count("with E = exp(Z)") == 1


def test_shares_in_totals_need_no_names() -> None:
    """O = P V with P = softmax(Q Kᵀ), each gradient in terms of P, in text and in LaTeX."""
    text = "dims t, d\nparam Q : [t, d]\nparam K : [t, d]\nparam V : [t, d]\nO = softmax(Q @ K', axis=1) @ V\n"
    gradient = derive.parse(text + "minimize sum(O^2)").gradient()
    shown = str(gradient)
    assert "dV = softmax(Q Kᵀ, axis=1)ᵀ dO" in shown
    assert "exp" not in shown
    lines = [line for f in gradient.formulas for line in (f.matrix, f.index)]
    assert [str(v) for v in verify_formulas(gradient.derivation.source, lines) if v.status != PROVED] == []
    forward = next(e for e in gradient.program.equations if e.out.name == "O")
    tex = gradient.notation.latex(readable(forward, gradient.program))
    assert tex == r"O = \operatorname{softmax}\left(Q\,K^{\top}\text{, axis=1}\right)\,V"
