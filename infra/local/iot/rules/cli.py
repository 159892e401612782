"""``scripts/cloud sql``, for people who write rules: try a statement, answer cases, watch messages, replay them."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.local import config
from infra.local.clock import SharedClock
from infra.local.iot.rules.cases import answer, write
from infra.local.iot.rules.compiler import compile_statement
from infra.local.iot.rules.context import BASIC_INGEST, V2
from infra.local.iot.rules.filters import matches_filter
from infra.local.iot.rules.parser import SqlError
from infra.local.iot.rules.values import Value, dump, encode, load

POLL_S = 0.3


def sql(
    *,
    sql: Annotated[str, typer.Option(help="The statement; with --replay, the changed one.")] = "",
    topic: Annotated[str, typer.Option(help="The message's topic.")] = "",
    payload: Annotated[str, typer.Option(help="The message's payload, as text.")] = "",
    sql_version: Annotated[str, typer.Option(help="As a rule's awsIotSqlVersion.")] = V2,
    client_id: Annotated[str, typer.Option(help="What clientid() returns.")] = "",
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Answer cases from standard input, one JSON a line.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Show live messages and what rules make of them.")] = False,
    to: Annotated[Path | None, typer.Option(help="With --record: keep the recording in this file.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="A recording to run again, showing what differs.", exists=True, dir_okay=False)
    ] = None,
    rule: Annotated[str, typer.Option(help="With --record and --replay: only this rule.")] = "",
) -> None:
    """Try AWS IoT SQL."""
    if jsonl:
        for line in answer_lines(sys.stdin, _now_ms):
            typer.echo(line)
    elif record:
        _record(rule, to)
    elif replay is not None:
        _replay(replay, rule, sql, sql_version)
    elif sql:
        _try(sql, sql_version, {"topic": topic, "payload_text": payload, "client_id": client_id or None})
    else:
        raise typer.BadParameter("give --sql, --jsonl, --record or --replay")


def _now_ms() -> int:
    return int(SharedClock(config.state_dir()).time() * 1000)


def answer_lines(lines: Iterable[str], now_ms: Callable[[], int] = int) -> Iterator[str]:
    """Yield one line of JSON a case: ``{"fires": …, "result": …}``, or ``{"error": …}``.

    ``now_ms`` is asked where a case names no time of its own.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            case = json.loads(line)
            told = answer({"now_ms": now_ms(), **case}) if isinstance(case, dict) else {"error": "not a JSON object"}
            yield write(told)
        except ValueError as error:
            yield write({"error": f"not JSON: {error}"})


def _try(statement: str, version: str, message: Mapping[str, Any]) -> None:
    """Print the result, and why there is none to whoever looks on; exit 1 with an error."""
    try:
        query = compile_statement(statement, version)
    except SqlError as error:
        typer.echo(error.caret(), err=True)
        raise typer.Exit(1) from None
    case = {"sql": statement, "sql_version": version, "now_ms": _now_ms(), **message}
    if not case["topic"]:
        del case["topic"]
    told = answer(case)
    typer.echo(write(told))
    if "error" in told:
        raise typer.Exit(1)
    if not told["fires"]:
        asked = "topic" in case and not case["topic"].startswith(BASIC_INGEST)
        elsewhere = asked and not matches_filter(query.topic_filter or "", case["topic"])
        typer.echo(f"{case['topic']} does not match FROM" if elsewhere else "WHERE is not true", err=True)


def _record(rule: str, to: Path | None) -> None:
    """Show records until interrupted."""
    where = config.state_dir()
    try:
        with to.open("a") if to else nullcontext() as kept:
            for one in _records(config.Settings.load(where)):
                if rule in ("", one["rule"]):
                    typer.echo(_describe(one))
                    if kept:
                        kept.write(_line(one) + "\n")
                        kept.flush()
    except KeyboardInterrupt:
        return
    except OSError as error:
        typer.echo(f"error: no local cloud answers in {where} ({error}); start one: scripts/cloud up", err=True)
        raise typer.Exit(1) from None


def _records(settings: config.Settings) -> Iterator[Any]:
    """Yield what rules make of live messages, for ever."""
    number = 0
    while True:
        asked = _ask(settings, number)
        if number and asked["records"] and (missed := asked["records"][0]["number"] - number - 1):
            typer.echo(f"… {missed} more than could be kept")
        number = asked["next"]
        yield from asked["records"]
        time.sleep(POLL_S)


def _ask(settings: config.Settings, after: int) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{settings.ports.gateway}/rules-records?after={after}",
        headers={"x-fieldline-service": "iot", "x-fieldline-secret": settings.service_secret},
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        return load(response.read().decode())


def _line(value: Value) -> str:
    """Return a value as a line of JSON, its numbers with all their digits."""
    return encode(dump(value, whole_as_int=False)).decode()


def _describe(record: Mapping[str, Any]) -> str:
    given = record.get("answer")
    if given is None:
        return f"{record['topic']}  no rule"
    if "error" in given:
        told = f"error: {given['error']}"
    elif given["fires"]:
        told = _line(given.get("result", ""))
    else:
        told = "WHERE false"
    done = [f"[{action['action']}: {action.get('errorMessage', 'ok')}]" for action in given["actions"]]
    return f"{record['topic']}  {record['rule']}: {told}  {' '.join(done)}"


def _replay(path: Path, rule: str, statement: str, version: str) -> None:
    """Run a recording again, with the statement of each record or with a changed one; exit 1 if anything differs."""
    total = differing = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record, told = json.loads(line), load(line).get("answer", {})
        except (ValueError, AttributeError) as error:
            raise typer.BadParameter(f"{path}, line {number}: not a record of --record ({error})") from None
        if record.get("sql") is None or rule not in ("", record["rule"]):
            continue
        total += 1
        case = {**record, **({"sql": statement, "sql_version": version} if statement else {})}
        before = {name: value for name, value in told.items() if name != "actions"}
        after = load(write(answer(case)))
        if after != before:
            differing += 1
            typer.echo(f"{record['topic']}  {record['rule']}\n  - {_line(before)}\n  + {_line(after)}")
    typer.echo(f"{total} messages, {differing} differ")
    if differing:
        raise typer.Exit(1)
