"""A file that is written is there whole, or what was there before stays."""

from __future__ import annotations

import os
import stat

import pytest

from codegen.files import write_text, write_with
from derive.errors import GradcError


def test_text_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "one ⊙\n")
    write_text(path, "two\n")
    assert path.read_bytes() == b"two\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fill(file):
        file.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_with(path, fill)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_new_file_has_the_usual_rights(tmp_path):
    write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").write_text("x")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert rights[0] == rights[1]


def test_a_missing_folder_is_a_message(tmp_path):
    with pytest.raises(GradcError, match="cannot write"):
        write_text(tmp_path / "absent" / "a.txt", "x")
