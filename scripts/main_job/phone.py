"""What a phone does: sign up, sign in, call the HTTP API."""

import asyncio
import json
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from pycognito.aws_srp import AWSSRP

from infra.local import config
from infra.local.cloud import CloudError
from scripts.main_job.factory import Operator


class Phone:
    """A phone user: signs up, confirms by the code in the mail, signs in by SRP, calls the HTTP API."""

    def __init__(
        self, settings: config.Settings, outputs: dict[str, str], operator: Operator, *, email: str = "ada@example.com"
    ) -> None:
        self.email = email
        self.password = f"Fieldline-{secrets.token_urlsafe(9)}-7"
        self._settings = settings
        self._outputs = outputs
        self._cognito = operator.client("cognito-idp")
        self._api = f"http://127.0.0.1:{settings.ports.http_api}"
        self.token = ""

    def sign_up(self) -> None:
        """Sign up and confirm."""
        client_id = self._outputs["UserPoolClientId"]
        attributes = [{"Name": "email", "Value": self.email}]
        self._cognito.sign_up(
            ClientId=client_id, Username=self.email, Password=self.password, UserAttributes=attributes
        )
        code = read_code(self._settings.state_dir, self.email)
        self._cognito.confirm_sign_up(ClientId=client_id, Username=self.email, ConfirmationCode=code)

    def sign_in(self) -> None:
        """Sign in by SRP: the password does not leave the phone."""
        srp = AWSSRP(
            username=self.email,
            password=self.password,
            pool_id=self._outputs["UserPoolId"],
            client_id=self._outputs["UserPoolClientId"],
            client=self._cognito,
        )
        self.token = srp.authenticate_user()["AuthenticationResult"]["AccessToken"]

    async def call(self, http: aiohttp.ClientSession, method: str, path: str, **arguments: Any) -> Any:
        """Call the HTTP API and return the document it answers; sign in again when the token has run out."""
        status, document = await self._ask(http, method, path, arguments)
        if status == HTTPStatus.UNAUTHORIZED:
            await asyncio.to_thread(self.sign_in)
            status, document = await self._ask(http, method, path, arguments)
        if status >= HTTPStatus.BAD_REQUEST:
            raise CloudError(f"{method} {path} answered {status}: {json.dumps(document)}")
        return document

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, arguments: dict[str, Any]
    ) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.token}"}
        async with http.request(method, self._api + path, headers=headers, **arguments) as answer:
            return answer.status, await answer.json(content_type=None)

    async def pages(self, http: aiohttp.ClientSession, path: str, **query: str) -> list[Any]:
        """Return the items of every page."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            page = await self.call(http, "GET", path, params={**query, **({"cursor": cursor} if cursor else {})})
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return items


def read_code(state_dir: Path, address: str) -> str:
    """Return the newest code in the inbox for an address: what the user would read in the mail."""
    lines = [json.loads(line) for line in (state_dir / "inbox.jsonl").read_text().splitlines()]
    return str(next(line["code"] for line in reversed(lines) if line["to"] == address))
