"""The gateway process: AWS IoT Core's rooms composed, its doors opened, one event loop.

``python -m infra.local.iot.main --state-dir D`` prints one JSON line when all ports listen. It ends on SIGTERM, on
SIGINT, and when its standard input, if that is a pipe, ends: whoever started it is gone.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from infra.local import process
from infra.local.clock import Clock, SharedClock
from infra.local.config import ACCOUNT_ID, Settings
from infra.local.credentials import KeyStore
from infra.local.iot.certificates import CertificateAuthority, policy_facts
from infra.local.iot.control import DataPlane, IotApi, build_app
from infra.local.iot.doors import tls
from infra.local.iot.doors.custom_authorizer import CustomAuthorizers
from infra.local.iot.doors.custom_mqtt import CustomDoor
from infra.local.iot.doors.https import HttpsDoor
from infra.local.iot.doors.iam_roles import RolePolicies
from infra.local.iot.doors.tls import AlpnDoor, CertificateDoor, server_context
from infra.local.iot.jobs import Jobs
from infra.local.iot.mqtt.authorization import Authorizer
from infra.local.iot.mqtt.denials import FILE_NAME, DenialLog
from infra.local.iot.mqtt.gateway import Gateway
from infra.local.iot.mqtt.limits import Limits
from infra.local.iot.provisioning import LambdaHook, Provisioning
from infra.local.iot.registry import Registry
from infra.local.iot.rules.room import Rules
from infra.local.iot.shadow import Shadows
from infra.local.wire import Handler

BACKLOG = 1024
SHUTDOWN_S = 0.5
"""A client that is cut and does not answer TLS's close is left after this; some notice only then."""


class IotCore:
    """All rooms of this process, plugged together. Made inside the running loop."""

    def __init__(self, settings: Settings, clock: Clock, limits: Limits | None = None) -> None:
        self._settings = settings
        self.authority = CertificateAuthority(settings.state_dir / "ca")
        self.registry = Registry(settings, clock, self.authority)
        denials = DenialLog(settings.state_dir / FILE_NAME, clock.time)
        self.roles = RolePolicies(settings)
        authorizer = Authorizer(
            principals=self.registry,
            denials=denials,
            arn_prefix=f"arn:aws:iot:{settings.region}:{ACCOUNT_ID}:",
            certificate_facts=policy_facts,
            role_decision=self.roles.decide,
        )
        self.gateway = Gateway(authorizer=authorizer, clock=clock, limits=limits)
        self.authorizers = CustomAuthorizers(
            settings,
            find=self.registry.authorizer,
            configured=lambda: any(one.status == "ACTIVE" for one in self.registry.state.authorizers.values()),
            denials=denials,
        )
        loop = asyncio.get_running_loop()
        self.shadows = Shadows(self.gateway, clock, defer=loop.call_soon)
        self.rules = Rules(settings, clock, tag=lambda arn, tags: self.registry.state.tags.update({arn: dict(tags)}))
        self.registry.state.holders["rule"] = lambda name: self.rules.engine.get(name) is not None
        self._hook = LambdaHook(settings)
        iot = IotApi(self.registry, rules=self.rules.handle)
        self.provisioning = Provisioning(self.registry, iot.call, self.gateway, self._hook, judge=self.roles.judge)
        self.gateway.reserved += [self.shadows, self.provisioning, self.rules]
        self.gateway.taps.append(self.rules)
        data = DataPlane(self.gateway, self.gateway.retained, self.shadows, self.gateway.reserved)
        self._services: dict[str, Handler] = {
            "iot": iot.handle,
            "iotdata": data.handle,
            "iotdevicegateway": data.handle,
            "iot-jobs-data": Jobs().handle,
        }
        self._https = HttpsDoor(
            gateway=self.gateway,
            clock=clock,
            authorizer=authorizer,
            certificates=self.registry,
            authorizers=self.authorizers,
            keys=KeyStore(settings, clock),
            roles=self.roles,
            data_plane=data.handle,
        )
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._control: web.AppRunner | None = None

    async def start(self) -> dict[str, int]:
        """Open the ports; return them by name."""
        loop, ports = asyncio.get_running_loop(), self._settings.ports

        def with_certificate() -> CertificateDoor:
            return CertificateDoor(self.gateway, self.registry.certificate)

        def custom() -> CustomDoor:
            return CustomDoor(self.gateway, self.authorizers, self._clock)

        http = self._https.server
        makers: dict[str, Callable[[], asyncio.Protocol]] = {
            tls.ALPN_MQTT_CERTIFICATE: with_certificate,
            tls.ALPN_MQTT_CUSTOM: custom,
            **dict.fromkeys((tls.ALPN_HTTP_CERTIFICATE, tls.ALPN_HTTP), http),
        }
        for port, make, mutual in (
            (ports.mqtt, with_certificate, True),
            (ports.https, lambda: AlpnDoor(makers, self.gateway.limits.connect_timeout_s), False),
        ):
            context = server_context(self.authority, mutual=mutual)
            server = await loop.create_server(
                make, "127.0.0.1", port, ssl=context, backlog=BACKLOG, ssl_shutdown_timeout=SHUTDOWN_S
            )
            self._servers.append(server)
        self._control = web.AppRunner(build_app(self._services, secret=self._settings.service_secret), access_log=None)
        await self._control.setup()
        await web.TCPSite(self._control, "127.0.0.1", ports.gateway, shutdown_timeout=2).start()
        mqtt, https = (server.sockets[0].getsockname()[1] for server in self._servers)
        return {"mqtt": mqtt, "https": https, "gateway": self._control.addresses[0][1]}

    async def stop(self) -> None:
        """Close the ports, then the rooms behind them."""
        for server in self._servers:
            server.close()
        self.gateway.close()
        await self._https.server.shutdown(1)
        await self.rules.stop()
        await self.authorizers.stop()
        await self.roles.stop()
        await self.provisioning.stop()
        await self._hook.stop()
        if self._control:
            await self._control.cleanup()
        await asyncio.sleep(0)  # sockets that were closed are let go of in the next pass


async def _serve(settings: Settings, limits: Limits | None) -> None:
    await process.serve(IotCore(settings, SharedClock(settings.state_dir), limits))


def main() -> None:
    """Read the command line and serve."""
    parser = process.build_parser("The device gateway of the local cloud.")
    parser.add_argument("--no-rates", action="store_true", help="lift AWS's limits per second, to measure the gateway")
    asked = parser.parse_args()
    process.run(_serve(Settings.load(asked.state_dir), Limits.without_rates() if asked.no_rates else None))


if __name__ == "__main__":
    main()
