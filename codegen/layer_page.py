"""The page `docs/layers.md`: every layer of the catalogue, as it is declared.

In: the catalogue. Out: a page with the text of each layer and a use of it, with the shapes that the reader finds.
`python -m codegen.layer_page` writes it; `--check` only compares.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from textwrap import fill

import click

import derive
from codegen.files import write_text
from derive.language import tree
from derive.language.definitions import layer
from derive.library.layers import FAMILIES, LayerDecl
from derive.program import Program
from derive.shapes import show_axes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "layers.md"
# Where a use cannot be made of letters alone: extents that are divided, functions, class numbers.
USES = {
    "max_pool1d": "input X : [n, c, 2*t]\nY = max_pool1d(X, 2)",
    "max_pool2d": "input X : [n, c, 2*s, 2*t]\nY = max_pool2d(X, 2)",
    "avg_pool1d": "input X : [n, c, 2*t]\nY = avg_pool1d(X, 2)",
    "avg_pool2d": "input X : [n, c, 2*s, 2*t]\nY = avg_pool2d(X, 2)",
    "embedding": "input T : [n] labels(v)\nY = embedding(T, v, d)",
    "residual": "input X : [n, d]\nY = residual(X, tanh)",
    "group_norm": "input X : [n, 4*c, t]\nY = group_norm(X, 4)",
    "grouped_conv2d": "input X : [n, 2*c, s, t]\nY = grouped_conv2d(X, 2*h, k, 2)",
    "multi_head_attention": "input X : [n, t, 4*d]\nY = multi_head_attention(X, 4, causal=1)",
    "transformer_block": "input X : [n, t, 4*d]\nY = transformer_block(X, 4, h, causal=1)",
    "rnn": "input X : [t, n, d]\nY = rnn(X, h)",
    "lstm": "input X : [t, n, d]\nY = lstm(X, h)",
    "gru": "input X : [t, n, d]\nY = gru(X, h)",
}
HEAD = """# Layers

A layer is a short way to write equations: a block of the language (see [language.md](language.md)) that stands in the
catalogue `derive/library/layers/`. This page is made from it by `python -m codegen.layer_page`, so what stands
here is what a model means. Its gradient is derived from these lines like any other; none is written down.

```
A = dense(X, h, relu)                    # inputs, then sizes, then what has a default
B = conv2d(P, 8, 3, relu, pad=1)         # or by name
C = dense(B, h, W=A_W, b=0)              # a parameter that is given is not declared: tied, or left out
```

The parameters of `A = dense(…)` are called `A_W` and `A_b`, its inner tensors `A_Z`. In `x : [.., d]` the letters are
extents that follow from what is given, and `..` stands for any axes, which keep their places. What stands behind the
semicolon is given by the use. A use stands in an equation of tensors, also within a larger expression, in `repeat` (its
parameters are families then) and in blocks. A block or function of the model that is called like a layer hides it.
Extents are polynomials, so where one is halved it is written as a multiple (`2*t`) or as a number.
"""


def example(declared: LayerDecl) -> str:
    """A use of a layer: declarations of its inputs, and the line."""
    if declared.name in USES:
        return USES[declared.name]
    known = layer(declared.name)
    lines = []
    for name, shape in known.shapes.items():
        letters = [a.name if isinstance(a, tree.Name) else ".." for a in shape]
        axes = [("t" if "n" in letters else "n") if a == ".." else a for a in letters]
        lines.append(f"input {name.upper()} : [{', '.join(axes)}]")
    given = [a.upper() if a in known.block.inputs else a for a in known.required]
    return "\n".join([*lines, f"Y = {declared.name}({', '.join(given)})"])


def program(lines: str) -> Program:
    """The example as a model, every letter a dim."""
    return derive.parse(f"dims c, d, e, h, k, s, t, v, w\nbatch n\n{lines}\n", "<example>").program


def entry(declared: LayerDecl) -> str:
    """What the page says of one layer."""
    lines = example(declared)
    found = program(lines)
    own = [t for t in found.declared if t.kind != "input"]
    results = {f"Y_{r}" for r in layer(declared.name).block.returns} if found.tensors[-1].name != "Y" else {"Y"}
    shown = {t.name: f"`{t.name} {show_axes(t.axes, found.dims)}`" for t in found.tensors}
    gives = " and ".join(text for name, text in shown.items() if name in results | {"Y"})
    has = f"has {', '.join(shown[t.name] for t in own)} and gives {gives}." if own else f"gives {gives}."
    about = declared.about if declared.about[1] == " " else declared.about[0].upper() + declared.about[1:]
    return (
        f"### {declared.name}\n\n{fill(about + '.', 120)}\n\n```\n{declared.text}\n```\n\n"
        f"For example\n\n```\n{lines}\n```\n\n{fill(has, 120, break_on_hyphens=False)}\n"
    )


def page() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    for family, layers in FAMILIES.items():
        parts.append(f"## {family}\n")
        parts.extend(entry(d) for d in layers)
    return "\n".join(parts)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where the page would change.")
def main(check: bool) -> None:
    """Rebuild the page of layers."""
    new = page()
    if not check:
        write_text(PAGE, new)
        click.echo(f"{PAGE.name} written")
        return
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if old != new:
        click.echo("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "committed", "rebuilt")))
        raise click.ClickException("out of date; rebuild with: python -m codegen.layer_page")
    click.echo(f"{PAGE.name} is as a rebuild gives it")


if __name__ == "__main__":
    main()
