"""``scripts/cloud``: start, look at and stop the local cloud. Each room brings its own commands, imported when used."""

import json
import subprocess
import sys
import time
from collections import deque
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.local import config
from infra.local.clock import SharedClock
from infra.local.cloud import CloudError, build_settings, run_supervisor, stop_supervisor, supervisor_pid

_ROOMS = {
    "deploy": "infra.local.template.cli:deploy_command",
    "explain": "infra.local.iot.cli:explain",
    "permissions": "infra.local.iam_cli:permissions",
    "policy": "infra.local.iot.policy.cli:policy",
    "sql": "infra.local.iot.rules.cli:sql",
}
"""Commands of the rooms: name → "module:function"."""


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="The local cloud.")
StateDir = Annotated[
    Path | None, typer.Option(help="Where it keeps its files; .fieldline in the project if not given.")
]
_UP_TIMEOUT_S = 60.0


def _state_dir(given: Path | None) -> Path:
    return (given or config.state_dir()).resolve()


def load_running(state_dir: Path | None = None) -> config.Settings:
    """Return the settings of the running local cloud; end the command with the cure if there is none."""
    where = _state_dir(state_dir)
    if supervisor_pid(where) is None:
        _fail(f"no local cloud runs in {where}; start one: scripts/cloud up")
    return config.Settings.load(where)


def _fail(message: str) -> Any:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


def parse_ports(given: list[str]) -> dict[str, int]:
    """Return ports by name from ``NAME=NUMBER`` texts; end the command with the cure if one does not fit."""
    known = config.Ports.__dataclass_fields__
    ports = {}
    for one in given:
        name, _, number = one.partition("=")
        if name not in known or not number.isdigit() or not 1024 <= int(number) < 65536:
            _fail(f"--port {one}: give NAME=NUMBER with a name of {', '.join(known)} and a number from 1024 on")
        ports[name] = int(number)
    return ports


@app.command()
def up(
    *,
    port: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER: another port, e.g. mqtt=18883.")] = None,
    stage: Annotated[str, typer.Option(help="The template's Stage.")] = "dev",
    iam: Annotated[bool, typer.Option(help="--no-iam lets every function do everything, and says so.")] = True,
    workers: Annotated[int, typer.Option(help="Lambda environments alive at once.", min=1)] = 8,
    foreground: Annotated[bool, typer.Option(help="Stay; Ctrl-C stops it.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Start afresh, deploy infra/template.yaml, and leave it running."""
    where = _state_dir(state_dir)
    if (pid := supervisor_pid(where)) is not None:
        _fail(f"it runs already (process {pid}); scripts/cloud down stops it")
    settings = build_settings(where, ports=parse_ports(port or []), stage=stage, iam=iam, workers=workers)
    if foreground:
        _hold(settings)
    else:
        _leave_running(where)


def _hold(settings: config.Settings) -> None:
    started = time.monotonic()

    def report(line: str) -> None:
        if line == "ready":
            line = f"ready in {time.monotonic() - started:.1f} s" + ("" if settings.iam else "; IAM is OFF (--no-iam)")
        print(line, flush=True)  # noqa: T201 - the command's output

    try:
        run_supervisor(settings, report)
    except CloudError as error:
        _fail(str(error))


def _leave_running(where: Path) -> None:
    """Start the supervisor as a process of its own, in the foreground of nobody, and wait until it is ready."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--foreground"]
    arguments += ["--state-dir", str(where)]  # as it was meant where the caller stands
    log = where.with_name(f"{where.name}.up.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("w")
    except OSError as error:
        _fail(f"{log} cannot be written: {error.strerror}; mend its directory, or choose another --state-dir")
    with output:
        child = subprocess.Popen(  # noqa: S603 - this very command
            [sys.executable, "-m", "infra.local.cli", *arguments, "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=config.ROOT,
        )
    deadline = time.monotonic() + _UP_TIMEOUT_S
    while time.monotonic() < deadline and child.poll() is None:
        lines = log.read_text().splitlines()
        if lines and lines[-1].startswith("ready"):
            _show(config.Settings.load(where), lines[-1])
            return
        time.sleep(0.05)
    _fail(log.read_text().strip().removeprefix("error: ") or f"not ready within {_UP_TIMEOUT_S:g} s; see {log}")


def endpoints(settings: config.Settings) -> dict[str, str]:
    """Return where everything is served, by name."""
    ports = settings.ports
    return {
        "every AWS API": settings.endpoint_url,
        "HTTP API": f"http://127.0.0.1:{ports.http_api}",
        "MQTT, mutual TLS": f"127.0.0.1:{ports.mqtt}",
        "MQTT and HTTPS on AWS's 443": f"127.0.0.1:{ports.https}",
        "the CA to trust": str(settings.state_dir / "ca" / "ca.pem"),
    }


def _show(settings: config.Settings, headline: str) -> None:
    typer.echo(headline)
    for name, where in endpoints(settings).items():
        typer.echo(f"  {name:<28} {where}")
    typer.echo('  boto3, the AWS CLI, SDKs     eval "$(scripts/cloud env)"')


@app.command()
def down(state_dir: StateDir = None) -> None:
    """Stop it, and every process it started."""
    try:
        stopped = stop_supervisor(_state_dir(state_dir))
    except CloudError as error:
        _fail(str(error))
    typer.echo("stopped" if stopped else "nothing was running")


@app.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False, state_dir: StateDir = None
) -> None:
    """Say whether it runs, where, and what the template's outputs are."""
    settings = load_running(state_dir)
    outputs = outputs_of(settings)
    if as_json:
        typer.echo(json.dumps({"running": True, "endpoints": endpoints(settings), "outputs": outputs}))
        return
    _show(
        settings, f"running (process {supervisor_pid(settings.state_dir)})" + ("" if settings.iam else "; IAM is OFF")
    )
    for name, value in outputs.items():
        typer.echo(f"  {name:<28} {value}")


def outputs_of(settings: config.Settings) -> dict[str, str]:
    """Return the outputs of the deployed template."""
    outputs: dict[str, str] = json.loads((settings.state_dir / "stack.json").read_text())["outputs"]
    return outputs


@app.command()
def env(state_dir: StateDir = None) -> None:
    """Print what to evaluate in a shell, so that boto3, the AWS CLI and SDKs talk to it."""
    settings = load_running(state_dir)
    outputs = outputs_of(settings)
    variables = {
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_CA_BUNDLE_IOT": str(settings.state_dir / "ca" / "ca.pem"),
        **{f"FIELDLINE_{name}": str(value) for name, value in outputs.items()},
    }
    typer.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")
    for name in ("NO_PROXY", "no_proxy"):  # no proxy reaches this machine's own ports
        typer.echo(f'export {name}="127.0.0.1,localhost${{{name}:+,${name}}}"')
    for name, value in variables.items():
        quoted = value.replace("'", "'\\''")
        typer.echo(f"export {name}='{quoted}'")


@app.command("client-config")
def client_config(
    folder: Annotated[Path, typer.Option("--out", help="Where to write them; made if it is not there.")] = Path(),
    state_dir: StateDir = None,
) -> None:
    """Write what a phone app is configured with: amplify_outputs.json, and amplify_local.json for a laptop."""
    from infra.local.client_config import write_client_config

    settings = load_running(state_dir)
    for path in write_client_config(settings, outputs_of(settings), folder):
        typer.echo(path)


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="A function's name, or gateway or services; all if not given.")
    ] = None,
    lines: Annotated[int, typer.Option(help="How many of the last lines of each.")] = 50,
    state_dir: StateDir = None,
) -> None:
    """Print the last lines of the functions' and the local cloud's own logs."""
    where = _state_dir(state_dir) / "logs"
    files = sorted(where.glob("*.log")) if where.is_dir() else []
    chosen = [file for file in files if name is None or name in file.stem]
    if not chosen:
        _fail(
            f"no log of {name or 'anything'} in {where}; there are: {', '.join(file.stem for file in files) or 'none'}"
        )
    for file in chosen:
        with file.open(errors="replace") as stream:
            for line in deque(stream, lines):
                typer.echo(f"{file.stem}: {line}", nl=False)


