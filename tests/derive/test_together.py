"""A factor that all terms of a sum have, one of them alone: the same value, in no more operations, as one writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from derive.cost import cost
from derive.expr import Dim, compare, mul
from derive.program import Tensor, letters_for
from derive.together import together

N, H = Dim("n"), Dim("h")
I, J = letters_for((N, H))
W = Tensor("w", (H,)).at((J,))
A, B = (Tensor(x, (N, H)).at((I, J)) for x in "AB")


@pytest.mark.parametrize(
    ("sum_", "product"),
    [
        (W - W * A**2, W * (1 - A**2)),
        (W * B - mul(3, W, B, A) + W * B * A**2, W * B * (1 - mul(3, A) + A**2)),
        (A + B - A**2 * (A + B), (1 - A**2) * (A + B)),
    ],
)
def test_what_all_terms_share_stands_in_front(sum_, product):
    assert together(sum_) == product
    assert cost(product) <= cost(sum_)


def test_diagonals_beside_products_and_sums_that_share_nothing_stay():
    k, m = letters_for((H, H))
    p, q = (Tensor("p", (H,)).at((x,)) for x in (k, m))
    for e in (p * compare("==", k, m) - p * q, W - A * B, A - 2 * B, W * A - W * B):
        assert together(e) == e


def test_the_slope_of_tanh_is_one_factor_with_one_name_in_two_streams_and_in_the_gradient():
    """In the heat equation v multiplies time alone: it is reached through A1 and through its derivative by time."""
    model = derive.load(Path(__file__).parents[2] / "examples" / "heat.gc")
    lines = [x.strip().removeprefix("with ") for x in str(model.gradient()).splitlines()]
    slope = next(x.partition(" = ")[0] for x in lines if x.endswith(" = 1 − A1∘²"))
    assert sum("1 − A1∘²" in x for x in lines) == 1
    shown = {x.partition(" = ")[0]: x.partition(" = ")[2] for x in lines}
    assert shown["A1_x"] == f"{slope} ⊙ w"
    assert shown["A1_r"].startswith(f"{slope} ⊙ v + ")
    assert shown["dw"] == f"1ᵀ ({slope} ⊙ (dA1_x + dA1 ⊙ (x 1ᵀ)) + 2 kappa (dA1_r ⊙ A1 ⊙ A1_x))"
    assert shown["dv"] == f"1ᵀ ({slope} ⊙ (dA1_r + dA1 ⊙ (t 1ᵀ)))"
    assert shown["dw3"] == "A2ᵀ dS_2 + A2_xᵀ dS_2_x + A2_rᵀ dS_2_r"
    assert shown["db1"].startswith(f"1ᵀ (dA1 ⊙ {slope})")
