"""One contract for both clients of the Runtime API: AWS's own, and the small one where that has no wheel."""

import json

import pytest

from infra.local.functions import worker
from tests.integration.functions.stage import Stage


@pytest.fixture(params=["awslambdaric", "small"])
def client(request, tmp_path, monkeypatch):
    """Start workers under one client or the other."""
    if request.param == "small":
        without = tmp_path / "without_awslambdaric.py"
        without.write_text(
            f"import sys\nsys.modules['awslambdaric'] = None\nsys.path[0] = {str(worker.BOOTSTRAP.parent)!r}\n"
            "import bootstrap\nbootstrap.main()\n"
        )
        monkeypatch.setattr(worker, "BOOTSTRAP", without)
    return request.param


async def test_event_context_and_answer(tmp_path, client):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo", Timeout=70)
        context = json.dumps({"client": {"installation_id": "i"}, "custom": {"k": "v"}, "env": {}})

        answer, result = await stage.invoke("f", {"ä": 1}, cognito_identity=("i", "p"), client_context=context)
        again, _ = await stage.invoke("f")

        assert answer["event"] == {"ä": 1}
        assert answer["request_id"] == result.request_id
        assert answer["arn"].endswith(":function:f")
        assert (answer["version"], answer["memory"], answer["log_group"]) == ("$LATEST", "128", "/aws/lambda/f")
        assert 10_000 < answer["remaining_ms"] <= 70_000
        assert answer["identity"] == ["i", "p"]
        assert answer["client"] == ["i", {"k": "v"}, {}]
        assert (again["calls"], again["client"], again["identity"]) == (2, None, [None, None])


async def test_an_exception(tmp_path, client):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        answer, result = await stage.invoke("f", {"raise": "no"}, log_tail=True)

        assert set(answer) == {"errorMessage", "errorType", "requestId", "stackTrace"}
        assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no")
        assert "in act" in answer["stackTrace"][0]
        assert b"[ERROR] ValueError: no" in result.log_tail


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("missing.handler", "Runtime.ImportModuleError"),
        ("app.missing", "Runtime.HandlerNotFound"),
        ("broken.handler", "Runtime.UserCodeSyntaxError"),
    ],
)
async def test_an_initialisation_that_fails(tmp_path, client, handler, kind):
    async with Stage(tmp_path) as stage:
        (stage.code / "broken.py").write_text("def handler(:\n")
        await stage.create("f", handler)

        answer, result = await stage.invoke("f")

        assert (result.function_error, answer["errorType"]) == ("Unhandled", kind)


async def test_an_answer_that_is_no_json(tmp_path, client):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        answer, _ = await stage.invoke("f", {"unserialisable": True})

        assert answer["errorType"] == "Runtime.MarshalError"


async def test_log_lines(tmp_path, client):
    async with Stage(tmp_path) as stage:
        stage.rewrite("""
            import logging
            def handler(event, context):
                print("printed")
                logging.warning("logged")
        """)
        await stage.create("f", "app.handler")

        _, result = await stage.invoke("f", log_tail=True)

        lines = result.log_tail.decode().splitlines()
        assert lines[1] == "printed"
        assert lines[2].startswith("[WARNING]\t20")
        assert lines[2].endswith(f"Z\t{result.request_id}\tlogged")
