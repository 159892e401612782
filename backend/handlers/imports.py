"""Files dropped in S3: ``aws s3 cp batch-7.csv s3://{imports bucket}/devices/``.

The folder says what a file is. ``devices/`` takes a manufacturer's list of devices, CSV in UTF-8 with a header:

| column | |
|---|---|
| ``thing``, ``type`` | the name of the device and of its type |
| ``secret`` or ``secret_hash`` | what its label says, or the SHA-256 of ``{thing}``, NUL, ``{secret}`` in hex |
| ``expires_at`` | when the secret stops claiming it: ISO 8601 with a zone; may be left out |
| ``attribute.NAME`` | up to ten attributes to search by; a device has them again when it is released |

Good rows are registered, whatever stands beside them; ``batch-7.csv.report.json``, beside the file, counts them and
names every bad one by line, field and reason. A device that is registered already is never changed. Dropping the file
again, mended, lets in what is new. Who may write to the bucket may register; the provisioning hook lets in what is.
"""

import json
from typing import Any

from backend import bootstrap
from backend.schemas.imports import load_dropped

SPARE_MS = 30_000
"""What is left of an invocation when it hands over to the next one: one row, one checkpoint, with retries."""


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Import what was dropped, as far as time allows; the rest in another invocation."""
    files = [load_dropped(record) for record in event.get("Records", ())]

    def has_time() -> bool:
        return int(context.get_remaining_time_in_millis()) > SPARE_MS

    for number, file in enumerate(files):
        if not bootstrap.imports().run(file, has_time):
            rest = {"Records": event["Records"][number:]}
            bootstrap.invoker().invoke_later(context.invoked_function_arn, json.dumps(rest))
            return {"imported": number}
    return {"imported": len(files)}
