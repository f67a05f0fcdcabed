"""Environments with the real uv: locked with hashes, refused with the resolver's words, built to the same bytes."""

import base64
import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from services.provisioner.adapters.memory import MemoryEnvironments, MemoryFences, MemoryGroups
from services.provisioner.adapters.uv_builds import UvBuilds, UvSite
from services.provisioner.domain.environment import environment_digest, locked_packages
from services.provisioner.domain.group import Bundle
from services.provisioner.operations.environments import Environments
from services.provisioner.operations.translation import group_intent
from shared.contracts.objects import Environment
from shared.contracts.provisioning import BuildEnvironmentInput
from shared.domain.errors import InvalidInput, NotFound, Refused
from shared.domain.names import GroupName
from tests.provisioner.examples import spec

UV = Path(__file__).parents[2] / ".venv" / "bin" / "uv"


def wheel(folder: Path, name: str, version: str = "1.0", requires: str = "") -> None:
    """A wheel with one module."""
    files = {f"{name}.py": f"VERSION = {version!r}\n".encode()}
    info = f"{name}-{version}.dist-info"
    need = f"Requires-Dist: {requires}\n" if requires else ""
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{need}".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b'=').decode()},{len(body)}\n"
        for path, body in files.items()
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, body in files.items():
            archive.writestr(path, body)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


class FolderBundles:
    """`Bundles` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def find(self, key: str) -> Bundle | None:
        path = self.folder / key
        return self._bundle(path) if path.exists() else None

    async def read(self, url: str, bytes_max: int) -> bytes:
        raise NotImplementedError

    async def put_text(self, folder: str, text: str) -> Bundle:
        raise NotImplementedError

    async def put_file(self, key: str, path: Path) -> Bundle:
        target = self.folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return self._bundle(target)

    def _bundle(self, path: Path) -> Bundle:
        body = path.read_bytes()
        return Bundle(path.as_uri(), hashlib.sha256(body).hexdigest(), len(body))


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UvBuilds:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("HEADRACE_DATABASE_URL", "postgresql://secret")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "headrace_runtime", "0.1.0")
    wheel(wheels, "tiny", "1.0")
    wheel(wheels, "tiny", "2.0")
    wheel(wheels, "needy", "1.0", requires="tiny<2")
    return UvBuilds(UvSite(str(UV), wheels, tmp_path / "uv"))


@pytest.fixture
def environments(builds: UvBuilds, tmp_path: Path) -> Environments:
    return Environments(MemoryEnvironments(), MemoryGroups(MemoryFences()), builds, FolderBundles(tmp_path / "bundles"))


def wanted(requirements: str, generation: int = 1, python: str | None = None) -> BuildEnvironmentInput:
    offered = UvSite("uv", Path(), Path()).python
    declared = Environment(name="flights-env", requirements=requirements, python=python or offered)
    return BuildEnvironmentInput(spec=declared, generation=generation)


async def test_built_once_with_hashes_and_a_site_folder(environments: Environments, tmp_path: Path) -> None:
    model = await environments.build(wanted("headrace-runtime\nneedy\n"))
    assert model.phase == "READY"
    assert set(locked_packages(model.locked)) == {"headrace-runtime", "needy", "tiny"}
    assert "tiny==1.0" in model.locked
    assert model.locked.count("--hash=sha256:") >= 3
    assert str(tmp_path) not in model.locked
    assert model.digest == environment_digest(model.locked, wanted("x").spec.python)
    archive = tmp_path / "bundles" / "environments" / f"{model.digest}.tar.gz"
    assert model.artifact is not None
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == model.artifact.sha256
    with tarfile.open(archive) as content:
        names = content.getnames()
        assert {"site/tiny.py", "site/needy.py", "site/headrace_runtime.py"} <= set(names)
        assert all(m.mtime == 0 and m.uid == 0 and not m.issym() for m in content.getmembers())
    again = await environments.build(wanted("needy\nheadrace-runtime  # the same lock\n", generation=2))
    assert again.digest == model.digest
    assert len(list((tmp_path / "bundles" / "environments").iterdir())) == 1
    assert not list((tmp_path / "uv" / "builds").iterdir())


async def test_the_same_lock_gives_the_same_bytes(builds: UvBuilds) -> None:
    locked = await builds.lock("e", "headrace-runtime\nneedy")
    first, second = await builds.build("e", locked), await builds.build("e", locked)
    try:
        assert first.read_bytes() == second.read_bytes()
    finally:
        await builds.discard(first)
        await builds.discard(second)


async def test_a_requirement_that_cannot_be_resolved_is_named(environments: Environments) -> None:
    with pytest.raises(InvalidInput, match=r"requirement 'tiny==9\.0' cannot be resolved") as caught:
        await environments.build(wanted("headrace-runtime\ntiny==9.0\n"))
    assert caught.value.field == "requirements"
    state = await environments.get("flights-env")
    assert state.phase == "ERROR"
    assert "tiny==9.0" in state.detail


async def test_a_conflict_is_named(environments: Environments) -> None:
    with pytest.raises(InvalidInput, match="cannot be resolved"):
        await environments.build(wanted("headrace-runtime\nneedy\ntiny==2.0\n"))


async def test_without_the_runtime_it_is_refused_with_the_remedy(environments: Environments) -> None:
    with pytest.raises(InvalidInput, match="headrace-runtime is not among") as caught:
        await environments.build(wanted("tiny\n"))
    assert "headrace-runtime" in caught.value.remedy


async def test_another_python_is_refused(environments: Environments) -> None:
    with pytest.raises(InvalidInput, match=r"Python 3\.4"):
        await environments.build(wanted("headrace-runtime", python="3.4"))


async def test_removal_is_refused_while_a_group_uses_it(environments: Environments) -> None:
    await environments.build(wanted("headrace-runtime"))
    await environments._groups.register(group_intent(spec(environment="flights-env"), 1))
    with pytest.raises(Refused, match="used by group delays"):
        await environments.remove("flights-env")
    await environments._groups.remove(GroupName("delays"))
    await environments.remove("flights-env")
    with pytest.raises(NotFound):
        await environments.get("flights-env")
