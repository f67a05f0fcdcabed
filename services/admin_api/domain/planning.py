"""From what is declared and what is stored to a plan: pure, so that what is shown is what is applied.

A plan refuses as a whole (`blocked`) what would break something: deleting what is used or protected, changing what
cannot change. What names something unknown is not a plan but invalid input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from services.admin_api.domain.comparing import compared
from services.admin_api.domain.records import Action, Change, FieldChange, ObjectKey, ObjectKind, Spec, StoredObject
from shared.domain.errors import InvalidInput
from shared.domain.names import checked_new_group
from shared.domain.reason import Reason, Remedy

ORDER = (ObjectKind.ENVIRONMENT, ObjectKind.SERVER_GROUP, ObjectKind.PIPELINE)
DEPLOYED_FIELDS = ("environment", "code", "variables")
GROUP_KIND_OF_WORK: Mapping[str, str] = {
    "ingest": "ingest",
    "normalize": "stage",
    "enrich": "stage",
    "route": "stage",
    "transform": "transform",  # "stage" when it calls a transform group
    "transmit": "stage",
}
NODES_WARN_ABOVE = 100  # a usual EC2 quota is met near here
Stored = Mapping[ObjectKey, StoredObject]
NOTHING: Mapping[ObjectKey, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Decided:
    """The part of a plan that is decided; identity and author are added by whoever keeps it."""

    changes: tuple[Change, ...]
    unchanged: int
    warnings: tuple[str, ...]
    blocked: tuple[Reason, ...]


def plan_declared(
    declared: Sequence[tuple[ObjectKey, Spec]],
    stored: Stored,
    *,
    source: str,
    prune: bool,
    unfinished: Mapping[ObjectKey, str] = NOTHING,
) -> Decided:
    """The plan that brings intent to `declared`; with `prune` what `source` declared before and no longer does goes.

    What is `unfinished` (and why) is carried out again, though nothing of its declaration has changed.
    """
    live = {key: o for key, o in stored.items() if not o.deleted}
    wanted = dict(declared)
    dropped = [k for k, o in live.items() if source and o.source == source and k not in wanted]
    changes = [_changed(key, spec, stored.get(key), unfinished.get(key, "")) for key, spec in declared]
    deletes = [
        Change(Action.DELETE, k, live[k].generation, None, why=f"no longer declared in {source}") for k in dropped
    ]
    after = {k: o.spec for k, o in live.items() if not (prune and k in dropped)} | wanted
    check_references(wanted, after)
    warnings = [w for key, spec in declared for w in _warnings(key, spec, live)]
    if dropped and not prune:
        names = ", ".join(str(k) for k in dropped)
        warnings.append(f"{names}: no longer declared in {source}, and kept; `--prune` deletes what is not declared")
    real = [c for c in changes if c is not None] + (deletes if prune else [])
    ordered = sorted(real, key=_order)
    return Decided(
        tuple(ordered),
        len(changes) - sum(c is not None for c in changes),
        tuple(warnings),
        _blocked(ordered, live, after),
    )


def plan_deletes(keys: Sequence[ObjectKey], stored: Stored) -> Decided:
    """The plan that deletes the named objects; NotFound is the caller's."""
    live = {key: o for key, o in stored.items() if not o.deleted}
    changes = sorted((Change(Action.DELETE, k, live[k].generation, None, why="asked for") for k in keys), key=_order)
    after = {k: o.spec for k, o in live.items() if k not in keys}
    return Decided(tuple(changes), 0, (), _blocked(changes, live, after))


def _order(change: Change) -> tuple[int, int]:
    """Deletes last and in reverse, so that nothing loses what it stands on."""
    rank = ORDER.index(change.key.kind)
    return (1, -rank) if change.action is Action.DELETE else (0, rank)


def _changed(key: ObjectKey, spec: Spec, old: StoredObject | None, unfinished: str) -> Change | None:
    if key.kind is ObjectKind.SERVER_GROUP and (old is None or old.deleted):
        checked_new_group(key.name)
    if old is None:
        return Change(Action.CREATE, key, 0, spec, why="it does not exist yet")
    if old.deleted:
        return Change(Action.CREATE, key, old.generation, spec, why="it was deleted before")
    fields = compared(old.spec, spec)
    if not fields:
        return Change(Action.UPDATE, key, old.generation, spec, why=unfinished) if unfinished else None
    if key.kind is ObjectKind.SERVER_GROUP and old.spec["kind"] != spec["kind"]:
        return Change(Action.REPLACE, key, old.generation, spec, fields, why="the kind of a server group cannot change")
    deploys = key.kind is ObjectKind.SERVER_GROUP and any(f.field.split(".")[0] in DEPLOYED_FIELDS for f in fields)
    return Change(
        Action.UPDATE, key, old.generation, spec, tuple(_with_consequence(key, f) for f in fields), deploys=deploys
    )


