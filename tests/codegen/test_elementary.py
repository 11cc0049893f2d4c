"""Elementary functions of emitted modules: their errors in units of the last place, special values, vector code."""

from __future__ import annotations

import re
from types import ModuleType

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import derive
from codegen.common import ELEMENTARY as NAMES
from codegen.compiler import load_source, source
from codegen.targets.numba import elementary
from codegen.targets.numba.elementary import coefficients

DTYPES = ("float32", "float64")
Values = NDArray[np.floating]


def text(body: str, dtype: str) -> str:
    model = f"model values\nbatch n\ninput x : [n]\na = {body}\noutput a"
    return source(derive.parse(model, "values"), dtype=dtype)


def module(body: str, dtype: str) -> ModuleType:
    return load_source(text(body, dtype))


def points(dtype: str, count: int) -> Values:
    """Random patterns of bits, which reach every magnitude and denormals, and numbers of the usual sizes."""
    rng = np.random.default_rng(7)
    unsigned = np.uint32 if dtype == "float32" else np.uint64
    patterns = rng.integers(0, np.iinfo(unsigned).max, count, dtype=unsigned, endpoint=True).view(dtype)
    sizes = [rng.normal(0, s, count) for s in (1e-3, 0.3, 1, 10, 100, 700)]
    near = [1 + rng.normal(0, 0.01, count), np.exp(rng.uniform(-30, 30, count)), rng.uniform(-710, 710, count)]
    return np.concatenate([patterns[np.isfinite(patterns)], *(a.astype(dtype) for a in (*sizes, *near))])


def exact(name: str, x: Values) -> list[mpmath.mpf]:
    with mpmath.workprec(160):
        return [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x]


def units(value: Values, wanted: Values) -> Values:
    """The distance of neighbouring numbers at what is wanted; that of denormals at least."""
    about = np.finfo(value.dtype)
    exponents = np.maximum(np.frexp(wanted.astype(value.dtype))[1] - 1, about.minexp)
    return np.ldexp(np.ones(len(wanted)), exponents - about.nmant)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_is_right_to_three_units_everywhere(name):
    x = points("float32", 100_000)
    found = module(f"{name}(x)", "float32").forward({}, x=x)["a"]
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x.astype(np.float64))
        finite = np.isfinite(wanted.astype(np.float32))
        np.testing.assert_array_equal(found[~finite], wanted.astype(np.float32)[~finite])
    found, wanted = found[finite], wanted[finite]
    assert np.max(np.abs(found - wanted) / units(found, wanted)) <= 3
    assert np.array_equal(np.signbit(found), np.signbit(wanted.astype(np.float32)))


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_is_right_to_three_units_everywhere(name):
    x = points("float64", 150)
    found = module(f"{name}(x)", "float64").forward({}, x=x)["a"]
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~finite], wanted[~finite])
    for value, truth, unit in zip(found[finite], exact(name, x[finite]), units(found, wanted)[finite], strict=True):
        assert abs(mpmath.mpf(float(value)) - truth) <= 3 * mpmath.mpf(float(unit))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_numpy(name, dtype):
    about = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, about.tiny, -about.tiny, about.max, -about.max]
    x = np.array([*special, about.smallest_subnormal, -about.smallest_subnormal, -1 - about.eps, -2.0], dtype)
    found = module(f"{name}(x)", dtype).forward({}, x=x)["a"]
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x)
    np.testing.assert_allclose(found, wanted, rtol=3 * about.eps, atol=0)
    assert np.array_equal(np.signbit(found[~np.isnan(wanted)]), np.signbit(wanted[~np.isnan(wanted)]))


def test_integers_are_arguments_too():
    model = derive.parse("model m\nbatch n\ninput x : [n]\na[s] = x[s]*log(n) + exp(n)", "m")
    x = np.arange(3.0)
    for dtype in DTYPES:
        found = load_source(source(model, dtype=dtype)).forward({}, x=x.astype(dtype))["a"]
        np.testing.assert_allclose(found, x * np.log(3) + np.exp(3), rtol=1e-6)


def test_a_module_has_those_that_it_uses():
    def defined(body: str) -> list[str]:
        return [n for n in re.findall(r"def _(\w+)\(x\)", text(body, "float64")) if n in NAMES]

    assert defined("x^2") == []
    assert defined("exp(x)") == ["exp"]
    assert defined("tanh(x)") == ["tanh"]
    assert defined("log(exp(x) + 2)") == ["exp", "log"]
    assert defined("expm1(tanh(x))") == ["expm1", "tanh"]
    assert defined("sigmoid(x)") == ["exp"]


def test_short_axes_become_one_long_loop():
    """One vector for what shares memory: under two names it would have to be checked for overlaps."""
    model = "dims h = 5\nbatch n\ninput X : [n, h]\nparam b : [h]\nA = {}\noutput A"
    for body in ("tanh(X + b)", "sigmoid(X + b)", "(X + b)*exp(-(X + b)^2)", "gelu(X + b)", "softplus(X)*b"):
        written = source(derive.parse(model.format(body), "m"), sizes={"h": 5})
        built = load_source(written)
        x, params = np.random.default_rng(0).normal(size=(7, 5)), built.init_params(0)
        params["b"][...] = np.arange(5) / 3
        wanted = load_source(source(derive.parse(model.format(body), "m"), target="numpy")).forward(params, X=x)["A"]
        np.testing.assert_allclose(built.forward(params, X=x)["A"], wanted, rtol=1e-14, atol=1e-300)
        if body == "tanh(X + b)":
            assert "for q in range(h * n):" in written
            assert "A_flat[q] = _tanh(A_flat[q])" in written


@pytest.mark.parametrize(("function", "count", "largest"), [("_exponential", 10, 1e-15), ("_exponential", 5, 1e-7)])
def test_polynomials_are_near_what_they_stand_for(function, count, largest):
    f = getattr(elementary, function)
    with mpmath.workprec(160):
        edge = mpmath.log(2) / 2
        found = coefficients(f, -edge, edge, count)
        errors = [abs(mpmath.polyval(found[::-1], x) - f(x)) for x in mpmath.linspace(-edge, edge, 101)]
        assert max(errors) < largest
        series = [1 / mpmath.factorial(k + 2) for k in range(count)]
        assert max(errors) < abs(mpmath.polyval(series[::-1], edge) - f(edge)) / 4  # better than the series cut off


@pytest.mark.skipif(not llvm.get_host_cpu_features().get("avx2"), reason="the registers are those of AVX2")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*NAMES, "sigmoid", "softplus", "silu"])
def test_loops_over_them_are_vector_code(name, dtype, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADC_CACHE", str(tmp_path))
    built = module(f"{name}(x)", dtype)
    built.forward({}, x=np.ones(8, dtype))
    (assembly,) = built._forward.inspect_asm().values()
    packed = "ps" if dtype == "float32" else "pd"
    assert re.search(rf"v(mul|fmadd\d+){packed}\s.*%?[yz]mm", assembly)
    assert not re.search(r"call\S*\s+\S*\b(exp|log|tanh|expm1|log1p)f?\b", assembly)
