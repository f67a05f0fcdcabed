"""Plans over REST: what is shown is what is applied, and nothing stale is."""

import asyncio

from tests.admin_api.conftest import Admin, environment, flights, group


async def applied(admin: Admin, objects: list[dict[str, object]]) -> dict[str, object]:
    plan = (await admin.post("/v1/plans", {"objects": objects, "source": "flights"})).json()
    answer = await admin.post(f"/v1/plans/{plan['id']}:apply", {"digest": plan["digest"]})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def test_a_plan_creates_in_order_and_the_workflow_is_started(admin: Admin) -> None:
    answer = await admin.post("/v1/plans", {"objects": flights()[::-1], "source": "flights"})
    assert answer.status_code == 201, answer.text
    plan = answer.json()
    assert [(c["action"], c["kind"], c["name"]) for c in plan["changes"]] == [
        ("create", "environment", "env"),
        ("create", "server-group", "delays"),
        ("create", "server-group", "in"),
        ("create", "pipeline", "departures"),
    ]
    operation = await admin.post(f"/v1/plans/{plan['id']}:apply", {"digest": plan["digest"]})
    assert operation.status_code == 202, operation.text
    body = operation.json()
    assert body["state"] == "running"
    assert body["workflow_id"] == f"apply/{plan['id']}"
    assert operation.headers["location"] == f"/v1/operations/{body['id']}"
    again = await admin.post(f"/v1/plans/{plan['id']}:apply", {})
    assert again.json()["id"] == body["id"], "applying twice is applying once"
    seen = (await admin.get(f"/v1/operations/{body['id']}")).json()
    assert seen["state"] == "running"
    assert seen["run_id"]


async def test_status_is_unknown_with_the_reason_while_services_are_away(admin: Admin) -> None:
    await applied(admin, flights())
    listed = await admin.get("/v1/server-groups")
    assert listed.status_code == 200, listed.text
    assert {i["status"]["phase"] for i in listed.json()["items"]} == {"UNKNOWN"}
    one = (await admin.get("/v1/server-groups/delays")).json()
    assert one["generation"] == 1
    assert one["observed_generation"] == 0
    ready = next(c for c in one["status"]["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "Unknown"
    assert "Provisioner" in ready["message"]
    deploy = next(a for a in one["actions"] if a["name"] == "deploy")
    assert deploy["allowed"] is False
    assert deploy["reasons"][0]["code"] == "ObserverUnavailable"


async def test_no_change_no_operation_and_a_changed_field_is_named(admin: Admin) -> None:
    await applied(admin, flights())
    same = (await admin.post("/v1/plans", {"objects": flights()})).json()
    assert same["changes"] == []
    assert same["unchanged"] == 4
    changed = flights()
    changed[2]["scaling"]["max_nodes"] = 9
    plan = (await admin.post("/v1/plans", {"objects": changed})).json()
    assert [(c["name"], f["field"], f["old"], f["new"]) for c in plan["changes"] for f in c["fields"]] == [
        ("delays", "scaling.max_nodes", 4, 9)
    ]


async def test_a_stale_plan_says_what_moved(admin: Admin) -> None:
    await applied(admin, flights())
    mine = flights()
    mine[2]["node_type"] = "m6a.xlarge"
    plan = (await admin.post("/v1/plans", {"objects": mine})).json()
    theirs = group() | {"generation": 1, "owner": "someone else"}
    assert (await admin.put("/v1/server-groups/delays", theirs)).status_code == 202
    refused = await admin.post(f"/v1/plans/{plan['id']}:apply", {})
    assert refused.status_code == 409
    body = refused.json()
    assert body["code"] == "Conflict"
    assert body["reasons"][0]["code"] == "StaleGeneration"
    assert "owner: '' -> 'someone else'" in body["reasons"][0]["text"]
    now = (await admin.get("/v1/server-groups/delays")).json()
    assert now["node_type"] == "m6a.large", "nothing changed"


async def test_prune_deletes_what_the_source_no_longer_declares(admin: Admin) -> None:
    await applied(admin, flights())
    fewer = flights()[:1]
    kept = (await admin.post("/v1/plans", {"objects": fewer, "source": "flights"})).json()
    assert kept["changes"] == []
    assert "--prune" in kept["warnings"][0]
    plan = (await admin.post("/v1/plans", {"objects": fewer, "source": "flights", "prune": True})).json()
    assert [(c["action"], c["name"]) for c in plan["changes"]] == [
        ("delete", "departures"),
        ("delete", "delays"),
        ("delete", "in"),
    ]


async def test_a_protected_or_used_object_is_not_deleted(admin: Admin) -> None:
    objects = flights()
    objects[3]["prevent_destroy"] = True
    await applied(admin, objects)
    used = await admin.client.delete("/v1/environments/env")
    assert used.status_code == 409
    assert used.json()["reasons"][0]["code"] == "StillUsed"
    protected = await admin.client.delete("/v1/pipelines/departures")
    assert [r["code"] for r in protected.json()["reasons"]] == ["PreventDestroy"]
    assert (await admin.get("/v1/pipelines/departures")).status_code == 200


async def test_two_who_apply_at_once_do_not_both_win(admin: Admin) -> None:
    await applied(admin, [environment()])
    bodies = [environment(generation=1, owner=f"owner-{i}") for i in range(6)]
    answers = await asyncio.gather(*(admin.put("/v1/environments/env", b) for b in bodies))
    codes = sorted(a.status_code for a in answers)
    assert codes == [202, 409, 409, 409, 409, 409], [a.text for a in answers]
    assert (await admin.get("/v1/environments/env")).json()["generation"] == 2
