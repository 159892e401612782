"""Date and time patterns of ``parse_time`` (Joda-Time) and ``time_to_epoch`` (JDK 11); what does not fit is Undefined.

Followed: Joda-Time's "DateTimeFormat" and "DateTimeFormatterBuilder", JDK 11's "DateTimeFormatter". Texts are English.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import regex  # type: ignore[import-untyped]  # ships no types

from infra.local.iot.rules.patterns import TIMEOUT_S
from infra.local.iot.rules.values import UNDEFINED, Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LONG_ZONES: Mapping[tuple[str, float], str] = {
    ("UTC", 0): "Coordinated Universal Time", ("GMT", 0): "Greenwich Mean Time", ("BST", 1): "British Summer Time",
    ("WET", 0): "Western European Time", ("WEST", 1): "Western European Summer Time",
    ("CET", 1): "Central European Time", ("CEST", 2): "Central European Summer Time",
    ("EET", 2): "Eastern European Time", ("EEST", 3): "Eastern European Summer Time",
    ("MSK", 3): "Moscow Standard Time", ("IST", 1): "Irish Standard Time", ("IST", 2): "Israel Standard Time",
    ("IDT", 3): "Israel Daylight Time", ("IST", 5.5): "India Standard Time", ("CST", 8): "China Standard Time",
    ("HKT", 8): "Hong Kong Time", ("JST", 9): "Japan Standard Time", ("KST", 9): "Korea Standard Time",
    ("HST", -10): "Hawaii Standard Time", ("AKST", -9): "Alaska Standard Time", ("AKDT", -8): "Alaska Daylight Time",
    ("PST", -8): "Pacific Standard Time", ("PDT", -7): "Pacific Daylight Time", ("MST", -7): "Mountain Standard Time",
    ("MDT", -6): "Mountain Daylight Time", ("CST", -6): "Central Standard Time", ("CDT", -5): "Central Daylight Time",
    ("EST", -5): "Eastern Standard Time", ("EDT", -4): "Eastern Daylight Time", ("AST", -4): "Atlantic Standard Time",
    ("ADT", -3): "Atlantic Daylight Time",
}  # fmt: skip
"""Names that ``zzzz`` writes, by short name and hours east of UTC."""
_SHORT_ZONES = {
    "Z": "UTC", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "MST": "America/Denver",
    "MDT": "America/Denver", "CST": "America/Chicago", "CDT": "America/Chicago", "EST": "America/New_York",
    "EDT": "America/New_York", "CET": "Europe/Paris", "CEST": "Europe/Paris", "EET": "Europe/Helsinki",
    "BST": "Europe/London", "WET": "Europe/Lisbon", "JST": "Asia/Tokyo", "IST": "Asia/Kolkata",
}  # fmt: skip
_LONG_OFFSETS = {name: f"{int(hours):+03d}:{hours % 1 * 60:02.0f}" for (_, hours), name in _LONG_ZONES.items()}
_NAMED_ZONES = {**_SHORT_ZONES, **_LONG_OFFSETS}
_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?")
_LETTERS = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']|'")


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo | None:
    """Return the zone of an id, an offset, or ``UTC``/``GMT``/``UT`` with an offset; None for anything else."""
    bare = re.sub(r"^(UTC|GMT|UT)(?=[+-])", "", name)
    offset = _OFFSET.fullmatch(bare)
    if offset:
        hours, minutes, seconds = (int(part or 0) for part in offset.groups()[1:])
        if hours > 18 or minutes > 59 or seconds > 59:
            return None
        shift = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(-shift if offset[1] == "-" else shift)
    if bare in {"UTC", "UT", "Z"}:
        return UTC
    try:
        return ZoneInfo(bare)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


# Joda-Time, formatting.


def format_joda(pattern: str, epoch_ms: int, zone_name: str) -> Value:
    """Return the instant in Joda-Time's pattern language (``DateTimeFormat``)."""
    zone = _zone(zone_name)
    if zone is None:
        return UNDEFINED
    try:
        moment = (_EPOCH + timedelta(milliseconds=epoch_ms)).astimezone(zone)
        return "".join(_joda_piece(token[0], moment, zone_name) for token in _LETTERS.finditer(pattern))
    except (OverflowError, KeyError):
        return UNDEFINED


def _joda_piece(token: str, moment: datetime, zone_name: str) -> str:
    if token[0] == "'":
        return token[1:-1].replace("''", "'") or "'"
    if not token[0].isalpha():
        return token
    letter, count = token[0], len(token)
    if letter in _JODA_TEXT and (letter != "M" or count >= 3):
        return _JODA_TEXT[letter](moment, count, zone_name)
    if letter in "yYx" and count == 2:
        return f"{_JODA_NUMBER[letter](moment) % 100:02}"
    if letter == "S":
        return f"{moment.microsecond // 1000:03}".ljust(count, "0")[:count]
    return f"{_JODA_NUMBER[letter](moment):0{count}}"


