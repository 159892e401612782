"""The same calls to stock moto and to ours answer the same; where they do not, the reason stands here."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from tests.conformance.dynamodb import stock_moto
from tests.unit.dynamodb.local import Local, RefusedError

TABLES = {
    "ranged": {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in {"pk": "S", "sk": "N", "g": "S", "h": "N"}.items()
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by_g_sk",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "by_g_h",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]},
            },
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "by_h",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    },
    "plain": {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    },
}
REASONS = {
    "last key at the limit": "AWS stops at Limit and gives a LastEvaluatedKey, more or not; moto looks ahead",
    "refused at once": "AWS refuses what can never hold before it reads; moto reads first",
    "cancelled": "what an item makes impossible cancels a transaction with its reason; moto refuses the request",
    "named": "UPDATED_OLD and UPDATED_NEW give back what an update names; moto what it has changed",
    "crash": "moto raises something that is no refusal; ours refuses, or answers as AWS does",
}
"""Why ours may answer otherwise than stock moto; how often each was met is printed."""
AT_ONCE = (
    "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound",
    "Filter Expression can only contain non-primary key attributes",
    "One or more parameter values were invalid: Input collection",
    "Transaction request cannot include multiple operations on one item",
)
"""How those refusals begin."""


class Stock:
    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", stock_moto.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )

    def __call__(self, operation, params):
        self._process.stdin.write(json.dumps([operation, params]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Ours:
    def __init__(self, loop):
        self._loop = loop
        self._local = Local()

    def __call__(self, operation, params):
        name = "".join(part.title() for part in operation.split("_"))
        try:
            return {"reply": self._loop.run_until_complete(self._local(name, **params))}
        except RefusedError as error:
            reasons = [each.get("Code") for each in error.document.get("CancellationReasons", [])]
            return {"error": error.code, "message": str(error), "reasons": reasons}


class Calls:
    """Random calls on few keys, so that they meet."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def _some(self, *choices):
        return self._random.choice(choices)

    def _key(self, table):
        key = {"pk": {"S": self._some("a", "b", "c")}}
        return key | ({"sk": {"N": str(self._random.randrange(6))}} if table == "ranged" else {})

    def _item(self, table):
        item = self._key(table)
        if self._random.random() < 0.7:
            item["g"] = {"S": self._some("x", "y")}
        if self._random.random() < 0.6:
            item["h"] = {"N": str(self._random.randrange(4))}
        if self._random.random() < 0.6:
            item["n"] = {"N": str(self._random.randrange(100))}
        if self._random.random() < 0.3:
            item["m"] = {"M": {"deep": {"L": [{"S": "one"}, {"N": "2"}, {"BOOL": True}, {"NULL": True}]}}}
        if self._random.random() < 0.2:
            item["s"] = {"SS": ["p", "q"]}
        return item

    def _condition(self):
        return self._some(
            {},
            {},
            {"ConditionExpression": "attribute_not_exists(pk)"},
            {"ConditionExpression": "attribute_exists(g)"},
            {"ConditionExpression": "n > :c", "ExpressionAttributeValues": {":c": {"N": "50"}}},
            {
                "ConditionExpression": "#g = :c",
                "ExpressionAttributeNames": {"#g": "g"},
                "ExpressionAttributeValues": {":c": {"S": "x"}},
            },
            {
                "ConditionExpression": "begins_with(g, :c) or size(s) > :d",
                "ExpressionAttributeValues": {":c": {"S": "y"}, ":d": {"N": "1"}},
            },
        )

    def _update(self):
        expression, values = self._some(
            ("SET n = :v", {":v": {"N": "7"}}),
            ("ADD n :v", {":v": {"N": "3"}}),
            ("SET n = if_not_exists(n, :v) + :v", {":v": {"N": "1"}}),
            ("REMOVE g", {}),
            ("SET g = :v REMOVE n", {":v": {"S": "y"}}),
            ("ADD s :v", {":v": {"SS": ["r"]}}),
            ("SET m.deep[1] = :v", {":v": {"S": "new"}}),
            ("SET l = list_append(if_not_exists(l, :e), :v)", {":v": {"L": [{"N": "1"}]}, ":e": {"L": []}}),
            ("SET pk = :v", {":v": {"S": "no"}}),
            ("SET n = nope + :v", {":v": {"N": "1"}}),
        )
        return {"UpdateExpression": expression} | ({"ExpressionAttributeValues": values} if values else {})

    def _write(self, table):
        condition = self._condition()
        kind = self._some("Put", "Update", "Delete", "ConditionCheck")
        if kind == "Put":
            return {kind: {"TableName": table, "Item": self._item(table), **condition}}
        if kind == "Update":
            update = self._update()
            values = update.get("ExpressionAttributeValues", {}) | condition.get("ExpressionAttributeValues", {})
            merged = {**condition, **update} | ({"ExpressionAttributeValues": values} if values else {})
            return {kind: {"TableName": table, "Key": self._key(table), **merged}}
        if kind == "ConditionCheck" and not condition:
            condition = {"ConditionExpression": "attribute_exists(pk)"}
        return {kind: {"TableName": table, "Key": self._key(table), **condition}}

    def next(self):
        table = self._some("ranged", "ranged", "plain")
        return getattr(
            self,
            self._some(
                "put", "put", "put", "update", "update", "delete", "get", "query", "query", "scan", "transact", "batch"
            ),
        )(table)

    def put(self, table):
        extra = {"ReturnValues": "ALL_OLD"} if self._random.random() < 0.5 else {}
        return "put_item", {"TableName": table, "Item": self._item(table), **self._condition(), **extra}

    def update(self, table):
        params = None
        while params is None:
            params = self._write(table).get("Update")
        return "update_item", params | {
            "ReturnValues": self._some("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
        }

    def delete(self, table):
        return "delete_item", {
            "TableName": table,
            "Key": self._key(table),
            "ReturnValues": "ALL_OLD",
            **self._condition(),
        }

    def get(self, table):
        projection = self._some({}, {"ProjectionExpression": "pk, n"}, {"ProjectionExpression": "m.deep[0], g"})
        return "get_item", {"TableName": table, "Key": self._key(table), **projection}

    def query(self, table):
        index = self._some(None, None, "by_g_sk", "by_g_h", "by_h") if table == "ranged" else None
        hash_name, sort = {None: ("pk", "sk"), "by_g_sk": ("g", "sk"), "by_g_h": ("g", "h"), "by_h": ("pk", "h")}[index]
        values = {":p": {"S": self._some("a", "b") if hash_name == "pk" else self._some("x", "y")}}
        expression = f"{hash_name} = :p"
        if table == "ranged" and self._random.random() < 0.6:
            comparison = self._some("=", "<", "<=", ">", ">=", "BETWEEN")
            values[":l"] = {"N": str(self._random.randrange(4))}
            expression += f" AND {sort} {comparison} :l"
            if comparison == "BETWEEN":
                values[":u"] = {"N": str(self._random.randrange(2, 6))}
                expression += " AND :u"
        params = {"TableName": table, "KeyConditionExpression": expression, "ExpressionAttributeValues": values}
        if index:
            params["IndexName"] = index
        if self._random.random() < 0.4:
            params["FilterExpression"] = "attribute_exists(n)"
        return "query", params | self._paging() | self._some({}, {"ScanIndexForward": False})

    def scan(self, table):
        params = {"TableName": table} | self._paging()
        if table == "ranged" and self._random.random() < 0.4:
            params["IndexName"] = self._some("by_g_sk", "by_g_h", "by_h")
        return "scan", params

    def _paging(self):
        return self._some({}, {}, {"Limit": self._random.randrange(1, 5)}, {"Select": "COUNT"})

    def transact(self, _table):
        writes = [self._write(self._some("ranged", "plain")) for _ in range(self._random.randrange(1, 4))]
        return "transact_write_items", {"TransactItems": writes}

    def batch(self, table):
        requests = {}
        for _ in range(self._random.randrange(1, 4)):
            item = self._item(table)
            key = {name: item[name] for name in ("pk", "sk") if name in item}
            requests[str(key)] = self._some({"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": key}})
        return "batch_write_item", {"RequestItems": {table: list(requests.values())}}


