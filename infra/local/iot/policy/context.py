"""The facts of one request that policy variables and condition keys may name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.local.iot.message import Thing

MAX_CERTIFICATE_VALUES = 5
MAX_CERTIFICATE_VALUE_CHARS = 1024
_UNSUBSTITUTED = frozenset("*$+?#")
_ATTRIBUTE = re.compile(r"iot:Connection\.Thing\.Attributes\[(.+)\]")
_CERTIFICATE = "iot:Certificate."
_THING = "iot:Connection.Thing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asks, as far as policies may look. What does not apply is None (or empty) and resolves to nothing."""

    client_id: str | None = None
    source_ip: str | None = None
    thing: Thing | None = None
    """Resolves only while its name equals ``client_id`` (or that is None), or it is exclusive. (page "Thing policy
    variables")."""
    attached: bool | None = None
    """``iot:Connection.Thing.IsAttached``; None means: whether there is a ``thing``."""
    certificate_id: str | None = None
    certificate: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """``Subject.CommonName`` and the like to all their values, in the certificate's order."""
    connect_attributes: Sequence[str] | None = None
    """Of a CONNECT: ``PersistentConnect``, ``LastWill``, both or none; None for every other action."""
    last_will_topic: str | None = None
    cognito_sub: str | None = None
    """The identity-pool identity, ``cognito-identity.amazonaws.com:sub``."""
    more: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Condition keys with no field of their own."""

    def values(self, key: str, resource: str = "") -> Sequence[str] | None:
        """Return what a condition key holds, None if the request has no such key.

        ``resource`` gives region and account of the ARN that ``iot:LastWillTopic`` is.
        """
        if key.startswith(_CERTIFICATE):
            return self._certificate_values(key.removeprefix(_CERTIFICATE))
        if key.startswith(_THING):
            return self._thing_values(key)
        if key == "iot:LastWillTopic":
            return self._last_will(resource)
        if key == "iot:ConnectAttributes":
            return self.connect_attributes
        single = {
            "iot:ClientId": self.client_id,
            "aws:SourceIp": self.source_ip,
            "iot:CertificateId": self.certificate_id,
            "cognito-identity.amazonaws.com:sub": self.cognito_sub,
        }.get(key)
        return self.more.get(key) if single is None else (single,)

    def variable(self, name: str) -> Sequence[str] | None:
        """Return what ``${name}`` is replaced by, None if the text stays.

        A certificate's value that holds a wildcard character or is too long is not substituted. (page "X.509
        certificate policy variables", limitations).
        """
        values = self.values(name)
        if values and name.startswith(_CERTIFICATE) and not all(map(_substitutable, values)):
            return None
        return values

    def _thing_values(self, key: str) -> Sequence[str] | None:
        thing = self.thing if self.attached is not False else None
        if thing and not thing.exclusive and self.client_id not in {None, thing.name}:
            thing = None
        if key == "iot:Connection.Thing.IsAttached":
            return ("true" if (thing is not None if self.attached is None else self.attached) else "false",)
        if thing is None:
            return None
        if attribute := _ATTRIBUTE.fullmatch(key):
            value = thing.attributes.get(attribute[1])
        else:
            value = {
                "iot:Connection.Thing.ThingName": thing.name,
                "iot:Connection.Thing.ThingTypeName": thing.type_name,
            }.get(key)
        return None if value is None else (value,)

    def _certificate_values(self, name: str) -> Sequence[str] | None:
        if name == "AvailableKeys":
            return tuple(f"{_CERTIFICATE}{known}" for known, values in self.certificate.items() if values) or None
        field_name, _, suffix = name.rpartition(".")
        whole = self.certificate.get(name)
        if whole is not None:
            return tuple(map(_escaped, whole[:1])) or None
        values = tuple(map(_escaped, self.certificate.get(field_name, ())[:MAX_CERTIFICATE_VALUES]))
        if suffix == "List":
            return values or None
        # The page calls .1 "the second value": the index is zero-based.
        return values[int(suffix) :][:1] or None if suffix.isascii() and suffix.isdigit() else None

    def _last_will(self, resource: str) -> Sequence[str] | None:
        topic = self.last_will_topic
        if topic is None or topic.startswith("arn:"):
            return None if topic is None else (topic,)
        prefix = ":".join(resource.split(":", 5)[:5])
        return (f"{prefix}:topic/{topic}",)


def _escaped(value: str) -> str:
    r"""Return a certificate's value as policies see it: ``, " \ + = < > ;`` behind a backslash."""
    return re.sub(r'([,"\\+=<>;])', r"\\\1", value)


def _substitutable(value: str) -> bool:
    return len(value) <= MAX_CERTIFICATE_VALUE_CHARS and not _UNSUBSTITUTED.intersection(value)
