"""Operators register devices: ``aws lambda invoke --function-name fieldline-{stage}-registry``.

```json
{"operation": "register", "devices": [{"thing": "t-0001", "type": "thermostat"}]}
```

answers, device by device, what to print on the label, or what was wrong; the rest is registered all the same:

```json
{"devices": [{"thing": "t-0001", "type": "thermostat", "claim_secret": "…", "qr": "fieldline:claim?thing=…&secret=…"}]}
```

``{"operation": "configure", "version": 1, "settings": {"presence_grace_s": 30}}`` stores the next version of the
configuration (`backend/domain/configuration.py`), which running functions take up within a minute.

Only who may invoke the function may register: it has no route and no trigger.
"""

from typing import Any

from backend import bootstrap
from backend.domain.devices import NewDevice
from backend.errors import FieldlineError
from backend.schemas.base import load
from backend.schemas.devices import ConfiguringDocument, RegisteredDocument, RegistrationDocument


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Register devices, each registered or refused on its own; or store a new configuration."""
    if event.get("operation") == "configure":
        asked = load(ConfiguringDocument(), event)
        return {"version": bootstrap.configuration().change(asked["version"], asked["settings"]).version}
    return {"devices": [_register(new) for new in load(RegistrationDocument(), event)["devices"]]}


def _register(new: NewDevice) -> dict[str, Any]:
    try:
        document: dict[str, Any] = RegisteredDocument().dump(bootstrap.registry().register(new))
    except FieldlineError as error:
        return {"thing": new.thing, "error": {"code": error.code, "detail": error.message}}
    return document
