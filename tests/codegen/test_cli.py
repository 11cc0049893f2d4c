"""The command line: what it prints, which exit code it gives, and that a failure leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import derive
from codegen import cli
from codegen.commands import new, training

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SMALL = """\
model small
dims d = 3
batch n
input X : [n, d]
target y : [n]
param w : [d] ~ normal(0, 1)
param b
p = X @ w + b
minimize mse(y, p)
optimizer sgd(lr=0.1)
output p
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.gc").write_text(SMALL)
    return tmp_path


def lines_csv(count: int = 40) -> str:
    r = np.random.default_rng(0)
    X = r.normal(size=(count, 3))
    rows = [f"{a:.6f},{b:.6f},{c:.6f},{a - 2 * b + 3 * c + 1:.6f}" for a, b, c in X]
    return "\n".join(["u,v,w,goal", *rows, ""])


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["derive"], ["derive", "absent.gc"], ["build", "small.gc"], ["check", "small.gc", "--size", "d"]],
)
def test_wrong_use_is_exit_2_and_a_message(here, capsys, arguments):
    assert cli.run(arguments) == 2
    out = capsys.readouterr()
    assert out.err.strip()
    assert "Traceback" not in out.err


@pytest.mark.parametrize("command", ["derive", "summary", "check", "build", "train"])
def test_a_mistake_in_the_model_points_at_its_place(here, capsys, command):
    Path("bad.gc").write_text(SMALL.replace("X @ w", "X @ v"))
    Path("data.csv").write_text(lines_csv())
    extra = {"build": ["-o", "out.py"], "train": ["--data", "data.csv", "-o", "out.npz"]}.get(command, [])
    assert cli.run([command, "bad.gc", *extra]) == 2
    err = capsys.readouterr().err
    assert "bad.gc:8:9: error:" in err
    assert "p = X @ v + b" in err
    assert not list(here.glob("out*"))
    assert not list(here.glob(".out*"))


def test_interrupting_is_130(here, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("codegen.commands.derive.load_sized", interrupt)
    assert cli.run(["derive", "small.gc"]) == 130


def test_interrupting_a_training_saves_nothing(here):
    Path("data.csv").write_text(lines_csv())
    command = ["train", "small.gc", "--data", "data.csv", "--target", "goal", "--epochs", "10000000", "-o", "out.npz"]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "codegen.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("epoch")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert not Path("out.npz").exists()


def test_an_interrupt_during_training_waits_for_the_end_of_the_epoch_and_a_second_one_does_not():
    seen = []

    def on_epoch(epoch):
        seen.append(epoch)
        signal.raise_signal(signal.SIGINT)
        seen.append("rest")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), training._between_epochs(on_epoch) as after:
            after(1)
        assert seen == [1, "rest"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with training._between_epochs(lambda _: None) as after:
            after(1)
            signal.raise_signal(signal.SIGINT)
            seen.append("still running")
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert seen[-1] == "still running"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("layers", "equations"),
    [
        ("4-1", ["P = X @ W1 + b1", "minimize mse(Y, P)"]),
        ("4-1sigmoid", ["P = sigmoid(Z1)", "target Y  : [n, c] binary", "minimize bce(Y, P)"]),
        (
            "7-5tanh-3gelu-2softmax",
            ["A1 = tanh(Z1)", "Z2 = A1 @ W2 + b2", "P = softmax(Z3, axis=1)", "minimize cross_entropy(Y, P)"],
        ),
    ],
)
def test_new_writes_a_model_of_any_depth(here, capsys, layers, equations):
    assert cli.run(["new", "net", "--layers", layers]) == 0
    text = Path("net.gc").read_text()
    assert set(equations) <= set(text.split("\n"))
    gradient = derive.load("net.gc").gradient()
    depth = layers.count("-")
    assert [str(gradient[f"W{k}"]) for k in range(1, depth + 1)]


@pytest.mark.parametrize("layers", ["4", "4relu-2", "4-2nothing", "4--2", "4-x", ""])
def test_new_refuses_what_is_no_network(here, capsys, layers):
    assert cli.run(["new", "net", "--layers", layers]) == 2
    assert not Path("net.gc").exists()


def test_new_overwrites_nothing(here, capsys):
    assert cli.run(["new", "small"]) == 2
    assert Path("small.gc").read_text() == SMALL


def test_the_layers_of_a_text():
    assert new.parse_layers("784-128relu-10softmax")[1] == new.Layer(128, "relu")


@pytest.mark.parametrize("form", ["matrix", "index", "latex", "python"])
def test_derive_prints_every_form(here, capsys, form):
    assert cli.run(["derive", "small.gc", "--form", form]) == 0
    out = capsys.readouterr().out
    assert "w" in out
    assert cli.run(["derive", "small.gc", "--form", form, "--wrt", "b"]) == 0
    assert len(capsys.readouterr().out) < len(out)


