"""Data reach a model by names, shapes and promises, in whichever layout the model has."""

from __future__ import annotations

import numpy as np
import pytest

from codegen import data
from codegen.sources import Source
from derive import promises
from derive.errors import GradcError, SourceError
from derive.expr import Dim
from derive.program import DimDecl, Program, Property, Tensor

D, C, N = Dim("d"), Dim("c"), Dim("n")


def program(*tensors: Tensor, **sizes: int | None) -> Program:
    dims = tuple(DimDecl(name, sizes.get(name)) for name in ("d", "c"))
    return Program("m", dims=dims, batch=N, declared=tensors)


def rows() -> Program:
    return program(Tensor("X", (N, D), "input"), Tensor("Y", (N, C), "target", (Property("one_hot", 1),)))


def columns() -> Program:
    return program(Tensor("X", (D, N), "input"), Tensor("Y", (C, N), "target", (Property("one_hot", 0),)))


FEATURES = np.arange(15.0).reshape(5, 3)
CLASSES = np.array([1, 0, 2, 1, 1])


def test_class_numbers_become_one_hot_rows_and_sizes_are_inferred():
    found = data.arrange(Source("s", features=FEATURES, targets=CLASSES), rows())
    assert found.sizes == {"d": 3, "c": 3}
    assert found.count == 5
    assert np.array_equal(found.arrays["X"], FEATURES)
    assert np.array_equal(found.arrays["Y"], np.eye(3)[CLASSES])


def test_the_columns_layout_is_the_transpose():
    a = data.arrange(Source("s", features=FEATURES, targets=CLASSES), rows())
    b = data.arrange(Source("s", features=FEATURES, targets=CLASSES), columns())
    assert np.array_equal(a.arrays["X"], b.arrays["X"].T)
    assert np.array_equal(a.arrays["Y"], b.arrays["Y"].T)


@pytest.mark.parametrize("layout", [rows, columns])
def test_a_split_keeps_samples_together_in_both_layouts(layout):
    found = data.arrange(Source("s", features=FEATURES, targets=CLASSES), layout())
    train, held = found.split(0.4, seed=3)
    assert held is not None
    assert (train.count, held.count) == (3, 2)
    pairs = set()
    for part in (train, held):
        x, y = (np.moveaxis(part.arrays[k], part.axes[k], 0) for k in "XY")
        pairs |= {(tuple(a), int(np.argmax(b))) for a, b in zip(x, y, strict=True)}
    assert pairs == {(tuple(a), int(c)) for a, c in zip(FEATURES, CLASSES, strict=True)}
    again, _ = found.split(0.4, seed=3)
    assert np.array_equal(again.arrays["X"], train.arrays["X"])


def test_npz_takes_either_layout(tmp_path):
    one_hot = np.eye(3)[CLASSES]
    for name, x, y in (("first.npz", FEATURES, one_hot), ("columns.npz", FEATURES.T, one_hot.T)):
        np.savez(tmp_path / name, X=x, Y=y)
    want = data.load(str(tmp_path / "columns.npz"), columns(), sizes={"d": 3, "c": 3})
    for name in ("first.npz", "columns.npz"):
        got = data.load(str(tmp_path / name), columns(), sizes={"d": 3, "c": 3})
        assert np.array_equal(got.arrays["X"], want.arrays["X"])
        assert np.array_equal(got.arrays["Y"], want.arrays["Y"])


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", X=np.array([{}], dtype=object))
    with pytest.raises(GradcError, match="not a readable"):
        data.load(str(tmp_path / "bad.npz"), rows())


