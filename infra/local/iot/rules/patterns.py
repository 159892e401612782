r"""Java's regular expressions on the ``regex`` package, for ``regexp_matches``, ``regexp_replace``, ``regexp_substr``.

``java.util.regex.Pattern`` differs from Python's ``re`` in what is translated here: classes are ASCII, set algebra with
``&&``, POSIX names, ``\Q…\E``, ``\z``; and a match may not take longer than ``TIMEOUT_S``, for it runs in the
gateway's one loop. What is not a valid expression, or takes too long, is Undefined.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]  # ships no types

from infra.local.iot.rules.values import UNDEFINED, Value

TIMEOUT_S = 0.05
MAX_TEXT = 128 * 1024
"""Characters of a replacement's result: no message has more, and a few bytes must not grow to gigabytes."""
MAX_LENGTH = 4_096
"""Characters of an expression, which a payload may bring: reading and compiling it holds up the loop too."""
MAX_SIZE = 20_000
"""Of an expression whose counted repetitions are written out."""
_CLASSES = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[a-zA-Z_0-9]", "W": "[^a-zA-Z_0-9]", "s": r"[ \t\n\x0b\f\r]",
    "S": r"[^ \t\n\x0b\f\r]", "h": r"[ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]",
    "v": r"[\n\x0B\f\r\x85\u2028\u2029]", "z": r"\Z", "Z": r"(?=\r?\n?\Z)", "e": r"\x1b",
}  # fmt: skip
_POSIX = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7F", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~", "Graph": "!-~", "Print": " -~", "Blank": r" \t", "Cntrl": r"\x00-\x1F\x7F",
    "XDigit": "0-9a-fA-F", "Space": r" \t\n\x0B\f\r", "javaLowerCase": r"\p{Lowercase}",
    "javaUpperCase": r"\p{Uppercase}",
}  # fmt: skip


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    """Return the compiled expression, or None for what is not one."""
    try:
        if len(pattern) > MAX_LENGTH:
            return None
        translated = _translate(pattern)  # what is quoted is escaped in it, so that its size is not hidden by a [
        return regex.compile(translated, regex.VERSION1) if _size(translated) <= MAX_SIZE else None
    except (regex.error, ValueError, OverflowError, RecursionError, IndexError):
        return None


def _translate(pattern: str) -> str:
    """Return the expression as ``regex`` writes it.

    Raises:
        ValueError: Java has no such expression.
    """
    parts: list[str] = []
    at = depth = 0
    while at < len(pattern):
        if pattern.startswith("\\Q", at):
            end = pattern.find("\\E", at + 2)
            end = len(pattern) if end < 0 else end
            text, at = regex.escape(pattern[at + 2 : end]), end + 2
        elif pattern[at] == "\\":
            text, at = _escape(pattern, at + 1)
        elif depth or pattern[at] == "[":
            text, depth, at = _in_class(pattern, at, depth)
        else:
            text, at = _outside(pattern, at)
        parts.append(text)
    return "".join(parts)


_TOKEN = regex.compile(r"\\.|\{(?<count>\d+)(?:,\d*)?\}|.", regex.DOTALL)


def _size(pattern: str) -> int:
    """Return about how many atoms an expression has once its counted repetitions are written out."""
    sizes, last = [0], 0
    for token in _tokens(pattern):
        if token["count"]:
            last = last * max(int(token["count"][:9]) - 1, 0)
        elif token[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
        elif token[0] == "(":
            sizes.append(0)
            last = 0
        else:
            last = 1
        sizes[-1] += last
    return sum(sizes)


def _tokens(pattern: str) -> Iterator[Any]:
    """Yield what an expression is made of; of a class, which is one atom whatever stands in it, its opening alone."""
    depth, opened_at = 0, 0
    for token in _TOKEN.finditer(pattern):
        if not depth:
            yield token
        if token[0] == "[":
            opened_at, depth = token.end() + pattern.startswith("^", token.end()), depth + 1
        elif depth and token[0] == "]" and token.start() != opened_at:  # a first one stands for itself
            depth -= 1


def _outside(pattern: str, at: int) -> tuple[str, int]:
    """Return one character outside of a class: ``regex`` reads more behind ``{`` and ``(`` than Java knows."""
    unknown = {"{": not _COUNT.match(pattern, at), "(": pattern.startswith("(*", at) or not _GROUP.match(pattern, at)}
    if unknown.get(pattern[at]):
        raise ValueError(f"Not an expression of Java at {at}: {pattern}")
    return pattern[at], at + 1


def _in_class(pattern: str, at: int, depth: int) -> tuple[str, int, int]:
    """Return a class's next text, how deep one is in classes behind it, and where that is."""
    if pattern[at] == "[":
        opening = "[^" if pattern.startswith("[^", at) else "["
        first = pattern.startswith("]", at + len(opening))  # stands for itself
        return opening + ("\\]" if first else ""), depth + 1, at + len(opening) + first
    if pattern[at : at + 2] in ("--", "||", "~~"):
        return "\\" + pattern[at] + "\\" + pattern[at], depth, at + 2
    return pattern[at], depth - (pattern[at] == "]"), at + 1


_COUNT = regex.compile(r"\{\d+(?:,\d*)?\}")
_GROUP = regex.compile(r"\((?!\?)|\(\?(?:[:=!>]|<[=!]|<[a-zA-Z][a-zA-Z0-9]*>|[idmsuxU]*(?:-[idmsuxU]+)?[:)])")
_LETTERS = frozenset("tnrfaecxu0dDsSwWhHvVbBAGZzRXpPkN123456789")


def _escape(pattern: str, at: int) -> tuple[str, int]:
    r"""Return what stands for the escape whose letter is at ``at``, and where it ends."""
    letter, more = pattern[at : at + 1], pattern[at + 1 : at + 2]
    end = pattern.find({"{": "}", "<": ">"}.get(more, "}"), at)
    name = pattern[at + 2 : end]
    if letter == "k" and more == "<" and end > 0:
        return f"(?P={name})", end + 1
    if letter == "x" and more == "{" and end > 0:
        return f"\\U{int(name, 16):08x}", end + 1
    if letter in ("p", "P") and more == "{" and end > 0:
        posix = f"[{'^' if letter == 'P' else ''}{_POSIX.get(name)}]"
        return posix if name in _POSIX else "\\" + pattern[at : end + 1], end + 1
    if not letter or (letter.isascii() and letter.isalnum() and letter not in _LETTERS):
        raise ValueError(f"Not an expression of Java at {at}: {pattern}")
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

    room = MAX_TEXT - len(text)

    def fill(match: Any) -> str:
        nonlocal room
        filled = "".join(piece if isinstance(piece, str) else match[piece[0]] or "" for piece in pieces)
        room -= len(filled) - len(match[0])
        if room < 0:
            raise TimeoutError
        return filled

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
