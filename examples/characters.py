"""Trains a character-level language model on the manual that Python carries, and compares it with bigrams.

In: `pydoc_data.topics`, the text behind `help()` of the running Python, and a model: `char_transformer.gc` or
`char_gru.gc`. Out: the perplexity of a held-out part of the text (e to the mean of −log p of each next character),
beside that of a bigram model with Kneser–Ney smoothing, and some text that the model writes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray

import codegen
import derive
from codegen.data import Data, arrange
from codegen.sources import Source

FOLDER = Path(__file__).resolve().parent
Codes = NDArray[np.int64]


def encoded(size: int) -> tuple[Codes, str]:
    """The text as numbers, and the characters that they stand for; rare characters share the last number."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    common = "".join(c for c, _ in Counter(text).most_common(size - 1))
    number = {c: k for k, c in enumerate(common)}
    return np.array([number.get(c, size - 1) for c in text], dtype=np.int64), common + "\N{REPLACEMENT CHARACTER}"


def bigrams(text: Codes, size: int, discount: float = 0.75) -> NDArray[np.float64]:
    """The probability of each character behind each other one, with Kneser–Ney smoothing.

    A pair's count less the discount; what that leaves goes to characters by how many others they follow.
    """
    pairs = np.zeros((size, size))
    np.add.at(pairs, (text[:-1], text[1:]), 1)
    follows = (np.count_nonzero(pairs, axis=0) + 1) / (np.count_nonzero(pairs) + size)
    total = np.maximum(pairs.sum(1, keepdims=True), 1)
    left = np.where(pairs.any(1, keepdims=True), discount * np.count_nonzero(pairs, axis=1)[:, None] / total, 1)
    return np.asarray(np.maximum(pairs - discount, 0) / total + left * follows)


def bigram_perplexity(text: Codes, held: Codes, size: int) -> float:
    """The perplexity of ``held`` under the bigrams of ``text``."""
    return float(np.exp(-np.mean(np.log(bigrams(text, size)[held[:-1], held[1:]]))))


def windows(model: derive.Differentiable, text: Codes, length: int) -> Data:
    """The text cut into windows, one after another, and beside each the characters that come next."""
    count = (len(text) - 1) // length
    now, following = (text[k : k + count * length].reshape(count, length) for k in (0, 1))
    data = arrange(Source("topics", {"t": now, "y": following}), model.program)
    return data.take(np.arange(data.count))


def perplexity(net: Any, params: dict[str, Any], data: Data, at_once: int = 64) -> float:
    """The perplexity: e to the mean loss, taken over a few windows at a time."""
    total = 0.0
    for first in range(0, data.count, at_once):
        part = data.take(np.arange(first, min(first + at_once, data.count)))
        total += part.count * net.loss(params, **part.arrays)
    return math.exp(total / data.count)


def written(model: derive.Differentiable, net: Any, params: dict[str, Any], start: Codes, count: int) -> Codes:
    """Characters that the model draws one by one behind a window of text, from what it finds probable."""
    rng, out = np.random.default_rng(0), list(start)
    for _ in range(count):
        seen = windows(model, np.array([*out[-len(start) :], 0]), len(start)).arrays["t"]
        (found,) = net.forward(params, t=seen).values()
        p = np.asarray(found, dtype=np.float64).reshape(len(start), -1)[-1]
        out.append(int(rng.choice(len(p), p=p / p.sum())))
    return np.array(out[len(start) :])


def main() -> None:
    """Train, and fail where the perplexity is not below ``--at-most`` times that of bigrams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["char_transformer", "char_gru"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-most", type=float, default=0.7, help="the part of the bigrams' perplexity that is wanted")
    parser.add_argument("--write", type=int, default=200, help="how many characters it writes at the end")
    options = parser.parse_args()
    model = derive.load(FOLDER / f"{options.model}.gc")
    extents = {d.name: d.default or 0 for d in model.program.dims}
    size, length = extents["c"], extents["s"]
    text, characters = encoded(size)
    cut = len(text) * 9 // 10
    baseline = bigram_perplexity(text[:cut], text[cut:], size)
    print(f"{len(text):,} characters, {len(text) - cut:,} of them held out; bigrams: perplexity {baseline:.2f}")

    net = codegen.compile(model, dtype="float32")
    data, held = windows(model, text[:cut], length), windows(model, text[cut:], length)
    params, start = net.init_params(options.seed), time.perf_counter()

    def tell(number: int, loss: float) -> None:
        found = perplexity(net, params, held)
        seconds = time.perf_counter() - start
        print(f"epoch {number}: training {math.exp(loss):.2f}, held out {found:.2f}, {seconds:.0f} s", flush=True)

    net.fit(params, data.arrays, epochs=options.epochs, batch_size=options.batch, seed=options.seed, on_epoch=tell)
    found = perplexity(net, params, held)
    print(f"held out: perplexity {found:.2f}, {found / baseline:.0%} of that of bigrams")
    if options.write:
        codes = written(model, net, params, text[cut : cut + length], options.write)
        print("".join(characters[k] for k in codes))
    if found > options.at_most * baseline:
        raise SystemExit(f"above {options.at_most:.0%} of the perplexity of bigrams")


if __name__ == "__main__":
    main()
