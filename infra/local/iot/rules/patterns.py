r"""Java's regular expressions on the ``regex`` package, for ``regexp_matches``, ``regexp_replace``, ``regexp_substr``.

``java.util.regex.Pattern`` differs from Python's ``re`` in what is translated here: classes are ASCII, set algebra with
``&&``, POSIX names, ``\Q…\E``, ``\z``; and a match may not take longer than ``TIMEOUT_S``, for it runs in the
gateway's one loop. What is not a valid expression, or takes too long, is Undefined.
"""

from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]  # ships no types

from infra.local.iot.rules.values import UNDEFINED, Value

TIMEOUT_S = 0.05
_CLASSES = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[a-zA-Z_0-9]", "W": "[^a-zA-Z_0-9]", "s": r"[ \t\n\x0b\f\r]",
    "S": r"[^ \t\n\x0b\f\r]", "h": r"[ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]",
    "v": r"[\n\x0B\f\r\x85\u2028\u2029]", "z": r"\Z", "Z": r"(?=\r?\n?\Z)", "e": r"\x1b",
}  # fmt: skip
_POSIX = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7F", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~", "Graph": "!-~", "Print": " -~", "Blank": r" \t", "Cntrl": r"\x00-\x1F\x7F",
    "XDigit": "0-9a-fA-F", "Space": r" \t\n\x0B\f\r",
}  # fmt: skip


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    """Return the compiled expression, or None for what is not one."""
    try:
        return regex.compile(_translate(pattern), regex.VERSION1)
    except (regex.error, ValueError, OverflowError, RecursionError, IndexError):
        return None


def _translate(pattern: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern[at] != "\\" or at + 1 == len(pattern):
            parts.append(pattern[at])
            at += 1
        elif pattern[at + 1] == "Q":
            end = pattern.find("\\E", at + 2)
            end = len(pattern) if end < 0 else end
            parts.append(regex.escape(pattern[at + 2 : end]))
            at = end + 2
        else:
            text, at = _escape(pattern, at + 1)
            parts.append(text)
    return "".join(parts)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    letter = pattern[at]
    if letter in "pP" and pattern[at + 1 : at + 2] == "{":
        end = pattern.find("}", at)
        name = pattern[at + 2 : end]
        if end > 0 and name in _POSIX:
            return f"[{'^' if letter == 'P' else ''}{_POSIX[name]}]", end + 1
    return _CLASSES.get(letter, "\\" + letter), at + 1


def matches(text: str, pattern: str) -> Value:
    """Say whether ``text`` contains a match."""
    compiled = _compiled(pattern)
    try:
        return UNDEFINED if compiled is None else compiled.search(text, timeout=TIMEOUT_S) is not None
    except TimeoutError:
        return UNDEFINED


def first_match(text: str, pattern: str) -> Value:
    """Return the first match; Undefined where there is none."""
    compiled = _compiled(pattern)
    try:
        found = None if compiled is None else compiled.search(text, timeout=TIMEOUT_S)
    except TimeoutError:
        return UNDEFINED
    return UNDEFINED if found is None else found[0]


def replace_all(text: str, pattern: str, replacement: str) -> Value:
    r"""Replace every match; ``$1`` and ``${name}`` stand for groups, ``\`` escapes, as in ``Matcher.replaceAll``."""
    compiled = _compiled(pattern)
    pieces = None if compiled is None else _pieces(replacement, compiled.groups, compiled.groupindex)
    if pieces is None:
        return UNDEFINED

    def fill(match: Any) -> str:
        return "".join(piece if isinstance(piece, str) else match[piece[0]] or "" for piece in pieces)

    try:
        return compiled.sub(fill, text, timeout=TIMEOUT_S)
    except TimeoutError:
        return UNDEFINED


def _pieces(replacement: str, groups: int, names: Any) -> list[str | tuple[int]] | None:
    """Return literal text and group numbers; None where Java would refuse the replacement."""
    pieces: list[str | tuple[int]] = []
    at = 0
    while at < len(replacement):
        letter, at = replacement[at], at + 1
        if letter == "\\":
            if at == len(replacement):
                return None
            pieces.append(replacement[at])
            at += 1
        elif letter == "$":
            group, at = _group(replacement, at, groups, names)
            if group is None:
                return None
            pieces.append((group,))
        else:
            pieces.append(letter)
    return pieces


def _group(replacement: str, at: int, groups: int, names: Any) -> tuple[int | None, int]:
    if replacement[at : at + 1] == "{":
        end = replacement.find("}", at)
        return names.get(replacement[at + 1 : end]), end + 1
    digits = 0
    number: int | None = None
    while at < len(replacement) and replacement[at] in "0123456789":
        longer = digits * 10 + int(replacement[at])
        if number is not None and longer > groups:
            break
        number = digits = longer
        at += 1
    return (number if number is not None and number <= groups else None), at
