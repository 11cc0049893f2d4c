"""Scalar functions beyond the primitives: each is one line of forward mathematics in the model language.

In: nothing. Out: declarations that `derive.language.vocabulary` reads on first use. Nothing here is a
derivative: those follow. Kinks are in the definitions: relu'(0) = 0 because ``max(0, z)`` takes its first
argument on a tie.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScalarDecl:
    """``name(parameters) = text``; a parameter may have a default, ``a=0.01``."""

    name: str
    parameters: str
    text: str
    latex: str | None = None


_DECLARED = (
    ScalarDecl("identity", "z", "z"),
    ScalarDecl("sqrt", "x", "x ^ (1/2)"),
    ScalarDecl("abs", "x", "x if x > 0 else (0 if x == 0 else -x)"),
    ScalarDecl("sign", "x", "1 if x > 0 else (0 if x == 0 else -1)", r"\operatorname{sign}"),
    ScalarDecl("sigmoid", "z", "1 / (1 + exp(-z))", r"\sigma"),
    ScalarDecl("xlogx", "p", "p*log(p) if p > 0 else 0", r"\operatorname{xlogx}"),
    ScalarDecl("softplus", "z", "log(1 + exp(z))", r"\operatorname{softplus}"),
    ScalarDecl("softsign", "z", "z / (1 + abs(z))", r"\operatorname{softsign}"),
    ScalarDecl("log_sigmoid", "z", "log(sigmoid(z))", r"\operatorname{logsigmoid}"),
    ScalarDecl("relu", "z", "max(0, z)", r"\operatorname{relu}"),
    ScalarDecl("squared_relu", "z", "relu(z)^2", r"\operatorname{sqrelu}"),
    ScalarDecl("leaky_relu", "z, a=0.01", "z if z > 0 else a*z", r"\operatorname{lrelu}"),
    ScalarDecl("prelu", "z, a", "z if z > 0 else a*z", r"\operatorname{prelu}"),
    ScalarDecl("elu", "z, a=1", "z if z > 0 else a*(exp(z) - 1)", r"\operatorname{elu}"),
    ScalarDecl(
        "selu",
        "z",
        "1.0507009873554805 * (z if z > 0 else 1.6732632423543772*(exp(z) - 1))",
        r"\operatorname{selu}",
    ),
    ScalarDecl("silu", "z", "z * sigmoid(z)", r"\operatorname{silu}"),
    ScalarDecl("mish", "z", "z * tanh(softplus(z))", r"\operatorname{mish}"),
    ScalarDecl("tanhshrink", "z", "z - tanh(z)", r"\operatorname{tanhshrink}"),
    ScalarDecl("gelu", "z", "z * (1 + erf(z / sqrt(2))) / 2", r"\operatorname{gelu}"),
    ScalarDecl("clip", "z, low, high", "min(max(z, low), high)", r"\operatorname{clip}"),
    ScalarDecl("hard_tanh", "z", "clip(z, -1, 1)", r"\operatorname{hardtanh}"),
    ScalarDecl("hard_sigmoid", "z", "clip(z/6 + 1/2, 0, 1)", r"\operatorname{hardsigmoid}"),
    ScalarDecl("hard_swish", "z", "z * hard_sigmoid(z)", r"\operatorname{hardswish}"),
)
FUNCTIONS: dict[str, ScalarDecl] = {f.name: f for f in _DECLARED}

# Not kept as calls: these are notation for what they stand for, and printers know a power and a root.
INLINE = frozenset({"identity", "sqrt"})

# What an option of a model puts in the place of a declaration.
VARIANTS: dict[tuple[str, str], ScalarDecl | None] = {
    ("relu_at_0", "0"): None,
    ("relu_at_0", "1"): ScalarDecl("relu", "z", "max(z, 0)", r"\operatorname{relu}"),
    ("residuals", "keep"): None,  # of a recurrence: what its rounds found is there when it runs backwards,
    ("residuals", "recompute"): None,  # or found again from its states
}