def _offset_text(moment: datetime, *, colon: bool) -> str:
    shift = moment.utcoffset() or timedelta()
    minutes = abs(int(shift.total_seconds())) // 60
    return f"{'-' if shift < timedelta() else '+'}{minutes // 60:02}{':' if colon else ''}{minutes % 60:02}"


def _zone_name(moment: datetime, count: int, _: str) -> str:
    short = moment.tzname() or ""
    if not short[:1].isalpha() or "+" in short or "-" in short:
        return "UTC" if short == "UTC" else _offset_text(moment, colon=True)
    hours = (moment.utcoffset() or timedelta()) / timedelta(hours=1)
    return _LONG_ZONES[short, hours] if count >= 4 else short


_JODA_NUMBER: Mapping[str, Callable[[datetime], int]] = {
    "C": lambda at: at.year // 100,
    "D": lambda at: at.timetuple().tm_yday,
    "H": lambda at: at.hour,
    "K": lambda at: at.hour % 12,
    "M": lambda at: at.month,
    "Y": lambda at: at.year,
    "d": lambda at: at.day,
    "e": datetime.isoweekday,
    "h": lambda at: at.hour % 12 or 12,
    "k": lambda at: at.hour or 24,
    "m": lambda at: at.minute,
    "s": lambda at: at.second,
    "w": lambda at: at.isocalendar()[1],
    "x": lambda at: at.isocalendar()[0],
    "y": lambda at: at.year,
}
_JODA_TEXT: Mapping[str, Callable[[datetime, int, str], str]] = {
    "G": lambda _, __, ___: "AD",
    "E": lambda at, count, _: DAYS[at.weekday()][: None if count >= 4 else 3],
    "M": lambda at, count, _: MONTHS[at.month - 1][: None if count >= 4 else 3],
    "a": lambda at, _, __: "AM" if at.hour < 12 else "PM",
    "z": _zone_name,
    "Z": lambda at, count, zone: zone if count >= 3 else _offset_text(at, colon=count == 2),
}


# java.time, parsing.

_NUMBERS = {
    "u": "year", "y": "year", "M": "month", "L": "month", "d": "day", "D": "day_of_year", "H": "hour", "k": "hour24",
    "h": "hour12", "K": "hour11", "m": "minute", "s": "second", "n": "nano", "N": "nano_of_day", "A": "milli_of_day",
    "e": "ignored", "c": "ignored",
}  # fmt: skip
_ZONE_PATTERN = r"(?:UTC|GMT|UT)?[+-]\d{1,2}(?::?\d{2}){0,2}|[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*"


def parse_jdk(text: str, pattern: str) -> Value:
    """Return epoch milliseconds of ``text`` read by a ``DateTimeFormatter`` pattern; UTC where it names no zone."""
    reader = _reader(pattern)
    try:
        found = reader and reader.fullmatch(text, timeout=TIMEOUT_S)
    except TimeoutError:
        return UNDEFINED
    if not found:
        return UNDEFINED
    fields = _fields(found)
    zone_name = fields.get("zone", "UTC")
    zone = _zone(_NAMED_ZONES.get(zone_name, zone_name))
    try:
        return (
            UNDEFINED if zone is None else (_resolve(fields).replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)
        )
    except (ValueError, KeyError, OverflowError):
        return UNDEFINED


@lru_cache(maxsize=128)
def _reader(pattern: str) -> Any:
    """Return the regular expression of a pattern, its groups named after fields; None for a pattern unknown to JDK."""
    parts: list[str] = []
    try:
        for at, token in enumerate(_LETTERS.finditer(pattern)):
            text = token[0]
            if text[0] == "'":
                parts.append(re.escape(text[1:-1].replace("''", "'") or "'"))
            elif text.isalpha():
                parts.append(_field_pattern(text[0], len(text)).replace("?P<", f"?P<f{at}_"))
            else:
                parts.append({"[": "(?:", "]": ")?"}.get(text) or re.escape(text))
        return regex.compile("".join(parts), regex.ASCII)
    except (KeyError, regex.error):
        return None


def _field_pattern(letter: str, count: int) -> str:
    names = {"M": MONTHS, "L": MONTHS, "E": DAYS}.get(letter)
    if names and (count >= 3 or letter == "E"):
        field = "weekday" if letter == "E" else "month_name"
        return f"(?P<{field}>{'|'.join(name if count == 4 else name[:3] for name in names)})"
    if letter in "yu":
        return r"(?P<year2>\d{2})" if count == 2 else rf"(?P<year>[+-]?\d{{{count},9}})"
    if letter == "S":
        return rf"(?P<fraction>\d{{{count}}})"
    if letter in "NAn":
        return rf"(?P<{_NUMBERS[letter]}>\d{{{count},19}})"
    if letter in _NUMBERS:
        most = 3 if letter == "D" else 2
        return rf"(?P<{_NUMBERS[letter]}>\d{{{1 if count == 1 else count},{most if count == 1 else count}}})"
    if letter == "V" and count != 2:
        raise KeyError(letter)
    return _OTHER_FIELDS[letter][min(count, len(_OTHER_FIELDS[letter])) - 1]


