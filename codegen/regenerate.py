"""The folder `generated/`: an emitted module and a formula sheet for each example, rebuilt or compared.

In: `examples/*.gc`. Out: files that are the same bytes on every machine, so that a change of any stage shows as a
difference. `python -m codegen.regenerate` writes them, with `--check` it only compares and fails on a difference.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import click

import derive
from codegen.build import build
from codegen.files import write_text
from codegen.sheets import sheet

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES, GENERATED = ROOT / "examples", ROOT / "generated"


def expected() -> dict[str, str]:
    """The text of every generated file, by its name."""
    files: dict[str, str] = {}
    for path in sorted(EXAMPLES.glob("*.gc")):
        model = derive.load(path)
        files[f"{path.stem}.py"] = build(model.program)
        files[f"{path.stem}.md"] = sheet(model)
    return files


def difference(files: dict[str, str]) -> str:
    """How `generated/` differs from ``files``, as a unified diff; empty where it does not."""
    present = {p.name: p.read_text(encoding="utf-8") for p in sorted(GENERATED.glob("*.*"))}
    out: list[str] = []
    for name in sorted(present.keys() | files.keys()):
        old, new = present.get(name, ""), files.get(name, "")
        out += difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), f"generated/{name}", f"rebuilt/{name}"
        )
    return "".join(out)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a file would change.")
def main(check: bool) -> None:
    """Rebuild the modules and formula sheets of the examples."""
    files = expected()
    if not files:
        raise click.ClickException("no examples found")
    if check:
        if found := difference(files):
            click.echo(found)
            raise click.ClickException("generated/ is out of date: python -m codegen.regenerate")
        click.echo(f"generated/: {len(files)} files as committed")
        return
    GENERATED.mkdir(exist_ok=True)
    for stale in sorted(p for p in GENERATED.glob("*.*") if p.name not in files):
        stale.unlink()
    for name, text in files.items():
        write_text(GENERATED / name, text)
    click.echo(f"generated/: {len(files)} files written")


if __name__ == "__main__":
    main()
