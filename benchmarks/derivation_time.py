"""How long deriving and emitting take as models grow: dense layers from 1 to 200, and the blocks of a transformer.

In: depths. Out: a line a depth with the seconds of reading and deriving and of emitting (medians), the number of
derived equations, the milliseconds of each, and the emitted lines. The seconds are the processor's own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import derive
from codegen.compiler import build
from derive.pipeline import Derivation
from derive.program import Program

T = TypeVar("T")

DENSE = """  param W{l} : [h, h] ~ he_normal()
  param b{l} : [h]
  A{l} = tanh(A{l-1} @ W{l} + b{l})
"""
BLOCK = """  param Wq{l} : [d, h, e] ~ glorot_uniform()
  param Wk{l} : [d, h, e] ~ glorot_uniform()
  param Wv{l} : [d, h, e] ~ glorot_uniform()
  param Wo{l} : [h, e, d] ~ glorot_uniform()
  param g{l} : [d] ~ ones()
  param r{l} : [d] ~ ones()
  param U{l} : [d, f] ~ he_normal()
  param b{l} : [f]
  param D{l} : [f, d] ~ glorot_uniform()
  N{l}[x, i, k] = g{l}[k] * A{l-1}[x, i, k] / sqrt((mean[m] A{l-1}[x, i, m]^2) + 1e-5)
  Q{l}[x, i, a, b] = sum[k] N{l}[x, i, k] * Wq{l}[k, a, b]
  K{l}[x, i, a, b] = sum[k] N{l}[x, i, k] * Wk{l}[k, a, b]
  V{l}[x, i, a, b] = sum[k] N{l}[x, i, k] * Wv{l}[k, a, b]
  S{l}[x, a, i, j] = (sum[b] Q{l}[x, i, a, b] * K{l}[x, j, a, b]) / sqrt(e) if j <= i else -1e4
  P{l} = softmax(S{l}, axis=3)
  C{l}[x, i, a, b] = sum[j] P{l}[x, a, i, j] * V{l}[x, j, a, b]
  Y{l}[x, i, k] = A{l-1}[x, i, k] + sum[a, b] C{l}[x, i, a, b] * Wo{l}[a, b, k]
  M{l}[x, i, k] = r{l}[k] * Y{l}[x, i, k] / sqrt((mean[m] Y{l}[x, i, m]^2) + 1e-5)
  F{l}[x, i, k] = gelu(b{l}[k] + sum[m] M{l}[x, i, m] * U{l}[m, k])
  A{l}[x, i, k] = Y{l}[x, i, k] + sum[m] F{l}[x, i, m] * D{l}[m, k]
"""
HEADS = {
    "dense": ("dims h = 16{L}\nbatch n\ninput X : [n, h]\ntarget T : [n, h]\nA{{0}} = X\n", DENSE),
    "transformer": (
        "dims s = 8, d = 12, h = 3, e = 4, f = 20{L}\nbatch n\ninput X : [n, s, d]\ntarget T : [n, s, d]\nA{{0}} = X\n",
        BLOCK,
    ),
}


def text_of(kind: str, depth: int, repeated: bool) -> str:
    """A model of so many layers: one repeated, or each written out."""
    head, body = HEADS[kind]
    if repeated:
        start = head.format(L=f", L = {depth}")
        return f"{start}repeat l = 1..L\n{body}end\nminimize mse(T, A{{L}})\n"
    layers = "".join(body.replace("{l-1}", f"_{k - 1}").replace("{l}", f"_{k}") for k in range(1, depth + 1))
    return head.format(L="").replace("A{0}", "A_0") + layers.replace("  ", "") + f"minimize mse(T, A_{depth})\n"


def seconds(work: Callable[[], T]) -> tuple[float, T]:
    """The processor time of a piece of work, and what it gave."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def measured(text: str) -> tuple[float, float, int, int]:
    """Seconds of deriving and of emitting, the number of derived equations, and of emitted lines.

    As a build has it: layers that are alike are one loop, and derived as one layer.
    """

    def derived() -> tuple[Program, Derivation | None]:
        net, _ = derive.parse(text, "model").sized({})
        stack = None if net.repeated is None else net.repeated.stacked
        return (net.program, net.gradient().derivation) if stack is None else (stack, None)

    deriving, (program, derivation) = seconds(derived)
    emitting, source = seconds(lambda: build(program, derivation=derivation))
    equations = program.equations if derivation is None else derivation.formulas.equations
    return deriving, emitting, len(equations), source.count("\n")


def main() -> None:
    """Print the curve; fail where a transformer of 12 blocks takes longer than it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", type=int, nargs="*", default=[1, 2, 5, 10, 20, 50, 100, 200])
    parser.add_argument("--blocks", type=int, nargs="*", default=[1, 3, 6, 12])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    measured(text_of("dense", 2, repeated=False))  # what is set up once
    slow = []
    for kind, depths in (("dense", options.dense), ("transformer", options.blocks)):
        for repeated in (False, True):
            print(f"\n{kind}, {'one layer repeated' if repeated else 'written out'}")
            print(f"{'layers':>6} {'derive':>9} {'emit':>9} {'equations':>9} {'ms each':>9} {'lines':>7}")
            for depth in depths:
                rounds = [measured(text_of(kind, depth, repeated)) for _ in range(options.rounds)]
                deriving, emitting = (statistics.median(r[k] for r in rounds) for k in (0, 1))
                equations, lines = rounds[0][2:]
                each = 1000 * (deriving + emitting) / equations
                print(f"{depth:6} {deriving:8.2f}s {emitting:8.2f}s {equations:9} {each:9.1f} {lines:7}", flush=True)
                limit = 10 if repeated else 60
                if kind == "transformer" and depth == 12 and deriving + emitting > limit:
                    slow.append(f"{limit} s with{'' if repeated else 'out'} repeat")
    if slow:
        raise SystemExit(f"a transformer of 12 blocks takes more than {' and '.join(slow)}")


if __name__ == "__main__":
    main()
