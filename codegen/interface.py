"""The public functions of an emitted module: shapes, promises, and the lines around each kernel.

In: functions and their kernels. Out: text for the template. What is checked here is checked in Python before a
kernel runs, because kernels check nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codegen.function import Function, Kernel, Setting
from codegen.members import listed
from codegen.targets.shapes import Shapes
from codegen.targets.text import quoted
from derive.errors import GradcError
from derive.program import Program, Property, Tensor

# a promise of data as a test of the array ``a``, and what to say where it fails
PROMISES: dict[str, tuple[str, str]] = {
    "one_hot": (
        "bool(\n                np.count_nonzero(a != 0) * a.shape[{axis}] == a.size\n"
        "                and np.all(a.swapaxes({axis}, -1) @ np.ones(a.shape[{axis}], a.dtype) == 1)\n"
        "            )",  # by a product, because NumPy's sums of short rows are slow
        "needs exactly one 1, and 0 elsewhere, along axis {axis} (one_hot)",
    ),
    "simplex": (
        "bool(np.all(a >= 0) and np.all(np.abs(a.sum(axis={axis}) - 1) <= 1e-4))",
        "needs entries of at least 0 that add up to 1 along axis {axis} (simplex)",
    ),
    "binary": ("bool(np.all((a == 0) | (a == 1)))", "needs entries 0 and 1 only (binary)"),
    "signs": ("bool(np.all((a == -1) | (a == 1)))", "needs entries -1 and 1 only (signs)"),
    "labels": (
        "a.size == 0 or bool(a.min() >= 0 and a.max() < {extent})",
        "needs labels from 0 to {extent} - 1 (labels)",
    ),
    "positive": ("bool(np.all(a > 0))", "needs entries above 0 (positive)"),
    "counts": ("bool(np.all((a >= 0) & (a == np.floor(a))))", "needs whole numbers of at least 0 (counts)"),
    "symmetric": ("bool(np.array_equal(a, a.T))", "needs to equal its transpose (symmetric)"),
    "diagonal": ("not np.any(a - np.diag(np.diag(a)))", "needs zeros off the diagonal (diagonal)"),
}


def calls(
    program: Program,
    functions: Mapping[str, Function],
    kernels: Mapping[str, Kernel],
    setting: Setting,
    shapes: Shapes,
) -> dict[str, dict[str, Any]]:
    """The public functions around the kernels: what they take, what they say, their lines."""
    out: dict[str, dict[str, Any]] = {}
    for role, f in functions.items():
        if role == "product":
            out.update(_product(program, f, kernels[role], setting, shapes))
            continue
        after = [b for _, b in program.updates if b in f.outputs]
        given = [t.name for t in f.inputs]
        names = [public_name(program, t) for t in f.outputs if t not in after]
        noise = [t.name for t in f.inputs if t.kind == "noise"]
        arrays = f"_drawn(inputs, {quoted(given)}, seed)" if noise else "inputs"
        seed = "*, seed=0, " if noise else ""
        count = setting.batch or "_"
        source = ", ".join(given) or "the parameters"
        source += f" ({', '.join(noise)} drawn by `seed` where not given)" if noise else ""
        kinds = [f"np.empty({shapes.tuple(t)}, {'np.int64' if t.dtype == 'int' else 'DTYPE'})" for t in f.outputs]
        call = f"{f.name}({', '.join([*kernels[role].leading, '*arrays', *(['*results'] if kinds else [])])})"
        results = [f"results = [{', '.join(kinds)}]"] if kinds else []
        head = [f"theta, ({count}, arrays) = _vector(params), _arrays({arrays}, {quoted(given)})"]
        takes = f"params, /, {seed}**inputs"
        if role == "forward":
            says = f"{', '.join(names)}, from {source}."
            tail = [call, f"return dict(zip({quoted(names)}, results))"]
            out["forward"] = {"takes": takes, "says": says, "lines": [*head, *results, *tail]}
        elif role == "loss":
            says = f"The objective, from {source}."
            out["loss"] = {"takes": takes, "says": says, "lines": [*head, f"return float({call})"]}
        elif role == "evaluation":
            seed = "seed=0, " if "seed" in takes or "seed" in out["loss"]["takes"] else ""
            says = f"{out['loss']['says']} With `training=False` that of the model as it is used, from {source}."
            lines = ["if training:", *("    " + line for line in out["loss"]["lines"]), *head, f"return float({call})"]
            out["loss"] = {"takes": f"params, /, *, training=True, {seed}**inputs", "says": says, "lines": lines}
        else:
            grad = ["grad = _aligned(_TOTAL, DTYPE, np.zeros)"] if f.gradients else []
            covered = [t for t, _ in f.gradients]
            whole = set(program.trained) <= set(covered)
            some = "" if len(covered) == len(setting.slices) else f", {listed(covered)}"
            pieces = [f"**_views(grad{some})"] if f.gradients else []
            pieces += [f"**dict(zip({quoted(names)}, results))"] if names else []
            tail = [f"value = {call}", f"return float(value), {{{', '.join(pieces)}}}"]
            says = f"The objective and its gradient as a dict of arrays, from {source}."
            out["loss_and_grad"] = {"takes": takes, "says": says, "lines": [*head, *grad, *results, *tail]}
            if f.gradients and whole:
                check = [
                    '_array("theta", theta, DTYPE, (_TOTAL,))',
                    f"{count}, arrays = _arrays({arrays}, {quoted(given)})",
                ]
                tail = [f"value = {call}", "return float(value), grad"]
                says = "The objective and its gradient as one vector, in the order of PARAMS."
                if len(covered) < len(program.parameters):
                    says += " What is frozen has gradient 0."
                lines = [*check, *grad, *results, *tail]
                out["loss_and_grad_flat"] = {"takes": f"theta, /, {seed}**inputs", "says": says, "lines": lines}
            if after:
                states = [a.name for a, b in program.updates if b in after]
                says = f"The next values of the states {', '.join(states)}, from {source}."
                tail = [call, f"return dict(zip({quoted(states)}, results[{len(names)}:]))"]
                out["next_state"] = {"takes": takes, "says": says, "lines": [*head, *grad, *results, *tail]}
    _check_words(program, "".join(c["takes"] for c in out.values()))
    return out


def _product(
    program: Program, f: Function, kernel: Kernel, setting: Setting, shapes: Shapes
) -> dict[str, dict[str, Any]]:
    """The Hessian times a direction, which comes by names or as one vector and goes to the kernel in pieces."""
    places = {s.tensor: s for s in setting.slices}
    along = [places[t.primal] for t in f.inputs if t.primal is not None]
    given = [t.name for t in f.inputs if t.primal is None]
    noise = [t.name for t in f.inputs if t.kind == "noise"]
    arrays = f"_drawn(inputs, {quoted(given)}, seed)" if noise else "inputs"
    seed = "*, seed=0, " if noise else ""
    ranges = [f"direction[{s.offset} : {s.offset + s.size}]" for s in along]
    reshaped = [f".reshape({shapes.tuple(s.tensor)}){'' if s.tensor.rank else '[()]'}" for s in along]
    pieces = [a + b for a, b in zip(ranges, reshaped, strict=True)]
    count = setting.batch or "_"
    read = f"{count}, arrays = _arrays({arrays}, {quoted(given)})"
    leading = ["product" if word == "grad" else word for word in kernel.leading]
    call = f"{f.name}({', '.join([*leading, '*arrays', '*directions'])})"
    lines = [read, "product = _aligned(_TOTAL, DTYPE, np.zeros)", f"directions = [{', '.join(pieces)}]", call]
    source = ", ".join(given) or "the parameters"
    covered = [t for t, _ in f.gradients]
    some = "" if len(covered) == len(setting.slices) else f", {listed(covered)}"
    says = f"The Hessian of the objective times a direction, both dicts of arrays like `params`, from {source}."
    vectors = [f'_array("{name}", {name}, DTYPE, (_TOTAL,))' for name in ("theta", "direction")]
    flat = "The Hessian of the objective times a vector, both in the order of PARAMS."
    if len(covered) < len(program.parameters):
        flat += " What is frozen neither moves nor counts."
    return {
        "hvp": {
            "takes": f"params, direction, /, {seed}**inputs",
            "says": says,
            "lines": [
                "theta, direction = _vector(params), _vector(direction)",
                *lines,
                f"return _views(product{some})",
            ],
        },
        "hvp_flat": {
            "takes": f"theta, direction, /, {seed}**inputs",
            "says": flat,
            "lines": [*vectors, *lines, "return product"],
        },
    }


def _check_words(program: Program, taken: str) -> None:
    """Refuse data that is called like an option of the functions that take it."""
    for t in program.data:
        if f" {t.name}=" in taken:
            raise GradcError(f"{t.name} is an option of the module's functions: give the {t.kind} another name")


def promises(t: Tensor, program: Program, shapes: Shapes) -> Iterable[tuple[str, str]]:
    """The tests of what the model promises of ``t``, each with what is said where it fails."""
    for p in t.properties:
        if p.name in PROMISES:
            axis = p.axis if p.axis is not None else _default_axis(t, program, p)
            values = {"axis": axis, "extent": shapes.integer(p.extent) if p.extent else ""}
            yield tuple(text.format(**values) for text in PROMISES[p.name])  # type: ignore[misc]


def _default_axis(t: Tensor, program: Program, p: Property) -> int:
    return max((k for k, a in enumerate(t.axes) if a != program.batch), default=0)


def public_name(program: Program, t: Tensor) -> str:
    """What callers call a result: a gradient by the name of its variable."""
    return next((v.name for v, g in program.gradients if g is t), t.name)
