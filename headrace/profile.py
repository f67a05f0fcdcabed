"""Which admin API to speak to, and as whom. The first that is set counts.

Flags; `HEADRACE_URL` and `HEADRACE_TOKEN` (or `HEADRACE_TOKEN_FILE`); `.headrace/client.json` in this folder or one above
it; `~/.config/headrace/config.json`. Both files are `{"url": ..., "token_file": ...}`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import WrongUse

FOLDER_FILE = Path(".headrace") / "client.json"
HOME_FILE = Path(".config") / "headrace" / "config.json"


@dataclass(frozen=True, slots=True)
class Profile:
    """`token` is not shown by repr."""

    url: str
    token: str
    found_in: str

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r}, found_in={self.found_in!r})"


def find_profile(
    url: str = "", token_file: str = "", environ: Mapping[str, str] = os.environ, folder: Path | None = None
) -> Profile:
    """WrongUse says what is missing and how to give it."""
    url = url or environ.get("HEADRACE_URL", "")
    token = _read_token(Path(token_file)) if token_file else environ.get("HEADRACE_TOKEN", "")
    if not token and environ.get("HEADRACE_TOKEN_FILE"):
        token = _read_token(Path(environ["HEADRACE_TOKEN_FILE"]))
    if url and token:
        return Profile(url.rstrip("/"), token, "flags and environment")
    for file in _files(folder or Path.cwd(), environ):
        kept = _read(file)
        found_url = url or str(kept.get("url", ""))
        place = file.parent / str(kept.get("token_file", ""))
        found_token = token or (_read_token(place) if kept.get("token_file") else "")
        if found_url and found_token:
            return Profile(found_url.rstrip("/"), found_token, str(file))
    missing = "no address of an admin API" if not url else "no token"
    raise WrongUse(
        f"{missing} is configured",
        remedy="run `headrace up` in this folder, or set HEADRACE_URL and HEADRACE_TOKEN, or use --url and --token-file",
    )


def _files(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    for place in (folder, *folder.parents):
        if (place / FOLDER_FILE).is_file():
            yield place / FOLDER_FILE
            break
    home = environ.get("HOME")
    if home and (Path(home) / HOME_FILE).is_file():
        yield Path(home) / HOME_FILE


def _read(file: Path) -> dict[str, object]:
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError) as e:
        raise WrongUse(f"{file} cannot be read: {e}", remedy="mend or remove it") from e
    if not isinstance(kept, dict):
        raise WrongUse(f"{file} is not a JSON object", remedy='it is {"url": ..., "token_file": ...}')
    return kept


def _read_token(file: Path) -> str:
    try:
        return file.expanduser().read_text().strip()
    except OSError as e:
        raise WrongUse(
            f"token file {file} cannot be read: {e.strerror}", remedy="name a file that holds the token"
        ) from e
