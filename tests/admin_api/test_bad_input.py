"""Bad input over REST: each refusal is a problem that names field, value and remedy, and changes nothing."""

import io
import tarfile
from hashlib import sha256
from typing import Any

from tests.admin_api.conftest import Admin, environment, flights, group, pipeline


def cyclic() -> dict[str, Any]:
    edges = [{"source": "ingest", "target": "transform"}, {"source": "transform", "target": "ingest"}]
    return pipeline(edges=edges)


def wrong_kind() -> dict[str, Any]:
    stages = [{"name": "ingest", "group": "delays", "work": {"type": "ingest"}}]
    return pipeline(stages=stages, edges=[])


PLANS: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("name", [environment(name="Env")], ["name", "'Env'", "a-z"]),
    (
        "min above max",
        [environment(), group(scaling={"type": "autoscaling", "min_nodes": 5, "max_nodes": 2})],
        ["min_nodes 5", "max_nodes 2", "lower"],
    ),
    ("unknown environment", [group(environment="nowhere")], ["environment", "'nowhere'", "does not exist", "declare"]),
    ("unknown group", [environment(), pipeline()], ["stages.0.group", "'in'", "does not exist"]),
    ("cyclic", [*flights()[:3], cyclic()], ["cycle", "ingest -> transform -> ingest", "remove"]),
    ("wrong kind for stage", [*flights()[:3], wrong_kind()], ["stages.0.group", "'transform'", "kind ingest"]),
    ("code that was not uploaded", [environment(), group(code="0" * 64)], ["code", "0000", "/v1/code"]),
    ("unknown field", [environment(requirement="x")], ["requirement", "not permitted"]),
    ("unknown kind", [{"kind": "queue", "name": "q"}], ["kind", "'queue'", "environment"]),
    ("twice", [environment(), environment()], ["declared twice"]),
    ("other workspace", [environment(workspace="other")], ["workspace", "'other'", "'default'"]),
]


async def test_plans_that_can_never_work(admin: Admin) -> None:
    for what, objects, words in PLANS:
        answer = await admin.post("/v1/plans", {"objects": objects})
        assert answer.status_code == 422, (what, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["code"] == "InvalidInput", what
        assert body["field"], what
        for word in words:
            assert word in f"{body['field']} {body['detail']} {body.get('remedy', '')}", (what, word, body)
        assert body["request_id"] == answer.headers["x-request-id"]
    for plural in ("environments", "server-groups", "pipelines"):
        assert (await admin.get(f"/v1/{plural}")).json()["items"] == []


async def test_an_update_names_the_generation_it_was_made_from(admin: Admin) -> None:
    assert (await admin.post("/v1/environments", environment())).status_code == 202
    cases: list[tuple[Any, int, str]] = [
        (environment(owner="me"), 422, "generation"),
        (environment(owner="me", generation=7), 409, "generation 1"),
        (environment(name="other"), 422, "environment/other"),
    ]
    for body, status, word in cases:
        answer = await admin.put("/v1/environments/env", body)
        assert answer.status_code == status, answer.text
        assert word in answer.text
    assert (await admin.post("/v1/environments", environment())).status_code == 409
    seen = (await admin.get("/v1/environments/env")).json()
    assert seen["generation"] == 1
    back = seen | {"owner": "me"}  # what a read gave can be sent back
    answer = await admin.put("/v1/environments/env", back)
    assert answer.status_code == 202, answer.text
    missing = await admin.put("/v1/environments/gone", environment(name="gone", generation=3))
    assert missing.status_code == 409
    assert (await admin.get("/v1/environments/gone")).status_code == 404
    assert (await admin.client.delete("/v1/environments/env?generation=1")).status_code == 409


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


GOOD = tar_of((member("score.py"), b"def score(): ..."))


async def test_code_is_checked_before_it_is_kept(admin: Admin) -> None:
    cases: list[tuple[bytes, dict[str, str], str]] = [
        (GOOD, {"x-content-sha256": "1" * 64}, "sha256"),
        (b"not a tar", {}, "gzipped tar"),
        (GOOD[:40], {}, "gzipped tar"),
        (tar_of((member("../evil"), b"x")), {}, "'../evil'"),
        (tar_of((member("/etc/passwd"), b"x")), {}, "'/etc/passwd'"),
        (tar_of((member("link", tarfile.SYMTYPE, linkname="/etc"), b"")), {}, "link"),
        (tar_of((member("dev", tarfile.CHRTYPE), b"")), {}, "device"),
        (tar_of((member("setuid", mode=0o4755), b"x")), {}, "set-user"),
        (tar_of(), {}, "no file"),
    ]
    for content, headers, word in cases:
        answer = await admin.client.post("/v1/code", content=content, headers=headers)
        assert answer.status_code == 422, (word, answer.text)
        assert word in answer.json()["detail"], answer.text
    digest = sha256(GOOD).hexdigest()
    assert (await admin.get(f"/v1/code/{digest}")).status_code == 404
    kept = await admin.client.post("/v1/code", content=GOOD, headers={"x-content-sha256": digest})
    assert kept.status_code == 201
    assert kept.json() == {"sha256": digest, "size": len(GOOD), "files": 1}
    plan = await admin.post("/v1/plans", {"objects": [environment(), group(code=digest)]})
    assert plan.status_code == 201, plan.text


async def test_bodies_have_a_limit(admin: Admin) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    for content in (b"x" * (2 * 1024 * 1024 + 1), endless()):
        answer = await admin.client.post("/v1/plans", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 413, answer.text


REFUSALS: list[tuple[str, str, Any, int]] = [
    ("GET", "/v1/nothing", None, 404),
    ("GET", "/v1/server-groups/none", None, 404),
    ("GET", "/v1/operations/op-none", None, 404),
    ("GET", "/v1/plans/plan-none", None, 404),
    ("POST", "/v1/plans/plan-none:apply", {}, 404),
    ("GET", "/v1/explain?scope=fraud", None, 422),
    ("GET", "/v1/explain?scope=group/fraud&do=dance", None, 422),
    ("POST", "/v1/deployments", {"group": "none"}, 404),
    ("POST", "/v1/deployments", {"group": "none", "code": "zz"}, 422),
    ("POST", "/v1/freezes", {"scope": "group/a", "seconds": 0, "reason": "x"}, 422),
    ("POST", "/v1/freezes", {"scope": "group/a", "seconds": 60}, 422),
    ("POST", "/v1/tokens", {"name": "x", "role": "king"}, 422),
    ("DELETE", "/v1/tokens/none", None, 404),
    ("PATCH", "/v1/pipelines", {}, 405),
    # the services are away: said so, never 500
    ("GET", "/v1/verdicts", None, 503),
    ("GET", "/v1/deployments", None, 503),
    ("GET", "/v1/scaling/delays", None, 503),
    ("GET", "/v1/ramps", None, 503),
    ("GET", "/v1/explain?scope=system&do=deploy", None, 200),
    ("GET", "/v1/timeline", None, 200),
    ("POST", "/v1/ramps/departures:hold", {}, 404),
]


async def test_status_of_each_refusal(admin: Admin) -> None:
    for method, path, body, status in REFUSALS:
        answer = await admin.client.request(method, path, json=body)
        assert answer.status_code == status, (method, path, answer.text)
        if status >= 400:
            problem = answer.json()
            assert problem["status"] == status
            assert problem["detail"]
