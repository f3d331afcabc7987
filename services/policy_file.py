"""Reads the company's policy file, once, at the start."""

from pathlib import Path


class PolicyFileError(ValueError):
    """The policy file cannot be read."""


def read_policy_file(path: Path | None) -> str | None:
    """Return the text of the policy file, None when none is named.

    Raises:
        PolicyFileError: saying which file, why, and what to do.
    """
    if path is None:
        return None
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"POLICY_FILE {path} cannot be read: {reason}. Name a readable UTF-8 file, or unset POLICY_FILE."
        raise PolicyFileError(msg) from error
