"""Chains and products of many tensors: what the emitted plan takes, and that every target computes them."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derive
from codegen.compiler import build, load_source
from codegen.plan import plan
from codegen.schedule import schedule
from codegen.steps import Fold, Gemm, Loop
from derive import pipeline, prepare
from derive.evaluate import extent
from derive.expr import Access, Add, Mul, Select
from derive.rewrite import walk

DIMS = {"p": 20, "q": 30, "r": 50, "s": 70}
HEAD = f"dims {', '.join(f'{k} = {v}' for k, v in DIMS.items())}\nbatch n\n"
SIZES = DIMS | {"n": 128}
DECLARED = {
    "A": "p, q", "B": "q, r", "C": "r, s", "D": "r, q", "E": "s, p", "F": "q, p", "u": "p", "v": "q", "w": "r",
    "z": "s", "P": "p, q, r", "U": "p, s", "V": "q, s", "W": "r, s",
}  # fmt: skip


def program_of(text, declared=DECLARED):
    used = [f"param {k} : [{v}]" for k, v in declared.items() if k in text.replace("[", " ").replace("'", " ")]
    return derive.parse(HEAD + "\n".join(used) + "\n" + text).program


def flops(made, sizes):
    """Operations of a plan: two for each product that is added up, one for whatever else an operator stands for."""

    def nodes(found, rounds):
        total = 0
        for node in found:
            if isinstance(node, Loop):
                total += nodes(node.body, rounds * extent(node.letter.extent, sizes))
            elif node.value is not None:
                arithmetic = [e for e in walk(node.value) if not isinstance(e, (Access, Select))]
                total += rounds * (
                    sum(len(e.args) - 1 for e in arithmetic if isinstance(e, (Mul, Add))) + (node.op is not None)
                )
        return total

    total = 0
    for step in made.steps:
        if isinstance(step, Gemm):
            letters = {x for o in (step.left, step.right) for g in o.groups for x in g}
            total += 2 * prod(extent(x.extent, sizes) for x in dict.fromkeys(letters))
            total += prod(extent(x, sizes) for x in step.out.tensor.axes) if step.start else 0
        elif isinstance(step, Fold):
            total += prod(extent(x, sizes) for x in step.matrix.tensor.axes)
        else:
            total += nodes(step.body, 1)
    return total


def planned(program, wanted):
    return plan(schedule(program, wanted, frozenset({"exp", "log", "tanh"})), wanted)


def forward_plan(program):
    stable = pipeline.forward(program)
    return planned(stable, stable.outputs)


def gradient_plan(program):
    stable = pipeline.gradient(program, program.parameters).stable
    return planned(stable, [stable.objective, *(bar for _, bar in stable.gradients)])


p, q, r, s, n = (SIZES[k] for k in "pqrsn")
CHAINS = {  # what each takes at best, by hand
    "y = (A @ B) @ w": 2 * (q * r + p * q),
    "y = (A @ D') @ w": 2 * (q * r + p * q),
    "y = A @ B @ C @ z": 2 * (r * s + q * r + p * q),
    "y = u' @ A @ B @ C": 2 * (p * q + q * r + r * s),
    "y = u' @ A @ B @ w": 2 * (p * q + q * r + r),
    "y = A @ B @ C": 2 * (p * q * r + p * r * s),
    "y = A @ (B @ C)": 2 * (p * q * r + p * r * s),
    "y = trace(A @ B @ C @ E)": 2 * (p * q * r + p * r * s + p * s),
    "y = u' @ (A @ F) @ u": 2 * (p * q + q * p + p),
    "y[i] = sum[j,k] A[i,j] * D[k,j] * w[k]": 2 * (q * r + p * q),
    "y[i,l] = sum[j,k] A[i,j] * B[j,k] * C[k,l]": 2 * (p * q * r + p * r * s),
    "y[k] = sum[i,j] P[i,j,k] * u[i] * v[j]": 2 * (p * q * r + q * r),
    "y = sum[i,j,k] P[i,j,k] * u[i] * v[j] * w[k]": 2 * (p * q * r + p * q + p),
    "y[i,j] = sum[k,l] A[i,j] * B[j,k] * C[k,l] * z[l]": 2 * (r * s + q * r) + p * q,
    "y = sum[i,j,k,l] U[i,l] * V[j,l] * W[k,l] * P[i,j,k]": 2 * (p * q * r * s + p * q * s + p * s),
}


@pytest.mark.parametrize("line", CHAINS)
def test_chains_take_what_the_best_order_takes(line):
    program = program_of(f"{line}\noutput y")
    found = flops(forward_plan(program), SIZES)
    assert found <= CHAINS[line] * 1.001, (found, CHAINS[line])


@pytest.mark.parametrize("line", [line for line in CHAINS if line != "y = A @ (B @ C)"])
def test_a_gradient_takes_at_most_thrice_what_the_best_order_takes(line, monkeypatch):
    program = program_of(f"{line}\nminimize sum(y^2)")
    found = flops(gradient_plan(program), SIZES)
    outputs = sum(prod(extent(a, SIZES) for a in t.axes) for t in program.parameters)
    value = next(t for t in program.tensors if t.name == "y")
    outputs += 3 * prod(extent(a, SIZES) for a in value.axes)
    assert found <= 3 * CHAINS[line] + 3 * outputs
    monkeypatch.setattr(prepare, "ordered", lambda program: program)
    monkeypatch.setattr(pipeline, "ordered", lambda program: program)
    assert found <= flops(gradient_plan(program), SIZES) * 1.001


def plain(source):
    """The module with its loops run by Python, its products by NumPy: quick for tiny extents."""
    module = load_source(re.sub(r"^@_(?:compiled|allocating)\n", "", source, flags=re.M))

    def matmul(a, b, out, strip=None):
        out[...] = a @ b

    def folded(fold, axis):
        return lambda a, y: fold(a, axis=axis, out=y)

    module._matmul = module._matmul_symmetric = module._matvec = matmul
    module._matmul_plus = lambda a, b, start, out, strip: np.add(a @ b, start, out=out)
    module._matmul_fixed = lambda m, k, n, *given: matmul(*given)
    module._matmul_fixed_plus = lambda m, k, n, *given: module._matmul_plus(*given)
    module._row_sums, module._row_maxima, module._column_sums = folded(np.sum, 1), folded(np.max, 1), folded(np.sum, 0)
    module._view = lambda a, start, shape: a.reshape(-1)[start : start + prod(shape)].reshape(shape)
    module._numbers = lambda a: a.reshape(-1)
    return module


SMALL = {"a": 2, "b": 3, "c": 5, "d": 7}
LETTERS = {"i": "a", "j": "b", "k": "c", "l": "d", "m": "b"}
operand = st.lists(st.sampled_from("ijklm"), min_size=1, max_size=3)


def contraction(operands, free):
    """A model that computes Σ Π over random operands, and the einsum that does the same."""
    used = sorted({x for o in operands for x in o})
    bound = [x for x in used if x not in free]
    lines = [f"dims {', '.join(f'{k} = {v}' for k, v in SMALL.items())}"]
    lines += [f"param T{k} : [{', '.join(LETTERS[x] for x in o)}]" for k, o in enumerate(operands)]
    product = " * ".join(f"T{k}[{','.join(o)}]" for k, o in enumerate(operands))
    left = f"y[{','.join(free)}]" if free else "y"
    total = f"sum[{','.join(bound)}] " if bound else ""
    lines += [f"{left} = {total}{product}", "minimize sum(y^2)", "output y"]
    return derive.parse("\n".join(lines)).program, ",".join(map("".join, operands)) + "->" + "".join(free)


@settings(max_examples=25, deadline=None)
@given(st.lists(operand, min_size=2, max_size=5), st.data())
def test_random_contractions_in_both_targets(operands, data):
    used = sorted({x for o in operands for x in o})
    free = data.draw(st.lists(st.sampled_from(used), max_size=2, unique=True))
    program, subscripts = contraction(operands, free)
    rng = np.random.default_rng(1)
    values = {t.name: rng.normal(size=[SMALL[x.name] for x in t.axes]) for t in program.parameters}
    arrays = [values[f"T{k}"] for k in range(len(operands))]
    y = np.einsum(subscripts, *arrays)
    inputs, out = subscripts.split("->")
    for target in ("numba", "numpy"):
        module = plain(build(program, target=target))
        np.testing.assert_allclose(module.forward(values)["y"], y, rtol=1e-9, atol=1e-9)
        gradient = module.loss_and_grad(values)[1]
        for k, term in enumerate(inputs.split(",")):
            if len(set(term)) < len(term):
                continue
            rest = [t for j, t in enumerate(inputs.split(",")) if j != k]
            ones = [np.ones(SMALL[LETTERS[x]]) for x in term]
            expected = np.einsum(
                ",".join([out, *rest, *term]) + "->" + term, 2 * y, *(a for j, a in enumerate(arrays) if j != k), *ones
            )
            np.testing.assert_allclose(gradient[f"T{k}"], expected, rtol=1e-8, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.lists(operand, min_size=2, max_size=5), st.data())
def test_ordering_never_takes_more(operands, data):
    used = sorted({x for o in operands for x in o})
    free = data.draw(st.lists(st.sampled_from(used), max_size=2, unique=True))
    program, _ = contraction(operands, free)
    found = flops(forward_plan(program), SMALL), flops(gradient_plan(program), SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "ordered", lambda program: program)
        patch.setattr(pipeline, "ordered", lambda program: program)
        before = flops(forward_plan(program), SMALL), flops(gradient_plan(program), SMALL)
    assert found[0] <= before[0]
    assert found[1] <= before[1]