@app.command(context_settings={"ignore_unknown_options": True})
def clock(
    move: Annotated[str | None, typer.Argument(help="+2d, +90m, -30s …; without it, the time is shown.")] = None,
    state_dir: StateDir = None,
) -> None:
    """Move the clock of every process: expiry, schedules, retries, visibility, tokens."""
    from infra.local.durations import parse_duration

    shared = SharedClock(load_running(state_dir).state_dir)
    if move is not None:
        try:
            shared.move(parse_duration(move))
        except ValueError as error:
            _fail(str(error))
    typer.echo(f"{shared.now().isoformat(timespec='seconds')} ({shared.offset_s():+.0f} s from real time)")


@app.command()
def inbox(
    address: Annotated[
        str | None, typer.Argument(help="An e-mail address or telephone number; all if not given.")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Print what AWS would have sent by e-mail or SMS: sign-up and reset codes."""
    from infra.local.cognito.inbox import Inbox

    for letter in Inbox(load_running(state_dir).state_dir).letters(address):
        typer.echo(f"{letter.sent_at} {letter.medium} to {letter.to}: {letter.subject}: code {letter.code}")


@app.command()
def doctor(
    port: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, as for up.")] = None, state_dir: StateDir = None
) -> None:
    """Look for what can keep it from starting on this machine, and say how to cure each."""
    from infra.local.doctor import examine

    where = _state_dir(state_dir)
    running = supervisor_pid(where) is not None
    ports = config.Settings.load(where).ports if running else config.Ports(**parse_ports(port or []))
    findings = list(examine(ports, where, running=running))
    for finding in findings:
        typer.echo(
            f"{'WRONG' if finding.problem else 'ok':<6} {finding.what}"
            + (f": {finding.problem}" * bool(finding.problem))
        )
    raise typer.Exit(any(finding.problem for finding in findings))


def main() -> None:
    """Run the command line, with the room whose command is asked for (all of them for --help)."""
    config.forget_client_environment()
    wanted = sys.argv[1] if len(sys.argv) > 1 else "--help"
    for name, target in _ROOMS.items():
        if wanted in (name, "--help"):
            module, _, function = target.partition(":")
            app.command(name)(getattr(import_module(module), function))
    app(prog_name="scripts/cloud")


if __name__ == "__main__":
    main()
