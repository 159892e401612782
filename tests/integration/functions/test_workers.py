"""Workers under awslambdaric: what a handler gets, how it may end, and that it harms nobody else."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.integration.functions.stage import ROLE, Stage, alive, until


async def test_a_handler_gets_its_event_and_context(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo", MemorySize=256, Timeout=70)

        answer, result = await stage.invoke("f", {"a": [1, "ä"]})

        assert result.function_error is None
        assert answer["event"] == {"a": [1, "ä"]}
        assert answer["request_id"] == result.request_id
        assert answer["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
        assert answer["version"] == "$LATEST"
        assert answer["memory"] == "256"
        assert answer["log_group"] == "/aws/lambda/f"
        assert "[$LATEST]" in answer["log_stream"]
        assert 10_000 < answer["remaining_ms"] <= 70_000
        assert answer["identity"] == [None, None]
        assert answer["client"] is None


async def test_the_environment_is_what_aws_sets_and_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.environment", Environment={"Variables": {"TABLE": "t"}})

        answer, _ = await stage.invoke("f")

        assert answer["TABLE"] == "t"
        assert answer["AWS_LAMBDA_FUNCTION_NAME"] == "f"
        assert answer["AWS_REGION"] == answer["AWS_DEFAULT_REGION"] == "us-east-1"
        assert answer["LAMBDA_TASK_ROOT"] == str(stage.code)
        assert (answer["AWS_SECRET_ACCESS_KEY"], answer["AWS_SESSION_TOKEN"]) == (ROLE, "f")
        assert answer["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
        assert "SECRET_OF_THE_HOST" not in answer
        assert "FIELDLINE_STATE_DIR" not in answer


async def test_a_warm_worker_is_used_again(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")

        answers = [(await stage.invoke("f"))[0] for _ in range(5)]

        assert [answer["calls"] for answer in answers] == [1, 2, 3, 4, 5]
        assert len({answer["pid"] for answer in answers}) == 1


async def test_a_handler_that_cannot_be_loaded_is_an_error_each_time(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.missing")

        for _ in range(2):
            answer, result = await stage.invoke("f")

            assert result.function_error == "Unhandled"
            assert answer["errorType"] == "Runtime.HandlerNotFound"


async def test_a_time_out_kills_and_the_next_invocation_runs_in_a_new_worker(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", Timeout=1)

        answer, result = await stage.invoke("f", {"sleep": 3_600}, log_tail=True)  # it would outlast the test

        assert result.function_error == "Unhandled"
        assert answer["errorType"] == "Sandbox.Timedout"
        assert answer["errorMessage"].endswith("Task timed out after 1.00 seconds")
        assert b"Status: timeout" in result.log_tail
        assert (await stage.invoke("f"))[0] == "done"
        first, second = (run["pid"] for run in stage.runs())
        assert first != second
        assert not alive(first)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"exit": 3}, "Runtime exited with error: exit status 3"),
        ({"exit": 0}, "Runtime exited without providing a reason"),
        ({"kill": True}, "Runtime exited with error: signal: killed"),
    ],
)
async def test_a_worker_that_dies_is_an_exit_error_and_replaced(tmp_path, event, why):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        answer, result = await stage.invoke("f", event)

        assert result.function_error == "Unhandled"
        assert answer["errorType"] == "Runtime.ExitError"
        assert answer["errorMessage"] == f"RequestId: {result.request_id} Error: {why}"
        assert (await stage.invoke("f"))[0] == "done"


async def test_an_idle_worker_that_is_killed_is_not_given_work(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        first, _ = await stage.invoke("f")

        os.kill(first["pid"], signal.SIGKILL)
        await until(lambda: not stage.functions.pool.workers)
        second, result = await stage.invoke("f")

        assert result.function_error is None
        assert second["pid"] != first["pid"]


async def test_memory_beyond_the_functions_size_is_killed_and_others_run_on(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("hungry", MemorySize=128)
        await stage.create("modest", "app.echo")

        hungry = asyncio.create_task(stage.invoke("hungry", {"memory_mb": 400}))
        modest = [(await stage.invoke("modest"))[1].function_error for _ in range(20)]
        answer, _ = await hungry

        assert modest == [None] * 20
        assert answer["errorMessage"].endswith("Runtime exited with error: signal: killed")


async def test_a_flood_of_output_is_bounded_counted_and_slows_nobody(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("loud", Timeout=60)
        await stage.create("quiet", "app.echo")
        await stage.invoke("quiet")

        loud = asyncio.create_task(stage.invoke("loud", {"flood": 100_000}, log_tail=True))
        await until(stage.runs)
        served = 0
        while not loud.done():
            await stage.invoke("quiet")
            served += 1
        _, result = await loud

        assert result.function_error is None
        assert b"bytes of one invocation, beyond 1 MB, were dropped" in result.log_tail
        assert (stage.state / "logs" / "loud.log").stat().st_size < 2 * 1024 * 1024
        assert served > 10, "a hundred megabytes hold nobody up"


async def test_what_a_handler_forks_ends_with_its_worker(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        child, _ = await stage.invoke("f", {"fork": True})
        assert alive(child)
    await until(lambda: not alive(child))


async def test_what_a_handler_forks_is_frozen_between_invocations(tmp_path):
    async with Stage(tmp_path) as stage:
        stage.rewrite("""
            import subprocess, sys
            child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            def handler(event, context): return child.pid
        """)
        await stage.create("f", "app.handler")
        child, _ = await stage.invoke("f")

        await until(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        again, result = await stage.invoke("f")

        assert (again, result.function_error) == (child, None)


async def test_no_worker_outlives_a_killed_parent(tmp_path):
    script = f"""
