"""The text of a policy file as a document: TOML that people can see and approve as it is.

Owns the limits of the text itself; what the document says is `policy`'s business.
"""

import tomllib

_MAX_BYTES = 256 * 1024
# tomllib takes time quadratic in the parts of a dotted key, and a key cannot go over the end of a line.
_MAX_LINE = 500
_INVISIBLE_BUT_HARMLESS = "\t\u00a0\u3000"


class PolicyTextError(ValueError):
    """The text is not a TOML document, or holds what its readers could not see."""


def read_document(text: str) -> dict[str, object]:
    """Return the document in `text`. Raises PolicyTextError with the line and column of what is wrong."""
    _refuse_unsafe(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = text.split("\n")
        end = f"at line {len(lines)}, column {len(lines[-1]) + 1}, the end of the document"
        raise PolicyTextError(f"not TOML: {str(error).replace('at end of document', end)}") from error
    except RecursionError as error:
        raise PolicyTextError("not TOML: lists or tables are nested too deeply") from error


def _refuse_unsafe(text: str) -> None:
    # A character takes at least a byte: the first comparison keeps a huge text from being encoded.
    if len(text) > _MAX_BYTES or len(text.encode(errors="replace")) > _MAX_BYTES:
        raise PolicyTextError(f"larger than {_MAX_BYTES // 1024} KiB")
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if len(line) > _MAX_LINE:
            raise PolicyTextError(f"line {number} is longer than {_MAX_LINE} characters")
        _refuse_invisible(number, line)


def _refuse_invisible(number: int, line: str) -> None:
    """Refuse control characters, lone surrogates, and marks that change the order or hide what is read."""
    for column, character in enumerate(line, start=1):
        if not character.isprintable() and character not in _INVISIBLE_BUT_HARMLESS:
            place = f"at line {number}, column {column}"
            raise PolicyTextError(f"character U+{ord(character):04X} {place} cannot be seen")
