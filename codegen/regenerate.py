"""The folder `generated/`, the outputs of the notebooks and the picture in the README, rebuilt or compared.

In: `examples/`. Out: an emitted module and a formula sheet for each model, the same bytes on every machine, so that a
change of any stage shows as a difference. `python -m codegen.regenerate` writes them; `--check` only compares.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import click

import derive
from codegen.compiler import source
from codegen.files import write_text
from codegen.notebooks import executed
from codegen.sheets import formulas_of, sheet

ROOT = Path(__file__).resolve().parent.parent
PICTURE = re.compile(r"(<!-- picture: (?P<example>\w+)(?P<deltas> --deltas)? -->\n)(.*?)(<!-- /picture -->)", re.DOTALL)


def expected(root: Path = ROOT) -> dict[str, str]:
    """The text of every file that is made from the examples, by its path below ``root``."""
    files: dict[str, str] = {}
    for path in sorted((root / "examples").glob("*.gc")):
        model = derive.load(path)
        files[f"generated/{path.stem}.py"] = source(model)
        files[f"generated/{path.stem}.md"] = sheet(model)
    for path in sorted((root / "examples").glob("*.ipynb")):
        files[f"examples/{path.name}"] = executed(path)
    readme = (root / "README.md").read_text(encoding="utf-8")
    files["README.md"] = PICTURE.sub(lambda f: f[1] + _picture(root, f["example"], f["deltas"] or "") + f[5], readme)
    return files


def _picture(root: Path, example: str, option: str) -> str:
    """A model beside what is derived from it."""
    path = root / "examples" / f"{example}.gc"
    formulas = formulas_of(derive.load(path).gradient(), deltas=bool(option)).split("\n", 2)[2]
    text = path.read_text(encoding="utf-8").strip()
    return f"```\n{text}\n```\n\n`gradc derive examples/{example}.gc{option}` answers\n\n```\n{formulas}\n```\n"


def present(root: Path = ROOT) -> dict[str, str]:
    """The text of every such file as it is."""
    made = [*sorted((root / "generated").glob("*.*")), *sorted((root / "examples").glob("*.ipynb"))]
    paths = [*made, root / "README.md"]
    return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in paths}


def difference(old: dict[str, str], new: dict[str, str]) -> str:
    """How two sets of files differ, as a unified diff; empty where they do not."""
    out: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        a, b = (files.get(name, "").splitlines(keepends=True) for files in (old, new))
        out += difflib.unified_diff(a, b, f"committed/{name}", f"rebuilt/{name}")
    return "".join(out)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a file would change.")
def main(check: bool) -> None:
    """Rebuild the modules and formula sheets of the examples, the notebooks and the README's picture."""
    old, new = present(), expected()
    if check:
        if found := difference(old, new):
            click.echo(found)
            raise click.ClickException("out of date; rebuild with: python -m codegen.regenerate")
        click.echo(f"{len(new)} files are as a rebuild gives them")
        return
    (ROOT / "generated").mkdir(exist_ok=True)
    for stale in sorted(old.keys() - new.keys()):
        (ROOT / stale).unlink()
    for name, text in new.items():
        write_text(ROOT / name, text)
    click.echo(f"{len(new)} files written")


if __name__ == "__main__":
    main()
