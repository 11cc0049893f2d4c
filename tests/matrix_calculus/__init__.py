"""The problem suite of matrix calculus: a table of problems for each topic, and the page that is made of them."""

from __future__ import annotations

from . import (
    determinants,
    elementwise,
    inverses,
    kronecker,
    matrix_by_matrix,
    norms,
    quadratic_forms,
    second_order,
    statistics,
    traces,
    vector_by_vector,
)
from .problem import Problem

TOPICS: dict[str, tuple[Problem, ...]] = {
    module.TITLE: module.PROBLEMS
    for module in (
        quadratic_forms,
        traces,
        norms,
        determinants,
        inverses,
        kronecker,
        elementwise,
        statistics,
        vector_by_vector,
        matrix_by_matrix,
        second_order,
    )
}
PROBLEMS = tuple(p for problems in TOPICS.values() for p in problems)
