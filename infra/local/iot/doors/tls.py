"""TLS as AWS IoT serves it, MQTT on top. (developer guide, "Device communication protocols", "Transport security")."""

import asyncio
import asyncio.sslproto
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from infra.local.iot.certificates import certificate_id
from infra.local.iot.message import Principal
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.gateway import Gateway
from infra.local.iot.mqtt.identity import Authenticate

ALPN_MQTT_CERTIFICATE = "x-amzn-mqtt-ca"
ALPN_MQTT_CUSTOM = "mqtt"
ALPN_HTTP_CERTIFICATE = "x-amzn-http-ca"
ALPN_HTTP = "http/1.1"
_CONNECT = 0x10
_SERVER_NAME = "fieldline_server_name"
WRITE_BUFFER_BYTES = 256 * 1024
"""Above this a client counts as slow."""

# asyncio gives each TLS connection a read buffer of 256 KiB; 16 KiB is one TLS record. uvloop brings its own.
asyncio.sslproto.SSLProtocol.max_size = 16 * 1024


class CertificateFiles(Protocol):
    """Where our CA keeps its files."""

    ca_path: Path
    server_certificate_path: Path
    server_key_path: Path


def server_context(files: CertificateFiles, *, mutual: bool) -> ssl.SSLContext:
    """Return TLS 1.2 and 1.3 without session tickets.

    ``mutual``: a client certificate is demanded, and the handshake fails without one; else it is asked for, and checked
    if it comes.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.server_certificate_path, files.server_key_path)
    context.load_verify_locations(files.ca_path)
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
    # AWS demanded SNI in 2022 and recommends it now: it is kept for authorizers, and not demanded.
    context.sni_callback = lambda tls, name, _: setattr(tls, _SERVER_NAME, name)
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    protocols = [ALPN_MQTT_CERTIFICATE, ALPN_MQTT_CUSTOM, ALPN_HTTP_CERTIFICATE, ALPN_HTTP]
    context.set_alpn_protocols(protocols[:1] if mutual else protocols)
    return context


Certificates = Callable[[bytes], Principal | None]
"""Who presents a certificate (DER); None unless it is registered and active."""


class MqttProtocol(asyncio.Protocol):
    """MQTT straight on a TLS connection whose handshake is over."""

    __slots__ = ("_connection", "_gateway", "_transport", "authenticate", "principal")

    def __init__(
        self, gateway: Gateway, *, principal: Principal | None = None, authenticate: Authenticate | None = None
    ) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self.principal = principal
        self.authenticate = authenticate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; without anybody to serve the socket closes before a CONNACK, as AWS does."""
        link = self._transport = cast("asyncio.Transport", transport)
        if self.principal is None and self.authenticate is None:
            link.close()
            return
        link.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._connection = Connection(
            self._gateway,
            _TransportLink(link),
            principal=self.principal,
            source_ip=peer_ip(link),
            authenticate=self.authenticate,
        )

    def data_received(self, data: bytes) -> None:
        """Feed the connection."""
        if self._connection is not None:
            self._connection.feed(data)

    def pause_writing(self) -> None:
        """Tell the connection that its client does not keep up."""
        if self._connection is not None:
            self._connection.out.set_busy(busy=True)

    def resume_writing(self) -> None:
        """Tell the connection that its client keeps up again."""
        if self._connection is not None:
            self._connection.out.set_busy(busy=False)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the connection."""
        if self._connection is not None:
            self._connection.lost()


class _TransportLink:
    """A transport as `connection.Link`: reading may be paused and resumed also after its end."""

    __slots__ = ("_transport", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write = transport.write

    def close(self) -> None:
        self._transport.close()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


def peer_ip(transport: asyncio.BaseTransport) -> str:
    """Return the client's address."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def server_name(transport: asyncio.BaseTransport) -> str | None:
    """Return the host name the client asked for by SNI."""
    name: str | None = getattr(transport.get_extra_info("ssl_object"), _SERVER_NAME, None)
    return name


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """Return the client's certificate in DER, which the handshake has verified; None without one."""
    tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
    return tls.getpeercert(binary_form=True) if tls is not None else None


class CertificateDoor(MqttProtocol):
    """Port 8883: who connects is who the certificate says."""

    __slots__ = ("_certificates",)

    def __init__(self, gateway: Gateway, certificates: Certificates) -> None:
        super().__init__(gateway)
        self._certificates = certificates

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look the certificate up, then begin; AWS closes without a word on one that it does not take."""
        der = peer_certificate(transport)
        self.principal = self._certificates(der) if der else None
        if self.principal is None:
            why = "the certificate is not registered, or not ACTIVE" if der else "no client certificate was shown"
            shown = certificate_id(der) if der else None
            refused = {"principal_kind": "certificate", "principal": shown, "source_ip": peer_ip(transport)}
            self._gateway.authorizer.denials.write({**refused, "action": "iot:Connect", "refused": why})
        super().connection_made(transport)


class AlpnDoor(asyncio.Protocol):
    """The port AWS serves on 443: the application protocol that TLS agreed on decides who takes over.

    Where none was agreed on, the first byte decides. AWS would take that for HTTP, but SDKs ask for `x-amzn-mqtt-ca` on
    port 443 alone and ours has another number.
    """

    def __init__(self, makers: Mapping[str, Callable[[], asyncio.Protocol]], timeout_s: float) -> None:
        self._makers = makers
        self._timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over, or wait for the first byte."""
        self._transport = cast("asyncio.Transport", transport)
        alpn = cast("ssl.SSLObject", transport.get_extra_info("ssl_object")).selected_alpn_protocol()
        if alpn is None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_s, transport.close)
        else:
            self._hand_over(alpn)

    def data_received(self, data: bytes) -> None:
        """Hand over with what came."""
        self._hand_over(ALPN_MQTT_CERTIFICATE if data[0] == _CONNECT else ALPN_HTTP).data_received(data)

    def connection_lost(self, _: Exception | None) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _hand_over(self, alpn: str) -> asyncio.Protocol:
        if self._timer is not None:
            self._timer.cancel()
        protocol = self._makers[alpn]()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        return protocol
