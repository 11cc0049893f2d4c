"""A model of every layer of the catalogue, made from its declaration: tests run over them because the layer exists."""

from __future__ import annotations

from derive.language import tree
from derive.language.definitions import layer
from derive.library.layers import LAYERS

# What a use gives: sizes by their names; a letter that is not here is the next of the primes.
SIZES = {"heads": "2", "groups": "2", "width": "3", "pieces": "3", "k": "2", "f": "tanh"}
PRIMES = (3, 5, 2, 7, 11, 13)
EXTENTS = {
    "grouped_conv2d": {"c": 4, "h": 6, "s": 3, "t": 5},
    "conv2d": {"s": 7, "t": 5},
    "batch_norm": {"n": 11},
    "embedding": {"v": 11},
    "transformer_block": {"d": 2},
    "group_norm": {"c": 6},
    "lstm": {"t": 2, "d": 3},
    "gru": {"t": 2, "d": 3},
    "multi_head_attention": {"d": 6},
}
OPEN = {"instance_norm": 7}  # the axis in the place of `..`
GIVEN = {"multi_head_attention": "x / 4"}  # a softmax that is not saturated
LABELS = {"embedding": {"t": "v"}}  # inputs that are integers, and the size that they stay below
# Uses beyond the plainest one.
USES = {
    "dense": ("gelu", "b=0"),
    "conv1d": ("tanh, stride=2, pad=1", "pad=2, dilation=2"),
    "conv2d": ("tanh, stride=2, pad=1, dilation=2",),
    "conv_transpose1d": ("stride=2", "stride=3, pad=1, dilation=2"),
    "conv_transpose2d": ("stride=2, pad=1",),
    "max_pool1d": ("stride=1",),
    "max_pool2d": ("stride=1",),
    "attention": ("causal=1",),
    "multi_head_attention": ("causal=1",),
    "layer_norm": ("g=1, b=0",),
    "batch_norm": ("momentum=0.5",),
}
# Not constant under normalization.
GOAL = "sum(sin(2*{0}) + {0}^2)"


def layer_model(name: str, use: str = "") -> str:
    """The layer of inputs that are parameters too, with extents that are distinct small primes where they can be.

    >>> print(layer_model("dense", "tanh"), end="")
    param x : [2, 3]
    y = dense(x, 5, tanh)
    minimize sum(sin(2*y) + y^2)
    """
    known, primes = layer(name), iter(PRIMES)
    extents = dict(EXTENTS.get(name, {}))
    lines, arguments = [], []
    for argument in known.required:
        shape = known.shapes.get(argument)
        if shape is not None:
            for letter in (a.name for a in shape if isinstance(a, tree.Name) and a.name not in extents):
                extents[letter] = next(primes)
            axes = [extents[a.name] if isinstance(a, tree.Name) else OPEN.get(name, 2) for a in shape]
            below = LABELS.get(name, {}).get(argument)
            ending = "" if below is None else f" labels({extents[below]})"
            lines.append(f"{'param' if below is None else 'input'} {argument} : {axes}{ending}")
            arguments.append(GIVEN.get(name, argument))
        elif argument in known.block.inputs and argument not in SIZES:
            lines.append(f"param {argument} : [2, {next(primes)}]")
            arguments.append(argument)
        else:
            arguments.append(SIZES.get(argument) or str(extents.get(argument) or next(primes)))
    results = [f"y_{r}" for r in known.block.returns] if len(known.block.returns) > 1 else ["y"]
    call = f"y = {name}({', '.join([*arguments, *([use] if use else [])])})"
    return "\n".join([*lines, call, f"minimize {' + '.join(GOAL.format(r) for r in results)}\n"])


def layer_models() -> dict[str, str]:
    """The plainest use of each layer, and those that `USES` adds."""
    uses = {f"layer_{name}": layer_model(name) for name in LAYERS}
    more = ((name, k, use) for name in LAYERS for k, use in enumerate(USES.get(name, ()), start=2))
    return uses | {f"layer_{name}_{k}": layer_model(name, use) for name, k, use in more}
