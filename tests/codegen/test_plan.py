"""Plans: what is fused, what lives in a local variable, what shares memory, what becomes a matrix product."""

from __future__ import annotations

import pytest

import derive
from codegen.contract import contraction
from codegen.lower import branches
from codegen.plan import plan
from codegen.schedule import schedule
from codegen.steps import Fold, Gemm, Loop, Nest, writes_in
from derive import pipeline
from derive.expr import Dim, Select, compare, fresh, negate, num, sum_over
from derive.program import Equation, Tensor

n, d, h = Dim("n"), Dim("d"), Dim("h")


def plan_of(program):
    wanted = [program.objective, *(bar for _, bar in program.gradients)]
    return plan(schedule(program, wanted, frozenset({"exp", "log"})), wanted)


def names(step):
    if isinstance(step, (Gemm, Fold)):
        return step.out.tensor.name
    return {w.target.tensor.name for w in writes_in(step.body)}


def test_two_layers_take_five_products_and_nests_between_them(two_layers):
    made = plan_of(two_layers)
    products = [k for k, s in enumerate(made.steps) if isinstance(s, Gemm)]
    assert [made.steps[k].out.tensor.name for k in products] == ["Z1", "Z2", "dW2", "dA1", "dW1"]
    assert [made.steps[k].start.tensor.name for k in products[:2]] == ["b1", "b2"]
    # exponentials and logarithms stand by themselves; what is between them is one pass over the samples each
    between = made.steps[products[1] + 1 : products[2]]
    assert [names(s) for s in between] == [
        "M",
        {"M_at", "E"},
        "S",
        {"u", "P", "L_sum_terms"},
        {"L_sum", "L", "dZ2", "u"},
    ]
    assert len([x for x in between[-1].body if isinstance(x, Loop) and x.letter.extent == n]) == 1
    named = [{t.name for t in s.scalars} for s in between if isinstance(s, Nest)]
    assert named == [{"M_at"}, {"u"}, {"L", "L_sum", "u"}]


def test_workspace_holds_three_activations(two_layers):
    """Z1 and A1 are needed backward; Z2, E and dZ2 share one piece, and so do A1 and dA1, Z1 and dZ1.

    Maxima, sums and the terms of the loss lie in memory because exponentials and logarithms have loops of their own.
    """
    made = plan_of(two_layers)
    place = {t.name: k for t, k in made.places.items()}
    assert len(made.slots) == 5
    assert {t for t, k in place.items() if k >= 3} == {"M", "S", "L_sum_terms"}
    assert place["Z2"] == place["E"] == place["dZ2"]
    assert place["A1"] == place["dA1"]
    assert place["Z1"] == place["dZ1"]
    assert "dW1" not in place  # gradients are written where they are wanted


def test_workspace_does_not_grow_with_depth_where_nothing_is_kept():
    layers = "\n".join(f"A{k} = tanh(A{k - 1} @ W{k})" for k in range(1, 7))
    params = "\n".join(f"param W{k} : [h, h]" for k in range(1, 7))
    text = f"dims h = 3\nbatch n\ninput A0 : [n, h]\n{params}\n{layers}\noutput A6"
    program = pipeline.forward(derive.parse(text).program)
    made = plan(schedule(program, program.outputs, frozenset({"tanh"})), program.outputs)
    assert len(made.slots) == 2


def part_of(equation):
    from codegen.schedule import freshened, split

    (part,) = split(equation)
    return freshened(part)


@pytest.mark.parametrize(
    ("left", "right", "out", "transposed"),
    [
        ("ik", "kj", "ij", (False, False)),
        ("ki", "kj", "ij", (True, False)),
        ("ik", "jk", "ij", (False, True)),
        ("ki", "jk", "ij", (True, True)),
        ("ik", "kj", "ji", (True, True)),
        ("ik", "jk", "ji", (False, True)),
    ],
)
def test_products_of_every_orientation(left, right, out, transposed):
    letters = {"i": fresh(n), "j": fresh(h, "j"), "k": fresh(d, "k")}

    def axes(names):
        return tuple(letters[x].extent for x in names)

    def at(names):
        return tuple(letters[x] for x in names)

    a, b = Tensor("a", axes(left)), Tensor("b", axes(right))
    body = sum_over([letters["k"]], a.at(at(left)) * b.at(at(right)))
    found = contraction(part_of(Equation(Tensor("out", axes(out)), at(out), body)))
    assert found is not None
    before, gemm = found
    assert before == []
    assert (gemm.left.transposed, gemm.right.transposed) == transposed
    assert gemm.left.tensor is (a if out == "ij" else b)


def test_what_is_no_product():
    i, j, k = fresh(n), fresh(h, "j"), fresh(d, "k")
    a, b = Tensor("a", (n, d)), Tensor("b", (n, d))
    c = Tensor("c", (n, h, d))
    for out, letters, body in [
        ((n,), (i,), sum_over([k], a[i, k] * b[i, k])),  # row-wise inner product
        ((n, h), (i, j), sum_over([k], a[i, k] * c[i, j, k])),  # batched
        ((n,), (i,), sum_over([k], a[i, k])),
    ]:
        assert contraction(part_of(Equation(Tensor("out", out), letters, body))) is None


def test_complementary_masks_become_one_branch():
    x = Tensor("x", (n,))
    i = fresh(n)
    m = compare("<", 0, x[i])
    e = branches(m * x[i] + negate(m) * (2 * x[i]) + 5)
    selects = [t for t in e.args if isinstance(t, Select)]
    assert len(selects) == 1
    assert {selects[0].chosen, selects[0].other} == {x[i], 2 * x[i]}
    both = branches(m * compare("<", x[i], 1) * x[i])
    assert isinstance(both, Select)
    assert both.other == num(0)
    assert isinstance(both.chosen, Select)


def test_loops_follow_memory():
    a, out = Tensor("a", (n, d)), Tensor("out", (d,))
    i, k = fresh(n), fresh(d, "k")
    made = plan([part_of(Equation(out, (k,), sum_over([i], a[i, k] * a[i, k])))], [out])
    (nest,) = made.steps
    rows = nest.body[-1]
    assert isinstance(rows, Loop)
    assert rows.letter.extent == n
    assert rows.body[0].letter.extent == d
