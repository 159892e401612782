"""What the registry remembers, and what every family of operations needs of it: names to records, ARNs, pages."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.iot.certificates import CertificateAuthority
from infra.local.iot.errors import InvalidError, NotFoundError

Ask = Mapping[str, Any]
"""An operation's input, checked against the service model."""
Answer = dict[str, Any]
_T = TypeVar("_T")
DEFAULT_PAGE = 250


@dataclass(slots=True, kw_only=True)
class ThingType:
    """A thing type."""

    name: str
    id: str
    properties: Answer
    created_at: datetime
    deprecated_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ThingRecord:
    """A thing, the principals attached to it and the groups that hold it."""

    name: str
    id: str
    type_name: str | None
    attributes: dict[str, str]
    version: int = 1
    principals: dict[str, bool] = field(default_factory=dict)
    """Certificate ARNs and identity-pool identities, in the order they were attached; True: exclusively."""
    groups: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Group:
    """A static thing group."""

    name: str
    id: str
    parent: str | None
    properties: Answer
    created_at: datetime
    version: int = 1


@dataclass(slots=True, kw_only=True)
class CertificateRecord:
    """A device certificate."""

    id: str
    arn: str
    pem: str
    der: bytes
    status: str
    created_at: datetime
    modified_at: datetime
    version: int = 1
    claim_expires_at: datetime | None = None
    """Of a provisioning claim (CreateProvisioningClaim): when it stops working. No list shows claims."""
    claim_policy: Mapping[str, Any] | None = None
    """What a claim may do, in place of attached policies."""
    mode: str = "DEFAULT"


@dataclass(slots=True, kw_only=True)
class PolicyVersion:
    """One version of a policy's document."""

    document: str
    parsed: Mapping[str, Any]
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class Policy:
    """A policy, its versions, and the targets (certificate ARNs, group ARNs, identities) it is attached to."""

    name: str
    versions: dict[int, PolicyVersion]
    created_at: datetime
    default: int = 1
    latest: int = 1
    targets: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Authorizer:
    """A custom authorizer, as the doors ask for it."""

    name: str
    function_arn: str
    created_at: datetime
    modified_at: datetime
    status: str = "INACTIVE"
    signing_disabled: bool = False
    token_key_name: str | None = None
    token_signing_public_keys: dict[str, str] = field(default_factory=dict)
    enable_caching_for_http: bool = False


@dataclass(slots=True, kw_only=True)
class State:
    """Everything registered, by name."""

    region: str
    clock: Clock
    ids: Callable[[], str]
    authority: CertificateAuthority
    things: dict[str, ThingRecord] = field(default_factory=dict)
    types: dict[str, ThingType] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    certificates: dict[str, CertificateRecord] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    authorizers: dict[str, Authorizer] = field(default_factory=dict)
    default_authorizer: str | None = None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """By ARN, of what ``holds`` knows."""
    holders: dict[str, Callable[[str], bool]] = field(default_factory=dict)
    """Of taggable resources that neighbouring rooms keep: kind to whether there is one of that name."""
    _attached: dict[str, list[ThingRecord]] | None = None

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource of ours."""
        return f"arn:aws:iot:{self.region}:{ACCOUNT_ID}:{kind}/{name}"

    def holds(self, arn: str) -> bool:
        """Say whether a taggable resource of that ARN is there."""
        kind, _, name = arn.removeprefix(self.arn("", "")[:-1]).partition("/")
        own: dict[str, Mapping[str, object]] = {
            "thinggroup": self.groups,
            "thingtype": self.types,
            "policy": self.policies,
            "authorizer": self.authorizers,
        }
        known = name in own[kind] if kind in own else kind in self.holders and self.holders[kind](name)
        return known and self.arn(kind, name) == arn

    def forget_tags(self) -> None:
        """Drop the tags of what has been deleted."""
        self.tags = {arn: tags for arn, tags in self.tags.items() if self.holds(arn)}

    def principal(self, text: str) -> str:
        """Return a principal as it is remembered, if it exists: a certificate of ours, or an identity-pool identity.

        Raises:
            NotFoundError: the certificate is not registered.
            InvalidError: the text is neither.
        """
        if text.startswith(self.arn("cert", "")):
            found(self.certificates, text.rpartition("/")[2], "Certificate")
            return text
        if text.startswith(f"{self.region}:"):
            return text
        raise InvalidError(f"Invalid principal: {text}")

    def things_of(self, principal: str) -> list[ThingRecord]:
        """Return the things a principal is attached to; from an index that a change drops."""
        if self._attached is None:
            self._attached = {}
            for thing in self.things.values():
                for one in thing.principals:
                    self._attached.setdefault(one, []).append(thing)
        return self._attached.get(principal, [])

    def changed(self) -> None:
        """Drop what was derived."""
        self._attached = None

    def lineage(self, group_name: str | None) -> list[Group]:
        """Return a group and its ancestors, nearest first."""
        line = []
        while group_name is not None and (group := self.groups.get(group_name)):
            line.append(group)
            group_name = group.parent
        return line


class Named(Protocol):
    """A record known by its name."""

    name: str


Listed = str | int | CertificateRecord | Named
_L = TypeVar("_L", bound=Listed)


def found(records: Mapping[Any, _T], name: object, what: str) -> _T:
    """Return the record of that name.

    Raises:
        NotFoundError: there is none.
    """
    record = records.get(name)
    if record is None:
        raise NotFoundError(f"{what} {name} not found.")
    return record


def page(items: Iterable[_L], ask: Ask, default: int = DEFAULT_PAGE) -> tuple[Sequence[_L], str | None]:
    """Return the page an operation asks for, and the token (or marker) of the next one.

    The token names the item the next page begins with: whoever deletes what is listed, page by page, misses nothing.

    Raises:
        InvalidError: the token is none of ours.
    """
    everything = list(items)
    if ask.get("ascendingOrder") is False or ask.get("isAscendingOrder") is False:
        everything.reverse()
    size = int(ask.get("maxResults") or ask.get("pageSize") or default)
    start = _start(everything, ask.get("nextToken") or ask.get("marker"))
    end = start + size
    if end >= len(everything):
        return everything[start:], None
    return everything[start:end], base64.b64encode(json.dumps([end, _key(everything[end])]).encode()).decode()


def _start(items: Sequence[Listed], token: str | None) -> int:
    if token is None:
        return 0
    try:
        position, key = json.loads(base64.b64decode(token, validate=True))
        keys = [_key(item) for item in items]
        return keys.index(key) if key in keys else int(position)
    except (ValueError, TypeError) as error:
        raise InvalidError("Invalid nextToken.") from error


def _key(item: Listed) -> str:
    """Return a record's name or id; a name or number is its own."""
    match item:
        case str() | int():
            return str(item)
        case CertificateRecord():
            return item.id
        case _:
            return item.name