_HOUR, _HOURS_MINUTES, _COLON = r"[+-]\d{2}(?:\d{2})?", r"[+-]\d{4}", r"[+-]\d{2}:\d{2}"
_SECONDS, _COLON_SECONDS = r"[+-]\d{4}(?:\d{2})?", r"[+-]\d{2}:\d{2}(?::\d{2})?"
_OTHER_FIELDS: Mapping[str, tuple[str, ...]] = {
    "G": ("(?P<era>AD|BC)",) * 3 + ("(?P<era>Anno Domini|Before Christ)",),
    "a": ("(?P<half>AM|PM)",),
    "V": (f"(?P<zone>{_ZONE_PATTERN})",),
    "z": (f"(?P<zone>{_ZONE_PATTERN})",) * 3 + (f"(?P<zone>{'|'.join(_LONG_OFFSETS)}|{_ZONE_PATTERN})",),
    "O": (r"(?P<zone>GMT(?:[+-]\d{1,2}(?::\d{2})?)?)",),
    "X": tuple(f"(?P<zone>Z|{form})" for form in (_HOUR, _HOURS_MINUTES, _COLON, _SECONDS, _COLON_SECONDS)),
    "x": tuple(f"(?P<zone>{form})" for form in (_HOUR, _HOURS_MINUTES, _COLON, _SECONDS, _COLON_SECONDS)),
    "Z": (f"(?P<zone>{_HOURS_MINUTES})",) * 3 + (f"(?P<zone>GMT(?:{_COLON})?)", f"(?P<zone>Z|{_COLON_SECONDS})"),
}


def _fields(found: Any) -> dict[str, str]:
    return {name.partition("_")[2]: value for name, value in found.groupdict().items() if value is not None}


def _resolve(fields: Mapping[str, str]) -> datetime:
    """Return the local date and time of the fields as ``ResolverStyle.SMART`` does.

    Raises:
        ValueError: a field is missing or out of range.
        KeyError: the same.
    """
    year = int(fields["year"]) if "year" in fields else 2000 + int(fields["year2"])
    year = 1 - year if fields.get("era", "A")[0] == "B" else year
    if "day_of_year" in fields:
        day = datetime(year, 1, 1) + timedelta(days=int(fields["day_of_year"]) - 1)  # noqa: DTZ001 - local by meaning
    else:
        named = fields.get("month_name", "")[:3]
        month = [name[:3] for name in MONTHS].index(named) + 1 if named else int(fields["month"])
        wanted = int(fields["day"])
        if not 1 <= wanted <= 31:
            raise ValueError(wanted)
        day = datetime(year, month, min(wanted, _month_length(year, month)))  # noqa: DTZ001
    if not DAYS[day.weekday()].startswith(fields.get("weekday", "")):
        raise ValueError(fields["weekday"])
    return day + _time_of_day(fields)


def _month_length(year: int, month: int) -> int:
    """SMART: a day that the month lacks becomes its last."""
    return 31 if month == 12 else (datetime(year, month + 1, 1) - timedelta(days=1)).day  # noqa: DTZ001


def _time_of_day(fields: Mapping[str, str]) -> timedelta:
    if "milli_of_day" in fields:
        return timedelta(milliseconds=int(fields["milli_of_day"]))
    if "nano_of_day" in fields:
        return timedelta(microseconds=int(fields["nano_of_day"]) // 1000)
    hour = _hour(fields)
    minute, second = int(fields.get("minute", 0)), int(fields.get("second", 0))
    if hour > 24 or (hour == 24 and (minute or second)) or minute > 59 or second > 59:
        raise ValueError(hour)
    fraction = fields.get("fraction", "").ljust(6, "0")[:6]
    nanos = int(fields.get("nano", 0))
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(fraction) + nanos // 1000)


def _hour(fields: Mapping[str, str]) -> int:
    if "hour12" in fields or "hour11" in fields:
        hour = int(fields.get("hour12") or fields["hour11"])
        if hour > 12 or ("hour12" in fields and hour == 0) or ("hour11" in fields and hour == 12):
            raise ValueError(hour)
        return hour % 12 + (12 if fields["half"] == "PM" else 0)
    if "hour24" in fields:
        return int(fields["hour24"]) % 24
    if "hour" not in fields and ("minute" in fields or "second" in fields):
        raise ValueError("minutes without an hour")
    return int(fields.get("hour", 0))
