"""What a process pays before its first step: nothing is compiled twice, and damaged files are made again."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from codegen.commands.build import command
from codegen.compiler import load_source, source
from derive import parse

MODEL = """model tiny
dims d = 5, h = 17, c = 3
batch n
input X : [n, d]
target Y : [n, c] one_hot
param W : [d, h] ~ normal(0, 1)
param V : [h, c] ~ normal(0, 1)
P = softmax(tanh(X @ W) @ V, axis=1)
minimize cross_entropy(Y, P)
optimizer adam(lr=0.01)
output P
"""
# a process that trains, and says what it compiled
RUN = """
from numba.core import event
class Listener(event.Listener):
    def on_start(self, found):
        if found.data["name"].startswith("nopython_type_inference"):
            print("compiled", found.data["name"])
    def on_end(self, found):
        pass
event.register("numba:run_pass", Listener())
import numpy as np
import tiny
x, y = np.linspace(-1, 1, 40).reshape(8, 5), np.eye(3)[np.arange(8) % 3]
x.flags.writeable = {writeable}
params = tiny.init_params(seed=1)
history = tiny.fit(params, {{"X": x, "Y": y}}, epochs=2, batch_size=3)
tiny.forward(params, X=x)
print(history[-1]["loss"], tiny.loss(params, X=x, Y=y), tiny.loss_and_grad(params, X=x, Y=y)[0])
"""


def run(folder, writeable=True):
    code = RUN.format(writeable=writeable)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *compiled, losses = done.stdout.strip().splitlines()
    return compiled, losses


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    (folder / "tiny.gc").write_text(MODEL)
    arguments = [str(folder / "tiny.gc"), "-o", str(folder / "tiny.py"), "--precompile"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "compiled" in result.output
    return folder


def test_what_was_compiled_when_it_was_built_is_not_compiled_when_it_is_called(built):
    assert run(built)[0] == []


def test_arrays_that_cannot_be_written_to_are_no_other_type(built):
    assert run(built, writeable=False) == run(built)


def test_compiled_code_moves_with_the_module(built, tmp_path):
    shutil.copytree(built, tmp_path / "elsewhere")  # times of files included
    compiled, losses = run(tmp_path / "elsewhere")
    assert compiled == []
    assert losses == run(built)[1]


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_files_of_compiled_code_are_made_again(built, tmp_path, kept):
    folder = tmp_path / "damaged"
    shutil.copytree(built, folder)
    files = sorted((folder / "__pycache__").glob("*.nb?"))
    assert len(files) >= 14  # an index and a file each: three functions, an epoch, what it draws by, two kernels
    for k, file in enumerate(files):
        if (k // 2 + (kept == 0.5)) % 2 or file.suffix == ".nbc":  # all of the code, half of the indices
            content = file.read_bytes()
            file.write_bytes(content[: int(kept * len(content))])
    compiled, losses = run(folder)
    assert compiled
    assert losses == run(built)[1]
    assert run(folder) == ([], losses)


def test_without_a_file_to_write_nothing_can_be_precompiled(built):
    for more in (["-o", "-"], ["--explain"], ["-o", "x.py", "--target", "numpy"]):
        result = CliRunner().invoke(command, [str(built / "tiny.gc"), "--precompile", *more])
        assert result.exit_code == 2
    result = CliRunner().invoke(command, [str(built / "tiny.gc"), "-o", str(built / "t-1.py"), "--precompile"])
    assert "cannot be imported" in result.output


def test_the_types_that_are_precompiled_are_those_of_calls():
    lines = "input x : [n]\ninput k : [n] labels(3)\nnoise z : [n] ~ normal(0, 1)\ninput s\nparam w : [3]\nparam b"
    lines += "\ny[i] = w[k[i]] * x[i] + z[i] * s + b\nminimize mean(y^2)\noptimizer adam(lr=cosine(0.1))\noutput y"
    module = load_source(source(parse(f"batch n\n{lines}")))
    module.precompile()
    x, k = np.linspace(0, 1, 7), np.arange(7) % 3
    params = module.init_params()
    module.fit(params, {"x": x, "k": k, "s": 0.5}, epochs=1, batch_size=2)
    module.loss(params, x=x, k=k, s=0.5)
    module.loss_and_grad(params, x=x, k=k, s=0.5)
    module.forward(params, x=x, k=k, s=0.5)
    for f in (module._forward, module._loss, module._loss_and_grad, module._epoch):
        assert len(f.signatures) == 1
