"""Convolutions and pooling in compiled code: windows read in place, channels last, positions without branches."""

from __future__ import annotations

import numpy as np
import pytest

from codegen.compiler import compiled
from codegen.emit import planned
from codegen.plan import Plan
from codegen.steps import Gemm, Nest, Rounds, every, writes_in
from codegen.targets import TARGETS
from tests.models_of import prepared_of  # noqa: F401
