"""moto's objects as bytes and back, so that they survive a crash.

A service is pickled attribute by attribute into the backend that moto makes anew at the next start. References from
one backend to another are written as names. Default dictionaries whose factory is a local function (which can not be
pickled) are written as their items and poured into the fresh ones. The bodies of S3 objects go to files of their own,
named by their digest, because they are large and never change. A snapshot of another version of moto is refused: the
state file is a developer's convenience, not an archive.
"""

import hashlib
import io
import pickle
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import moto
from moto.core.base_backend import BaseBackend
from moto.s3.models import FakeKey

from localcloud.aws.moto_services import GLOBAL_SERVICES, SAVED_SERVICES, MotoServices, backends

PLAIN_KINDS = (dict, defaultdict)
BODY_ATTRIBUTE = "localcloud_body"
BACKEND, ITEMS, VALUE = "backend", "items", "value"


class SnapshotOfAnotherVersionError(Exception):
    """The snapshot was written by another version of moto."""


class Bodies:
    """A folder of S3 objects' bodies; each file is written once and read when it is loaded."""

    def __init__(self, directory: Path) -> None:
        """The folder is made."""
        self.directory = directory
        self.used: set[str] = set()
        self.cpu_s = 0.0  # spent on bodies that were new
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, key: Any) -> str:
        """The name of the file with this object's body."""
        digest, size = getattr(key, BODY_ATTRIBUTE, ("", -1))
        if size != key.contentsize or not (self.directory / digest).exists():
            began = time.thread_time()
            body: bytes = key.value
            digest = hashlib.sha256(body).hexdigest()
            if not (self.directory / digest).exists():
                fresh = self.directory / f".{digest}"
                fresh.write_bytes(body)
                fresh.replace(self.directory / digest)
            setattr(key, BODY_ATTRIBUTE, (digest, key.contentsize))
            self.cpu_s += time.thread_time() - began
        self.used.add(digest)
        return digest

    def drop_unused(self) -> None:
        """Remove the files that the last snapshot of S3 does not name."""
        for file in self.directory.iterdir():
            if file.name not in self.used:
                file.unlink(missing_ok=True)


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, services: MotoServices, bodies: Bodies | None) -> None:
        super().__init__(out, protocol=5)
        self._names = {id(services.backend(name)): name for name in SAVED_SERVICES}
        self._bodies = bodies

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, BaseBackend):
            return None
        name = self._names.get(id(obj)) or type(obj).__module__.split(".")[1]
        return (BACKEND, name, obj.account_id, obj.region_name)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FakeKey) and self._bodies is not None:
            state = obj.__dict__.copy()
            for unsaved in ("_value_buffer", "lock", BODY_ATTRIBUTE):
                state.pop(unsaved, None)
            return restore_key, (str(self._bodies.directory), self._bodies.keep(obj), obj.contentsize, state)
        if isinstance(obj, dict) and type(obj) not in PLAIN_KINDS and not isinstance(obj, OrderedDict):
            factory = getattr(obj, "default_factory", None)
            return restore_dictionary, (type(obj), factory, dict(dict.items(obj)), vars(obj).copy())
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        _, name, account, region = pid
        return backends(name)[account]["aws" if name in GLOBAL_SERVICES else region]


def restore_key(directory: str, digest: str, size: int, state: dict[str, Any]) -> Any:
    """An S3 object with the body that was kept for it."""
    key: Any = FakeKey.__new__(FakeKey)
    key.__setstate__({**state, "value": (Path(directory) / digest).read_bytes()})
    setattr(key, BODY_ATTRIBUTE, (digest, size))
    return key


def restore_dictionary(kind: Any, factory: Any, items: dict[Any, Any], state: dict[str, Any]) -> Any:
    """A dictionary of moto's own kind: some take other arguments, some hide what they hold (S3's old versions)."""
    made = kind.__new__(kind)
    if factory is not None:
        made.default_factory = factory
    dict.update(made, items)
    vars(made).update(state)
    return made


def write(services: MotoServices, service: str, bodies: Bodies | None) -> bytes:
    """A service as bytes; its lock must be held. Only S3 has bodies."""
    if service == "s3" and bodies is not None:
        bodies.used.clear()
    attributes: dict[str, tuple[str, Any]] = {}
    for name, value in vars(services.backend(service)).items():
        if isinstance(value, defaultdict) and isinstance(value.default_factory, FunctionType):
            attributes[name] = (ITEMS, _plain(value))
        elif not callable(value):
            attributes[name] = (VALUE, value)
    extra = dict(backends("s3").bucket_accounts) if service == "s3" else None
    out = io.BytesIO()
    _Pickler(out, services, bodies).dump((moto.__version__, attributes, extra))
    return out.getvalue()


def read(services: MotoServices, service: str, content: bytes) -> None:
    """Put a service's snapshot in place; SnapshotOfAnotherVersionError."""
    version, attributes, extra = _Unpickler(io.BytesIO(content)).load()
    if version != moto.__version__:
        raise SnapshotOfAnotherVersionError(f"{service}: written by moto {version}, this is {moto.__version__}")
    backend = services.backend(service)
    for name, (kind, value) in attributes.items():
        if kind == ITEMS:
            _pour(value, vars(backend)[name])
        else:
            setattr(backend, name, value)
    if extra is not None:
        backends("s3").bucket_accounts.update(extra)


def _plain(value: Any) -> Any:
    """Nested default dictionaries with local factories as plain ones."""
    local = isinstance(value, defaultdict) and isinstance(value.default_factory, FunctionType)
    return {key: _plain(item) for key, item in value.items()} if local else value


def _pour(items: dict[Any, Any], into: Any) -> None:
    """Fill a fresh default dictionary, keeping the factories that it has within."""
    factory: Callable[[], Any] | None = getattr(into, "default_factory", None)
    for key, item in items.items():
        if isinstance(item, dict) and factory is not None and isinstance(into[key], dict):
            _pour(item, into[key])
        else:
            into[key] = item
