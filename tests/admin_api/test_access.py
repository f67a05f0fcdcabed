"""Tokens, roles, the audit chain, idempotency."""

import asyncio

import sqlalchemy as sa

from shared.database import Database
from tests.admin_api.conftest import TOKEN, Admin, client_of, environment


async def test_roles_may_what_the_table_says(admin: Admin) -> None:
    viewer, operator, owner = [await admin.as_role(r) for r in ("viewer", "operator", "owner")]
    async with viewer, operator, owner:
        assert (await viewer.get("/v1/me")).json()["may"]["deploy"] is False
        assert (await viewer.get("/v1/environments")).status_code == 200
        refused = await viewer.put("/v1/environments/env", json=environment())
        assert refused.status_code == 403
        assert refused.json()["reasons"][0]["code"] == "RoleNeeded"
        assert "owner" in refused.json()["detail"]
        assert (await operator.put("/v1/environments/env", json=environment())).status_code == 403
        assert (await owner.put("/v1/environments/env", json=environment())).status_code == 202
        assert (await owner.post("/v1/tokens", json={"name": "x", "role": "admin"})).status_code == 403
        assert (await operator.get("/v1/audit")).status_code == 403


async def test_a_token_of_another_workspace_stays_there(admin: Admin) -> None:
    made = await admin.post("/v1/tokens", {"name": "elsewhere", "role": "owner", "workspace": "other"})
    async with client_of(admin.service, made.json()["token"]) as other:
        refused = await other.get("/v1/environments")
        assert refused.status_code == 403
        assert refused.json()["reasons"][0]["code"] == "WrongWorkspace"


async def test_a_revoked_token_and_too_many_bad_ones(admin: Admin) -> None:
    made = (await admin.post("/v1/tokens", {"name": "short", "role": "viewer"})).json()
    assert made["token"].startswith("hr_")
    assert made["token"] not in (await admin.get("/v1/tokens")).text
    async with client_of(admin.service, made["token"]) as short:
        assert (await short.get("/v1/me")).status_code == 200
        assert (await admin.client.delete("/v1/tokens/short")).status_code == 204
        answer = await short.get("/v1/me")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        codes = [(await short.get("/v1/me")).status_code for _ in range(12)]
    assert codes[-1] == 429
    held = await admin.get("/v1/me")
    assert held.status_code == 429
    assert int(held.headers["retry-after"]) > 0


async def test_the_audit_log_is_a_chain(admin: Admin) -> None:
    await admin.put("/v1/environments/env", environment(), headers={"x-headrace-via": "cli"})
    await admin.put("/v1/environments/env", environment(owner="x", generation=9))
    log = (await admin.get("/v1/audit")).json()
    assert log["unbroken"] is True
    newest, applied = log["items"][0], log["items"][1]
    assert (newest["outcome"], newest["subject"]) == ("Conflict", "/v1/environments/env")
    assert (applied["action"], applied["via"], applied["actor"]) == ("apply", "cli", "bootstrap")
    assert TOKEN not in str(log)
    database = Database(admin.settings.database_url, admin.settings.database_schema, "test")
    async with database.transaction() as connection:
        await connection.execute(sa.text('UPDATE audit SET entry = entry || \'{"actor": "nobody"}\' WHERE seq = 1'))
    await database.close()
    assert (await admin.get("/v1/audit")).json()["unbroken"] is False


async def test_the_same_key_is_answered_alike(admin: Admin) -> None:
    key = {"idempotency-key": "k-1"}
    first = await admin.post("/v1/environments", environment(), headers=key)
    assert first.status_code == 202
    again = await admin.post("/v1/environments", environment(), headers=key)
    assert again.status_code == 202, again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = await admin.post("/v1/environments", environment(owner="x"), headers=key)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    refused = {"idempotency-key": "k-2"}
    assert (await admin.post("/v1/environments", environment(), headers=refused)).status_code == 409
    assert (await admin.post("/v1/environments", environment(name="two"), headers=refused)).status_code == 202
    racing = {"idempotency-key": "k-3"}
    answers = await asyncio.gather(
        *(admin.post("/v1/environments", environment(name="three"), headers=racing) for _ in range(5))
    )
    fresh = [a for a in answers if a.status_code == 202 and "idempotency-replayed" not in a.headers]
    assert len(fresh) == 1, [a.text for a in answers]
    assert {a.status_code for a in answers} <= {202, 409}