import asyncio
from pathlib import Path
from tests.integration.functions.stage import Stage

async def main():
    stage = Stage(Path({str(tmp_path)!r}))
    await stage.functions.start()
    await stage.create("f")
    child, _ = await stage.invoke("f", {{"fork": True}})
    print(stage.runs()[0]["pid"], child, flush=True)
    await stage.invoke("f", {{"sleep": 60}})

asyncio.run(main())
"""
    parent = subprocess.Popen(  # noqa: ASYNC220 - the test waits for it anyway
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    worker, child = map(int, parent.stdout.readline().split())
    assert alive(worker)
    assert alive(child)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    await until(lambda: not alive(worker) and not alive(child))


async def test_changed_code_is_run_by_the_next_invocation(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        await stage.invoke("f")

        stage.rewrite("def echo(event, context): return 'new'")
        await asyncio.sleep(0.25)  # the files are looked at five times a second

        assert (await stage.invoke("f"))[0] == "new"


async def test_an_answer_that_is_too_large_or_no_json_is_an_error(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        large, result = await stage.invoke("f", {"big": 6 * 1024 * 1024 + 1})
        assert result.function_error == "Unhandled"
        assert large["errorType"] == "Function.ResponseSizeTooLarge"

        strange, _ = await stage.invoke("f", {"unserialisable": True})
        assert strange["errorType"] == "Runtime.MarshalError"


async def test_the_log_has_start_end_report_and_what_was_printed(tmp_path):
    stage = Stage(tmp_path)
    async with stage:
        await stage.create("f")
        _, result = await stage.invoke("f", {"print": "hello"}, log_tail=True)
    lines = result.log_tail.decode().splitlines()
    assert lines[0] == f"START RequestId: {result.request_id} Version: $LATEST"
    assert lines[1] == "hello"
    assert lines[2] == f"END RequestId: {result.request_id}"
    for field in ("Duration:", "Billed Duration:", "Memory Size: 128 MB", "Max Memory Used:", "Init Duration:"):
        assert field in lines[3]
    assert stage.aws.log_lines() == lines
    assert "hello" in (stage.state / "logs" / "f.log").read_text()


async def test_a_role_that_cannot_be_taken_is_refused_when_the_function_is_made(tmp_path):
    async with Stage(tmp_path) as stage:
        with pytest.raises(ClientError, match=r"The role defined for the function cannot be assumed by Lambda\."):
            await stage.create("f", Role="arn:aws:iam::123456789012:role/nobody")


async def test_a_role_that_may_not_write_logs_leaves_none_in_the_log_group_as_on_aws(tmp_path):
    async def no_logs(_role: str, action: str, _resource: str) -> bool:
        return not action.startswith("logs:")

    stage = Stage(tmp_path, allows=no_logs)
    async with stage:
        await stage.create("f")
        await stage.invoke("f", {"print": "hello"})
    assert stage.aws.log_lines() == []
    assert "hello" in (stage.state / "logs" / "f.log").read_text()


async def test_a_worker_that_was_frozen_early_by_the_timers_clock_runs_the_next_invocation(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo", Timeout=3)
        await stage.invoke("f", {"n": 1})
        [worker] = stage.functions.pool.workers
        await until(lambda: worker.state.name == "IDLE")
        worker._stop_running()  # as the timer does, which may fire before as much time has passed by another clock
        worker.idle_since = time.monotonic()

        answer, result = await stage.invoke("f", {"n": 2})

        assert result.function_error is None
        assert answer["event"] == {"n": 2}
        assert [worker] == list(stage.functions.pool.workers), "the same worker, thawed"


DAEMON = """
import os, sys, time
from pathlib import Path
PID = Path(__file__).parent / "daemon"
def handler(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            PID.write_text(str(os.getpid()))
            while True: pass
        os._exit(0)
    while not PID.exists() or not PID.read_text(): time.sleep(0.01)
    if event.get("exit"): os._exit(1)
    return int(PID.read_text())
"""


async def test_a_process_that_left_its_workers_group_is_frozen_with_it_and_ends_with_it(tmp_path):
    async with Stage(tmp_path) as stage:
        stage.rewrite(DAEMON)
        await stage.create("f", "app.handler")
        daemon, _ = await stage.invoke("f", {})

        await until(lambda: Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        stage.functions.pool.retire(stage.functions.catalog.get("f").latest.function_arn)
        await until(lambda: not alive(daemon))


async def test_a_process_that_a_dead_worker_leaves_behind_is_ended(tmp_path):
    async with Stage(tmp_path) as stage:
        stage.rewrite(DAEMON)
        await stage.create("f", "app.handler")
        _, result = await stage.invoke("f", {"exit": True})
        assert result.function_error == "Unhandled"
        daemon = int(next(tmp_path.rglob("daemon")).read_text())
        await until(lambda: not alive(daemon))


@pytest.mark.parametrize("how", ["killed before", "ended by itself"])
async def test_a_kill_of_a_dead_worker_does_not_spare_what_was_not_found(tmp_path, how):
    async with Stage(tmp_path) as stage:
        stage.rewrite("""
            import os, subprocess, sys
            def handler(event, context):
                if event.get("fork"):
                    subprocess.Popen([sys.executable, "-c", "while True: pass"])
                return os.environ["AWS_LAMBDA_RUNTIME_API"]
        """)
        await stage.create("f", "app.handler")
        api, _ = await stage.invoke("f", {"fork": how == "killed before"})
        [worker] = stage.functions.pool.workers
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        environment = {"AWS_LAMBDA_RUNTIME_API": api}
        with subprocess.Popen(command, env=environment) as stray:  # noqa: ASYNC220 - stands for a missed child
            if how == "killed before":
                worker.kill()
            else:
                os.kill(worker.pid, signal.SIGKILL)
            end = time.monotonic() + 60
            while alive(worker.pid):  # without the event loop, which would learn of the death
                assert time.monotonic() < end
            worker.kill()
            try:
                await until(lambda: not alive(stray.pid))
            finally:
                stray.kill()


async def test_memory_is_the_sum_of_what_a_handler_forked(tmp_path):
    async with Stage(tmp_path) as stage:
        stage.rewrite("""
            import os, time
            def handler(event, context):
                for _ in range(event["children"]):
                    if os.fork() == 0:
                        hold = bytearray(60 * 1024 * 1024)
                        hold[::4096] = b"x" * len(hold[::4096])
                        time.sleep(30)
                        os._exit(0)
                time.sleep(1.5)
        """)
        await stage.create("f", "app.handler", MemorySize=128, Timeout=20)
        answer, _ = await stage.invoke("f", {"children": 5})
        assert answer["errorMessage"].endswith("Runtime exited with error: signal: killed")
        _, result = await stage.invoke("f", {"children": 1})
        assert result.function_error is None


async def test_memory_is_watched_while_a_module_loads_and_over_many_short_invocations(tmp_path):
    async with Stage(tmp_path) as stage:
        stage.rewrite("""
            HELD = []
            def hold(megabytes):
                block = bytearray(megabytes * 1024 * 1024)
                block[::4096] = b"x" * len(block[::4096])
                HELD.append(block)
            def leak(event, context): hold(4)
        """)
        (stage.code / "greedy.py").write_text("import time, app\nwhile True: app.hold(8), time.sleep(0.005)\n")
        await stage.create("greedy", "greedy.handler", MemorySize=128)
        await stage.create("leaky", "app.leak", MemorySize=128)

        answer, _ = await stage.invoke("greedy")
        assert answer["errorMessage"].endswith("Runtime exited with error: signal: killed")

        await stage.invoke("leaky")
        (worker,) = (one for one in stage.functions.pool.workers if one.configuration.name == "leaky")
        for _ in range(200):
            await stage.invoke("leaky")
            await asyncio.sleep(0.01)
        assert worker not in stage.functions.pool.workers
