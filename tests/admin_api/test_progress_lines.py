"""What an operation's progress says of the objects of a plan."""

from typing import Any

from services.admin_api.operations.progress_lines import progress_lines

WAITS = {
    "subject": "pipeline/departures",
    "phase": "waiting",
    "text": "for admission",
    "reasons": [{"code": "Unhealthy", "scope": "pipeline/departures", "text": "it is UNHEALTHY"}],
}
PLAN = [
    {"object": "server-group/a", "state": "done", "text": "a serves"},
    {"object": "server-group/b", "state": "running", "text": "runs as b", "workflow_id": "gone"},
    {"object": "pipeline/departures", "state": "running", "text": "runs as p", "workflow_id": "p"},
    {"object": "pipeline/other", "state": "waiting"},
]


class Telling:
    """Workflows that answer the query with what they were given."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def progress(self, workflow_id: str, run_id: str) -> Any:
        return self.answers.get(workflow_id)


async def test_a_plans_lines_say_what_its_objects_wait_for() -> None:
    lines = await progress_lines(Telling(plan=PLAN, p=WAITS), "plan", "", "plan-1")  # type: ignore[arg-type]
    assert [(line.object, line.state, line.text, [r.code for r in line.reasons]) for line in lines] == [
        ("server-group/a", "done", "a serves", []),
        ("server-group/b", "running", "runs as b", []),
        ("pipeline/departures", "waiting", "for admission", ["Unhealthy"]),
        ("pipeline/other", "waiting", "", []),
    ]


async def test_what_nobody_answers_or_nobody_understands_is_no_line() -> None:
    for answer in (None, "words", [{"no": "object"}], {"phase": 3, "since": "x"}):
        assert not await progress_lines(Telling(plan=answer), "plan", "", "plan-1")  # type: ignore[arg-type]
