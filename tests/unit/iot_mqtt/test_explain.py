import json

import typer
from typer.testing import CliRunner

from infra.local.iot.cli import explain
from infra.local.iot.mqtt.denials import FILE_NAME, DenialLog
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement


def run(*arguments: str):
    app = typer.Typer()
    app.command()(explain)
    return CliRunner().invoke(app, arguments)


async def test_a_refusal_names_who_what_the_statements_and_what_is_missing(tmp_path):
    broker = Broker()
    log = DenialLog(tmp_path / FILE_NAME, broker.clock.time)
    object.__setattr__(broker.gateway.authorizer, "denials", log)
    broker.principals.default = [
        document(statement("iot:Connect", "*"), statement("iot:Publish", "topic/mine/*", Sid="Own")),
        document(statement("iot:Publish", "topic/secret", "Deny", Sid="Never")),
    ]
    for topic in ("theirs", "secret"):
        client = await broker.connected()
        client.send(wire.publish(topic, qos=1))
        await client.end()
    shown = run("--state-dir", str(tmp_path)).output
    assert "iot:Publish on arn:aws:iot:us-east-1:123456789012:topic/theirs" in shown
    assert "policy0[1] Own: does not apply: resource" in shown
    assert "missing: a statement that allows iot:Publish" in shown
    assert "policy1[0] Never denies it" in shown
    lines = run("--state-dir", str(tmp_path), "--json", "--last", "1").output.splitlines()
    assert [json.loads(line)["resource"].rpartition("/")[2] for line in lines] == ["secret"]
    assert "nothing was refused" in run("--state-dir", str(tmp_path), "--client", "other").output


def test_no_local_cloud_is_said_with_its_cure(tmp_path):
    done = run("--state-dir", str(tmp_path / "none"))
    assert done.exit_code == 1
    assert "scripts/cloud up" in done.output


def test_the_log_of_refusals_is_bounded(tmp_path):
    log = DenialLog(tmp_path / FILE_NAME, lambda: 1.0, kept=10)
    for number in range(95):
        log.write({"number": number})
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert len(lines) <= 20
    assert json.loads(lines[-1])["number"] == 94
    assert log.total == 95
