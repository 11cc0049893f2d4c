"""The derivation as lecture notes tell it: ordered steps, every one of them an equality that was tested by number.

In: a `derive.pipeline.Derivation`. Out: `Steps`, which print as text and as LaTeX.
"""

from derive.steps.directions import steps_of
from derive.steps.step import Step, StepError, Steps

__all__ = ["Step", "StepError", "Steps", "steps_of"]
