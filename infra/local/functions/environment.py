"""The whole environment of a worker: nothing is inherited. Pure. ("Defined runtime environment variables")."""

import sys

from infra.local.functions.inside.bootstrap import OFFSET_VARIABLE
from infra.local.functions.model import Configuration, Credentials


def build_environment(
    configuration: Configuration, credentials: Credentials, stream_name: str, *, endpoint_url: str, offset_s: float
) -> dict[str, str]:
    """Return what a worker finds set; ``offset_s`` is how far the clock was moved."""
    region = configuration.region
    environment = {
        **configuration.environment,
        "_HANDLER": configuration.handler,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": configuration.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": configuration.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream_name,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token or "",
        "LAMBDA_TASK_ROOT": str(configuration.task_root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        # What AWS has no need of: where its APIs are, and that no profile or instance of this machine is asked.
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if configuration.log_format == "JSON":
        environment["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        environment["AWS_LAMBDA_LOG_LEVEL"] = configuration.application_log_level or "INFO"
    if offset_s:
        environment[OFFSET_VARIABLE] = str(offset_s)
    return environment