def _with_consequence(key: ObjectKey, change: FieldChange) -> FieldChange:
    top = change.field.split(".")[0]
    if key.kind is ObjectKind.SERVER_GROUP and top in DEPLOYED_FIELDS:
        return replace(change, why="reaches the machines by a deployment")
    if key.kind is ObjectKind.SERVER_GROUP and top == "node_type":
        return replace(change, why="holds for machines of the next revision")
    if key.kind is ObjectKind.ENVIRONMENT and top in {"requirements", "python"}:
        return replace(change, why="built anew; groups keep the old build until they are deployed")
    return change


def check_references(wanted: Mapping[ObjectKey, Spec], after: Mapping[ObjectKey, Spec]) -> None:
    """InvalidInput when an object names something that there will not be, or that does not fit."""
    for key, spec in wanted.items():
        if key.kind is ObjectKind.SERVER_GROUP and spec.get("environment"):
            name = spec["environment"]
            if ObjectKey(ObjectKind.ENVIRONMENT, name) not in after:
                raise InvalidInput(
                    f"{key}: environment {name!r} does not exist",
                    field="environment",
                    remedy=_declare_or_pick("an Environment", ObjectKind.ENVIRONMENT, after),
                )
        if key.kind is ObjectKind.PIPELINE:
            _check_stages(key, spec, after)
        for field, name in _called_by(key, spec):
            called = after.get(ObjectKey(ObjectKind.SERVER_GROUP, name))
            if called is None or called["kind"] != "transform":
                is_what = f"is of kind {called['kind']!r}" if called else "does not exist"
                raise InvalidInput(
                    f"{key}: it calls server group {name!r}, which {is_what}",
                    field=field,
                    remedy="declare a TransformServerGroup of that name, or name one",
                )


def _check_stages(key: ObjectKey, spec: Spec, after: Mapping[ObjectKey, Spec]) -> None:
    others = {
        stage["group"]: str(k)
        for k, s in after.items()
        if k.kind is ObjectKind.PIPELINE and k != key
        for stage in s["stages"]
    }
    seen: dict[str, str] = {}
    for i, stage in enumerate(spec["stages"]):
        name, work = stage["group"], stage["work"]["type"]
        group = after.get(ObjectKey(ObjectKind.SERVER_GROUP, name))
        field = f"stages.{i}.group"
        if group is None:
            raise InvalidInput(
                f"{key}: stage {stage['name']!r}: server group {name!r} does not exist",
                field=field,
                remedy=_declare_or_pick("a server group", ObjectKind.SERVER_GROUP, after),
            )
        fits = "stage" if stage["work"].get("group") else GROUP_KIND_OF_WORK[work]
        if group["kind"] != fits:
            raise InvalidInput(
                f"{key}: stage {stage['name']!r} does {work}, but server group {name!r} is of kind {group['kind']!r}",
                field=field,
                remedy=f"name a group of kind {fits}",
            )
        twice = seen.get(name) or others.get(name)
        if twice:
            raise InvalidInput(
                f"{key}: stage {stage['name']!r}: server group {name!r} serves {twice} already",
                field=field,
                remedy="give each stage a group of its own",
            )
        seen[name] = f"stage {stage['name']!r}"


def _declare_or_pick(what: str, kind: ObjectKind, after: Mapping[ObjectKey, Spec]) -> str:
    names = sorted(k.name for k in after if k.kind is kind)
    return f"declare {what} of that name first" + (f", or name one of {', '.join(names[:10])}" if names else "")


