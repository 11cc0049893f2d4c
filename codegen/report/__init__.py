"""The report of a model: one HTML page with its graph, its formulas, their derivation and check, its loss.

In: a model. Out: the text of a page that needs nothing beside itself, the same for the same model.
"""

from codegen.report.page import Run, report

__all__ = ["Run", "report"]
