"""JSON at the door: what could not be told again is refused."""

import json

import pytest

from backend.errors import InvalidInputError
from backend.schemas.base import load_json


@pytest.mark.parametrize(
    "text",
    [
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        r'"\ud800"',
        r'"\ud83d-"',
        r'{"\udc00": 1}',
        '{"a": 1, "a": 2}',
        "[" * 100_000,
    ],
)
def test_what_python_would_read_and_nobody_else_is_refused(text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(InvalidInputError, match="body"):
            load_json(form)


@pytest.mark.parametrize(
    "text", ['"\\u00e4\\ud83c\\udf73"', "1e308", "12345678901234567890", '"\\\\ud800"', '{"é": [null]}']
)
def test_what_is_json_is_read_as_it_is(text: str) -> None:
    assert load_json(text.encode()) == load_json(text) == load_json(b"\xef\xbb\xbf" + text.encode()) == json.loads(text)


def test_a_body_is_utf_8() -> None:
    with pytest.raises(InvalidInputError, match="utf-8"):
        load_json('{"a": 1}'.encode("utf-16"))
