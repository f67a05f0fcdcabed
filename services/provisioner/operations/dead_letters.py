"""Dead letters of a stage: shown, and redriven at a bounded rate, each once however often it is asked for."""

from services.provisioner.domain.dead_letters import Letter, chosen
from services.provisioner.domain.ports import DeadLetterTopics
from services.provisioner.domain.stores import PipelineStore
from shared.contracts.dead_letters import DeadLetter, DeadLetters, RedriveInput, RedriveReport
from shared.contracts.node import topic_dead, topic_in
from shared.contracts.objects import Pipeline
from shared.domain.clock import Clock
from shared.domain.errors import NotFound
from shared.domain.names import PipelineName

LISTED_MAX = 500
WHOLE_MAX = 256 * 1024
BATCHES_A_SECOND = 4


class DeadLetterOffice:
    """Over the broker."""

    def __init__(self, pipelines: PipelineStore, topics: DeadLetterTopics, clock: Clock) -> None:
        """One for the whole service."""
        self._pipelines = pipelines
        self._topics = topics
        self._clock = clock

    async def list(self, pipeline: str, stage: str, limit: int, reason: str, *, include_redriven: bool) -> DeadLetters:
        """Newest first, at most `limit`, without their values: those may be nobody else's business."""
        await self._check(pipeline, stage)
        shelf = await self._topics.read(topic_dead(pipeline, stage))
        shown = [
            _model(pipeline, stage, letter, 0, gone=letter.offset in shelf.gone)
            for letter in reversed(shelf.letters)
            if (include_redriven or letter.offset not in shelf.gone) and (not reason or letter.reason == reason)
        ]
        return DeadLetters(
            items=tuple(shown[: min(limit, LISTED_MAX)]), waiting=len(shelf.waiting()), complete=shelf.complete
        )

    async def get(self, pipeline: str, stage: str, offset: int) -> DeadLetter:
        """One, with its value."""
        await self._check(pipeline, stage)
        shelf = await self._topics.read(topic_dead(pipeline, stage))
        for letter in shelf.letters:
            if letter.offset == offset:
                return _model(pipeline, stage, letter, WHOLE_MAX, gone=offset in shelf.gone)
        raise NotFound(
            f"dead letter {offset} of stage {stage} of pipeline {pipeline}: there is none",
            remedy=f"`headrace dead-letters list {pipeline} {stage}` lists them",
        )

    async def redrive(self, given: RedriveInput) -> RedriveReport:
        """Send them to their stage again; one that fails there again is a new dead letter."""
        await self._check(given.pipeline, given.stage)
        dead, back = topic_dead(given.pipeline, given.stage), topic_in(given.pipeline, given.stage)
        rate = given.request.rate
        at_once = max(1, int(rate / BATCHES_A_SECOND))
        redriven = 0
        async with self._topics.redrive(dead, back) as sender:  # whoever redrove before cannot any more: now read
            letters, already = chosen(await self._topics.read(dead), given.request.offsets, given.request.reason)
            for start in range(0, len(letters), at_once):
                batch = letters[start : start + at_once]
                await sender.send(batch)
                redriven += len(batch)
                if start + at_once < len(letters):
                    await self._clock.sleep(len(batch) / rate)
        return RedriveReport(redriven=redriven, already=already)

    async def _check(self, pipeline: str, stage: str) -> None:
        state = await self._pipelines.get(PipelineName(pipeline))
        if state is None:
            raise NotFound(f"pipeline {pipeline}: there is none", remedy="`headrace get pipelines` lists them")
        spec = Pipeline.model_validate_json(state.intent.document)
        names = [s.name for s in spec.stages if s.work.type != "ingest"]
        if stage not in names:
            raise NotFound(
                f"stage {stage} of pipeline {pipeline}: it has no dead letters",
                field="stage",
                remedy=f"name one of {', '.join(names)}",
            )


def _model(pipeline: str, stage: str, letter: Letter, length_max: int, *, gone: bool) -> DeadLetter:
    return DeadLetter(
        pipeline=pipeline,
        stage=stage,
        offset=letter.offset,
        id=letter.id,
        event_time=letter.event_time,
        died_at=letter.died_at,
        reason=letter.reason,
        kind="recoverable" if letter.recoverable else "non_recoverable",
        message=letter.message,
        attempts=letter.attempts,
        tries=letter.tries,
        key=(letter.key or b"").decode(errors="replace"),
        value=letter.value[:length_max].decode(errors="replace"),
        value_bytes=len(letter.value),
        redriven=gone,
    )
