"""What is shown: products that gradc named are written out; the other names it gave are explained."""

import re
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen.sheets import formulas_of
from derive.claims.verify import PROVED, verify_formulas
from derive.display import readable
from derive.evaluate import evaluate

MODELS = Path(__file__).resolve().parents[1] / "models"


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
    assert "dV = softmax(S, axis=1)ᵀ dO" in shown
    assert "with S = Q Kᵀ" in shown  # it has a line, as dS has one
    assert "exp" not in shown
    lines = [line for f in gradient.formulas for line in (f.matrix, f.index)]
    assert [str(v) for v in verify_formulas(gradient.derivation.source, lines) if v.status != PROVED] == []
    forward = next(e for e in gradient.program.equations if e.out.name == "O")
    tex = gradient.notation.latex(readable(forward, gradient.program))
    assert tex == r"O = \operatorname{softmax}\left(Q\,K^{\top}\text{, axis=1}\right)\,V"


@pytest.mark.parametrize("name", ["two_forms", "derivative_wave", "kron_vec", "lstm", "flatten"])
def test_every_name_of_a_sheet_is_explained_in_it(name: str) -> None:
    """What a formula reads is declared, has a line of its own, or stands behind "with"."""
    model = derive.load(MODELS / f"{name}.gc")
    gradient = model.gradient()
    text = formulas_of(gradient)
    text = re.split("\n# when it is used|\n# in indices|\nderivatives in", text)[0]
    known = {t.name for t in gradient.program.declared} | {t.name for t in gradient.program.tensors if not t.hidden}
    hidden = {t.name for t in gradient.program.tensors} - known
    told = set(re.findall(r"^\s*(?:with )?(\w+)(?:\[.*?\])? = ", text, re.MULTILINE))
    read = set(re.findall(r"[A-Za-z]\w*", "\n".join(line.partition(" = ")[2] for line in text.splitlines())))
    assert (read & hidden) - told == set()


def test_the_form_that_is_trained_is_told_in_the_names_of_the_model() -> None:
    text = formulas_of(derive.load(MODELS / "two_forms.gc").gradient())
    assert "  P = softmax(D V + e, axis=1) " in text
    assert "  N = (Z − m) ⊘ √(v + 1/100000) " in text


def test_a_product_with_a_line_of_its_own_is_read_by_its_name() -> None:
    """The tangent of A1 W2 has the cotangent dS_x, so S_x is told, and nothing else spells it out."""
    text = formulas_of(derive.load(MODELS / "derivative_heat.gc").gradient())
    products = set(re.findall(r"with (\w+) = (\w+ \w+)$", text, re.MULTILINE))
    cotangents = {name for name, _ in products if f"  d{name} = " in text}
    assert len(cotangents) > 2
    for name, product in products:
        if name in cotangents:
            assert text.count(f"({product})") == 0, (name, product)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dims n\nparam x : [n]\ninput y : [n]\nminimize sum((softmax(x) - y)^2)/2", "softmax(x) − y − softmax(x)ᵀ ("),
        ("dims n\nparam X : [n, n]\ninput A : [n, n]\nminimize sum((X @ A - A @ X)^2)", "(X A − A X) Aᵀ − Aᵀ ("),
    ],
)
def test_a_difference_that_stands_twice_stands_one_way_round(text: str, shown: str) -> None:
    assert shown in str(derive.parse(text).gradient())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dims m, n\nparam w : [m]\nparam A : [m, n, n]\nminimize sum[i,j,k] tanh(A[i,j,k]*w[i])", "(1 − "),
        ("dims m, n\nparam v : [m]\nparam B : [n, n]\nminimize sum(tanh(outer(v, B)))", "(1 − "),
    ],
)
def test_sums_over_the_same_letters_are_one_where_a_factor_comes_out(text: str, shown: str) -> None:
    """Σ B − Σ T² B is Σ (1 − T²) B."""
    for line in str(derive.parse(text).gradient()).splitlines():
        if line.startswith(("dw", "dv", "dB")):
            assert shown in line
            assert line.count("Σ") == 1


KRONECKER = """dims a, b, c
param X : [a, b]
param Y : [b, c]
param x : [a]
param y : [b]
param z : [c]
K = kron(kron(X, Y), Y')
k = kron(x, kron(y, z))
minimize sum(K^3) + sum(vec(X')^3) + sum(k^3)
"""


def test_kronecker_products_and_columns_below_each_other_are_read_as_such() -> None:
    gradient = derive.parse(KRONECKER).gradient()
    shown = {e.out.name: gradient.notation.matrix(readable(e, gradient.program)) for e in gradient.program.equations}
    lines = set(filter(None, shown.values()))
    assert any(line.endswith(" = X ⊗ Y") for line in lines)
    assert any(line.endswith(" = y ⊗ z") for line in lines)
    lines = [
        f for e in gradient.program.equations for f in (gradient.notation.matrix(e), gradient.notation.python(e)) if f
    ]
    assert any("⊗" in line for line in lines)
    assert any("np.kron" in line for line in lines)
    assert [str(v) for v in verify_formulas(gradient.derivation.source, lines) if v.status != PROVED] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conditional", "dw = where(x < w, 1 ⊘ w, 2 (w ⊙ x))"),
        ("padded_edge", "dw[p] = Σ_i where(2 i + p < 1, x[0], where(n < 2 i + p, x[n − 1], x[2 i + p − 1])) dz[i]"),
        ("differences", "2 x[n′] + 1[n′ ≥ 1] (x[n′] − x[n′ − 1]) + 1[n′ < n − 1] (x[n′] − x[n′ + 1]) − 2 t[n′]"),
        ("padded_edge", "1[k = 0] (Σ_{p,i′} dz[i′] w[p] 1[2 i′ + p < 1] + dy[0]/4)"),
        ("flatten", "dS[n,(v − r + 1) ((h − r + 1) k + h′) + v′]"),
        ("flatten", "[c*(h-r+1)*(v-r+1), o]"),
        ("padded_zero", "Q[k − p + 1,v′ − q + 1]"),
    ],
)
def test_conditions_numbers_and_places_are_written_as_in_a_textbook(name: str, shown: str) -> None:
    """Opposite conditions make one choice, a number is no fraction of a multiple, a place ends with its number."""
    gradient = derive.load(MODELS / f"{name}.gc").gradient()
    assert shown in formulas_of(gradient)
    lines = [line for f in gradient.formulas for line in (f.matrix, f.index) if line]
    assert [str(v) for v in verify_formulas(gradient.derivation.source, lines) if v.status != PROVED] == []


