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


LISTED = {0: 8, 1: 7, 2: 17, 3: 11, 4: 40}  # how many slips each set of notes has


def test_every_slip_of_the_notes_is_verified_or_said_to_be_no_formula():
    verified = {number.rstrip("ab") for number in ALL}
    left_out = {other.number for other in slips.no_formulas()}
    assert verified | left_out == {f"{k}.{m}" for k, count in LISTED.items() for m in range(1, count + 1)}
    assert not verified & left_out
    assert all(other.title and other.why for other in slips.no_formulas())


def test_no_slip_is_left_without_an_explanation(found):
    assert [n for n, (_, wrong, _) in found.items() if wrong.kind in ("differs", "shape")] == []


@pytest.mark.parametrize("number", ALL)
def test_the_wrong_line_is_refuted_and_located_and_the_right_one_proved(found, number):
    slip, wrong, right = found[number]
    assert (wrong.status, wrong.kind) == (REFUTED, slip.kind), str(wrong)
    assert right.status == PROVED, str(right)
    assert wrong.witness is not None or "[" in wrong.reason  # numbers, or shapes that show why there are none


def test_the_page_is_what_the_tool_says_today(found):
    assert slips.PAGE.read_text(encoding="utf-8") == slips.page(list(found.values()), slips.no_formulas())


def test_a_file_that_leaves_something_out_is_refused(tmp_path):
    path = tmp_path / "x.gc"
    path.write_text("# slip 9.9: no claims\nparam x\nminimize x^2\n")
    with pytest.raises(GradcError, match=r"x\.gc"):
        slips.read_slip(path)
