"""What is shown: products that gradc named are written out; the other names it gave are explained."""

import pytest

import derive


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
    shown = str(derive.parse(text + "Z = X @ W\nminimize -sum(Y * log_softmax(Z, axis=1)) / n").gradient())
    assert shown.count("with E = exp(Z)") == 1
