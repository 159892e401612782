"""Port 4566 as the gateway sees it: a hand-written Lambda API for authorizers, and IAM's list of roles."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeAws:
    """Answers Invoke by a function of the event; remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict, dict]] = []
        self.answer: Callable[[dict], object] = lambda _event: {"isAuthenticated": False}
        self.function_error = False
        self.iam = "<none/>"
        """What IAM answers, as XML."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/":
                    self.reply(fake.iam.encode())
                    return
                event = json.loads(body)
                fake.calls.append((dict(self.headers.items()) | {"path": self.path}, event))
                answer = fake.answer(event)
                self.reply(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def reply(self, body):
                self.send_response(200)
                if fake.function_error:
                    self.send_header("x-amz-function-error", "Unhandled")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
