"""`gradc new`: a dense network as model text, from a line such as ``784-128relu-10softmax``.

In: a name and the layers. Out: a model file to start from. The text is read back before it is written, so that
an activation nobody knows is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click

import derive
from codegen.commands.common import reporting
from codegen.files import write_text
from derive.errors import GradcError

_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu")
_AXIS_FUNCTIONS = ("softmax", "log_softmax")
_OBJECTIVES = {"softmax": "cross_entropy(Y, P)", "sigmoid": "bce(Y, P)"}
_PROMISES = {"softmax": " one_hot", "sigmoid": " binary"}


@dataclass(frozen=True)
class Layer:
    """A width and the function applied there, empty for none."""

    width: int
    activation: str = ""


@click.command("new")
@click.argument("name")
@click.option("--layers", default="784-128relu-10softmax", show_default=True, help="Widths and activations.")
@reporting
def command(name: str, layers: str) -> None:
    """Write the model file NAME.gc, a dense network.

    The loss follows the last activation: softmax takes cross-entropy, sigmoid binary cross-entropy, any other the
    mean squared error.
    """
    path = Path(name if name.endswith(".gc") else f"{name}.gc")
    if path.exists():
        raise GradcError(f"{path} exists already and is left as it is")
    text = model_text(path.stem, parse_layers(layers))
    derive.parse(text)
    write_text(path, text)
    click.echo(f"wrote {path}; next: gradc derive {path}")


def parse_layers(text: str) -> list[Layer]:
    """The layers of ``784-128relu-10softmax``, the input first.

    >>> parse_layers("2-3tanh-1")
    [Layer(width=2, activation=''), Layer(width=3, activation='tanh'), Layer(width=1, activation='')]
    """
    layers = []
    for part in text.split("-"):
        match = re.fullmatch(r"([1-9][0-9]{0,8})([A-Za-z][A-Za-z0-9_]*)?", part.strip())
        if match is None:
            raise GradcError(f"layers {text!r}: {part!r} is not a width and an activation, as in 128relu")
        layers.append(Layer(int(match[1]), match[2] or ""))
    if len(layers) < 2 or layers[0].activation:
        raise GradcError(f"layers {text!r}: an input width and at least one layer are needed, as in 4-1sigmoid")
    return layers


def model_text(name: str, layers: list[Layer]) -> str:
    """The model text of a dense network with samples in rows."""
    last = len(layers) - 1
    hidden = ["h"] if last == 2 else [f"h{k}" for k in range(1, last)]
    dims = ["d", *hidden, "c"]
    promise = _PROMISES.get(layers[-1].activation, "")
    lines = [
        f"model {name}",
        "dims " + ", ".join(f"{dim} = {layer.width}" for dim, layer in zip(dims, layers, strict=True)),
        "batch n",
        "",
        "input  X  : [n, d]",
        f"target Y  : [n, c]{promise}",
    ]
    for k in range(1, last + 1):
        start = "he_normal" if layers[k].activation in _RECTIFIERS else "glorot_uniform"
        lines += [f"param  W{k} : [{dims[k - 1]}, {dims[k]}] ~ {start}()", f"param  b{k} : [{dims[k]}] ~ zeros()"]
    lines.append("")
    value = "X"
    for k in range(1, last + 1):
        out, activation = "P" if k == last else f"A{k}", layers[k].activation
        affine = f"{value} @ W{k} + b{k}"
        if activation:
            axis = ", axis=1" if activation in _AXIS_FUNCTIONS else ""
            lines += [f"Z{k} = {affine}", f"{out} = {activation}(Z{k}{axis})"]
        else:
            lines.append(f"{out} = {affine}")
        value = out
    objective = _OBJECTIVES.get(layers[-1].activation, "mse(Y, P)")
    return "\n".join([*lines, f"minimize {objective}", "optimizer adam(lr=1e-3)", "output P", ""])
