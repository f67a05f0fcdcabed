"""Which groups are rated, and why others are not. Load on a copy must be load on the copy alone."""

from shared.contracts.objects import Pipeline, ServerGroup, Stage, Transform
from shared.contracts.rating import Loading
from shared.contracts.serving import FeatureServing, PushIngest
from shared.domain.errors import InvalidInput, Refused


def stage_on(pipeline: Pipeline | None, group: str) -> Stage | None:
    """The stage of a pipeline that runs on a group."""
    return next((s for s in pipeline.stages if s.group == group), None) if pipeline else None


def check_rateable(spec: ServerGroup, stage: Stage | None, loading: Loading) -> None:
    """Refused says why a group cannot be rated; InvalidInput names what does not fit to its kind of load."""
    name = f"group {spec.name}"
    if spec.kind == "feature" and not isinstance(spec.serving, FeatureServing):
        raise Refused(f"{name}: it serves nothing yet", remedy="declare what it serves")
    if spec.kind in {"ingest", "stage"} and stage is None and spec.serving is None:
        raise Refused(
            f"{name}: no stage runs on it, and it serves nothing by itself", remedy="apply its pipeline first"
        )
    if spec.kind != "transform" and loading.function is not None:
        raise InvalidInput(
            f"{name}: it is of kind {spec.kind}, and functions are those of transform groups",
            field="loading.function",
            remedy="leave the function out",
        )
    if spec.kind == "stage" and loading.batch is not None:
        raise InvalidInput(
            f"{name}: a stage reads its topic in batches of its own making",
            field="loading.batch",
            remedy="leave the batch out",
        )
    if loading.called_nodes is not None and not group_called(spec, stage):
        raise InvalidInput(
            f"{name}: its nodes call no transform group, so none of one stand behind it",
            field="loading.called_nodes",
            remedy="leave the number out",
        )
    most = batch_max(spec, stage)
    if loading.batch is not None and most is not None and loading.batch > most:
        raise InvalidInput(
            f"{name}: a request has at most {most} messages, not {loading.batch}",
            field="loading.batch",
            remedy=f"give at most {most}",
        )


def group_called(spec: ServerGroup, stage: Stage | None) -> str:
    """The transform group that the nodes of a group call; empty: none."""
    if spec.serving and spec.serving.transform:
        return spec.serving.transform.group
    if stage and isinstance(stage.work, Transform) and stage.work.group:
        return stage.work.group
    return ""


def batch_max(spec: ServerGroup, stage: Stage | None) -> int | None:
    """Of one HTTP request to a node of the group; None: it takes none."""
    if isinstance(spec.serving, FeatureServing | PushIngest):
        return spec.serving.batch_max
    if stage is not None and stage.work.type == "ingest":
        return stage.work.batch_max
    return None