def test_csv_columns_by_name_and_as_target(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,kind\n1,2,cat\n3,4,dog\n5,6,cat\n")
    found = data.load(str(tmp_path / "t.csv"), rows(), targets=["kind"])
    assert np.array_equal(found.arrays["X"], [[1, 2], [3, 4], [5, 6]])
    assert np.array_equal(found.arrays["Y"], [[1, 0], [0, 1], [1, 0]])
    named = program(Tensor("X", (N, D), "input"), Tensor("y", (N, C), "target"))
    (tmp_path / "u.csv").write_text("a,u,v\n1,2,3\n4,5,6\n")
    found = data.load(str(tmp_path / "u.csv"), named, targets=["v", "u"])
    assert np.array_equal(found.arrays["y"], [[3, 2], [6, 5]])
    scalar = program(Tensor("x", (N,), "input"), Tensor("y", (N,), "target"))
    (tmp_path / "v.csv").write_text("y,x\n1,2\n3,4\n")
    found = data.load(str(tmp_path / "v.csv"), scalar)
    assert np.array_equal(found.arrays["x"], [2, 4])
    assert np.array_equal(found.arrays["y"], [1, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,x\n", "'x' is not a number"),
        ("a,b\n1\n", "line 2 has 1 cells"),
        ("1,2\n3,4\n", "must name the columns"),
        ("a,a\n1,2\n", "same name"),
        ("a,b\n", "at least one line"),
        ("a,b\n1,2\n", "holds nothing for Y"),
        ("a,b\nnan,2\n", "holds nothing for Y"),
    ],
)
def test_csv_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(GradcError, match=message):
        data.load(str(tmp_path / "t.csv"), rows())


def test_digits_fit_both_layouts():
    pytest.importorskip("sklearn")
    a, b = data.load("digits", rows()), data.load("digits", columns())
    assert a.arrays["X"].shape == (1797, 64)
    assert a.arrays["X"].max() == 1.0
    assert a.sizes == b.sizes == {"d": 64, "c": 10}
    assert np.array_equal(a.arrays["Y"].T, b.arrays["Y"])


def test_labels_stay_class_numbers_and_images_are_folded():
    square = program(
        Tensor("X", (N, D, D), "input"), Tensor("t", (N,), "target", (Property("labels", None, C),), dtype="int")
    )
    found = data.arrange(
        Source("s", features=np.arange(36.0).reshape(4, 9), targets=np.array([0, 1, 2, 0.0])), square, {"d": 3, "c": 3}
    )
    assert found.arrays["X"].shape == (4, 3, 3)
    assert found.arrays["t"].dtype == np.int64


def test_a_size_that_does_not_fit_names_the_remedy():
    fixed = program(*rows().declared, d=784, c=10)
    with pytest.raises(SourceError, match=r"X wants \[n, d = 784\]") as caught:
        data.arrange(Source("s", features=FEATURES, targets=CLASSES), fixed)
    assert caught.value.hint == "build for this data: --size d=3"


@pytest.mark.parametrize(
    ("targets", "message"),
    [([0, 1, -1, 0, 1], "from 0"), ([0, 0.5, 1, 0, 0], "integers"), ([0, 1, 7, 0, 1], "class 7 occurs")],
)
def test_class_numbers_are_checked(targets, message):
    with pytest.raises(SourceError, match=message):
        data.arrange(Source("s", features=FEATURES, targets=np.array(targets)), rows(), {"c": 3})


def test_values_that_break_a_promise_are_named():
    two = program(Tensor("X", (N, D), "input"), Tensor("y", (N,), "target", (Property("binary"),)))
    with pytest.raises(SourceError, match=r"y must hold 0 and 1 only \(binary\); y\[2\] is 2"):
        data.arrange(Source("s", features=FEATURES, targets=np.array([0, 1, 2, 1, 0])), two)
    with pytest.raises(SourceError, match=r"X must hold finite numbers; X\[0, 1\] is nan"):
        data.arrange(Source("s", features=np.array([[1, np.nan]]), targets=np.array([1])), two)


@pytest.mark.parametrize("name", sorted(promises.PROMISES))
def test_what_is_drawn_for_a_promise_keeps_it(name):
    axes = (D, D) if name in ("symmetric", "posdef", "diagonal", "orthogonal") else (N, D)
    p = Property(name, 1 if name in ("one_hot", "simplex") else None, C if name == "labels" else None)
    t = Tensor("T", axes, "input", (p,))
    sizes = {"d": 5, "n": 7, "c": 3}
    a = promises.draw(t, sizes, np.random.default_rng(0))
    promises.check(t, a, sizes)
    with pytest.raises(SourceError):
        promises.check(t, a + 0.5 + np.arange(a.size).reshape(a.shape) - 9 * (name in ("positive", "counts")), sizes)


@pytest.mark.parametrize("part", [-0.1, 1.0, 0.99])
def test_a_part_that_cannot_be_held_out_is_refused(part):
    found = data.arrange(Source("s", features=FEATURES, targets=CLASSES), rows())
    with pytest.raises(GradcError):
        found.split(part)
