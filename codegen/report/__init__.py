"""The report of a model: one HTML page with its graph, its formulas, their derivation and their check.

In: a model. Out: the text of a page that needs nothing beside itself, the same for the same model.
"""

from codegen.report.page import report

__all__ = ["report"]
