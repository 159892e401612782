"""What a declaration of a resource type may say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Arguments = dict[str, Any]


class Work(Protocol):
    """One resource being made, changed or removed: what the functions of a declaration may use."""

    @property
    def ref(self) -> str:
        """Return what ``Ref`` yields; "" until the resource is made."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return the answer of the call that made or read it, and ``Ref``, ``Properties``, ``Region``, ``Account``."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """Return the properties wanted, resolved."""

    @property
    def was(self) -> Mapping[str, Any]:
        """Return the properties it was made with; empty for a new one."""

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call the kind's service, arguments in CloudFormation's or in the API's spelling; return the answer."""


Part = Callable[[Work, Any], object]
"""Carries one property by a call of its own: gets the wanted value, None when the property has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one resource type is made, changed and removed.

    Expressions are JMESPath over ``Work.facts``; one that holds braces is a text filled from them:
    ``arn:aws:iot:{Region}:{Account}:rule/{Ref}``.
    """

    type: str
    service: str
    """The boto3 client's name."""
    takes: str
    """Names of the properties carried; ``!`` behind one says that changing it replaces the resource."""
    create: str
    """The operation that makes it, from all properties that no part carries."""
    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What ``Fn::GetAtt`` answers."""
    name: str = ""
    """The property, or argument of ``create``, that names it: generated when the template gives none."""
    key: Mapping[str, str] = field(default_factory=dict)
    """Parameters that say which resource is meant in ``read``, ``update`` and ``delete``."""
    read: str = ""
    """The operation whose answer holds what ``attributes`` need after a change; without one they stay as they were."""
    update: str = ""
    """The operation that changes it in place, given all properties it knows."""
    whole: bool = False
    """``update`` puts back the default of what is left out; without this, taking a property away is refused."""
    delete: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Properties that the API calls by another name than CloudFormation."""
    adapt: Callable[[Arguments], Arguments] | None = None
    """Turns the properties, renamed, into arguments where more than names differ."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Properties carried by calls of their own, when made and when changed."""
    changes: Mapping[str, Part] = field(default_factory=dict)
    """Properties that ``create`` takes but another call changes."""
    before_delete: Callable[[Work], object] | None = None
    stateful: bool = False
    """Holds what people would miss: never replaced."""

    @property
    def carried(self) -> frozenset[str]:
        """Return the names of the properties carried."""
        return frozenset(name.rstrip("!") for name in self.takes.split())

    @property
    def replaces(self) -> frozenset[str]:
        """Return the names of the properties whose change replaces the resource."""
        return frozenset(name[:-1] for name in self.takes.split() if name.endswith("!"))