def _warnings(key: ObjectKey, spec: Spec, live: Mapping[ObjectKey, StoredObject]) -> list[str]:
    found: list[str] = []
    if key.kind is ObjectKind.SERVER_GROUP:
        scaling = spec["scaling"]
        most = scaling.get("max_nodes", scaling.get("desired_nodes", 0))
        if most > NODES_WARN_ABOVE:
            found.append(f"{key}: up to {most} nodes of {spec['node_type']}; check the account's EC2 quota")
        if scaling.get("max_nodes") == 0 or scaling.get("desired_nodes") == 0:
            found.append(f"{key}: its size is 0; it will serve nothing")
        if not scaling.get("targets") and scaling["type"] == "autoscaling" and not scaling.get("node_rate"):
            found.append(f"{key}: no targets and no node_rate: it grows only once a node's capacity has been measured")
    if key.kind is ObjectKind.ENVIRONMENT and key in live and compared(live[key].spec, spec):
        users = sorted(k.name for k, o in live.items() if o.spec.get("environment") == key.name)
        if users:
            found.append(f"{key}: {', '.join(users)} keep the old build until `headrace deploy GROUP --env {key.name}`")
    return found


def _blocked(
    changes: Sequence[Change], live: Mapping[ObjectKey, StoredObject], after: Mapping[ObjectKey, Spec]
) -> tuple[Reason, ...]:
    found: list[Reason] = []
    for change in changes:
        key = change.key
        if change.action is Action.REPLACE:
            text = f"{key}: its kind cannot change from {live[key].spec['kind']} to {(change.spec or {})['kind']}"
            found.append(
                Reason(
                    "ReplaceNeeded",
                    str(key),
                    text,
                    remedy=(Remedy("declare it under another name, or delete it first"),),
                )
            )
        if change.action is not Action.DELETE:
            continue
        if live[key].spec.get("prevent_destroy"):
            remedy = Remedy("set prevent_destroy to False, apply, then delete it")
            found.append(
                Reason("PreventDestroy", str(key), f"{key} is protected: prevent_destroy is set", remedy=(remedy,))
            )
        users = [k for k, spec in after.items() if key in _named_by(k, spec)]
        if users:
            names = ", ".join(_user(key, u, after[u]) for u in users)
            remedy = Remedy(f"delete or change {names} first")
            found.append(Reason("StillUsed", str(key), f"{key} is used by {names}", remedy=(remedy,)))
    return tuple(found)


def _user(used: ObjectKey, user: ObjectKey, spec: Spec) -> str:
    """Who uses it, and with which stages when it is a pipeline."""
    if user.kind is not ObjectKind.PIPELINE:
        return str(user)
    stages = [s["name"] for s in spec["stages"] if used.name in (s["group"], s["work"].get("group"))]
    return f"{user} (stage {', '.join(stages)})"


def _named_by(key: ObjectKey, spec: Spec) -> list[ObjectKey]:
    found = [ObjectKey(ObjectKind.SERVER_GROUP, name) for _, name in _called_by(key, spec)]
    if key.kind is ObjectKind.SERVER_GROUP and spec.get("environment"):
        found.append(ObjectKey(ObjectKind.ENVIRONMENT, spec["environment"]))
    if key.kind is ObjectKind.PIPELINE:
        found += [ObjectKey(ObjectKind.SERVER_GROUP, s["group"]) for s in spec["stages"]]
    return found


def _called_by(key: ObjectKey, spec: Spec) -> list[tuple[str, str]]:
    """The transform groups that an object calls, each with the field that names it."""
    if key.kind is ObjectKind.PIPELINE:
        works = [(f"stages.{i}.work.group", s["work"]) for i, s in enumerate(spec["stages"])]
        return [(field, work["group"]) for field, work in works if work["type"] == "transform" and work.get("group")]
    if key.kind is ObjectKind.SERVER_GROUP and (spec.get("serving") or {}).get("transform"):
        return [("serving.transform.group", spec["serving"]["transform"]["group"])]
    return []


def moved_since(change: Change, now: StoredObject | None, base: Spec | None) -> Reason | None:
    """Why a change can no longer be made as planned: the object moved since; with the fields that moved."""
    generation = now.generation if now else 0
    if generation == change.base_generation:
        return None
    fields = compared(base, now.spec) if now and base is not None else ()
    moved = "; ".join(f"{f.field}: {f.old!r} -> {f.new!r}" for f in fields[:10])
    by = f" by {now.updated_by}" if now else ""
    return Reason(
        "StaleGeneration",
        str(change.key),
        f"{change.key} is at generation {generation}{by}, the change was made from {change.base_generation}"
        + (f"; since then {moved}" if moved else ""),
        remedy=(Remedy("read it again, and make the change from there"),),
    )
