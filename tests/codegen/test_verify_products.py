"""The check of Hessian products passes what is right, finds what is wrong, and says where."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import derive
from codegen import cli, verify_products
from codegen.verify_products import check_products

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ("breast_cancer", "deep_rows", "elastic_net", "linear_regression")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_products_of_the_examples_are_right(name):
    result = check_products(derive.load(ROOT / "examples" / f"{name}.gc"), target="numpy")
    assert result.ok, str(result)
    assert {row.method for row in result.rows} == {"complex step", "float32"}


@pytest.mark.parametrize("name", ["attention", "labels", "rules", "max_pool"])
def test_the_products_of_other_models_are_right(name):
    result = check_products(derive.load(ROOT / "tests" / "models" / f"{name}.gc"), target="numpy")
    assert result.ok, str(result)


def test_a_wrong_product_is_found(monkeypatch):
    real = verify_products.load_source

    def broken(source: str) -> SimpleNamespace:
        net = real(source)

        def hvp(params, direction, /, **inputs):
            found = net.hvp(params, direction, **inputs)
            found["w"][1] *= 1.001
            return found

        return SimpleNamespace(loss_and_grad=net.loss_and_grad, hvp=hvp)

    monkeypatch.setattr(verify_products, "load_source", broken)
    result = check_products(derive.load(ROOT / "examples" / "breast_cancer.gc"), target="numpy")
    assert not result.ok
    [wrong] = [row for row in result.rows if not row.ok]
    assert (wrong.name, wrong.method, wrong.index) == ("w along v", "complex step", (1,))
    assert "dw along v[1]: the module gives" in str(result)
    assert np.isclose(wrong.error, 1e-3, rtol=1e-2)


def test_the_command(capsys):
    path = str(ROOT / "examples" / "breast_cancer.gc")
    assert cli.run(["check", path, "--hessian", "--target", "numpy"]) == 0
    assert "w along v" in capsys.readouterr().out
    assert cli.run(["check", path, "--hessian", "--wrt", "w"]) == 2
    with pytest.raises(derive.GradcError, match="no Hessian to check"):
        check_products(derive.parse("param w\ny = 2*w"))
