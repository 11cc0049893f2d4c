"""Random well-shaped models, drawn as text: the fixture ``random_models`` is a Hypothesis strategy for them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import assume
from hypothesis import strategies as st

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


@pytest.fixture(scope="session")
def random_models() -> st.SearchStrategy[Drawn]:
    return models()
