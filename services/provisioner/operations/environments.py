"""Environments: lock, check, find or build, publish. The same lock is built once, whatever it is called."""

from services.provisioner.domain.environment import EnvironmentIntent, check_python, check_runtime, environment_digest
from services.provisioner.domain.group import Bundle
from services.provisioner.domain.ports import Bundles, EnvironmentBuilds
from services.provisioner.domain.stores import EnvironmentStore, GroupStore
from services.provisioner.operations.translation import environment_intent, environment_model, spec_of
from shared.contracts.provisioning import BuildEnvironmentInput, EnvironmentModel
from shared.domain.errors import HeadraceError, NotFound, Refused

FOLDER = "environments"


class Environments:
    """Environments."""

    def __init__(
        self, store: EnvironmentStore, groups: GroupStore, builds: EnvironmentBuilds, bundles: Bundles
    ) -> None:
        """One for the whole service."""
        self._store = store
        self._groups = groups
        self._builds = builds
        self._bundles = bundles

    async def get(self, name: str) -> EnvironmentModel:
        """One environment."""
        state = await self._store.get(name)
        if state is None:
            raise NotFound(f"environment {name}: there is none", remedy="`headrace get environments` lists them")
        return environment_model(state)

    async def all(self) -> tuple[EnvironmentModel, ...]:
        """Every environment."""
        return tuple(environment_model(e) for e in await self._store.all())

    async def build(self, request: BuildEnvironmentInput) -> EnvironmentModel:
        """Resolve, check, build, publish; what cannot be resolved is recorded with what the resolver said."""
        intent = environment_intent(request.spec, request.generation)
        state = await self._store.register(intent)
        if state.phase == "READY":
            return environment_model(state)
        try:
            locked, digest, bundle = await self._built(intent)
        except HeadraceError as e:
            if not e.retryable:
                await self._store.fail(intent.name, intent.generation, str(e))
            raise
        await self._store.finish(intent.name, intent.generation, digest, bundle, locked)
        return await self.get(intent.name)

    async def _built(self, intent: EnvironmentIntent) -> tuple[str, str, Bundle]:
        check_python(intent.name, intent.python, self._builds.python)
        locked = await self._builds.lock(intent.name, intent.requirements)
        check_runtime(intent.name, locked)
        digest = environment_digest(locked, intent.python)
        key = f"{FOLDER}/{digest}.tar.gz"
        known = await self._bundles.find(key)
        if known is not None:
            return locked, digest, known
        path = await self._builds.build(intent.name, locked)
        try:
            return locked, digest, await self._bundles.put_file(key, path)
        finally:
            await self._builds.discard(path)

    async def remove(self, name: str) -> None:
        """Forget it; refused while a group is declared on it. Its bundle stays for revisions that run it."""
        users = [g.name for g in await self._groups.all() if spec_of(g).environment == name]
        if users:
            raise Refused(
                f"environment {name}: used by group {', '.join(users)}",
                remedy="give the groups another environment, or destroy them first",
            )
        await self._store.remove(name)
