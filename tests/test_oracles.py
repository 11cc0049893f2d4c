"""Random programs through the three oracles.

A model text is drawn: products of matrices, transposes, broadcasts, reductions, element-wise functions, conditionals,
softmax, index sums. Its raw cotangents are checked against complex steps (and central differences where it is smooth),
the simplified program against the raw one, the stable against the simplified, the emitted module against `evaluate`.

The default run is small and always the same. For a campaign, with other programs each time:

    GRADC_CAMPAIGN=2000 pytest tests/test_oracles.py
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import codegen
import derive
from derive.evaluate import evaluate
from derive.program import Program, needed, reads
from derive.spec import check

CAMPAIGN = int(os.environ.get("GRADC_CAMPAIGN", "0"))
SIZES = {"a": 2, "b": 3, "c": 5, "n": 7}
SMOOTH = ["tanh", "sigmoid", "softplus", "silu", "gelu", "sin", "cos", "atan", "erf", "mish"]
KINKED = ["relu", "abs", "leaky_relu", "elu", "hard_tanh", "selu", "hard_sigmoid"]
TEMPLATES = [  # element-wise, of one tensor, defined everywhere
    "exp(tanh({0}))",
    "log(1 + {0}^2)",
    "sqrt(1 + {0}^2)",
    "1 / (2 + {0}^2)",
    "{0} / (1 + exp(-{0}))",
    "log(1 + exp(-{0}))",
    "{0}^3 / 3 - {0}",
    "-{0}",
    "2 * {0} + 1/2",
    "log1p({0}^2)",
    "expm1({0} / 4)",
    "(1 + {0}^2)^(-1/2)",
]


def budget(examples: int) -> settings:
    return settings(
        max_examples=CAMPAIGN or examples,
        deadline=None,
        derandomize=not CAMPAIGN,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


@dataclass
class Builder:
    """Lines of a model, and the tensors that exist with their axes."""

    draw: st.DrawFn
    declared: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    pool: dict[str, tuple[str, ...]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    smooth: bool = True

    def declare(self, axes: tuple[str, ...], kind: str | None = None) -> str:
        kinds = ["input"] if "n" in axes else ["param", "param", "param", "input"]
        kind = kind if kind is not None else self.draw(st.sampled_from(kinds))
        name = f"V{len(self.declared)}"
        self.declared.append(f"{kind} {name} : [{', '.join(axes)}]" if axes else f"{kind} {name}")
        self.pool[name] = axes
        return name

    def use(self, axes: tuple[str, ...]) -> str:
        """A tensor of these axes, old or new."""
        found = [name for name, own in self.pool.items() if own == axes]
        if not found or self.draw(st.integers(0, 3)) == 0:
            found = [self.declare(axes)]
        return self.seen(self.draw(st.sampled_from(found)))

    def any(self, *ranks: int) -> str:
        found = [name for name, axes in self.pool.items() if len(axes) in ranks]
        if not found:
            found = [self.declare(tuple(self.axis() for _ in range(ranks[-1])))]
        # what was defined last is the likeliest, so that programs are deep
        return self.seen(found[-1] if self.draw(st.booleans()) else self.draw(st.sampled_from(found)))

    def seen(self, name: str) -> str:
        self.read.add(name)
        return name

    def axis(self) -> str:
        return self.draw(st.sampled_from("abcn"))

    def define(self, text: str, axes: tuple[str, ...], letters: str = "") -> str:
        name = f"T{len(self.lines)}"
        self.lines.append(f"{name}{letters} = {text}")
        self.pool[name] = axes
        return name

    def step(self) -> str:
        return getattr(self, self.draw(st.sampled_from(STEPS)))()

    # --- the kinds of equations ---------------------------------------------------------------------

    def matrix_product(self) -> str:
        x = self.any(1, 2)
        *rows, inner = self.pool[x]
        y = self.use((inner, self.axis())) if self.draw(st.integers(0, 2)) else self.use((inner,))
        return self.define(f"{x} @ {y}", (*rows, *self.pool[y][1:]))

    def product_of_transposes(self) -> str:
        x = self.any(2)
        inner, rows = self.pool[x]
        y = self.use((self.axis(), inner))
        return self.define(f"{x}' @ {y}'", (rows, self.pool[y][0]))

    def transpose(self) -> str:
        x = self.any(2)
        return self.define(f"{x}'", self.pool[x][::-1])

    def affine(self) -> str:
        x = self.any(2)
        m, k = self.pool[x]
        assume(m != k)
        w = self.axis()
        assume(w != m)
        return self.define(f"{x} @ {self.use((k, w))} + {self.use((w,))}", (m, w))

    def broadcast(self) -> str:
        x = self.any(2)
        m, k = self.pool[x]
        assume(m != k)
        op = self.draw(st.sampled_from("+-*"))
        other = f"col({self.use((m,))})" if self.draw(st.booleans()) else self.use((k,))
        return self.define(f"{x} {op} {other}", (m, k))

    def outer(self) -> str:
        x, y = self.any(1), self.any(1)
        return self.define(f"{x}[i] * {y}[j]", (*self.pool[x], *self.pool[y]), "[i, j]")

    def reduction(self) -> str:
        x = self.any(1, 2)
        op = self.draw(st.sampled_from(["sum", "mean", "mean", "max", "min"]))
        self.smooth &= op in ("sum", "mean")
        axis = self.draw(st.integers(0, len(self.pool[x]) - 1))
        inside = self.draw(st.sampled_from(["{0}", "{0}^2", "{0} * sin({0})"])).format(x)
        return self.define(f"{op}({inside}, axis={axis})", tuple(a for k, a in enumerate(self.pool[x]) if k != axis))

    def whole_reduction(self) -> str:
        x = self.any(1, 2)
        op = self.draw(st.sampled_from(["sum", "mean", "max"]))
        self.smooth &= op != "max"
        return self.define(f"{op}({x}) / 3", ())

    def products_along(self) -> str:
        x = self.any(1, 2)
        return self.define(f"prod(1 + {x}^2 / 8, axis={len(self.pool[x]) - 1})", self.pool[x][:-1])

    def function(self) -> str:
        x = self.any(0, 1, 2)
        f = self.draw(st.sampled_from(SMOOTH + KINKED))
        self.smooth &= f in SMOOTH
        return self.define(f"{f}({x})", self.pool[x])

    def formula(self) -> str:
        x = self.any(0, 1, 2)
        return self.define(self.draw(st.sampled_from(TEMPLATES)).format(x), self.pool[x])

    def binary(self) -> str:
        x = self.any(0, 1, 2)
        y = self.use(self.pool[x])
        forms = ["{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (2 + {1}^2)", "max({0}, {1})", "min({0}, sin({1}))"]
        forms += ["{0} * {1} - {0}", "(1 - sigmoid({0})) * {1} + sigmoid({0}) * {0}"]
        chosen = self.draw(st.sampled_from(forms))
        self.smooth &= not chosen.startswith("m")
        return self.define(chosen.format(x, y), self.pool[x])

    def conditional(self) -> str:
        x = self.any(0, 1, 2)
        y = self.use(self.pool[x])
        self.smooth = False
        forms = [
            "{0} if {1} > 0 else tanh({0})",
            "log({0}) if {0} > 1/10 else {1}",
            "{0}^2 if {0} < {1} and {1} > 0 else {1}",
            "{1} * ({0} <= 1/4)",
            "{0} if not ({0} > 0 or {1} > 0) else sqrt(abs({1}) + 1)",
        ]
        return self.define(self.draw(st.sampled_from(forms)).format(x, y), self.pool[x])

    def softmax(self) -> str:
        x = self.any(1, 2)
        f = self.draw(st.sampled_from(["softmax", "log_softmax"]))
        return self.define(f"{f}({x}, axis={self.draw(st.integers(0, len(self.pool[x]) - 1))})", self.pool[x])

    def normalize(self) -> str:
        """Each row less its mean, by its deviation."""
        x = self.any(2)
        m, k = self.pool[x]
        assume(m != k)
        mean = self.define(f"mean({x}, axis=1)", (m,))
        variance = self.define(f"mean(({x} - col({mean}))^2, axis=1)", (m,))
        self.read |= {mean, variance}
        return self.define(f"({x} - col({mean})) / col(sqrt({variance} + 1/100))", (m, k))

    def slice_(self) -> str:
        x = self.any(1, 2)
        assume(self.pool[x][0] != "n")
        return self.define(f"{x}[1]", self.pool[x][1:])

    def weighted_squares(self) -> str:
        x = self.any(2)
        k, m = self.pool[x]
        y = self.use((m,))
        return self.define(f"sum[j] {x}[i, j] * {y}[j] * {x}[i, j]", (k,), "[i]")

    def index_product(self) -> str:
        x = self.any(2)
        k, m = self.pool[x]
        y = self.use((self.axis(), m))
        return self.define(f"sum[j] tanh({x}[i, j] - {y}[l, j])", (k, self.pool[y][0]), "[i, l]")

    def diagonal(self) -> str:
        k = self.axis()
        x = self.use((k, k))
        forms = [("{0}[i, i] + {0}[0, i]", "[i]", (k,)), ("{0}[j, i] * {0}[i, j] - {0}[i, i]", "[i, j]", (k, k))]
        text, letters, axes = self.draw(st.sampled_from(forms))
        assume(k != "n")
        return self.define(text.format(x), axes, letters)

    def row_maximum(self) -> str:
        x = self.any(2)
        self.smooth = False
        return self.define(f"{x}[i, j] - max[k] {x}[i, k]", self.pool[x], "[i, j]")

    def attention(self) -> str:
        x = self.any(2)
        m, k = self.pool[x]
        y = self.use((self.axis(), k))
        other = self.pool[y][0]
        score = self.seen(self.define(f"sum[j] {x}[i, j] * {y}[l, j]", (m, other), "[i, l]"))
        weight = self.seen(self.define(f"exp({score}[i, l]) / sum[j] exp({score}[i, j])", (m, other), "[i, l]"))
        return self.define(f"sum[l] {weight}[i, l] * {y}[l, j]", (m, k), "[i, j]")

    # --- the objective --------------------------------------------------------------------------------

    def objective(self) -> str:
        loose = [t for t in self.pool if t.startswith("T") and t not in self.read] or [self.any(0, 1, 2)]
        terms = [self.loss(t) for t in loose]
        return " + ".join(terms)

    def loss(self, t: str) -> str:
        axes = self.pool[t]
        forms = ["{0}^2", "tanh({0})", "{0} * {0} / (1 + {0}^2)"]
        kind = self.draw(st.integers(0, 4)) if len(axes) == 2 else 4
        if kind == 0:
            promise = self.draw(st.sampled_from([" one_hot(1)", " simplex(1)", ""]))
            y = self.declare(axes, "target")
            self.declared[-1] += promise
            p = self.seen(self.define(f"softmax({t}, axis=1)", axes))
            return f"cross_entropy({y}, {p})" if promise else f"(-mean({y} * log({p})))"
        if kind == 1:
            y = self.declare(axes, "target")
            self.declared[-1] += " binary"
            return f"bce({y}, sigmoid({t}))"
        if kind == 2 and axes[1] != "n":
            y = self.declare(axes[:1], "target")
            self.declared[-1] += f" labels({axes[1]})"
            del self.pool[y]  # an integer is nobody's operand
            return f"cross_entropy({y}, softmax({t}, axis=1))"
        if kind == 3:
            return f"mse({self.declare(axes, 'target')}, {t})"
        inside = self.draw(st.sampled_from(forms)).format(t)
        return f"mean({inside})" if axes else f"({inside})"

    def text(self) -> str:
        head = ["dims a = 2, b = 3, c = 5", "batch n"]
        return "\n".join([*head, *self.declared, *self.lines]) + "\n"


STEPS = [
    *("matrix_product", "product_of_transposes", "transpose", "affine", "broadcast", "outer", "reduction"),
    *("whole_reduction", "products_along", "function", "function", "formula", "formula", "binary", "binary"),
    *("conditional", "softmax", "normalize", "slice_", "weighted_squares", "index_product", "diagonal", "row_maximum"),
    *("attention", "affine", "reduction"),
]


@dataclass
class Drawn:
    """A model text, and whether it is smooth."""

    text: str
    smooth: bool
    seed: int

    def __repr__(self) -> str:
        return f"seed {self.seed}:\n{self.text}"


@st.composite
def models(draw: st.DrawFn) -> Drawn:
    b = Builder(draw)
    b.declare(("n", "b"), "input")
    b.declare(("b", "c"), "param")
    b.declare(("c",), "param")
    for _ in range(draw(st.integers(2, 6))):
        b.step()
    goal = b.objective()
    return Drawn(b.text() + f"minimize {goal}\n", b.smooth, draw(st.integers(0, 99)))


def read(drawn: Drawn) -> derive.ParsedModel:
    note(drawn.text)
    return derive.parse(drawn.text)


def draw_values(program: Program, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out: dict[str, np.ndarray] = {}
    for t in program.declared:
        shape = tuple(SIZES[repr(a)] for a in t.axes)
        x = rng.uniform(-1.1, 1.2, shape)
        if t.property("one_hot") is not None:
            x = (x == x.max(1, keepdims=True)).astype(float)
        elif t.property("simplex") is not None:
            x = np.abs(x) / np.abs(x).sum(1, keepdims=True)
        elif t.property("binary") is not None:
            x = (x > 0).astype(float)
        elif (labels := t.property("labels")) is not None:
            x = rng.integers(0, SIZES[repr(labels.extent)], shape)
        out[t.name] = np.asarray(x)
    return out


def close(found: np.ndarray, wanted: np.ndarray, what: str, rtol: float = 1e-10) -> None:
    scale = max(1e-3, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=rtol * scale, err_msg=what)


def gradients(program: Program, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = evaluate(program, values)
    return {v.name: np.asarray(found[bar.name]) for v, bar in program.gradients}


def directional(program: Program, values: dict[str, np.ndarray], name: str, v: np.ndarray, h: complex) -> complex:
    assert program.objective is not None
    moved = {**values, name: values[name] + h * v}
    return complex(np.sum(evaluate(program, moved)[program.objective.name]))


@budget(40)
@given(models())
def test_random_programs_through_the_oracles(drawn: Drawn) -> None:
    model = read(drawn)
    program = model.program
    variables = [t.name for t in program.declared if t.kind in ("param", "input")]
    check(program, "read")
    derivation = model.gradient(*variables).derivation
    for stage, made in (("prepared", derivation.prepared), ("raw", derivation.raw), ("stable", derivation.stable)):
        check(made, stage)
    check(derivation.formulas, "simplified")
    values = draw_values(program, drawn.seed)
    objective = float(directional(program, values, variables[0], np.zeros(()), 0).real)
    assume(np.isfinite(objective) and abs(objective) < 1e6)

    raw = gradients(derivation.raw, values)
    rng = np.random.default_rng(drawn.seed)
    for name in variables:
        v = rng.uniform(0.5, 1.5, values[name].shape) * rng.choice([-1, 1], values[name].shape)
        want = directional(program, values, name, v, 1e-30j).imag / 1e-30
        scale = max(1e-3, float(np.sum(np.abs(raw[name] * v))))
        assert abs(float(np.sum(raw[name] * v)) - want) < 1e-10 * scale, f"raw, by {name}, against a complex step"
        if drawn.smooth:
            h = 1e-5
            ends = [directional(program, values, name, v, s * h).real for s in (1, -1)]
            assert abs((ends[0] - ends[1]) / (2 * h) - want) < 1e-5 * max(scale, abs(objective)), f"differences, {name}"

    simplified = gradients(derivation.formulas, values)
    stable = gradients(derivation.stable, values)
    for name in variables:
        close(simplified[name], raw[name], f"simplified, by {name}")
        close(stable[name], simplified[name], f"stable, by {name}")
    assert program.objective is not None
    again = evaluate(derivation.stable, values)[program.objective.name]
    close(np.asarray(again), np.asarray(objective), "the objective, stable")


def emitted(drawn: Drawn, target: str) -> None:
    model = read(drawn)
    program = model.program
    values = draw_values(program, drawn.seed)
    variables = [t.name for t in program.parameters]
    derivation = model.gradient(*variables).derivation
    want = gradients(derivation.formulas, values)
    assume(all(np.all(np.isfinite(w)) for w in want.values()))
    net = codegen.compile(model, target=target)
    params = {name: values[name] for name in variables}
    assert program.objective is not None
    used = {t.name for e in needed(program, [program.objective]) for t in reads(e.body)} - set(variables)
    loss, grads = net.loss_and_grad(params, **{name: values[name] for name in values if name in used})
    close(np.asarray(loss), evaluate(program, values)[program.objective.name], "the emitted loss")
    for name in variables:
        close(np.asarray(grads[name]), want[name], f"the emitted gradient by {name}")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory):
    """Modules of random programs are not kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADC_CACHE", str(tmp_path_factory.mktemp("modules")))
        yield


@budget(25)
@given(models())
def test_emitted_numpy_modules(drawn: Drawn) -> None:
    emitted(drawn, "numpy")


@settings(budget(2), max_examples=max(2, CAMPAIGN // 50))
@given(models())
def test_emitted_numba_modules(drawn: Drawn) -> None:
    emitted(drawn, "numba")


@budget(10)
@given(models())
def test_hessian_vector_products(drawn: Drawn) -> None:
    """Differentiating what differentiation gave: H·v against a complex step of the gradient."""
    model = read(drawn)
    name = next(t.name for t in model.program.parameters)
    product = model.hvp(name)
    assert product.direction is not None
    values = draw_values(model.program, drawn.seed)
    v = np.random.default_rng(drawn.seed).uniform(-1, 1, values[name].shape)
    first = model.gradient(name).derivation.raw
    moved = {**values, name: values[name] + 1e-30j * v}
    want = gradients(first, moved)[name].imag / 1e-30
    assume(np.all(np.isfinite(want)) and np.max(np.abs(want), initial=0.0) < 1e6)
    close(product.result({**values, product.direction: v}), want, f"H v, by {name}", 1e-9)
