"""A recurrence compiles to one loop each way, whatever its length; residuals are kept or found again."""

import re
from pathlib import Path

import numpy as np
import pytest

import codegen
import derive
from codegen.compiler import source
from codegen.rounds import filled_in_place
from derive.recurrence import blocks

LSTM = (Path(__file__).parents[1] / "models" / "lstm.gc").read_text(encoding="utf-8").replace("output P, H", "output P")
AGAIN = LSTM + "option residuals = recompute\n"


def step_of(text):
    return text[text.index("def _loss_and_grad(") :].split("\ndef ")[0]


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_the_code_has_one_loop_over_time_each_way_and_does_not_grow_with_it(target):
    texts = [source(derive.parse(LSTM), target=target, sizes={"T": rounds}) for rounds in (3, 29)]
    assert len({len(t.splitlines()) for t in texts}) == 1
    loops = re.findall(r"\n    for t in (range.*):\n", step_of(texts[0]))
    assert [x for x in loops if "-1" in x] == ["range(T - 1, -1, -1)"]
    assert "C_t1" in texts[0] or "C[:, t + 1]" in texts[0]


def test_states_are_filled_in_place():
    order = blocks(derive.parse(LSTM).program.equations)
    found = filled_in_place(order, frozenset())
    assert {r.name: h.name for r, (h, _) in found.items()} == {"C_next": "C", "H_next": "H"}


def test_what_is_found_again_needs_less_memory_and_gives_the_same():
    kept, again = (derive.parse(t) for t in (LSTM, AGAIN))
    size = [int(re.search(r"_loss_and_grad\(n, .*_workspace\(DTYPE, (\d+) \* n", source(m, sizes={"T": 29})).group(1))
            for m in (kept, again)]  # fmt: skip
    assert size[1] < size[0]
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(11, 3, 2)), "Y": rng.normal(size=(11, 3, 7))}
    nets = [codegen.compile(m, target="numpy", dtype="float64") for m in (kept, again)]
    params = nets[0].init_params(seed=1)
    results = [net.loss_and_grad(params, **data) for net in nets]
    assert results[0][0] == results[1][0]
    for name, grad in results[0][1].items():
        assert np.allclose(grad, results[1][1][name], rtol=1e-12, atol=1e-15), name


def test_a_recurrence_along_the_batch_is_told_to_have_no_code():
    text = "batch n\ninput x : [n]\nparam a\nu[0] = 0\nu[t+1] = a*u[t] + x[t]\nminimize sum(u)"
    with pytest.raises(derive.errors.GradcError, match="batch axis"):
        source(derive.parse(text))
