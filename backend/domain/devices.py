"""Devices as the registry of the product knows them: what they are, whose they are, how they are claimed."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

THING_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
"""AWS IoT also allows a colon in thing names; here it would stand in topics, keys and URLs, and is left out."""
PHONE_PREFIX = "app-"
"""Client ids of phones begin so, and names of things never do: the two share one name space on the broker."""
CLAIM_PREFIX = "claim-"
"""Client ids of devices that are being provisioned, with the claim of the whole fleet, begin so; they are no things."""

MIN_SECRET_LENGTH = 16
CLAIM_ATTEMPT_WINDOW = timedelta(hours=1)
MAX_CLAIM_ATTEMPTS = 10
"""Of one person at one device in a window, so that nobody's guessing keeps the next person from the right secret."""
MAX_CLAIM_ATTEMPTS_OF_ALL = 10_000
"""At one device in a window, by however many people: what a guess shared among accounts comes to.

The weakest secret let in is 16 random digits (a manufacturer's; ours have 128 bits), 10^16 of them. 10,000 an hour are
8.8 * 10^7 a year, which find one in 10^16 with a chance of less than one in 10^8. To use them up, and so to lock an
owner out, takes a thousand accounts with a confirmed address each, hour by hour.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device."""

    thing: str
    type: str
    registered_at: datetime
    secret_hash: str
    secret_expires_at: datetime | None = None
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    claimed_at: datetime | None = None
    room: str | None = None
    """The room of its owner's that it stands in."""
    revoked: bool = False
    """Its certificates are inactive, because somebody said so."""
    data_from_ms: int = 0
    """Readings from before this instant belonged to somebody else and are hidden."""
    version: int = 1
    factory: Mapping[str, str] = field(default_factory=dict)
    """Attributes from the manufacturer's list: what it has again when it is released."""
    firmware: str = ""
    """What it reported last to run; empty while unknown."""
    firmware_as_of: str = ""
    """Which report that was (`FirmwareReport.as_of`)."""
    origin: str = ""
    """File and line of the import that registered it (`origin_of`); empty if it was registered one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """A device to be registered; without a secret or the hash of one it is given one."""

    thing: str
    type: str
    claim_secret: str | None = None
    secret_hash: str | None = None
    """As `hash_secret` makes it, by a manufacturer who does not let the secret itself out of the house."""
    secret_lifetime: timedelta | None = None
    secret_expires_at: datetime | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registered device and its secret, told this once and never again."""

    thing: str
    type: str
    claim_secret: str

    @property
    def qr(self) -> str:
        """Return what to print on its label."""
        return qr_payload(self.thing, self.claim_secret)


def origin_of(file: str, line: int) -> str:
    """Return what a device remembers of the import that registered it."""
    return f"{file}:{line}"


def line_of(origin: str, file: str) -> int | None:
    """Return the line of a file that registered a device; None if another did."""
    found, _, line = origin.rpartition(":")
    return int(line) if found == file else None


def is_thing_name(text: str) -> bool:
    """Say whether a device may be called so."""
    return bool(THING_NAME.match(text)) and not text.startswith((PHONE_PREFIX, CLAIM_PREFIX))


def hash_secret(thing: str, secret: str) -> str:
    """Return what is kept of a claim secret.

    A plain salted digest, because secrets are random and long: there is nothing to stretch.
    """
    return hashlib.sha256(f"{thing}\0{secret}".encode()).hexdigest()


def secret_opens(device: Device, secret: str, *, now: datetime) -> bool:
    """Say, in constant time, whether a secret claims a device."""
    matches = hmac.compare_digest(device.secret_hash, hash_secret(device.thing, secret))
    return matches and (device.secret_expires_at is None or now < device.secret_expires_at)


def qr_payload(thing: str, secret: str) -> str:
    """Return what the label on a device says, for an app to scan: ``fieldline:claim?thing={thing}&secret={secret}``.

    Both are percent-encoded as in the query of any URL (RFC 3986, 3.4), since a manufacturer's secret may hold ``&``.
    """
    return f"fieldline:claim?thing={quote(thing, safe='')}&secret={quote(secret, safe='')}"