def test_derive_prints_json(here, capsys):
    assert cli.run(["derive", "small.gc", "--form", "json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_derive_writes_deltas_layer_by_layer(here, capsys):
    (here / "deep.gc").write_text(
        "dims d = 3, h = 2\nbatch n\ninput X : [d, n]\ntarget y : [n]\nparam W1 : [h, d]\nparam W2 : [1, h]\n"
        "Z1 = W1 @ X\nA1 = tanh(Z1)\nz2 = W2 @ A1\nminimize sum((z2 - y')^2) / (2*n)\n"
    )
    assert cli.run(["derive", "deep.gc", "--deltas"]) == 0
    assert "δ¹ = (W2ᵀ δ²) ⊙ (1 − A1∘²)" in capsys.readouterr().out


def test_derive_shows_steps_and_refuses_an_unknown_variable(here, capsys):
    assert cli.run(["derive", "small.gc", "--steps"]) == 0
    out = capsys.readouterr().out
    assert "total derivative" in out
    assert "matrix form" in out
    assert cli.run(["derive", "small.gc", "--steps", "--form", "json"]) == 0
    assert {"rule", "before", "after"} <= set(json.loads(capsys.readouterr().out)[0])
    assert cli.run(["derive", "small.gc", "--steps", "--form", "latex"]) == 0
    assert capsys.readouterr().out.startswith("\\begin{align*}")
    assert cli.run(["derive", "small.gc", "--wrt", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_model_comes_from_standard_input(here, capsys, monkeypatch):
    assert cli.run(["derive", "small.gc"]) == 0
    want = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(SMALL))
    assert cli.run(["derive", "-"]) == 0
    assert capsys.readouterr().out == want


def test_summary_counts_parameters(here, capsys):
    assert cli.run(["summary", str(EXAMPLES / "mnist_rows.gc")]) == 0
    out = capsys.readouterr().out
    assert "101,770" in out
    assert "[d, h]" in out


def test_build_writes_a_module_that_runs_alone(here, capsys):
    assert cli.run(["build", "small.gc", "-o", "out.py", "--target", "numpy", "--dtype", "float64"]) == 0
    code = "import sys, out\nprint(sorted(out.PARAMS), 'derive' in sys.modules, 'codegen' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['b', 'w'] False False"


def test_build_is_the_same_bytes_twice(here, capsys):
    for name in ("a.py", "b.py"):
        assert cli.run(["build", "small.gc", "-o", name]) == 0
    assert Path("a.py").read_bytes() == Path("b.py").read_bytes()


@pytest.mark.parametrize("size", ["q=3", "d=0", "d=-1", "d=x"])
def test_a_size_that_makes_no_sense_is_refused(here, capsys, size):
    assert cli.run(["build", "small.gc", "-o", "out.py", "--size", size]) == 2
    assert not Path("out.py").exists()


def test_check_prints_a_table(here, capsys):
    assert cli.run(["check", "small.gc", "--target", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "max rel. error" in out
    assert "FAILED" not in out


def test_train_saves_and_is_repeatable(here, capsys):
    Path("data.csv").write_text(lines_csv())
    saved = []
    for name in ("a.npz", "b.npz"):
        command = ["train", "small.gc", "--data", "data.csv", "--target", "goal", "--epochs", "30", "-o", name]
        assert cli.run([*command, "--batch", "8", "--seed", "3", "--dtype", "float64"]) == 0
        with np.load(name, allow_pickle=False) as bundle:
            saved.append({key: bundle[key] for key in bundle.files})
    out = capsys.readouterr().out
    assert "epoch  30" in out
    assert "held out" in out
    assert np.allclose(saved[0]["param_w"], [1, -2, 3], atol=1e-3)
    assert np.allclose(saved[0]["param_b"], 1, atol=1e-3)
    assert all(np.array_equal(saved[0][k], saved[1][k]) for k in saved[0])


def test_a_run_that_diverges_is_exit_3_and_saves_nothing(here, capsys):
    Path("wild.gc").write_text(SMALL.replace("lr=0.1", "lr=1e9"))
    Path("data.csv").write_text(lines_csv())
    command = ["train", "wild.gc", "--data", "data.csv", "--target", "goal", "--epochs", "50", "-o", "out.npz"]
    assert cli.run(command) == 3
    assert "smaller learning rate" in capsys.readouterr().err
    assert not Path("out.npz").exists()


def test_a_folder_that_is_not_there_is_named_before_the_work(here, capsys):
    Path("data.csv").write_text(lines_csv())
    for command in (
        ["build", "small.gc", "-o", "absent/out.py"],
        ["train", "small.gc", "--data", "data.csv", "--target", "goal", "-o", "absent/out.npz"],
        ["new", "absent/net"],
    ):
        assert cli.run(command) == 2
        out = capsys.readouterr()
        assert "absent" in out.err
        assert "epoch" not in out.out


def test_a_model_that_minimizes_nothing_is_summarized_but_has_no_gradient(here, capsys):
    Path("plain.gc").write_text("model plain\ndims d = 3\ninput x : [d]\ny = 2*x\noutput y\n")
    assert cli.run(["summary", "plain.gc"]) == 0
    assert "[d]" in capsys.readouterr().out
    assert cli.run(["build", "plain.gc", "-o", "plain.py"]) == 0
    for command in ("derive", "check"):
        assert cli.run([command, "plain.gc"]) == 2
        assert "error:" in capsys.readouterr().err


def test_deriving_the_two_layer_net_takes_less_than_four_seconds():
    # Time of the processor, so that a busy machine does not fail the test.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "codegen.cli", "derive", str(EXAMPLES / "digits_rows.gc")]
    subprocess.run(command, cwd=EXAMPLES.parent, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4


def test_train_says_what_is_missing(here, capsys):
    Path("data.csv").write_text(lines_csv())
    assert cli.run(["train", "small.gc", "--data", "data.csv"]) == 2
    assert "--target" in capsys.readouterr().err
    Path("still.gc").write_text(SMALL.replace("optimizer sgd(lr=0.1)\n", ""))
    assert cli.run(["train", "still.gc", "--data", "data.csv", "--target", "goal"]) == 2
    assert "optimizer" in capsys.readouterr().err
