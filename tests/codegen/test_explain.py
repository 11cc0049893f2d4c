"""`gradc build --explain`: what it says is what the emitted code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import cli, explain
from codegen.compiler import load_source, source
from codegen.prepared import prepared
from derive.errors import GradcError

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = """model tiny
dims d = 11, h = 7, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W1 : [d, h]
param W2 : [h, c]
param v : [c]
A = relu(X @ W1)
Z = A @ W2
minimize cross_entropy(Y, softmax(Z, axis=1)) + sum((Z @ v)^2) / n
optimizer sgd(lr=0.1)
"""


def explained(text, batch=5, **given):
    return explain.explained(prepared(derive.parse(text), **given), batch)


def test_each_product_has_its_operations_and_its_reason():
    text = explained(MODEL)
    assert "product 5 × 11 by 11 × 7: 770 operations" in text
    assert "product 5 × 3 by 3 × 7: 210 operations" in text  # dA = dZ W2ᵀ
    assert "compiled where it stands, for its number of columns: no call; W2ᵀ is copied" in text
    broad = explained(MODEL.replace("h = 7", "h = 71"))
    assert "W2ᵀ is copied by strips of columns, which do not lie next to each other" in broad
    assert "a vector: dot products along the rows as they lie" in broad  # Z v
    large = explained(MODEL.replace("d = 11", "d = 1031"), batch=512)
    assert "X is copied" not in large  # Xᵀ stands on the left
    assert (
        re.search(r"W1 is copied", explained(MODEL.replace("d = 11, h = 7", "d = 1031, h = 71"), batch=67)) is not None
    )


@pytest.mark.parametrize("name", ["mnist_rows", "covariance", "char_gru", "lenet"])
def test_steps_are_those_of_the_code(name):
    net = derive.load(str(EXAMPLES / f"{name}.gc"))
    text = explain.explained(prepared(net, dtype="float32"), 13)
    code = source(net, dtype="float32")
    kernel = code[code.index("\ndef _loss_and_grad(") :].split("\n@_compiled", 1)[0]
    kernel = kernel.split("\n# Kernels", 1)[0]
    assert len(re.findall(r"(?m)^ +product ", text)) == len(re.findall(r"(?m)^ +_mat(?:mul|vec)\w*\(", kernel))
    for formula in re.findall(r"(?m)^ +# (?! )(.*)$", kernel):  # long ones go on in lines that are indented further
        assert formula in " ".join(text.split()) or formula in text


def test_the_workspace_has_the_size_that_the_module_takes():
    text, module = explained(MODEL, batch=16), load_source(source(derive.parse(MODEL)))
    module.loss_and_grad(module.init_params(0), X=np.ones((16, 11)), Y=np.eye(3)[np.arange(16) % 3])
    strips = module._STRIP * 16  # of the longest sum, over the samples
    assert f"workspace {explain._bytes((module._WORK[module.DTYPE].size - strips) * 8)}; " in text


def test_operations_of_products_are_those_of_the_textbook():
    text = explained(MODEL.replace(" + sum((Z @ v)^2) / n", ""), batch=5)
    found = sum(int(x.replace(",", "")) for x in re.findall(r"product .*: ([\d,]+) operations", text))
    assert found == 2 * 5 * (2 * 11 * 7 + 3 * 7 * 3)  # forward and by weights twice, by the hidden layer once


def test_the_limit_is_that_of_the_kernel():
    module = load_source(source(derive.parse(MODEL), dtype="float32"))
    assert module._NEAR * 4 == explain.NEAR


def test_on_the_command_line_it_needs_no_output(tmp_path, capsys):
    path = tmp_path / "tiny.gc"
    path.write_text(MODEL)
    assert cli.run(["build", str(path), "--explain", "--batch", "16"]) == 0
    assert capsys.readouterr().out.startswith("tiny: the loss and its gradient, float64, n = 16\n")
    assert list(tmp_path.iterdir()) == [path]
    assert cli.run(["build", str(path)]) == 2
    assert "-o" in capsys.readouterr().err


def test_formulas_of_the_target_numpy_are_its_code():
    with pytest.raises(GradcError, match="numba"):
        explained(MODEL, target="numpy")
