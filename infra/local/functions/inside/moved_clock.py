"""Move a worker's wall clock: ``time`` and ``datetime`` run ahead by a fixed offset; monotonic clocks stay.

The offset of the local cloud may change while a worker lives; the worker is then replaced, so that an unmoved clock
costs nothing and changes nothing. ``datetime``'s methods are replaced in the type itself: a subclass in its place
would break ``type(x) is datetime`` in serialisers.
"""

import ctypes
import datetime as dt
import gc
import time
from typing import Any


def move(offset_s: float) -> None:
    """Let every reading of the wall clock in this process be ``offset_s`` ahead."""
    real_time, real_time_ns = time.time, time.time_ns  # noqa: TID251 - the clock itself
    offset_ns = int(offset_s * 1e9)

    def moved_time() -> float:
        return real_time() + offset_s

    def moved_time_ns() -> int:
        return real_time_ns() + offset_ns

    time.time = moved_time  # noqa: TID251 - the clock itself
    time.time_ns = moved_time_ns
    for name in ("gmtime", "localtime", "ctime"):
        setattr(time, name, _with_default_now(getattr(time, name), moved_time))
    real_strftime, localtime = time.strftime, time.localtime
    setattr(time, "strftime", lambda form, at=None: real_strftime(form, localtime() if at is None else at))  # noqa: B010 - a typed stub would refuse
    _replace(dt.datetime, "now", classmethod(lambda cls, tz=None: cls.fromtimestamp(moved_time(), tz)))
    _replace(dt.datetime, "utcnow", classmethod(lambda cls: _naive_utc(cls, moved_time())))
    _replace(dt.datetime, "today", classmethod(lambda cls: cls.fromtimestamp(moved_time())))
    _replace(dt.date, "today", classmethod(lambda cls: cls.fromtimestamp(moved_time())))


def _naive_utc(cls: type[dt.datetime], at: float) -> dt.datetime:
    return cls.fromtimestamp(at, dt.UTC).replace(tzinfo=None)


def _with_default_now(real: Any, moved_time: Any) -> Any:
    return lambda at=None: real(moved_time() if at is None else at)


def _replace(type_: type, name: str, method: Any) -> None:
    # The mapping behind the read-only view of a built-in type's attributes.
    gc.get_referents(type_.__dict__)[0][name] = method
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(type_))
