"""What AWS IoT Core limits, and the points where its behaviour was never captured, each one named switch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Quotas of the message broker (General Reference, "AWS IoT Core endpoints and quotas": message broker).

    The effect of each stands where it is applied.
    """

    client_id_bytes: int = 128
    topic_bytes: int = 256
    topic_slashes: int = 7
    share_name_bytes: int = 128
    payload_bytes: int = 128 * 1024
    packet_bytes: int = 149_504
    """Maximum Packet Size, as AWS IoT tells it in CONNACK."""
    filters_per_subscribe: int = 8
    subscriptions: int = 50
    publishes_per_s: float = 100
    """Of one connection, in each direction."""
    bytes_per_s: float = 512 * 1024
    unacknowledged: int = 100
    """QoS 1 messages under way on one connection, in each direction."""
    topic_aliases: int = 8
    connects_per_s: float = 1
    """Of one client id."""
    connect_burst: int = 5
    """AWS throttles by token buckets and does not publish their depth: never captured, ours."""
    keep_alive_min_s: int = 30
    keep_alive_max_s: int = 1200
    session_expiry_s: int = 3600
    """Of a 3.1.1 persistent session."""
    session_expiry_max_s: int = 604_800
    stored_per_s: int = 10
    """Messages stored while a client was away, sent after it came back."""
    shared_per_s: int = 20
    """Queued messages of a shared group, for each active member."""
    retry_s: float = 3600
    """A QoS 1 message that a connected client does not acknowledge is dropped after this."""
    websocket_s: float = 86_400
    """Life of a connection made with SigV4."""
    connect_timeout_s: float = 10
    """From the open socket to CONNECT: not published, ours."""
    linger_s: float = 0.5
    """Between a last packet and the close, ours: a socket closed over unread input is reset, its last packet lost."""
    queued_messages: int = 10_000
    """QoS 1 messages waiting for one session or shared group. AWS limits the account: ours, to bound memory."""
    queued_bytes: int = 16 * 1024 * 1024
    """The same, in payload bytes."""

    @classmethod
    def without_rates(cls) -> "Limits":
        """Return limits for measuring the gateway itself: sizes as ever, nothing per second."""
        endless = float("inf")
        return cls(publishes_per_s=endless, bytes_per_s=endless, connects_per_s=endless)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Points that no AWS page settles and nobody captured from a real account for us: switches, with our choice."""

    refused_connack: int = 5
    """3.1.1 CONNACK code of a refused CONNECT: the guide of 2022 says 7, today's no longer; 5 is the standard's."""
    refused_subscribe_cuts: bool = True
    """MQTT 3.1.1: a refused SUBSCRIBE closes the connection (AWS staff); False: SUBACK 0x80 for the filter."""
    refused_publish_acks: bool = True
    """MQTT 5, QoS 1: PUBACK 0x87 is sent; both codes stand in AWS's tables."""
    refused_publish_cuts: bool = True
    """MQTT 5: DISCONNECT 0x87 follows (the only signal there is at QoS 0)."""
    early_packet_cuts: bool = True
    """A packet that comes along with CONNECT: the guide demands to wait for CONNACK and does not say what follows."""
    policy_delay_s: float = 0
    """How long a live connection is judged by the policies as they were; on AWS minutes may pass, by its caches."""
    retain_as_published: bool = False
    """MQTT 5's option is honoured; the guide says RETAIN is set only on the delivery that a SUBSCRIBE makes."""
