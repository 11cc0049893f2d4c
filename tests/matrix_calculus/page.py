"""The page `docs/matrix_calculus.md`: every problem with its answer and source, and where SymPy is wrong.

In: the tables. Out: a page. `python -m tests.matrix_calculus.page` writes it; `--check` only compares.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from codegen.files import write_text

from . import PROBLEMS, TOPICS
from .problem import GRADIENT, Problem
from .sympy_cases import CASES, VERSION

PAGE = Path(__file__).resolve().parents[2] / "docs" / "matrix_calculus.md"
HEAD = """# Matrix calculus

A model needs no network in it. What is minimized may be any expression of vectors and matrices, and its gradient is one
formula, over the names of the model alone:

```
dims m, n
input A : [m, n]
input b : [m]
param x : [n]
minimize sum((A @ x - b)^2)      # gradc derive prints dx = 2 Aᵀ (A x − b)
```

The gradient of a number has the shape of the variable. Of anything else there is the Jacobian, `m.jacobian("Y", "X")`,
of whatever order. It prints as a matrix where it is one, and by vec with ⊗ where Y or X is a matrix:
`∂vec(Y)/∂vec(X) = Bᵀ ⊗ A` for Y = A X B. vec puts columns below each other, and K is the commutation matrix,
K vec(X) = vec(Xᵀ). What is neither prints in indices. A symmetric variable is differentiated like any other, and the
result is written with what is promised: `x' @ A @ x` has the gradient `2 A x` if A is declared `symmetric`. Wherever
a norm's derivative is printed, 1/‖x‖ is 0 where x = 0, and code gives 0 there.

This page is made by `python -m tests.matrix_calculus.page`. For each of its {count} problems a test compares the
answer as text and, by number, the printed formula, the program that code is made of, the source's closed form in NumPy,
and complex steps of the definition. For {counted} gradients the operations of the source's formula are counted against
ours, which takes none more{but}.
"""
ABOUT_SYMPY = """## Where SymPy is silently wrong

What SymPy {version} answers to these is not an error message and not the derivative. A test asks both; where a later
SymPy mends one, it says so.
"""


def row(*cells: str) -> str:
    """A line of a table."""
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def code(text: str) -> str:
    """Text in code quotes."""
    return f"`{text}`"


def entry(problem: Problem) -> str:
    """What the page says of one problem."""
    mark = " †" if problem.longer else ""
    shown = " ".join(problem.printed.split())
    return row(code(problem.of), code(problem.by), code(problem.given), code(shown) + mark, problem.source)


def page() -> str:
    """The page, in Markdown."""
    counted = sum(bool(p.textbook) for p in PROBLEMS if p.kind == GRADIENT)
    but = " but where † says so" if any(p.longer for p in PROBLEMS) else ""
    parts = [HEAD.replace("{count}", str(len(PROBLEMS))).replace("{counted}", str(counted)).replace("{but}", but)]
    for title, problems in TOPICS.items():
        head = row(problems[0].kind + " of", "by", "where", "is", "source")
        parts.append("\n".join([f"## {title}\n", head, "|---|---|---|---|---|", *map(entry, problems), ""]))
    parts.append(ABOUT_SYMPY.replace("{version}", VERSION))
    lines = [
        row("SymPy is asked", "and answers", "gradc is asked", "and answers", "what went wrong"),
        "|---|---|---|---|---|",
    ]
    lines += [row(code(c.asked), code(c.answer), code(c.of), code(c.right), c.why) for c in CASES]
    return "\n".join([*parts, *lines, ""])


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where the page would change.")
def main(check: bool) -> None:
    """Rebuild the page of matrix calculus."""
    new = page()
    if not check:
        write_text(PAGE, new)
        click.echo(f"{PAGE.name} written")
        return
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if old != new:
        click.echo("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "committed", "rebuilt")))
        raise click.ClickException("out of date; rebuild with: python -m tests.matrix_calculus.page")
    click.echo(f"{PAGE.name} is as a rebuild gives it")


if __name__ == "__main__":
    main()