def test_a_product_with_a_diagonal_matrix_is_written_out():
    text = "dims m, n\ninput X : [m, n]\ninput a : [m] positive\nminimize logdet(X' @ diag(a) @ X)"
    gradient = derive.parse(text).gradient("X", "a")
    assert [str(f) for f in gradient.formulas] == [
        "dX = 2 ((X (Xᵀ diag(a) X)⁻¹) ⊙ (a 1ᵀ))",
        "da = (X ⊙ (X (Xᵀ diag(a) X)⁻¹)) 1",
    ]
    found = verify_formulas(gradient.derivation.source, [str(f) for f in gradient.formulas])
    assert [v.status for v in found] == [PROVED, PROVED]


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        ("sum((x - t)^2) + sum(max(0, x)^2)", "dx = 2 (x + max(0, x) − t)"),
        ("sum((x - t)^2) + sum(x^2 if x > 1 else 0)", "dx = 2 (x + x ⊙ 1[x > 1] − t)"),
        ("sum(t*leaky_relu(x))", "dx = t ⊙ leaky_relu′(x)"),
        ("sum(t*relu(x)) + sum(t*leaky_relu(x))", "dx = t ⊙ where(x > 0, 2, 1/100)"),
        ("sum((leaky_relu(x) - t)^2)", "dx = where(x > 0, 2, 1/50) ⊙ (where(x > 0, x, x/100) − t)"),
        ("-sum(t*x if x > 1 else t*x/3)/2", "dx = −t ⊙ where(x > 1, 1/2, 1/6)"),
    ],
)
def test_a_condition_is_no_number_among_others(objective: str, shown: str) -> None:
    text = f"dims n\nparam x : [n]\ninput t : [n]\nminimize {objective}"
    assert shown in str(derive.parse(text).gradient())


@pytest.mark.parametrize(
    ("declared", "root", "shown"),
    [
        ("param c", "sqrt(c^2*(x^2 + 1))", "|c| (x ⊘ √(x∘² + 1))"),
        ("param c", "sqrt(c^2*x^2 + c^2)", "|c| (x ⊘ √(x∘² + 1))"),
        ("input c positive", "sqrt(c^2*(x^2 + 1))", "c (x ⊘ √(x∘² + 1))"),
        ("const c = -2", "sqrt(c^2*(x^2 + 1))", "2 (x ⊘ √(x∘² + 1))"),
        ("const c = 2", "c^2*(sqrt(1 + (x/c)^2) - 1)", "x ⊘ √(x∘²/4 + 1)"),
        ("input c", "x^2 + sqrt(sum(4*x^2))/n", "2 (1 + 1/‖x‖) x"),
    ],
)
def test_squares_stand_in_front_of_their_roots(declared: str, root: str, shown: str) -> None:
    """With the gradient as complex steps have it, where c is below 0 too."""
    model = derive.parse(f"dims n\nparam x : [n]\n{declared}\nminimize sum({root})")
    formula = model.gradient("x")["x"]
    assert str(formula) == f"dx = {shown}"
    point = {"x": np.array([0.7, -1.3, 0.2])} | ({"c": np.array(1.7 if "positive" in declared else -1.7)})
    derivation = model.gradient("x").derivation
    found = evaluate(derivation.stable, point, {})[derivation.results[0].name]
    steps = []
    for k in range(3):
        moved = point | {"x": point["x"] + 1e-30j * np.eye(3)[k]}
        steps.append(evaluate(model.program, moved, {})[model.program.objective.name].imag / 1e-30)
    np.testing.assert_allclose(found, steps, rtol=1e-12)


def test_a_function_stands_behind_what_it_is_multiplied_by() -> None:
    """The cross-entropy as everybody writes it, and σ′ behind what contains it."""
    text = "dims n\nparam x : [n]\ninput y : [n] binary\np = sigmoid(x)\nminimize bce(y, p)"
    model = derive.parse(text)
    assert "Σ(y ⊙ log(p) + (1 − y) ⊙ log(1 − p))" in formulas_of(model.gradient())
    assert "(y[n] log(p[n]) + (1 − y[n]) log(1 − p[n]))" in formulas_of(model.gradient(), "index")
    squares = derive.parse("dims n\nparam x : [n]\ninput y : [n]\nminimize sum((sigmoid(x) - y)^2)/2").gradient()
    assert str(squares["x"]) == "dx = sigmoid(x) ⊙ (1 − sigmoid(x)) ⊙ (sigmoid(x) − y)"
