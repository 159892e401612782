"""AWS's own examples, and rows of its type tables turned into examples.

``documented.jsonl`` restates facts of the AWS IoT Core developer guide, a case a line: the page, whether AWS prints the
result (``documented``) or a row of a table gives it (``derived``), the case with the keys of ``scripts/cloud sql
--jsonl``, and the answer. Where the guide contradicts itself there is no case.
"""

import json
import re
from pathlib import Path

import pytest

from infra.local.iot.rules.cli import answer_lines

CASES = [json.loads(line) for line in Path(__file__).with_name("documented.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['page']}: {next(iter(case['case'].values()))[:60]}")
def test_the_tool_answers_as_the_guide_says(case):
    (line,) = answer_lines([json.dumps(case["case"])])
    answer, expected = json.loads(line), case["answer"]

    if "error" in expected:
        assert expected["error"] in answer["error"]
    elif "like" in expected:
        assert re.fullmatch(expected["like"], answer["result"])
    else:
        assert answer == expected
        assert type(answer.get("result")) is type(expected.get("result")) or not isinstance(answer["result"], bool)


def test_none_of_the_guides_examples_was_left_out():
    assert len(CASES) == 161
    assert {case["basis"] for case in CASES} == {"documented", "derived", "interaction"}
