"""Where data come from: a `.npz` file, a `.csv` file with a header, or a set that scikit-learn carries.

In: what the user named. Out: a `Source`: arrays by name, one sample an entry of the first axis, and which of
them are features or targets where the source knows. What a model wants is no business of this module.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derive.errors import GradcError

Array = NDArray[Any]
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")


@dataclass(frozen=True)
class Source:
    """Raw arrays by name. ``features`` and ``targets`` are columns without a name of their own in a model.

    ``sample_first`` says that every array has its samples along its first axis; a `.npz` may hold either layout.
    """

    name: str
    arrays: dict[str, Array] = field(default_factory=dict)
    features: Array | None = None
    targets: Array | None = None
    sample_first: bool = True


def read(name: str, wanted: Sequence[str], target_columns: Sequence[str] = ()) -> Source:
    """The data that ``name`` names; ``wanted`` are the model's names for its data.

    ``target_columns`` are the columns of a `.csv` that form the target.
    """
    if name in BUNDLED:
        return _bundled(name)
    path = Path(name)
    if not path.is_file():
        raise GradcError(f"no data in {name}: give a .npz file, a .csv file, or one of {', '.join(BUNDLED)}")
    readers = {".npz": _read_npz, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise GradcError(f"{name}: data are read from .npz and .csv files")
    return reader(path, wanted, target_columns)


def _bundled(name: str) -> Source:
    """A set that scikit-learn carries: pixels of the digits from 0 to 1, other features with mean 0 and deviation 1."""
    try:
        from sklearn import datasets  # optional, and slow to load
    except ImportError as e:
        raise GradcError(f"{name} comes with scikit-learn: pip install 'gradc[data]'") from e
    bundle = getattr(datasets, f"load_{name}")()
    features, targets = np.asarray(bundle.data, np.float64), np.asarray(bundle.target)
    features = features / 16 if name == "digits" else (features - features.mean(0)) / features.std(0)
    return Source(
        name, features=features, targets=targets.astype(np.int64 if targets.dtype.kind in "iu" else np.float64)
    )


def _read_npz(path: Path, wanted: Sequence[str], target_columns: Sequence[str]) -> Source:
    try:
        with np.load(path, allow_pickle=False) as bundle:
            arrays = {key: bundle[key] for key in bundle.files}
    except (ValueError, OSError, zipfile.BadZipFile) as e:
        raise GradcError(f"{path}: not a readable .npz file of plain arrays ({e})") from e
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise GradcError(f"{path}: {key} holds {array.dtype}, not numbers")
    return Source(str(path), arrays, sample_first=False)


def _read_csv(path: Path, wanted: Sequence[str], target_columns: Sequence[str]) -> Source:
    header, rows = _cells(path)
    for column in target_columns:
        if column not in header:
            raise GradcError(f"{path}: no column {column}; the columns are {', '.join(header)}")
    columns = {
        name: _column(path, name, [row[k] for row in rows], name in target_columns or name in wanted)
        for k, name in enumerate(header)
    }
    named = {name: columns[name] for name in header if name in wanted and name not in target_columns}
    rest = [columns[name] for name in header if name not in named and name not in target_columns]
    chosen = [columns[name] for name in target_columns]
    return Source(
        str(path),
        named,
        features=np.stack(rest, axis=1) if rest else None,
        targets=chosen[0] if len(chosen) == 1 else np.stack(chosen, axis=1) if chosen else None,
    )


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(c.strip() for c in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise GradcError(f"{path}: not a readable .csv file ({e})") from e
    if len(lines) < 2:
        raise GradcError(f"{path}: a header line and at least one line of numbers are needed")
    header = [cell.strip() for cell in lines[0][1]]
    if len(set(header)) < len(header):
        raise GradcError(f"{path}: two columns have the same name")
    if all(_number(cell) is not None for cell in header):
        raise GradcError(f"{path}: the first line must name the columns; it holds numbers")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise GradcError(f"{path}: line {number} has {len(row)} cells, the header {len(header)}")
    return header, [[cell.strip() for cell in row] for _, row in lines[1:]]


def _column(path: Path, name: str, cells: list[str], classes: bool) -> Array:
    """A column as numbers; where ``classes`` allows it, words become their place in sorted order."""
    values = [_number(cell) for cell in cells]
    if None not in values:
        return np.array(values, dtype=np.float64)
    bad = values.index(None)
    if not classes:
        raise GradcError(f"{path}: column {name}, sample {bad + 1}: {cells[bad]!r} is not a number")
    if "" in cells:
        raise GradcError(f"{path}: column {name}, sample {cells.index('') + 1} is empty")
    order = {word: k for k, word in enumerate(sorted(set(cells)))}
    return np.array([order[cell] for cell in cells], dtype=np.int64)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
