"""What lists of formulas say besides formulas: which of them have no matrix form."""

from __future__ import annotations

from pathlib import Path

import derive
from codegen.article import article
from codegen.sheets import formulas_of, latex_of, shapes_of

MODELS = Path(__file__).resolve().parents[1] / "models"
SAID = "in indices, as there is no matrix form: "


def gradient(name: str) -> derive.Gradient:
    return derive.load(MODELS / f"{name}.gc").gradient()


def test_what_stands_in_indices_is_named():
    found = gradient("conv1d")
    names = "y, dx, dw"
    assert formulas_of(found).splitlines()[-1] == f"# {SAID}{names}"
    assert formulas_of(found, "python").splitlines()[-1] == f"# {SAID}{names}"
    assert shapes_of(found).splitlines()[-1] == f"# {SAID}{names}"
    assert latex_of(found).splitlines()[-1] == f"% {SAID}{names}"
    assert f"I{SAID[1:]}{names}." in article(found)
    assert "in indices" not in formulas_of(found, "index")


def test_a_recurrence_goes_by_its_own_name():
    last = formulas_of(gradient("rnn")).splitlines()[-1]
    assert last.startswith(f"# {SAID}H, Z, P, ")


def test_nothing_is_said_where_all_are_matrices():
    assert "in indices" not in formulas_of(gradient("rows"))


def test_steps_say_so_where_they_end():
    steps = gradient("conv1d").steps()
    [last] = [s for s in steps if s.rule == "result" and s.target.name == "x"]
    assert "in indices, as there is no matrix form" in last.note
    assert not any("in indices" in (s.note or "") for s in gradient("rows").steps())


def test_conditions_that_are_all_to_hold_stand_side_by_side():
    lines = formulas_of(gradient("padded_zero"))
    assert "y[i] = Σ_p x[i + p − 1] 1[i + p ≥ 1] 1[i + p ≤ n] w[p]" in lines
