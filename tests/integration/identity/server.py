"""A small server, so that real clients reach a room of the local cloud without the rest of it."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from threading import Thread
from urllib.parse import urlsplit

from aiohttp import web

from infra.local.wire import Handler, Request


@contextlib.contextmanager
def serving(handlers: Mapping[str, Handler]) -> Iterator[str]:
    """Serve rooms by the first part of ``X-Amz-Target`` on a port of the machine's choice; yield the URL."""
    loop = asyncio.new_event_loop()

    async def handle(http: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in http.headers.items()}
        url = urlsplit(http.raw_path)
        target = headers.get("x-amz-target", "").partition(".")[0] or ("get" if http.method == "GET" else "")
        request = Request(
            service=target,
            method=http.method,
            path=url.path,
            query=url.query,
            headers=headers,
            body=await http.read(),
        )
        answer = await handlers[target](request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    runner, port = loop.run_until_complete(start())
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
