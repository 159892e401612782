"""The pieces of a connection that can be judged without a broker."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_client.connection.backoff import full_jitter_s
from device_client.topics import matches


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", False),  # AWS IoT's deviation from the standard
        ("#", "a", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_filters_match_as_aws_iot_matches_them(topic_filter, topic, expected):
    assert matches(topic_filter, topic) is expected


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_back_off_stays_between_nothing_and_its_cap(attempt, seed):
    waited_s = full_jitter_s(attempt, random.Random(seed), base_s=0.5, cap_s=60.0)
    assert 0.0 <= waited_s <= min(60.0, 0.5 * 2.0 ** min(attempt, 32))
