"""What the rooms of AWS IoT hand one another: messages, and who is connected. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """The registry's facts that policy variables may name."""

    name: str
    type_name: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool = False
    """Its certificate is its own alone: it is the client's thing whatever the client id. (page "Associating an AWS IoT
    thing to an MQTT client connection")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who stands at the other end of a connection or request, as the door established it."""

    kind: str
    """``certificate``, ``cognito`` (identity-pool credentials), ``iam`` (a role or the account's owner), ``custom``."""
    id: str
    """What ``principal()`` returns and lifecycle events carry: the certificate id, ``{role id}:{session}`` for SigV4,
    the authorizer's ``principalId``."""
    certificate_der: bytes | None = None
    cognito_identity_id: str | None = None
    role_arn: str | None = None
    """For SigV4 callers: the role whose IAM policies apply."""
    policy_documents: tuple[str, ...] = ()
    """For custom authentication: the documents the authorizer answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """The MQTT 5 properties of a PUBLISH that AWS IoT forwards. (MQTT 5, 3.3.2.3)."""

    payload_format_indicator: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    message_expiry_s: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


NO_PROPERTIES = Properties()


class Message(NamedTuple):
    """One application message, on its way to subscribers, rules and device services.

    A tuple, for its price: one is made for each PUBLISH, and a frozen dataclass takes twice as long to make.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    client_id: str | None = None
    """Of the MQTT client that published it; None where it did not come over MQTT."""
    principal: Principal | None = None
    source_ip: str | None = None
