"""A local cloud of a module's own for rules: real roles, queues, buckets, tables and functions behind real doors."""

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import paho.mqtt.client as paho
import pytest
from botocore.config import Config
from paho.mqtt.enums import CallbackAPIVersion

from infra.local.config import Ports, Settings
from tests.ports import ports

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["iot.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        },
    ],
}
WAIT_S = 60.0


class Cloud:
    """Clients of the account's owner."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.state_dir = settings.state_dir
        self.roles: dict[str, str] = {}

    def client(self, name: str) -> Any:
        return boto3.client(
            name,  # type: ignore[call-overload]  # any service
            endpoint_url=self._settings.endpoint_url,
            region_name=self._settings.region,
            aws_access_key_id=self._settings.access_key_id,
            aws_secret_access_key=self._settings.secret_access_key,
            config=Config(retries={"max_attempts": 0}),
        )

    def role(self, name: str, *actions: str) -> str:
        iam = self.client("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=policy)
        return arn

    def queue(self, name: str) -> str:
        url: str = self.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        return url

    def device(self, client_id: str, folder: Path) -> "Device":
        """Return a connected MQTT client that may do everything but what nobody may."""
        iot = self.client("iot")
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        iot.create_policy(policyName=client_id, policyDocument=json.dumps(allowed))
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_policy(policyName=client_id, target=made["certificateArn"])
        (folder / "certificate.pem").write_text(made["certificatePem"])
        (folder / "private.key").write_text(made["keyPair"]["PrivateKey"])
        context = ssl.create_default_context(cafile=str(self.state_dir / "ca" / "ca.pem"))
        context.load_cert_chain(folder / "certificate.pem", folder / "private.key")
        return Device(client_id, context, self._settings.ports.mqtt)

    def rule(self, name: str, sql: str, *actions: Any, error: str) -> None:
        payload = {
            "sql": sql,
            "awsIotSqlVersion": "2016-03-23",
            "actions": actions,
            "errorAction": {"sqs": {"queueUrl": error, "roleArn": self.roles["good"]}},
        }
        self.client("iot").create_topic_rule(ruleName=name, topicRulePayload=payload)

    def publish(self, topic: str, payload: bytes) -> None:
        self.client("iot-data").publish(topic=topic, payload=payload)

    def receive(self, queue: str, count: int, wait_s: float = WAIT_S) -> list[str]:
        """Return that many messages of a queue, and one more if it comes at once."""
        sqs, bodies = self.client("sqs"), []
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for received in answer.get("Messages", []):
                bodies.append(received["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=received["ReceiptHandle"])
            if len(bodies) >= count:
                break
        return bodies


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    settings = Settings(state_dir=Path(tmp_path_factory.mktemp("state")), ports=Ports(**ports(41)))
    settings.save()
    processes = [
        subprocess.Popen([sys.executable, "-m", module, "--state-dir", str(settings.state_dir)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for module in ("infra.local.services", "infra.local.iot.main")
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["ready"]
        cloud = Cloud(settings)
        all_that_rules_do = ("sqs:SendMessage", "s3:PutObject", "dynamodb:PutItem", "sns:Publish", "iot:Publish")
        cloud.roles = {"good": cloud.role("good", *all_that_rules_do), "poor": cloud.role("poor", "sqs:ReceiveMessage")}
        yield cloud
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=WAIT_S)


class Device:
    """An MQTT 3.1.1 client of paho's: ``heard`` is what reached it, by topic."""

    def __init__(self, client_id: str, context: ssl.SSLContext, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._happened = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv311)
        self._client.tls_set_context(context)
        self._client.on_message = lambda _client, _data, message: self._hear((message.topic, bytes(message.payload)))
        self._client.on_subscribe = lambda *_: self._hear(("subscribed", b""))
        self._client.on_connect = lambda *_: self._hear(("connected", b""))
        self._client.on_disconnect = lambda *_: self._hear(("gone", b""))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.wait_for("connected")  # AWS IoT takes no packet before its CONNACK

    def _hear(self, what: tuple[str, bytes]) -> None:
        with self._happened:
            self.heard.append(what)
            self._happened.notify_all()

    def wait_for(self, topic: str) -> bytes:
        with self._happened:
            assert self._happened.wait_for(lambda: topic in dict(self.heard), WAIT_S), self.heard
            return dict(self.heard)[topic]

    def subscribe(self, topic_filter: str) -> None:
        self._client.subscribe(topic_filter, 1)
        self.wait_for("subscribed")

    def publish(self, topic: str, payload: bytes) -> None:
        """Return once the PUBACK is there."""
        sent = self._client.publish(topic, payload, qos=1)
        sent.wait_for_publish(WAIT_S)
        assert sent.is_published(), topic

    def close(self) -> None:
        self._client.disconnect()
        self.wait_for("gone")
        self._client.loop_stop()
