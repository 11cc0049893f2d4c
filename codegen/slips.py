"""The page `docs/slips.md`: mathematical slips of lecture notes, each found by `gradc verify-formula`.

In: `tests/derive/slips/*.gc`, each a model under comments that say what is claimed, and `no_formulas.txt` beside them.
Out: a page with the tool's own verdicts. `python -m codegen.slips` writes it; `--check` only compares.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click

import derive
from codegen.files import write_text
from derive.claims import Verdict, verify_formulas
from derive.errors import GradcError

ROOT = Path(__file__).resolve().parent.parent
DATA, PAGE = ROOT / "tests" / "derive" / "slips", ROOT / "docs" / "slips.md"
_NOTE = re.compile(r"# (slip [0-9a-z.]+|wrong|right|kind): (.*)")


@dataclass(frozen=True)
class Slip:
    """One slip: its number, what it is in words, a model, the wrong line, the right one, and the expected kind."""

    number: str
    title: str
    wrong: str
    right: str
    kind: str
    model: str

    def verdicts(self) -> tuple[Verdict, Verdict]:
        """What is said of the wrong line and of the right one."""
        wrong, right = verify_formulas(derive.parse(self.model, self.number).program, [self.wrong, self.right])
        return wrong, right


Answered = tuple[Slip, Verdict, Verdict]


def read_slip(path: Path) -> Slip:
    """The slip in a file.

    Raises GradcError where a comment is missing.
    """
    text = path.read_text(encoding="utf-8")
    notes = dict(_NOTE.findall(text))
    number = next((key.removeprefix("slip ") for key in notes if key.startswith("slip ")), None)
    if number is None or not {"wrong", "right", "kind"} <= notes.keys():
        raise GradcError(f"{path.name} does not say which slip it is, what is wrong, what right, and of which kind")
    model = "\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n"
    return Slip(number, notes[f"slip {number}"], notes["wrong"], notes["right"], notes["kind"], model)


def slips(folder: Path = DATA) -> list[Slip]:
    """All slips, in the order of their numbers."""
    return [read_slip(path) for path in sorted(folder.glob("*.gc"))]


@dataclass(frozen=True)
class NoFormula:
    """A slip that is no equation between named quantities: its number, what it is, why nothing can be verified."""

    number: str
    title: str
    why: str


def no_formulas(folder: Path = DATA) -> list[NoFormula]:
    """The slips that are left out, in the order of their numbers.

    Raises GradcError where a line does not have three parts.
    """
    found = []
    for line in (folder / "no_formulas.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in line.split("|")]
            if len(parts) != 3:
                raise GradcError(f"no_formulas.txt: {line!r} is not number | what it is | why")
            found.append(NoFormula(*parts))
    return found


def answered(found: list[Slip]) -> list[Answered]:
    """Each slip with what is said of its two lines."""
    return [(slip, *slip.verdicts()) for slip in found]


def page(found: list[Answered], others: list[NoFormula]) -> str:
    """The page, in Markdown: every slip with the tool's answers, then those that are no formulas."""
    parts, kinds = list[str](), Counter[str]()
    for slip, wrong, right in found:
        kinds[wrong.kind or "not refuted"] += 1
        model = "\n".join(f"    {line}" for line in slip.model.splitlines())
        answers = "\n".join(f"    {line}" for v in (wrong, right) for line in str(v).splitlines())
        parts.append(f"## {slip.number} {slip.title}\n\n{model}\n\n`gradc verify-formula` answers\n\n{answers}\n")
    table = "\n".join(f"| {kind} | {count} |" for kind, count in sorted(kinds.items(), key=lambda k: (-k[1], k[0])))
    head = (
        "# Slips, found\n\n"
        f"{len(found)} mathematical slips of lecture notes, in models and claims of our own, numbered by the set of "
        "notes and the place in\nits list of slips. `python -m codegen.slips` writes this page: every verdict is the "
        "tool's. A wrong line is refuted, at an\nentry where both sides differ and with the slip that explains it; "
        "the right one is proved.\n\n"
        f"| kind | slips |\n|---|---|\n{table}\n\n"
        f"{len(others)} further slips are no formulas; they stand at the end, each with the reason.\n"
    )
    rows = "\n".join(f"| {o.number} | {o.title} | {o.why} |" for o in others)
    tail = f"## Slips that are no formulas\n\n| slip | what it is | why it is left out |\n|---|---|---|\n{rows}\n"
    return "\n".join([head, *parts, tail])


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where the page would change.")
def main(check: bool) -> None:
    """Rebuild the page of slips."""
    new = page(answered(slips()), no_formulas())
    if not check:
        write_text(PAGE, new)
        click.echo(f"{PAGE.name} written")
        return
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if old != new:
        click.echo("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "committed", "rebuilt")))
        raise click.ClickException("out of date; rebuild with: python -m codegen.slips")
    click.echo(f"{PAGE.name} is as a rebuild gives it")


if __name__ == "__main__":
    main()
