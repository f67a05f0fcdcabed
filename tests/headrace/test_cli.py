"""The command as a user meets it: output, exit codes, and nothing but the document on stdout with -o json."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from headrace.cli import cli, reference
from tests.headrace.conftest import Command, declare


def document(text: str) -> Any:
    return json.loads(text)


def test_plan_apply_get_and_again(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    seen = command("plan", str(place), "--exit-code")
    assert seen.exit_code == 10, seen.output
    assert "+ create server-group delays" in seen.stdout
    assert "left out receiver.py" in seen.stderr
    assert "headrace apply --plan-id plan-" in seen.stderr
    refused = command("apply", str(place), text="n\n")
    assert refused.exit_code == 1
    assert document(command("get", "server-groups", "-o", "json").stdout) == []
    done = command("apply", str(place), "--yes", "-o", "json")
    assert done.exit_code == 0, done.output
    told = document(done.stdout)
    assert told["outcome"] == "done"
    assert told["plan_id"].startswith("plan-")
    assert told["details"]["server-group/delays"] == "done: ProvisionGroup did it"
    again = command("apply", str(place))
    assert again.exit_code == 0
    assert "No changes." in again.stdout
    assert command("plan", str(place), "--exit-code").exit_code == 0
    listed = command("get", "groups")
    assert "UNKNOWN" in listed.stdout
    one = document(command("get", "server-group", "delays", "-o", "json").stdout)
    assert one["rollout"] == {"type": "rolling", "percents": [50, 100], "bake_s": 10.0}
    assert len(one["code"]) == 64
    described = command("describe", "pipeline", "departures")
    assert "Ready: Unknown" in described.stdout
    assert "ingest" in command("get", "pipelines", "departures", "-o", "yaml").stdout


def test_a_file_in_the_place_of_its_folder_is_refused_with_the_folder(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    file = next(place.glob("*.py"))
    seen = command("plan", str(file))
    assert seen.exit_code == 2
    assert f"name the folder that it lies in, which is read whole: {place}" in seen.output


def test_a_changed_bound_is_one_line_and_a_plan_file_gets_stale(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    assert command("apply", str(place), "--yes").exit_code == 0
    declare(tmp_path, most=9)
    file = tmp_path / "flights.plan"
    seen = command("plan", str(place), "--out", str(file))
    assert "scaling.max_nodes: 4 -> 9" in seen.stdout
    declare(tmp_path, most=7)
    assert command("apply", str(place), "-y").exit_code == 0
    stale = command("apply", "--plan-file", str(file), "--yes")
    assert stale.exit_code == 3, stale.output
    assert "StaleGeneration" in stale.stderr
    assert "scaling.max_nodes: 4 -> 7" in stale.stderr


def test_a_failed_part_is_named_and_what_stands_on_it_is_skipped(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    file = place / "flights.py"
    file.write_text(file.read_text().replace("flights-env", "bad-env"))
    failed = command("apply", str(place), "--yes")
    assert failed.exit_code == 1, failed.output
    assert "environment/bad-env: the resolver found no such package" in failed.stdout
    operation = document(command("get", "operations", "-o", "json").stdout)[0]
    assert operation["details"]["server-group/delays"].startswith("skipped: it stands on environment/bad-env")
    assert operation["details"]["server-group/departures-ingest"].startswith("done")
    assert operation["details"]["pipeline/departures"].startswith("skipped")
    watched = command("watch", operation["id"])
    assert watched.exit_code == 1


def test_destroy_and_environments(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    assert command("apply", str(place), "--yes").exit_code == 0
    used = command("destroy", "environment", "flights-env", "--yes")
    assert used.exit_code == 3, used.output
    assert "StillUsed" in used.output
    gone = command("destroy", "--all-of", str(place), "--yes")
    assert gone.exit_code == 0, gone.output
    assert "4 to delete" in gone.stdout
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("headrace-runtime\n")
    assert command("environment", "create", "fraud-env", "-r", str(requirements)).exit_code == 0
    assert "fraud-env" in command("environment", "list").stdout
    assert command("environment", "delete", "fraud-env", "-y").exit_code == 0


def test_exit_codes_of_refusals(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    assert command("apply", str(place), "--yes").exit_code == 0
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("get", "server-group", "none"), 4, "does not exist"),
        (("get", "nothing"), 2, "is no kind"),
        (("describe", "pipeline", "none"), 4, "does not exist"),
        (("deploy", "none"), 4, "does not exist"),
        (("deploy", "delays"), 5, "observer"),
        (("explain", "fraud"), 2, "is not a scope"),
        (("explain", "group/delays", "--do", "deploy"), 3, "Observer"),
        (("abort", "delays"), 4, "nothing of that id runs"),
        (("watch", "op-none"), 4, "does not exist"),
        (("freeze", "system", "--for", "soon", "--reason", "x"), 2, "not a duration"),
        (("freeze", "system", "--for", "1h"), 2, "--reason"),
        (("ramp", "hold", "departures"), 4, "nothing of that id runs"),
        (("scaling", "explain", "delays"), 5, "autoscaler"),
        (("destroy", "queue", "q"), 2, "no kind"),
        (("apply",), 2, "takes a folder"),
        (("--url", "http://127.0.0.1:9", "get", "groups"), 5, "cannot be reached"),
    ]
    for args, code, words in cases:
        seen = command(*args)
        assert seen.exit_code == code, (args, seen.exit_code, seen.output)
        assert words in seen.output, (args, seen.output)
        assert "Traceback" not in seen.output
    as_json = command("get", "server-group", "none", "-o", "json")
    assert document(as_json.stdout)["error"]["exit_code"] == 4
    timeline = command("timeline")
    assert "declared, generation 1" in timeline.stdout
    token = command("token", "create", "ci", "--role", "viewer", "--to", str(tmp_path / "ci"))
    assert token.exit_code == 0, token.output
    assert (tmp_path / "ci").stat().st_mode & 0o777 == 0o600
    refused = command("--token-file", str(tmp_path / "ci"), "destroy", "pipeline", "departures", "--yes")
    assert refused.exit_code == 3, refused.output
    assert "RoleNeeded" in refused.output
    assert "may read" in command("--token-file", str(tmp_path / "ci"), "whoami").stdout


def test_the_reference_is_what_the_commands_say() -> None:
    assert reference.PLACE.read_text() == reference.text(), "run `python -m headrace.cli.reference` and commit it"


def test_every_command_has_help_and_none_is_lost() -> None:
    runner = CliRunner()
    listed = runner.invoke(cli, ["--help"])
    assert listed.exit_code == 0
    for name in ("plan", "apply", "deploy", "explain", "rate", "freeze", "drift", "token", "completion"):
        assert f"  {name} " in listed.output
        assert runner.invoke(cli, [name, "--help"]).exit_code == 0
    for shell in ("bash", "zsh", "fish"):
        assert "_HEADRACE_COMPLETE" in runner.invoke(cli, ["completion", shell]).output


def test_a_queued_deployment_changes_what_is_declared(command: Command, tmp_path: Path) -> None:
    place = declare(tmp_path)
    assert command("apply", str(place), "--yes").exit_code == 0
    (place / "transforms" / "score.py").write_text("def score(event): return 2\n")
    code = str(place / "transforms")
    done = command("deploy", "delays", "--code", code, "--queue", "--set", "A=b", "--reason", "better", "-o", "json")
    assert done.exit_code == 0, done.output
    told = document(done.stdout)
    assert (told["workflow_id"], told["text"]) == ("deploy/delays", "DeployGroup did it")
    now = document(command("get", "server-group", "delays", "-o", "json").stdout)
    assert (now["generation"], now["variables"]) == (2, {"A": "b"})
    changed = command("plan", str(place))
    assert "variables.A" in changed.stdout, "what the folder declares differs from what was deployed"
    audit = document(command("get", "audit", "-o", "json").stdout)
    assert (audit[0]["action"], audit[0]["reason"], audit[0]["via"]) == ("deploy", "better", "cli")


def test_dead_letters_are_asked_of_the_provisioner_and_say_when_it_is_away(command: Command) -> None:
    for words in (("list",), ("show", "3"), ("redrive",)):
        verb, *rest = words
        result = command("dead-letters", verb, "departures", "transform", *rest)
        assert result.exit_code == 5, result.output
    wrong = command("dead-letters", "redrive", "departures", "transform", "--rate", "0")
    assert wrong.exit_code == 2


def test_a_rating_is_asked_for_with_a_sample_that_is_looked_at_first(command: Command, tmp_path: Path) -> None:
    for words in (("rate", "delays"), ("ratings", "delays")):
        assert command(*words).exit_code == 5, "the services are not there"
    away = command("rate", "delays", "--json")
    assert (away.exit_code, document(away.stdout)["error"]["code"]) == (5, "Unavailable")
    sample = tmp_path / "events.ndjson"
    for content, why in ((b"", "0 bytes"), (b"x" * (512 * 1024 + 1), "524289 bytes"), (b"\xff\n", "not UTF-8")):
        sample.write_bytes(content)
        wrong = command("rate", "delays", "--sample", str(sample))
        assert wrong.exit_code == 2, wrong.output
        assert why in wrong.output
    assert command("rate", "delays", "--step-s", "0").exit_code == 2
