"""What front, IAM, DynamoDB and Lambda cost: start to ready, memory, puts, invocations, queries by size."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import boto3
import uvloop

from infra.local.cloud import LocalCloud, build_settings
from tests.performance.functions.bench import http, room
from tests.performance.processes import cpu_s, rss_mb
from tests.ports import ports
from tests.unit.dynamodb.local import Local, item

TABLE = "bench"
ROLE = "bench-writer"
SMALL, BIG = 1_000, 100_000


def run(seconds="4", items=str(BIG), events="1000"):
    """Return the figures as one document.

    ``seconds`` for each measurement of puts and invocations, ``items`` in the big table, ``events`` in the burst.
    """
    state = Path(tempfile.mkdtemp(prefix="fieldline-bench-"))
    started = time.perf_counter()
    with LocalCloud(build_settings(state, ports=ports(45))) as cloud:
        figures = {"ready_s": round(time.perf_counter() - started, 2)}
        pids = cloud.pids()
        figures["rss_mb"] = round(sum(rss_mb(pid) for pid in pids.values()))
        figures |= _puts(cloud.settings, pids["services"], float(seconds))
        figures |= uvloop.run(http(cloud.settings, pids["services"], float(seconds)))
    figures["lambda_alone"] = uvloop.run(room(float(seconds), int(events)))
    return figures | asyncio.run(queries(SMALL, int(items)))


def _puts(settings, pid, seconds):
    given = {
        "region_name": settings.region,
        "endpoint_url": settings.endpoint_url,
        "aws_access_key_id": settings.access_key_id,
        "aws_secret_access_key": settings.secret_access_key,
    }
    _prepare(given)
    most = _ceiling(given, seconds)
    one, cpu_owner_us = _measure(given, pid, seconds, processes=1, threads=1)
    twenty, _ = _measure(given, pid, seconds, processes=2, threads=10)
    sts = boto3.client("sts", **given)
    arn = f"arn:aws:iam::123456789012:role/{ROLE}"
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="bench")["Credentials"]
    as_role = given | {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
    role, cpu_role_us = _measure(as_role, pid, seconds, processes=1, threads=1)
    return {
        "puts_per_s": {"1 client": one, "20 clients": twenty, "1 client under a role": role},
        "boto3_puts_per_s_at_most": most,
        "puts_of_what_boto3_can": {
            "1 client": round(one / most["1 client"], 2),
            "20 clients": round(twenty / most["20 clients"], 2),
        },
        "server_cpu_us_per_put": {"owner": cpu_owner_us, "role": cpu_role_us, "iam": cpu_role_us - cpu_owner_us},
    }


def _ceiling(given, seconds):
    """Return the puts a second of the same clients against a server that does nothing."""
    port = ports(47)["aws"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.performance.cloud.canned", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout.readline() == "ready\n"
        client = given | {"endpoint_url": f"http://127.0.0.1:{port}"}
        one, _ = _measure(client, server.pid, seconds, processes=1, threads=1)
        twenty, _ = _measure(client, server.pid, seconds, processes=2, threads=10)
        server.stdin.close()
    return {"1 client": one, "20 clients": twenty}


def _prepare(given):
    boto3.client("dynamodb", **given).create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    iam = boto3.client("iam", **given)
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    allow = {
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem", "dynamodb:DescribeTable"],
        "Resource": f"arn:aws:dynamodb:*:*:table/{TABLE}",
    }
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=ROLE, PolicyName="puts", PolicyDocument=_policy(allow))


def _policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _measure(client, pid, seconds, *, processes, threads):
    """Return (puts a second, microseconds of the server's CPU for each)."""
    putters = []
    for number in range(processes):
        putter = subprocess.Popen(
            [sys.executable, "-m", "tests.performance.cloud.putter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        document = {"client": client, "table": TABLE, "name": f"{number}", "threads": threads, "seconds": seconds}
        json.dump(document, putter.stdin)
        putter.stdin.close()
        putters.append(putter)
    for putter in putters:
        assert putter.stdout.readline() == "ready\n"
    before = cpu_s(pid)
    figures = [json.loads(putter.stdout.read()) for putter in putters]
    used = cpu_s(pid) - before
    for putter in putters:
        putter.wait()
        putter.stdout.close()
    puts = sum(each["puts"] for each in figures)
    return round(puts / max(each["seconds"] for each in figures)), round(used / puts * 1e6)


async def queries(small, big):
    """Return what a query of 10 items costs at ``big`` items, as times the same at ``small``."""
    tables = {count: await _filled(count) for count in (small, big)}
    times = {kind: {count: [] for count in tables} for kind in ("table", "index", "range")}
    for _ in range(200):  # in turn, so that what else the machine does falls on both
        for count, local in tables.items():
            key = {"of": {"S": "p3"}, "KeyConditionExpression": "pk = :v"}
            times["table"][count].append(await _query_us(local, **key))
            ranged = key | {"KeyConditionExpression": "pk = :v AND sk > :n", "above": count // 2}
            times["range"][count].append(await _query_us(local, **ranged))
            index = {"of": {"S": "g3"}, "KeyConditionExpression": "g = :v", "IndexName": "by_g"}
            times["index"][count].append(await _query_us(local, **index))
    cost = {
        kind: {count: median(sorted(each)[:100]) for count, each in counts.items()} for kind, counts in times.items()
    }
    return {
        "query_us": {kind: {f"{count} items": round(us) for count, us in each.items()} for kind, each in cost.items()},
        "query_times": {kind: round(each[big] / each[small], 2) for kind, each in cost.items()},
    }


async def _filled(count):
    local = Local()
    await local.table(index="g")
    for start in range(0, count, 25):
        puts = [
            {"PutRequest": {"Item": item(f"p{n % 20}", n, g=f"g{n % 10}", text="x" * 40)}}
            for n in range(start, min(count, start + 25))
        ]
        await local("BatchWriteItem", RequestItems={"things": puts})
    return local


async def _query_us(local, *, of, above=None, **params):
    """Return the CPU microseconds of one query of 10 items."""
    values = {":v": of} | ({":n": {"N": str(above)}} if above is not None else {})
    started = time.process_time_ns()
    reply = await local("Query", TableName="things", Limit=10, ExpressionAttributeValues=values, **params)
    used = (time.process_time_ns() - started) / 1_000
    assert reply["Count"] == 10
    return used
