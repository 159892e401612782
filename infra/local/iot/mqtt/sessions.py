"""CONNECT and what follows a connection's end: sessions resumed and ended, takeover, wills.

"guide" in the comments is the AWS IoT Core developer guide, page "MQTT"; "quotas" the General Reference's.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from infra.local.iot.message import Message, Principal
from infra.local.iot.mqtt import codec, frames, lifecycle
from infra.local.iot.mqtt.authorization import Grants
from infra.local.iot.mqtt.codec import Connect, Property, Reason
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.outbound import Rate
from infra.local.iot.mqtt.session import Session
from infra.local.iot.mqtt.topics import topic_fault

if TYPE_CHECKING:
    from infra.local.iot.mqtt.gateway import Gateway

LOG = logging.getLogger(__name__)
SWEEP_S = 0.25
_REMEMBERED_RATES = 20_000
_RETURN_CODES = {Reason.BAD_CLIENT_ID: 2, Reason.QUOTA_EXCEEDED: 3}
"""The 3.1.1 return codes nearest to ours; any other is the one for a refusal. (MQTT 3.1.1, 3.2.2.3)."""


class Sessions:
    """Every session by its client id, connected or not."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._sessions: dict[str, Session] = {}
        self._grants: set[Grants] = set()
        self._rates: dict[str, Rate] = {}
        self._timed: set[Session] = set()
        self._sweeping = False
        gateway.authorizer.principals.on_change(self._changed)

    def find(self, client_id: str) -> Session | None:
        """Return a client's session."""
        return self._sessions.get(client_id)

    def close(self) -> None:
        """Cut every connection."""
        for session in list(self._sessions.values()):
            if session.connection is not None:
                session.connection.cut(Reason.SHUTTING_DOWN, lifecycle.SERVER_INITIATED)

    # -- CONNECT -------------------------------------------------------------------------------------------------------

    def connect(self, connection: Connection, connect: Connect) -> None:
        """Answer a CONNECT: refuse, or begin or resume the session."""
        connection.client_id = connect.client_id or self._gateway.new_id()
        connection.session_id = self._gateway.new_id()
        refusal = self._fault(connection, connect)
        if refusal is not None:
            reason, why = refusal
            self._gateway.explain(connection, why)
            refused = self._gateway.behaviour.refused_connack
            connection.refuse(reason if connect.v5 else _RETURN_CODES.get(reason, refused))
            return
        if connection.principal is None:
            connection.refuse(self._refused(connect))
            return
        connection.thing = self._gateway.authorizer.principals.thing(connection.principal, connection.client_id)
        grants = self._gateway.authorizer.grants(connection.principal, connection.client_id, connection.source_ip)
        if _allowed(grants, connect):
            self._begin(connection, connect, grants)
        else:
            self._gateway.lifecycle.connect_failed(connection)
            connection.refuse(self._refused(connect))

    def _refused(self, connect: Connect) -> int:
        return Reason.NOT_AUTHORIZED if connect.v5 else self._gateway.behaviour.refused_connack

    def _fault(self, connection: Connection, connect: Connect) -> tuple[Reason, str] | None:
        """Return what is wrong with a CONNECT before any policy is asked."""
        client_id = connect.client_id
        if connection.principal is None:
            return Reason.NOT_AUTHORIZED, "not authenticated"
        if not client_id and not connect.v5 and not connect.clean_start:
            return Reason.BAD_CLIENT_ID, "no client id for a persistent session"  # 3.1.1 [MQTT-3.1.3-8]
        if len(client_id.encode()) > self._gateway.limits.client_id_bytes or client_id.startswith("$"):
            return Reason.BAD_CLIENT_ID, "client id too long, or it begins with $"  # quotas: client id size
        if not connect.properties.keys().isdisjoint({Property.AUTH_METHOD, Property.AUTH_DATA}):
            return Reason.NOT_AUTHORIZED, "enhanced authentication is not supported"  # guide, differences: no AUTH
        if client_id and not self._rate(client_id):
            return Reason.QUOTA_EXCEEDED, "too many CONNECTs per second with this client id"
        return self._will_fault(connect.will)

    def _will_fault(self, will: codec.Will | None) -> tuple[Reason, str] | None:
        if will is None:
            return None
        if will.qos > 1:
            return Reason.QOS_UNSUPPORTED, "will QoS 2"
        fault = topic_fault(will.topic, self._gateway.limits)
        if will.topic.startswith("$") and (
            will.retain or not any(service.accepts(will.topic) for service in self._gateway.reserved)
        ):
            fault = "a reserved topic that takes no such message"
        return (Reason.TOPIC_INVALID, f"will topic: {fault}") if fault else None

    def _rate(self, client_id: str) -> bool:
        # quotas: connect requests per second per client id.
        limits = self._gateway.limits
        if len(self._rates) > _REMEMBERED_RATES:
            self._rates.clear()
        rate = self._rates.setdefault(client_id, Rate(max(limits.connects_per_s, limits.connect_burst)))
        return rate.take(self._gateway.loop.time())

    def _begin(self, connection: Connection, connect: Connect, grants: Grants) -> None:
        session, present = self._take(connection.client_id, connect)
        limits, will = self._gateway.limits, connect.will
        session.expiry_s = self._expiry_s(connect)
        session.will = _will_message(will, connection) if will else None
        session.will_delay_s = will.delay_s if will else 0
        session.window = min(connect.properties.get(Property.RECEIVE_MAXIMUM, 65_535), limits.unacknowledged)
        session.connection = connection
        self._grants.add(grants)
        # quotas, connection inactivity: 30 to 1200 seconds; 0 means 1200.
        asked_s = connect.keep_alive_s or limits.keep_alive_max_s
        keep_alive_s = min(max(asked_s, limits.keep_alive_min_s), limits.keep_alive_max_s)
        connection.accept(session, grants, connect, keep_alive_s)
        properties = self._connack(connection, connect, keep_alive_s, session.expiry_s) if connect.v5 else b""
        connection.out.frame(frames.dump_connack(v5=connect.v5, session_present=present, code=0, properties=properties))
        connection.version_number = self._gateway.lifecycle.connected(connection)
        if connection.term is not None:
            self._time(session)
        session.release(self._gateway.loop.call_later)
        self._gateway.subscriptions.resume(session)

    def _expiry_s(self, connect: Connect) -> int:
        """Return the session's life after the connection: at most seven days, an hour by default for 3.1.1. (guide)."""
        limits = self._gateway.limits
        if connect.v5:
            return min(int(connect.properties.get(Property.SESSION_EXPIRY, 0)), limits.session_expiry_max_s)
        return 0 if connect.clean_start else limits.session_expiry_s

    def _connack(self, connection: Connection, connect: Connect, keep_alive_s: int, expiry_s: int) -> bytes:
        limits = self._gateway.limits
        asked_s = connect.properties.get(Property.SESSION_EXPIRY, 0)
        return frames.dump_properties(
            {
                Property.SESSION_EXPIRY: expiry_s if expiry_s != asked_s else None,
                Property.RECEIVE_MAXIMUM: limits.unacknowledged,
                Property.MAXIMUM_QOS: 1,
                Property.RETAIN_AVAILABLE: 1,
                Property.MAXIMUM_PACKET_SIZE: limits.packet_bytes,
                Property.ASSIGNED_CLIENT_ID: None if connect.client_id else connection.client_id,
                Property.TOPIC_ALIAS_MAXIMUM: limits.topic_aliases,
                Property.WILDCARD_AVAILABLE: 1,
                Property.SUBSCRIPTION_ID_AVAILABLE: 0,
                Property.SHARED_AVAILABLE: 1,
                Property.SERVER_KEEP_ALIVE: keep_alive_s if keep_alive_s != connect.keep_alive_s else None,
            }
        )

    def _take(self, client_id: str, connect: Connect) -> tuple[Session, bool]:
        """Return the session to serve and whether it was there; whoever holds the client id is cut. [MQTT-3.1.4-3]."""
        held = self._sessions.get(client_id)
        if held is not None and held.connection is not None:
            # The will of the connection taken over is published. (guide, differences; "Lifecycle events")
            held.connection.cut(Reason.TAKEN_OVER, lifecycle.DUPLICATE_CLIENT_ID, "taken over")
            held = self._sessions.get(client_id)
        if held is not None and connect.clean_start:
            self._drop(held)
            held = None
        if held is not None:
            return held, True
        gateway = self._gateway
        fresh = self._sessions[client_id] = Session(client_id, gateway.limits, gateway.loop.time, gateway.counted)
        return fresh, False

    # -- the end of a connection, of a session -------------------------------------------------------------------------

    def ended(self, connection: Connection, why: str) -> None:
        """Take leave of a connection: lifecycle event, will, and the session's end or wait."""
        session = connection.session
        if connection.grants is not None:
            self._grants.discard(connection.grants)
        if session is None or session.connection is not connection or connection.principal is None:
            return
        session.detach()
        now = self._gateway.clock.time()
        session.ends_at = now + session.expiry_s
        self._gateway.lifecycle.disconnected(connection, reason=why, expiry_s=session.expiry_s)
        if session.will is not None:
            session.will_at = now + min(session.will_delay_s, session.expiry_s)  # (MQTT 5, 3.1.3.2.2)
        if self._due(session, now):
            self._time(session)

    def _due(self, session: Session, now: float) -> bool:
        """Do what is due for a session that is away, or whose connection has a term; True while more is to come.

        A client that is back has no end and no delayed will any more. [MQTT-3.1.3-9]
        """
        if session.connection is not None:
            return self._term_due(session.connection, now)
        if session.will_at is not None and session.will_at <= now:
            self._send_will(session)
        if session.ends_at is not None and session.ends_at <= now:
            self._drop(session)
            return False
        return True

    def _term_due(self, connection: Connection, now: float) -> bool:
        term = connection.term
        if term is None:
            return False
        if term.ends_at <= now:
            connection.cut(Reason.ADMINISTRATIVE, term.reason, "connection time is up")
        elif term.renew is not None and term.renew_at <= now:
            term.renew_at = now + term.renew_every_s
            self._gateway.spawn(self._renew(connection, term.renew))
        return True

    @staticmethod
    async def _renew(connection: Connection, renew: Callable[[], Awaitable[Principal | None]]) -> None:
        """Ask the custom authorizer anew; a failure ends the connection. (page "Creating an authorizer")."""
        principal = None
        try:
            principal = await renew()
        except Exception:  # the connection's loop
            LOG.exception("authentication of %s ends by a defect", connection.client_id)
        if principal is None:
            connection.cut(Reason.NOT_AUTHORIZED, lifecycle.AUTH_ERROR, "no longer authenticated")
        elif connection.grants is not None:
            connection.principal = principal
            connection.grants.renew(principal)

    def _drop(self, session: Session) -> None:
        """End a session: its subscriptions, its messages, a will that still waited."""
        for topic_filter in list(session.subscriptions):
            self._gateway.subscriptions.remove(session, topic_filter)
        self._timed.discard(session)
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]
        self._send_will(session)

    def _send_will(self, session: Session) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is not None:
            self._gateway.accept(will)

    # -- time and change -----------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        if self._gateway.behaviour.policy_delay_s:
            self._gateway.loop.call_later(self._gateway.behaviour.policy_delay_s, self._forget_decisions)
        else:
            self._forget_decisions()

    def _forget_decisions(self) -> None:
        for grants in self._grants:
            grants.forget()

    def _time(self, session: Session) -> None:
        self._timed.add(session)
        if not self._sweeping:
            self._sweeping = True
            self._gateway.loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Look, by the movable clock, which sessions, wills and connections have come to their time."""
        now = self._gateway.clock.time()
        for session in list(self._timed):
            if not self._due(session, now):
                self._timed.discard(session)
        self._sweeping = bool(self._timed)
        if self._sweeping:
            self._gateway.loop.call_later(SWEEP_S, self._sweep)


def _allowed(grants: Grants, connect: Connect) -> bool:
    """Judge iot:Connect, and for a will iot:Publish and iot:RetainPublish on its topic."""
    will = connect.will
    persistent = bool(connect.properties.get(Property.SESSION_EXPIRY, 0)) if connect.v5 else not connect.clean_start
    if not grants.may_connect(persistent=persistent, will_topic=will.topic if will else None):
        return False
    return will is None or (grants.may_publish(will.topic) and (not will.retain or grants.may_retain(will.topic)))


def _will_message(will: codec.Will, connection: Connection) -> Message:
    return Message(
        topic=will.topic,
        payload=will.payload,
        qos=will.qos,
        retain=will.retain,
        properties=will.properties,
        client_id=connection.client_id,
        principal=connection.principal,
        source_ip=connection.source_ip,
    )
