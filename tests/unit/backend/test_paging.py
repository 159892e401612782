"""Cursors: what is none of ours is refused, whatever it is; the mobile contract hands over any text for one."""

import base64

import pytest

from backend.domain.paging import dump_cursor, load_cursor
from backend.errors import InvalidInputError


def test_a_cursor_goes_on_where_it_was_made_and_for_nobody_else() -> None:
    cursor = dump_cursor(["a", 1], bound_to=["ann", "list"])
    assert load_cursor(cursor, bound_to=["ann", "list"]) == ["a", 1]
    with pytest.raises(InvalidInputError):
        load_cursor(cursor, bound_to=["bob", "list"])


@pytest.mark.parametrize(
    "text", ["", "x", "[" * 100_000, '["x",' + "[" * 100_000, "null", "[]", '["a"]', '{"a":1,"b":2}']
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    for cursor in (text, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")):
        with pytest.raises(InvalidInputError):
            load_cursor(cursor, bound_to=["ann", "list"])
