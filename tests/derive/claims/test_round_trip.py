"""What gradc prints it reads: every formula of every model, in each notation, is read back and proved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catalogue import function_call

import derive
from derive.claims import PROVED, REFUTED, verify_formulas
from derive.claims.verify import NOTED
from derive.display import readable
from derive.errors import PlaceError
from derive.functions import PRIMITIVES
from derive.library.functions import FUNCTIONS

ROOT = Path(__file__).resolve().parents[3]
# Layers that are repeated are printed once, for a layer l, and formulas for an l are not read yet.
FILES = [
    path
    for path in sorted([*(ROOT / "tests" / "models").glob("*.gc"), *(ROOT / "examples").glob("*.gc")])
    if not re.search(r"\brepeat ", path.read_text(encoding="utf-8"), re.MULTILINE)
]
FORMS = ("matrix", "index", "python")
TEXTS = {
    "broadcast": "dims d, n\nparam A : [n, d]\nparam g : [d]\nparam f : [n]\nminimize sum(A*g) + sum(A*col(f))",
    "norms": "dims d\nparam w : [d]\nparam A : [d, d]\nminimize norm(A @ w)^2 + sum(w)*sum(w^2)",
    "extremes": "dims d, e\nparam A : [d, e]\nminimize max(A) + sum(min(A, axis=0)^2) + sum(max(A, axis=1))",
    "triangle": "dims d\nparam A : [d, d]\ninput G : [d, d]\nB[i,j] = A[i,j] if i <= j else 0\nminimize sum(G*B)",
    "masks": "dims d\nparam A : [d, d]\ninput G : [d, d]\nB = A if A >= G else 2*A + 1\nminimize sum(B*(A != 0))",
    "labels": "dims v, k\nbatch n\ninput t : [n] labels(v)\nparam E : [v, k]\nH[i,k] = E[t[i],k]\nminimize sum(H^2)",
    "covariance": "dims d, n\nparam A : [n, d]\nC = A - mean(A, axis=0)\nS = C' @ C / n\nminimize trace(S) + sum(S^2)",
    "a column over a square": "dims r, c\nparam V : [r, c]\nminimize sum(log(sum(exp(V @ V'), axis=1)))",
    "general bce": "dims d, c\nbatch n\ninput X : [n, d]\ntarget Y : [n, c]\nparam W : [d, c]\nparam b : [c]\n"
    "P = sigmoid(X @ W + b)\nminimize bce(Y, P)",
}


def printed(gradient: derive.Gradient, form: str) -> list[str]:
    """Every formula that gradc shows of a model: forward, backward, with definitions and without."""
    notation, program = gradient.notation, gradient.program
    lines = [notation.formula(e, form) for e in program.equations]
    if form == "matrix":
        lines += [notation.formula(readable(e, program)) for e in program.equations]
        lines += [line for f in gradient.formulas for line in (str(f), *f.definitions)]
    return list(dict.fromkeys(line.removeprefix("# ") for line in lines))


def check(model: derive.ParsedModel, *names: str) -> None:
    """Of all notations at once, or of those that are named: one derivation and one set of points."""
    gradient = model.gradient()
    lines = list(dict.fromkeys(line for form in names or FORMS for line in printed(gradient, form)))
    assert len(lines) >= 2
    found = verify_formulas(model.program, lines)
    assert [str(v) for v in found if v.status not in (PROVED, NOTED)] == []  # noted: a name that the gradient needs


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_formula_of_a_model_is_read_back_and_proved(path):
    check(derive.load(path))


@pytest.mark.parametrize("name", [*FUNCTIONS, *PRIMITIVES])
def test_every_function_is_read_back_and_proved(name):
    call = function_call(name, "z")
    check(derive.parse(f"dims k\nparam z : [k]\ninput G : [k]\na = {call}\nminimize sum(G * a)"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TEXTS)
def test_every_notation_is_read_back_and_proved(name, form):
    check(derive.parse(TEXTS[name]), form)


def test_a_vector_beside_a_square_matrix_says_along_which_axis_it_lies():
    model = derive.parse("dims d\nparam v : [d]\ninput A : [d, d]\nM = diag(v) @ A @ diag(v)\nminimize sum(M)")
    lines = printed(model.gradient(), "matrix")
    assert {"S = diag(v) A", "M = S diag(v)"} <= set(lines)
    assert "M = S * v[None, :]" in printed(model.gradient(), "python")
    check(model)


def test_masks_keep_the_places_of_a_line_inside():
    model = derive.load(ROOT / "tests" / "models" / "conv1d.gc")
    line = next(s for e in model.gradient().formulas if (s := e.index).startswith("dx["))
    assert line == "dx[n′] = Σ_p dy[n′ − p] 1[p ≤ n′] 1[n′ + k ≤ p + n] w[p]"
    [right] = verify_formulas(model.program, [line])
    [wrong] = verify_formulas(model.program, [line.replace("p ≤ n′", "p < n′")])
    assert (right.status, wrong.status) == (PROVED, REFUTED)
    for mask in ("1[p ≤ n′] ", "1[n′ + k ≤ p + n] "):  # without it the line has no meaning: it is refused, not refuted
        with pytest.raises(PlaceError, match="the place n_-p goes"):
            verify_formulas(model.program, [line.replace(mask, "")])


def test_a_line_is_proved_before_the_network_behind_it_is_unfolded():
    """Two convolutions and poolings stand behind this softmax; its own definition is all that it takes."""
    model = derive.load(ROOT / "examples" / "lenet.gc")
    [verdict] = verify_formulas(model.program, ["P = softmax(S, axis=1)"])
    assert verdict.reason == "by the normal form, what is behind it as given"
