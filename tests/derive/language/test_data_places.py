"""Places with elements of data, x[t[i]+p]: what they read, how far their letters run, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import codegen
import derive
from derive.errors import GradcError, SourceError
from derive.evaluate import evaluate
from derive.sizes import with_sizes

HEAD = """dims m = 7, c = 3, k = 2
batch n
input t : [n] labels(c)
input s : [n] labels(c)
input one labels(c)
input u : [n]
param x : [m]
param w : [k]
"""
DRAWN = np.random.default_rng(1)
GIVEN = {
    "t": np.array([0, 2, 1, 2, 0]),
    "s": np.array([1, 0, 2, 2, 2]),
    "one": np.array(2),
    "u": DRAWN.normal(size=5),
    "x": DRAWN.normal(size=7),
    "w": DRAWN.normal(size=2),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("y[i] = x[t[i]+1]", lambda x, t, **_: x[t + 1]),
        ("y[i] = x[2*t[i]]", lambda x, t, **_: x[2 * t]),
        ("y[i] = x[t[i]+2*s[i]]", lambda x, t, s, **_: x[t + 2 * s]),
        ("y[i] = x[m-1-t[i]]", lambda x, t, **_: x[6 - t]),
        ("y[i] = x[-t[i]+c]", lambda x, t, **_: x[3 - t]),
        ("y[i] = x[t[i]-s[i]+2]", lambda x, t, s, **_: x[t - s + 2]),
        ("y[i] = x[one+1] * x[t[i]+one]", lambda x, t, **_: x[3] * x[t + 2]),
        ("y[i] = sum[p] w[p] * x[t[i]+p]", lambda x, t, w, **_: x[t] * w[0] + x[t + 1] * w[1]),
        ("y[i,p] = x[t[i]+p]", lambda x, t, **_: x[t[:, None] + np.arange(5)]),
        ("y[i] = sum[p] x[p+t[i]]", lambda x, t, **_: np.array([x[k : k + 5].sum() for k in t])),
        ("y[i] = x[t[i]-1 | 0]", lambda x, t, **_: np.where(t > 0, x[t - 1], 0)),
        ("y[i] = x[t[i]+5 | edge]", lambda x, t, **_: x[np.minimum(t + 5, 6)]),
        ("y[i] = x[t[i]-1] if t[i] >= 1 else 2", lambda x, t, **_: np.where(t > 0, x[t - 1], 2)),
    ],
)
def test_values(text, wanted):
    program = derive.parse(HEAD + text).program
    np.testing.assert_array_equal(evaluate(program, GIVEN)["y"], wanted(**GIVEN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y[i] = x[t[i]+5]", "goes up to c+4, past axis 0 of x"),
        ("y[i] = x[t[i]-1]", "goes down to -1, before the start of axis 0 of x"),
        ("y[i] = x[t[i]]\nz[i] = w[t[i]]", "t[i] counts to c-1, past axis 0 of w"),
        ("y[i] = x[3*t[i]+s[i]]", "past axis 0 of x"),
        ("y[i,p:6] = x[t[i]+p]", "past axis 0 of x"),
        ("y[i] = x[u[i]+1]", "u[i] is not an integer"),
        ("y[i] = x[t[i]*s[i]]", "no sum of letters with coefficients"),
        ("y[i] = x[t[i]-1] if t[i] >= 0 else 2", "may leave axis 0 of x"),
        ("y[i] = x[t[i]+q]", "q"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(SourceError) as found:
        derive.parse(HEAD + text)
    assert message in str(found.value)


def test_sizes_given_later_are_checked():
    model = derive.parse(HEAD + "y[i] = x[t[i]+4]\nminimize sum(y^2)")
    with pytest.raises(GradcError, match="is read 1 past its axis"):
        with_sizes(model.program, {"c": 4})


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_the_cotangent_is_added_where_the_data_say(target):
    model = derive.parse(HEAD + "y[i] = sum[p] w[p] * x[t[i]+p]\nminimize sum(u * y)")
    net = codegen.compile(model, dtype="float64", target=target)
    data = {k: v for k, v in GIVEN.items() if k in "tu"}
    found = net.loss_and_grad({k: GIVEN[k] for k in "xw"}, **data)[1]["x"]
    wanted = np.zeros(7)
    for k, place in enumerate(GIVEN["t"]):
        wanted[place : place + 2] += GIVEN["u"][k] * GIVEN["w"]
    np.testing.assert_allclose(found, wanted, atol=1e-14)
