"""boto3 clients that put single items for a while: settings as JSON on stdin, figures as JSON on stdout."""

import json
import sys
import threading
import time

import boto3
from botocore.config import Config


def put(client, table, name, until, counts):
    number = 0
    while time.monotonic() < until:
        item = {"pk": {"S": name}, "sk": {"N": str(number)}, "text": {"S": "x" * 100}, "n": {"N": "1"}}
        client.put_item(TableName=table, Item=item)
        number += 1
    counts.append(number)


def main():
    given = json.load(sys.stdin)
    client = boto3.client("dynamodb", config=Config(max_pool_connections=50), **given["client"])
    client.describe_table(TableName=given["table"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    started, counts = time.monotonic(), []
    until = started + given["seconds"]
    threads = [
        threading.Thread(target=put, args=(client, given["table"], f"{given['name']}-{number}", until, counts))
        for number in range(given["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"puts": sum(counts), "seconds": time.monotonic() - started}, sys.stdout)


if __name__ == "__main__":
    main()
