"""The workloads of the comparison: models that can be read, and counts that hold. No peer is needed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config

import derive
from benchmarks.training.dense import Dense
from benchmarks.training.logistic import Logistic
from benchmarks.training.measure import measured
from benchmarks.training.pinn import Pinn
from benchmarks.training.workload import ONE
from benchmarks.training.workloads import WORKLOADS
from codegen.explain import Explanation, main_function
from codegen.prepared import prepared
from derive.evaluate import extent

OURS = ["gradc", ONE][: config.NUMBA_NUM_THREADS]  # on one thread as well where there are more
OF_EACH_KIND = ("C16", "D32", "H1000", "I64", "gru", "transformer", "logistic")


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_model_has_the_parameters_and_data_that_are_counted(name):
    w = WORKLOADS[name]
    program = derive.parse(w.model()).program
    sizes = {d.name: int(d.default) for d in program.dims if d.default is not None}
    sizes |= {program.batch.name: 2 * w.batch}
    assert sum(math.prod(extent(a, sizes) for a in t.axes) for t in program.trained) == w.parameters
    shapes = {t.name: tuple(extent(a, sizes) for a in t.axes) for t in program.data}
    found = w.data("float32", 2)
    assert w.unit == "solve" or {k: a.shape for k, a in found.items()} == shapes
    assert {a.dtype for a in found.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("name", [n for n in OF_EACH_KIND if n != "H1000"])
def test_the_operations_that_are_counted_are_those_of_the_plan(name):
    w = WORKLOADS[name]
    _, function, sizes = main_function(prepared(derive.parse(w.model()), dtype="float32"), w.batch)
    planned = sum(row.operations for row in Explanation(function, sizes, 4).rows(function.plan.steps))
    assert 1 < planned / w.flops < 1.3  # what is no product of matrices comes on top


def test_data_are_cut_into_mini_batches_in_order():
    w = Dense("tiny", 7, widths=(5, 3))
    data = w.data("float64", 4)
    pieces = w.pieces(data)
    assert [len(p["Y"]) for p in pieces] == [7, 7, 7, 7]
    assert all(np.array_equal(np.concatenate([p[k] for p in pieces]), a) for k, a in data.items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_numpy_by_hand_arrives_at_the_same_weights(loss, optimizer):
    w = Dense("tiny", 7, optimizer, widths=(5, 4, 3), activation="tanh" if loss == "mse" else "relu", loss=loss)
    row = measured(w, "float64", 1, 0.001, ["numpy"])
    assert list(row["ways"]) == [*OURS, "NumPy by hand"]
    assert row["ways"]["NumPy by hand"]["gap"] < 1e-10


def test_solves_arrive_at_the_same_solution():
    row = measured(Logistic("tiny", 211, features=5), "float64", 1, 1.0, ["numpy", "sklearn"])
    ways = row["ways"]
    assert list(ways) == [*OURS, "NumPy by hand", "scikit-learn"]
    assert all(way["gap"] < 1e-5 for way in ways.values())
    assert all(way["evaluations"] > 5 for way in ways.values())


def test_ratios_are_asked_for_on_one_thread():
    w = Pinn("tiny", 7, least=3.0, least64=2.0)
    assert [w.asked(d, t) for t in (1, 2) for d in w.dtypes] == [3.0, 2.0, None, None]
