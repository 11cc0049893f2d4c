"""Slips of lecture notes: each wrong line is refuted for its reason, each right one is proved, the page is true."""

from __future__ import annotations

import pytest

from codegen import slips
from derive.claims import PROVED, REFUTED
from derive.errors import GradcError

ALL = {slip.number: slip for slip in slips.slips()}


@pytest.fixture(scope="module")
def found():
    return {slip.number: (slip, wrong, right) for slip, wrong, right in slips.answered(list(ALL.values()))}


def test_there_are_about_as_many_as_the_notes_have():
    assert len(ALL) >= 60
    assert {number.split(".")[0] for number in ALL} == {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize("number", ALL)
def test_the_wrong_line_is_refuted_and_located_and_the_right_one_proved(found, number):
    slip, wrong, right = found[number]
    assert (wrong.status, wrong.kind) == (REFUTED, slip.kind), str(wrong)
    assert right.status == PROVED, str(right)
    assert wrong.witness is not None or "[" in wrong.reason  # numbers, or shapes that show why there are none


def test_the_page_is_what_the_tool_says_today(found):
    assert slips.PAGE.read_text(encoding="utf-8") == slips.page(list(found.values()))


def test_a_file_that_leaves_something_out_is_refused(tmp_path):
    path = tmp_path / "x.gc"
    path.write_text("# slip 9.9: no claims\nparam x\nminimize x^2\n")
    with pytest.raises(GradcError, match=r"x\.gc"):
        slips.read_slip(path)