def _comparable(value):
    if isinstance(value, dict):
        return {
            name: sorted(each) if name in ("SS", "NS") and isinstance(each, list) else _comparable(each)
            for name, each in value.items()
        }
    return [_comparable(each) for each in value] if isinstance(value, list) else value


def difference(ours, stock, params):
    """None where the answers are the same, else the reason of `REASONS`, or what nobody has explained."""
    if "crash" in stock or any(reason.endswith("Error") for reason in stock.get("reasons", ())):
        return "crash"
    if "reply" in ours and "reply" in stock:
        mine, theirs = _comparable(ours["reply"]), _comparable(stock["reply"])
        for each in (mine, theirs):
            each.pop("ConsumedCapacity", None)
        if mine == theirs:
            return None
        if params.get("ReturnValues", "").startswith("UPDATED_"):
            return "named"
        extra = mine.pop("LastEvaluatedKey", None)
        if extra and "LastEvaluatedKey" not in theirs and mine == theirs and mine["ScannedCount"] == params["Limit"]:
            return "last key at the limit"
    elif ours == stock:
        return None
    return _refused(ours, stock) or f"unexplained: ours {ours}, stock {stock}"


def _refused(ours, stock):
    if ours.get("message", "").startswith(AT_ONCE):
        return "refused at once"
    if "ValidationError" in ours.get("reasons", ()) and stock.get("error") == "ValidationException":
        return "cancelled"
    return None


def run(seed, count):
    """Return (calls answered the same, differences by reason) of ``count`` random calls."""
    loop, stock = asyncio.new_event_loop(), Stock()
    ours, calls, met, same = Ours(loop), Calls(seed), Counter(), 0
    try:
        for name, description in TABLES.items():
            for each in (ours, stock):
                assert "reply" in each(
                    "create_table", {"TableName": name, "BillingMode": "PAY_PER_REQUEST", **description}
                )
        for _ in range(count):
            operation, params = calls.next()
            reason = difference(ours(operation, params), stock(operation, params), params)
            if reason is None:
                same += 1
            else:
                met[reason if reason in REASONS else f"{reason} for {operation} {params}"] += 1
            state = [each("scan", {"TableName": "ranged"})["reply"]["Items"] for each in (ours, stock)]
            if _comparable(state[0]) != _comparable(state[1]):
                met[f"state after {operation} {params}"] += 1
                break
    finally:
        stock.close()
        loop.close()
    return same, met


def test_random_calls_answer_as_stock_moto_but_for_the_reasons_listed():
    same, met = run(seed=1, count=400)
    unexplained = {what: count for what, count in met.items() if what not in REASONS}
    assert not unexplained
    assert same > 300


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_many_random_calls_answer_as_stock_moto_but_for_the_reasons_listed(capsys):
    total, reasons = 0, Counter()
    for seed in range(2, 12):
        same, met = run(seed=seed, count=450)
        total += same
        reasons.update(met)
    with capsys.disabled():
        print(json.dumps({"calls": 4500, "same": total, "otherwise": dict(reasons)}))
    assert not set(reasons) - set(REASONS)
