r"""Mathematics: reading, shapes, derivation, simplification, lifting, printing.

>>> import derive
>>> m = derive.parse("dims d\nbatch n\ninput X : [n, d]\nparam w : [d]\nminimize sum((X @ w)^2) / n")
>>> print(m.gradient()["w"])
dw = (2/n) Xᵀ X w
"""

from derive.differentiable import DerivedModel, Differentiable, ParsedModel, load, parse
from derive.errors import GradcError, NotSupportedYet, SourceError
from derive.formulas import Formula, Gradient
from derive.model import Model, Term, fn, group, where

__all__ = [
    "DerivedModel",
    "Differentiable",
    "Formula",
    "GradcError",
    "Gradient",
    "Model",
    "NotSupportedYet",
    "ParsedModel",
    "SourceError",
    "Term",
    "fn",
    "group",
    "load",
    "parse",
    "where",
]
