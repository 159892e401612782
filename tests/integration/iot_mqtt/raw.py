"""A client by hand over a TLS socket."""

import asyncio
import contextlib
import ssl

from tests.unit.iot_mqtt import wire


def tls(local, identity=None, *, alpn=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=local.ca)
    if identity:
        context.load_cert_chain(identity.certificate, identity.key)
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


class Wire:
    """A raw client over a socket."""

    def __init__(self, reader, writer, v5):
        self.reader, self.writer, self.v5, self._rest, self._got = reader, writer, v5, b"", []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port, context, *, v5=False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        try:
            yield cls(reader, writer, v5)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def get(self, within_s: float = 60):
        """The next packet; None when the server closed."""
        async with asyncio.timeout(within_s):
            while not self._got:
                try:
                    data = await self.reader.read(65_536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._got, self._rest = wire.read(self._rest + data, v5=self.v5)
            return self._got.pop(0)
