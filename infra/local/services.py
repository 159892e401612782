"""The process of every AWS service but the device gateway: rooms composed, ports opened, one event loop.

``python -m infra.local.services --state-dir D`` prints one JSON line when all ports listen. It ends on SIGTERM, on
SIGINT, and when its standard input, if that is a pipe, ends: whoever started it is gone.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from infra.local import process
from infra.local.aws import SERVICES, Moto
from infra.local.clock import Clock, SharedClock
from infra.local.cognito.identity_pools import CognitoIdentity
from infra.local.cognito.idp import CognitoIdp
from infra.local.config import Settings
from infra.local.credentials import Credentials, KeyStore
from infra.local.dynamodb import Dynamo
from infra.local.front import Front
from infra.local.front_identity import Doorkeeper
from infra.local.front_log import AccessLog
from infra.local.functions import Functions, InvokeResult, LambdaError, allow_all
from infra.local.http_api import HttpApi
from infra.local.iam import Ask
from infra.local.iam_roles import Authorizer, Recorder, RolePolicies
from infra.local.sts import Sts
from infra.local.wire import Caller, Handler, Request, Response

_FUNCTION_LIFETIME = timedelta(hours=12)
"""Of the credentials that a function's environment holds."""

_log = logging.getLogger(__name__)


class Services:
    """All rooms of this process, plugged together."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        keys = KeyStore(settings, clock)
        self.moto = Moto(settings, clock)
        self._roles = RolePolicies(self.moto.call)
        self._sts = Sts(keys, self._roles)
        self.dynamo = Dynamo(settings, clock)
        self._authorizer = Authorizer(self._roles, clock, Recorder(settings.state_dir), self.dynamo.hash_key)
        allows = self._allows if settings.iam else allow_all
        self.functions = Functions(settings, clock, self.moto, self._credentials, allows=allows)
        self.pools = CognitoIdp(clock, settings.region, settings.state_dir, self._invoke)
        self.identities = CognitoIdentity(clock, settings.region, self.pools, self._sts)
        self._access_log = AccessLog(self.moto, clock)
        self.http_api = HttpApi(settings, clock, self.functions, self._public_keys, access_log=self._access_log)
        handlers: dict[str, Handler] = {
            **dict.fromkeys(SERVICES, self.moto.handle),
            "apigateway": self.http_api.handle,
            "cognito-identity": self.identities.handle,
            "cognito-idp": self.pools.handle,
            "dynamodb": self.dynamo.handle,
            "events": self.functions.rules.handle,
            "iam": self._iam,
            "lambda": self.functions.handle,
            "scheduler": self.functions.scheduler.handle,
            "sts": self._sts.handle,
        }
        authorize = self._authorizer if settings.iam else None
        self.front = Front(settings, Doorkeeper(settings, keys, authorize, clock), handlers)
        self.moto.on_s3_event(self.functions.on_s3_event, self.functions.admits_s3)
        self.dynamo.on_records(self.functions.on_records)
        self._warming: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, int]:
        """Open the ports; return them."""
        await self.moto.start()
        await self.functions.start()
        self.dynamo.start()
        self._access_log.start()
        ports = {"aws": await self.front.start(), "http_api": await self.http_api.start()}
        self._warming = asyncio.create_task(self.moto.warm_up())
        return ports

    async def stop(self) -> None:
        """Close the ports, then the rooms behind them."""
        self.moto.end_polls()
        await self.http_api.stop()
        await self.front.stop()
        await self.functions.stop()
        await self._access_log.stop()
        await self.dynamo.stop()
        await self.moto.stop()

    async def _credentials(self, role_arn: str, session: str) -> Credentials:
        """Return what a function's environment holds of its role, which must trust Lambda."""
        caller = Caller(arn="lambda.amazonaws.com", kind="service")
        return await self._sts.credentials_for_role(role_arn, session, caller, _FUNCTION_LIFETIME)

    async def _allows(self, role_arn: str, action: str, resource: str) -> bool:
        """Say whether a role may do what Lambda or EventBridge does under it."""
        return await self._authorizer.check(role_arn, "lambda", Ask(action=action, resource=resource)) is None

    async def _iam(self, request: Request) -> Response:
        response = await self.moto.handle(request)
        self._roles.changed_by(request)
        return response

    async def _invoke(self, arn_or_name: str, payload: bytes, *, caller: Caller) -> InvokeResult:
        try:
            return await self.functions.invoke(arn_or_name, payload, caller=caller)
        except LambdaError as error:  # not there, not allowed, throttled: as an answer, which says so by its status
            return InvokeResult(status=error.status, payload=json.dumps({"message": error.code}).encode())

    def _public_keys(self, pool_id: str) -> Mapping[str, Any]:
        keys = self.pools.jwks(pool_id)
        if keys is None:
            raise KeyError(pool_id)
        return keys


async def _serve(settings: Settings) -> None:
    if not settings.iam:
        _log.warning(
            "IAM is off (--no-iam): signatures are verified, permissions are NOT; AWS will refuse more than this"
        )
    await process.serve(Services(settings, SharedClock(settings.state_dir)))


def main() -> None:
    """Start the process for the state directory given."""
    parser = process.build_parser("Every AWS service of the local cloud but the device gateway.")
    process.run(_serve(Settings.load(parser.parse_args().state_dir)))


if __name__ == "__main__":
    main()
