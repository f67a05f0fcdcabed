"""The bundle of a revision: fetched, checked against the hashes in the user data, unpacked once."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from dataplane.agent.aws import NodeAws
from dataplane.agent.unpacking import unpack
from shared.contracts.base import invalid_input
from shared.contracts.node import BundleManifest
from shared.contracts.provisioning import Artifact
from shared.domain.errors import InvalidInput

MANIFEST_BYTES_MAX = 1024 * 1024
FREE_BYTES_MIN = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where users' code and its dependencies lie."""

    site: Path
    code: Path
    variables: dict[str, str]
    environment_sha256: str


def fetch_bundle(aws: NodeAws, manifest: Artifact, folder: Path) -> Unpacked:
    """Into `folder`, which other users of the machine can read; InvalidInput on a hash that does not match."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise InvalidInput(f"disk: {free} bytes free under {folder}, a bundle needs {FREE_BYTES_MIN}")
    place = folder / "manifest.json"
    aws.fetch(manifest, place)
    if place.stat().st_size > MANIFEST_BYTES_MAX:
        raise InvalidInput(f"manifest {manifest.url}: more than {MANIFEST_BYTES_MAX} bytes")
    try:
        parts = BundleManifest.model_validate_json(place.read_bytes())
    except ValidationError as e:
        raise invalid_input(e) from e
    environment = _part(aws, parts.environment, folder, "environment")
    code = _part(aws, parts.code, folder, "code")
    return Unpacked(environment / "site", code, dict(parts.variables), parts.environment.sha256)


def _part(aws: NodeAws, artifact: Artifact, folder: Path, name: str) -> Path:
    target = folder / f"{name}-{artifact.sha256[:16]}"
    whole = folder / f"{target.name}.whole"  # written last: a folder without it was left by a crash
    if whole.exists():
        return target
    archive = folder / f"{target.name}.tar.gz"
    aws.fetch(artifact, archive)
    unpack(archive, target)
    archive.unlink()
    whole.touch()
    return target
