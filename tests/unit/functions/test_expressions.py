"""Schedule expressions, against AWS's own examples and the calendar."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.functions.schedules.expressions import ExpressionError, parse

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)  # a Monday


def following(text: str, count: int = 3, *, now: datetime = NOW, zone: str = "UTC") -> list[str]:
    """Return the next due times, as clocks of the zone show them."""
    expression = parse(text, now=now, zone=zone)
    due: datetime | None = now
    shown: list[str] = []
    while due and len(shown) < count and (due := expression.next_after(due)):
        shown.append(due.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M"))
    return shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of "EventBridge: cron expressions".
        ("cron(0 10 * * ? *)", ["2026-11-24 10:00", "2026-11-25 10:00", "2026-11-26 10:00"]),
        ("cron(15 12 * * ? *)", ["2026-11-23 12:15", "2026-11-24 12:15", "2026-11-25 12:15"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-11-23 18:00", "2026-11-24 18:00", "2026-11-25 18:00"]),
        ("cron(0 8 1 * ? *)", ["2026-12-01 08:00", "2027-01-01 08:00", "2027-02-01 08:00"]),
        ("cron(0/15 * * * ? *)", ["2026-11-23 12:15", "2026-11-23 12:30", "2026-11-23 12:45"]),
        ("cron(0/10 * ? * MON-FRI *)", ["2026-11-23 12:10", "2026-11-23 12:20", "2026-11-23 12:30"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2026-11-23 12:05", "2026-11-23 12:10", "2026-11-23 12:15"]),
        ("cron(0/30 20-2 ? * MON-FRI *)", ["2026-11-23 20:00", "2026-11-23 20:30", "2026-11-23 21:00"]),
        # The wildcards.
        ("cron(0 9 L * ? *)", ["2026-11-30 09:00", "2026-12-31 09:00", "2027-01-31 09:00"]),
        ("cron(0 9 LW * ? *)", ["2026-11-30 09:00", "2026-12-31 09:00", "2027-01-29 09:00"]),
        ("cron(0 9 1W * ? *)", ["2026-12-01 09:00", "2027-01-01 09:00", "2027-02-01 09:00"]),
        ("cron(0 9 15W * ? *)", ["2026-12-15 09:00", "2027-01-15 09:00", "2027-02-15 09:00"]),
        ("cron(0 9 ? * 3#2 *)", ["2026-12-08 09:00", "2027-01-12 09:00", "2027-02-09 09:00"]),
        ("cron(0 9 ? * 6L *)", ["2026-11-27 09:00", "2026-12-25 09:00", "2027-01-29 09:00"]),
        ("cron(0 9 ? * L *)", ["2026-11-28 09:00", "2026-12-05 09:00", "2026-12-12 09:00"]),
        ("cron(0 9 ? * FRI-SUN *)", ["2026-11-27 09:00", "2026-11-28 09:00", "2026-11-29 09:00"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("cron(0 0 1 JAN,JUL ? 2027)", ["2027-01-01 00:00", "2027-07-01 00:00"]),
        ("rate(5 minutes)", ["2026-11-23 12:05", "2026-11-23 12:10", "2026-11-23 12:15"]),
        ("rate(1 day)", ["2026-11-24 12:00", "2026-11-25 12:00", "2026-11-26 12:00"]),
        ("at(2026-11-24T08:30:00)", ["2026-11-24 08:30"]),
        ("at(2026-11-22T08:30:00)", []),
    ],
)
def test_what_falls_due_next(text, expected):
    assert following(text) == expected


def test_a_time_that_daylight_saving_skips_is_skipped():
    before = datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert following("cron(30 2 * * ? *)", 3, now=before, zone="America/New_York") == [
        "2026-03-09 02:30",
        "2026-03-10 02:30",
        "2026-03-11 02:30",
    ]


def test_a_time_that_comes_twice_happens_once():
    before = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert following("cron(30 1 * * ? *)", 3, now=before, zone="America/New_York") == [
        "2026-11-01 01:30",
        "2026-11-02 01:30",
        "2026-11-03 01:30",
    ]


def test_a_rate_counts_elapsed_time_over_a_change_of_clocks():
    before = datetime(2026, 3, 7, 17, tzinfo=UTC)
    assert following("rate(1 day)", 2, now=before, zone="America/New_York") == ["2026-03-08 13:00", "2026-03-09 13:00"]


def test_a_single_time_is_the_zones_own():
    assert parse("at(2026-12-24T18:00:00)", now=NOW, zone="Europe/Berlin").next_after(NOW) == datetime(
        2026, 12, 24, 17, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(1 week)", "rate(1.5 hours)", "cron(* * * * *)",
        "cron(0 10 * * * *)", "cron(0 10 ? * ? *)", "cron(60 10 * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 32 * ? *)",
        "cron(0 0 ? * 8 *)", "cron(0 0 ? * FOO *)", "cron(0/0 0 * * ? *)", "at(2026-13-01T00:00:00)", "at(2026-11-24)",
        "every day", "",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ExpressionError):
        parse(text, now=NOW)


def test_scheduler_takes_a_rate_of_one_in_the_plural_which_rules_refuse():
    assert parse("rate(1 hours)", now=NOW, any_unit=True) == parse("rate(1 hour)", now=NOW)


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(ExpressionError):
        parse("rate(1 day)", now=NOW, zone="Mars/Olympus")


@given(
    at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_time_is_later_fits_and_none_between_does(at, minute, hour, zone):
    at = at.replace(tzinfo=UTC)
    expression = parse(f"cron({minute} {hour} * * ? *)", now=at, zone=zone)
    due = expression.next_after(at)
    assert due
    shown = due.astimezone(ZoneInfo(zone))
    assert due > at
    assert (shown.hour, shown.minute) == (hour, minute)
    # Daily: the one before it was not later than where we began.
    assert due - at <= timedelta(days=2, hours=1)
    assert expression.next_after(due - timedelta(seconds=1)) == due
