"""scikit-learn's LogisticRegression by L-BFGS, which minimizes the same mean loss with the same penalty."""

from __future__ import annotations

from unittest import mock

import numpy as np
from sklearn.linear_model import LogisticRegression, _linear_loss

from benchmarks.training.logistic import TOLERANCE
from benchmarks.training.solver import OPTIONS
from benchmarks.training.workload import Arrays, Way, Workload


def ways(w: Workload, dtype: str, steps: int, start: Arrays) -> dict[str, Way]:
    """Its checks of the data are part of `fit`, and of the time. Evaluations are counted in a fit beside the clock."""
    if w.unit != "solve":
        return {}
    data = w.data(dtype, steps)
    model = LogisticRegression(C=1.0, solver="lbfgs", tol=TOLERANCE, max_iter=OPTIONS["maxiter"])

    def run() -> None:
        model.fit(data["X"], data["y"])

    def evaluations() -> int:
        of = _linear_loss.LinearModelLoss
        with mock.patch.object(of, "loss_gradient", autospec=True, side_effect=of.loss_gradient) as counted:
            run()
        return int(counted.call_count)

    def weights() -> Arrays:
        return {"w": model.coef_[0], "b": np.asarray(model.intercept_[0])}

    return {"scikit-learn": Way(run, weights, evaluations)}
