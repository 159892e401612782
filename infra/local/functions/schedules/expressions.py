"""Schedule expressions: ``rate(…)``, ``cron(…)``, ``at(…)``, and when they fall next. Pure.

("EventBridge: cron and rate expressions", "EventBridge Scheduler: schedule types"). In a time zone with daylight
saving, a time that does not exist is skipped and one that exists twice happens once, the first time; a rate counts
elapsed time.
"""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RATE = re.compile(r"rate\((?P<value>[1-9]\d*) (?P<unit>minutes?|hours?|days?)\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_CRON = re.compile(r"cron\((.+)\)")
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
MAX_LOOK_AHEAD_DAYS = 366 * 9
"""Beyond the longest gap there is: a 29 February over a century's turn is eight years away."""


class ExpressionError(ValueError):
    """The expression is none: correct it."""


class Expression(Protocol):
    """When something is due."""

    def next_after(self, at: datetime) -> datetime | None:
        """Return the first due time later than ``at``, in UTC; None when there is none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Every so often, counted from ``start``."""

    every: timedelta
    start: datetime

    def next_after(self, at: datetime) -> datetime | None:
        """Return ``start`` or a whole number of periods later."""
        if at < self.start:
            return self.start
        return self.start + self.every * ((at - self.start) // self.every + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Once."""

    when: datetime

    def next_after(self, at: datetime) -> datetime | None:
        """Return the one time, while it is to come."""
        return self.when if at < self.when else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """At minutes of days that fit."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    fits: Callable[[date], bool]
    zone: ZoneInfo

    def next_after(self, at: datetime) -> datetime | None:
        """Return the next minute that fits, as a clock on the wall of the zone shows it."""
        day = at.astimezone(self.zone).date()
        for _ in range(MAX_LOOK_AHEAD_DAYS):
            if self.fits(day):
                for due in self._of_day(day):
                    if due > at:
                        return due
            if day.year > _LAST_YEAR:
                return None
            day += timedelta(days=1)
        return None

    def _of_day(self, day: date) -> list[datetime]:
        """Return the due times of a day: those its clocks show, each once, in the order they come."""
        due = []
        for hour in self.hours:
            for minute in self.minutes:
                wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                instant = wall.astimezone(UTC)
                if instant.astimezone(self.zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                    due.append(instant)
        return sorted(due)


def parse(
    text: str, *, now: datetime, zone: str = "UTC", start: datetime | None = None, any_unit: bool = False
) -> Expression:
    """Return what an expression says.

    ``start``: from when a rate counts; by default one period before it is first due after ``now``.
    ``any_unit``: whether ``rate(1 hours)`` will do, which rules refuse and Scheduler takes.

    Raises:
        ExpressionError: it is none, or its time zone is unknown.
    """
    try:
        in_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ExpressionError(f"{zone} is not a time zone") from error
    if match := _RATE.fullmatch(text):
        return _rate(match, now, start, any_unit=any_unit)
    if match := _AT.fullmatch(text):
        try:
            return At(when=datetime.fromisoformat(match[1]).replace(tzinfo=in_zone).astimezone(UTC))
        except ValueError as error:
            raise ExpressionError(f"{text} is not a time") from error
    if match := _CRON.fullmatch(text):
        return _cron(match[1], in_zone)
    raise ExpressionError(f"{text} is not a rate, cron or at expression")


def _rate(match: re.Match[str], now: datetime, start: datetime | None, *, any_unit: bool) -> Rate:
    value, unit = int(match["value"]), match["unit"]
    if not any_unit and (value == 1) == unit.endswith("s"):
        raise ExpressionError(f"a rate of {value} is written with {'a singular' if value == 1 else 'a plural'} unit")
    every = timedelta(**{unit.rstrip("s") + "s": value})
    return Rate(every=every, start=start or now + every)


def _cron(text: str, zone: ZoneInfo) -> Cron:
    fields = text.upper().split()
    if len(fields) != 6:
        raise ExpressionError("a cron expression has six fields: minutes hours day-of-month month day-of-week year")
    minutes, hours, of_month, month, of_week, year = fields
    if (of_month == "?") == (of_week == "?"):
        raise ExpressionError("one of day-of-month and day-of-week must be ?")
    months, years = _set(month, 1, 12, _MONTHS), _set(year, _FIRST_YEAR, _LAST_YEAR, {})
    fits_day = _day_of_month(of_month) if of_week == "?" else _day_of_week(of_week)
    return Cron(
        minutes=tuple(sorted(_set(minutes, 0, 59, {}))),
        hours=tuple(sorted(_set(hours, 0, 23, {}))),
        fits=lambda day: day.month in months and day.year in years and fits_day(day),
        zone=zone,
    )


def _day_of_month(text: str) -> Callable[[date], bool]:
    if text == "L":
        return lambda day: day.day == _last_day(day)
    if text == "LW":
        return lambda day: day.day == _weekday_nearest(day, _last_day(day))
    if text.endswith("W"):
        (wanted,) = _set(text[:-1], 1, 31, {})
        return lambda day: day.day == _weekday_nearest(day, wanted)
    days = _set(text, 1, 31, {})
    return lambda day: day.day in days


def _day_of_week(text: str) -> Callable[[date], bool]:
    if "#" in text:
        name, _, which = text.partition("#")
        (wanted,), (nth,) = _set(name, 1, 7, _DAYS), _set(which, 1, 5, {})
        return lambda day: _number(day) == wanted and (day.day - 1) // 7 + 1 == nth
    if text == "L":
        return lambda day: _number(day) == 7
    if text.endswith("L"):
        (wanted,) = _set(text[:-1], 1, 7, _DAYS)
        return lambda day: _number(day) == wanted and day.day > _last_day(day) - 7
    days = _set(text, 1, 7, _DAYS)
    return lambda day: _number(day) in days


def _number(day: date) -> int:
    """Return the day of the week as cron counts: Sunday is 1."""
    return day.isoweekday() % 7 + 1


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _weekday_nearest(day: date, wanted: int) -> int:
    """Return the weekday of the month nearest to its ``wanted`` day, never leaving the month."""
    last = _last_day(day)
    wanted = min(wanted, last)
    weekday = date(day.year, day.month, wanted).isoweekday()
    if weekday == 6:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 7:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _set(text: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    """Return the values of a field: ``*``, values, ranges, steps, lists of these."""
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, last = least, most
        else:
            first = _value(low, names)
            last = _value(high, names) if dash else (most if step else first)
        every = _value(step, {}) if step else 1
        if not least <= first <= most or not least <= last <= most or every < 1:
            raise ExpressionError(f"{part} is not between {least} and {most}")
        # A range may run over the end: FRI-MON.
        values.update(
            range(first, last + 1, every) if first <= last else [*range(first, most + 1), *range(least, last + 1)]
        )
    return frozenset(values)


def _value(text: str, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not text.isdigit():
        raise ExpressionError(f"{text!r} is not a number")
    return int(text)
