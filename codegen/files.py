"""Files that are either whole or not there: what is written appears under its name in one step.

In: a path and what it shall hold. Out: the file. A failure on the way leaves what stood there before.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from derive.errors import GradcError


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8, at once or not at all."""
    write_with(path, lambda file: file.write(text.encode("utf-8")))


def write_with(path: str | Path, fill: Callable[[BinaryIO], object]) -> None:
    """Let ``fill`` write into a file beside ``path``, then move it there.

    Raises GradcError where the place cannot be written.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as e:
        raise GradcError(f"cannot write {path}: {e.strerror}") from e
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            _usual_mode(file.fileno())
        os.replace(name, target)
    except OSError as e:
        raise GradcError(f"cannot write {path}: {e.strerror}") from e
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _usual_mode(descriptor: int) -> None:
    """The rights that an ordinary new file would have; a temporary one is the owner's alone."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(descriptor, 0o666 & ~mask)
