"""Reading repetitions: families, widths, what a round may read, and what is refused with its reason."""

from __future__ import annotations

import pytest

import derive
from derive.errors import SourceError
from derive.language.parse import parse
from derive.language.read import read_scheme
from derive.language.text import text as canonical

NET = """\
dims L = 3, n{0..L} = [5, 7, 3, 2]
batch m
input X : [m, n{0}]
A{0} = X
repeat l = 1..L
  param W{l} : [n{l-1}, n{l}] ~ zeros()
  A{l} = tanh(A{l-1} @ W{l})
end
"""


def shapes(model: derive.Differentiable) -> dict[str, str]:
    return {t.name: ", ".join(map(repr, t.axes)) for t in model.program.tensors}


def test_a_repetition_is_written_out_at_its_depth():
    model = derive.parse(NET)
    assert shapes(model) == {
        "X": "m, n0",
        "W1": "n0, n1",
        "W2": "n1, n2",
        "W3": "n2, n3",
        "A0": "m, n0",
        "A1": "m, n1",
        "A2": "m, n2",
        "A3": "m, n3",
    }
    assert [(d.name, d.default) for d in model.program.dims] == [("n0", 5), ("n1", 7), ("n2", 3), ("n3", 2)]


def test_another_depth_and_other_widths():
    model, left = derive.parse(NET).sized({"L": 2, "n": [4, 3, 2], "h": 9})
    assert left == {"h": 9}
    assert [t.name for t in model.program.parameters] == ["W1", "W2"]
    assert [d.default for d in model.program.dims] == [4, 3, 2]


def test_a_round_is_read_once_with_its_letter_as_a_symbol():
    _, scheme = read_scheme(parse(NET))
    assert scheme is not None
    (repeat,) = scheme.repeats
    assert [repr(e.left) for e in repeat.equations] == ["A{l}[m, n]"]
    assert [t.name for t in scheme.declared] == ["X", "W{l}"]


def test_the_canonical_text_reads_back():
    tree = parse(NET)
    assert parse(canonical(tree)) == tree


def test_the_twin_in_python_reads_the_same():
    model = derive.Model()
    model.add(NET)
    assert shapes(model) == shapes(derive.parse(NET))


def test_rounds_of_one_width_need_no_family_of_dims():
    model = derive.parse("dims L = 2, h = 3\ninput x : [h]\nA{0} = x\nrepeat l = 1..L\nA{l} = A{l-1} * l / L\nend\n")
    assert [repr(e.body) for e in model.program.equations] == ["x[h]", "1/2·A0[h]", "A1[h]"]


def test_repetitions_within_repetitions_and_one_behind_another():
    model = derive.parse(
        "dims L = 2, K = 3, h = 3\ninput x : [h]\nA{0} = x\nrepeat l = 1..L\nA{l} = A{l-1} * 2\nend\n"
        "B{0} = A{L}\nrepeat k = 1..K\nB{k} = B{k-1} * A{1}\nend\n"
    )
    assert [e.out.name for e in model.program.equations] == ["A0", "A1", "A2", "B0", "B1", "B2", "B3"]


def test_names_that_end_in_a_digit_stay_apart():
    model = derive.parse("input x\nW1{0} = x\nrepeat l = 1..2\nW1{l} = W1{l-1} * 2\nend\n")
    assert [e.out.name for e in model.program.equations] == ["W1_0", "W1_1", "W1_2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NET.replace("A{0} = X\n", ""), r"the first round \(l = 1\) reads A\{0\}, and nothing defines it"),
        (NET.replace("end", "  T = X\nend"), "T would be defined in every round"),
        (NET.replace("A{l} = tanh", "A = tanh"), "A is the name of a family on line 4"),
        (NET.replace("A{l} = tanh", "A{3} = tanh"), r"A\{3\} would be defined in every round of l"),
        (NET.replace("[n{l-1}, n{l}]", "[n{l}, n{l}]"), r"inner axes|do not match|n\{l-1\}"),
        (NET.replace("n{0..L} = [5, 7, 3, 2]", "n{0..L} = [5, 7, 3]"), r"n\{0..3\} has 4 entries, and 3 are given"),
        (NET.replace("dims L = 3, n{0..L}", "dims L, n{0..3}"), "the depth L has no value"),
        (NET.replace("W{l} :", "W{2*l} :"), "is no layer"),
        (NET + "B = A{4}\n", r"A4 is read"),
        (NET + "W = X\n", "W is the name of a family on line 6"),
        (NET + "W1 = X\n", r"called W1 once its layer is a number"),
        (NET.replace("A{l-1} @ W{l}", "A{l+1} @ W{l}"), r"A\{l\+1\}|to come|first round"),
        (NET.replace("  A{l} = tanh", "  minimize 1\n  A{l} = tanh"), "a repetition holds declarations and equations"),
        (NET.replace("A{l-1} @ W{l}", "A{l-1}"), r"A\{l-1\} is \[m, n\{l-1\}\] by the first round and"),
        (NET.replace("l = 1..L", "l = 1..2*L"), "a repetition runs from layer to layer"),
        (NET.replace("l = 1..L", "l = 1..20000"), "more than 10000 lines"),
        (NET + "A{0} = X\n", "defined twice"),
        (NET.replace("n{l-1}, n{l}", "q{l-1}, n{l}"), "q is no family of dims"),
        (NET.replace("5, 7, 3, 2", "5, 0, 3, 2"), "a width is an integer, at least 1"),
    ],
)
def test_a_mistake_is_explained_where_it_stands(text, message):
    with pytest.raises(SourceError, match=message) as caught:
        derive.parse(text)
    assert "error:" in str(caught.value)


def test_sizes_that_do_not_fit_are_refused():
    model = derive.parse(NET)
    with pytest.raises(SourceError, match=r"n\{0..4\} has 5 entries, and 4 are given"):
        model.sized({"L": 4})
    with pytest.raises(derive.GradcError, match="no family of dims is called so"):
        model.sized({"q": [1, 2]})
    with pytest.raises(derive.GradcError, match="no family of dims is called so"):
        derive.parse("dims d = 2\ninput x : [d]\ny = x").sized({"d": [1, 2]})
