"""The sample that a group is rated with: the one that was given, or `sample.ndjson` of its code bundle."""

import io
import tarfile

from services.provisioner.domain.group import Group
from services.provisioner.domain.load import sample_events
from services.provisioner.domain.ports import Bundles
from shared.contracts.provisioning import Artifact, Revision
from shared.contracts.rating import SAMPLE_BYTES_MAX, SAMPLE_EVENTS_MAX, SAMPLE_IN_BUNDLE
from shared.domain.errors import InvalidInput, Refused

CODE_BYTES_MAX = 64 * 1024 * 1024  # the admin API takes less
SAMPLES = "samples"


class Samples:
    """In the bundle store."""

    def __init__(self, bundles: Bundles) -> None:
        """The port."""
        self._bundles = bundles

    async def of(self, group: Group, revision: Revision, given: Artifact | None) -> Artifact:
        """The one to use; InvalidInput when it holds no events, Refused when there is none."""
        sample = given or await self._bundled(group, revision)
        await self.events(sample)
        return sample

    async def events(self, sample: Artifact) -> tuple[bytes, ...]:
        """One by one."""
        return sample_events(await self._bundles.read(sample.url, SAMPLE_BYTES_MAX), sample.url, SAMPLE_EVENTS_MAX)

    async def _bundled(self, group: Group, revision: Revision) -> Artifact:
        """The sample that travels with the code."""
        remedy = f"give one: `headrace rate {group.name} --sample FILE`, or put {SAMPLE_IN_BUNDLE} beside the code"
        if revision.code is None:
            raise Refused(
                f"group {group.name}: no sample was given, and revision {revision.number} has no code that could hold one",
                remedy=remedy,
            )
        found = _from_tar(await self._bundles.read(revision.code.url, CODE_BYTES_MAX))
        if found is None:
            raise InvalidInput(
                f"group {group.name}: the code of revision {revision.number} holds no {SAMPLE_IN_BUNDLE}",
                field="sample",
                remedy=remedy,
            )
        kept = await self._bundles.put_text(SAMPLES, found.decode("utf-8", errors="replace"))
        return Artifact(url=kept.url, sha256=kept.sha256, size=kept.size)


def _from_tar(content: bytes) -> bytes | None:
    """Read, never unpacked."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            if member.isfile() and member.name.removeprefix("./") == SAMPLE_IN_BUNDLE:
                if member.size > SAMPLE_BYTES_MAX:
                    raise InvalidInput(
                        f"{SAMPLE_IN_BUNDLE}: {member.size} bytes is above {SAMPLE_BYTES_MAX}", field="sample"
                    )
                file = tar.extractfile(member)
                return file.read() if file else None
    return None
