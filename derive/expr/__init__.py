"""Scalar expressions over indexed tensors: the one node language of every stage.

An expression denotes a number for each value of its free letters. Atoms are exact numbers, extents,
index letters and accesses `T[i, j]`; everything else is arithmetic, a call of a scalar function, a
mask (a comparison: 0 or 1), a conditional, or a reduction that binds letters. A place of an access is
itself an integer-valued expression, so `X[i]`, `X[i + p]`, `A[i, i]` and `E[t[n], k]` are one thing, and
a Kronecker delta is the mask `[i == j]`.

A mask absorbs: `[c] * x` is 0 where `c` is false, whatever x is there (also inf or nan).
"""

from derive.expr.base import (
    MINUS_ONE,
    ONE,
    ZERO,
    Access,
    Add,
    Const,
    Dim,
    Expr,
    ExprLike,
    Mask,
    Mul,
    Num,
    Pow,
    add,
    as_expr,
    mul,
    num,
    power,
    split_coefficient,
    split_power,
)
from derive.expr.calls import Call, call
from derive.expr.derivatives import Derivative
from derive.expr.letters import Letter, fresh, fresh_like
from derive.expr.masks import (
    TRAINING,
    Compare,
    Not,
    Select,
    compare,
    extremum,
    negate,
    select,
    sign_ends,
)
from derive.expr.reductions import (
    MatrixCall,
    Reduce,
    reduce_,
    sum_over,
)

__all__ = [
    "MINUS_ONE",
    "ONE",
    "TRAINING",
    "ZERO",
    "Access",
    "Add",
    "Call",
    "Compare",
    "Const",
    "Derivative",
    "Dim",
    "Expr",
    "ExprLike",
    "Letter",
    "Mask",
    "MatrixCall",
    "Mul",
    "Not",
    "Num",
    "Pow",
    "Reduce",
    "Select",
    "add",
    "as_expr",
    "call",
    "compare",
    "extremum",
    "fresh",
    "fresh_like",
    "mul",
    "negate",
    "num",
    "power",
    "reduce_",
    "select",
    "sign_ends",
    "split_coefficient",
    "split_power",
    "sum_over",
]
