"""AWS's published example policies, and the decision each case must get."""

import json
from pathlib import Path

import pytest

from infra.local.iot.policy.cli import judge

CASES = [
    pytest.param({**case, "statements": policy["statements"]}, id=f"{policy['id']}-{index}")
    for policy in json.loads((Path(__file__).parent / "policies.json").read_text())["policies"]
    for index, case in enumerate(policy["cases"])
]


@pytest.mark.parametrize("case", CASES)
def test_the_published_policy_decides_as_documented(case):
    assert ("allow" if judge(case).allowed else "deny") == case["expected"]
