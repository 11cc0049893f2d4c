"""The order of the layers: mathematics knows nothing of code, nothing imports in a circle, help is light."""

from __future__ import annotations

import ast
import graphlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("sympy", "numpy", "numba", "scipy", "lark", "jinja2", "derive.evaluate")


def modules(package: str) -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when the module is imported: neither function bodies nor what only type checkers read."""
    for node in body:
        if isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from statements(node.body)
        else:
            yield node


def imports(path: Path, everywhere: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if everywhere else statements(tree.body):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return found


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(modules("derive")))
def test_no_module_of_derive_names_codegen_or_a_code_tool(name):
    roots = {i.split(".")[0] for i in imports(modules("derive")[name], everywhere=True)}
    assert not roots & {"codegen", "jinja2", "numba", "click"}


def test_derive_never_loads_codegen_or_a_code_tool():
    names = ", ".join(modules("derive"))
    out = in_a_new_process(f"import sys, {names}\nprint(*sorted(sys.modules))").split()
    assert {"codegen", "jinja2", "numba", "click"}.isdisjoint(out)


def test_nothing_imports_in_a_circle():
    known = modules("derive") | modules("codegen")
    graph = {name: {i for i in imports(path) if i in known and i != name} for name, path in known.items()}
    # A package is imported with its parts, so `from derive import x` inside derive is the part, not the package.
    graph = {name: {i for i in needs if not name.startswith(f"{i}.")} for name, needs in graph.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_help_needs_none_of_the_heavy_imports():
    out = in_a_new_process("import sys, codegen.cli\ncodegen.cli.run(['--help'])\nprint(*sys.modules)")
    assert "train" in out
    assert not set(HEAVY) & set(out.split("\n")[-2].split())


def test_help_answers_in_half_a_second():
    # Time of the processor, so that a busy machine does not fail the test; the best of some runs.
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        in_a_new_process("import codegen.cli; codegen.cli.run(['--help'])")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5


def test_programs_of_others_are_run_by_the_rebuilding_of_examples_alone():
    """Cells of notebooks are executed; no command and no function of the interface may come near that."""
    every = modules("derive") | modules("codegen")
    calls: dict[str, set[str]] = {}
    for name, path in every.items():
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        calls[name] = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert [name for name, found in calls.items() if found & {"exec", "eval"}] == ["codegen.notebooks"]
    users = [name for name, path in every.items() if "codegen.notebooks" in imports(path, everywhere=True)]
    assert users == ["codegen.regenerate"]
    assert not [name for name, path in every.items() if "codegen.regenerate" in imports(path, everywhere=True)]
