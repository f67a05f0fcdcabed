"""Every case of the acceptance data about lag, loss, quieting and verdicts."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.observer.domain.alarms import Alarm, AlarmState, step_alarm
from services.observer.domain.evidence import FleetMembers, GroupFacts, Readings, Windowed
from services.observer.domain.group_health import GroupEvidence, HealthPolicy, judge_group
from services.observer.domain.hysteresis import Confirmations
from services.observer.domain.lag import event_lag, merge, reported_lag, transits, weighted_quantile
from services.observer.domain.loss import (
    CloseRule,
    Closing,
    Comparison,
    LossState,
    bucket_start,
    closing,
    compare_ids,
    judge_bucket,
    loss_ratio,
    pages,
)
from services.observer.domain.quieting import (
    Firing,
    Holder,
    Pierce,
    QuietWindow,
    budget_left,
    checked_window,
    quieting,
)
from services.observer.domain.verdict import (
    WHILE_UNKNOWN,
    Verdict,
    bounds,
    describes,
    effective,
    roll_up,
    supersedes,
    telemetry_outage,
)
from shared.domain.errors import HeadraceError
from shared.domain.health import VerdictState
from shared.domain.scope import SYSTEM, Scope

ACCEPTANCE = Path(__file__).resolve().parents[1] / "acceptance"
NOW = 1_000.0


def cases(name: str) -> list[Any]:
    data = json.loads((ACCEPTANCE / f"observer_{name}.json").read_text())
    return [pytest.param(c["input"], c["expected"], id=c["id"]) for c in data["cases"]]


# ------------------------------------------------------------------------------------------------------------- verdicts


def _verdict(given: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911  one case a shape
    match given:
        case {"stored": stored, "write": write}:
            old, new = ((x["epoch"], x["seq"]) for x in (stored, write))
            return {"accepted": supersedes(new, old)}
        case {"object_generation": wanted, "observed_generation": seen, "state": state}:
            verdict = Verdict(SYSTEM, VerdictState(state), NOW, NOW, 30, observed_generation=seen)
            usable = describes(verdict, wanted)
            return {"usable": usable, "reason": "" if usable else "OldGeneration"}
        case {"state": "UNKNOWN", "action": use}:
            return {"allowed": WHILE_UNKNOWN[use]}
        case {"state": None}:
            found = effective(None, NOW)
            return {"effective": found.state.value, "reason": found.code}
        case {"state": state, "age_s": age}:
            found = effective(Verdict(SYSTEM, VerdictState(state), NOW - age, 0.0, given.get("ttl_s", 30.0)), NOW)
            return {"effective": found.state.value, "reason": found.code, "stale": found.stale}
        case {"stages": stages}:
            return {"state": roll_up([(VerdictState(s["s"]), s["required"]) for s in stages]).value}
        case {"scopes": scopes, "turned_unknown": unknown}:
            outage = telemetry_outage(scopes, unknown)
            return {"meta": "TelemetryOutage" if outage else "", "per_scope_pages": 0 if outage else unknown}
        case {"unhealthy_if_bad_share_above": limit}:
            b = bounds(given["expected_members"], given["reporting"], given["bad"], limit)
            return {"best_bad_share": b.best, "worst_bad_share": b.worst, "state": b.state.value}
        case {"expected_members": wanted}:
            return _without_instances(wanted)
        case _:
            raise AssertionError(given)


def _without_instances(desired: int) -> dict[str, Any]:
    """A group of which the cloud shows no instance."""
    nothing = Readings(NOW, Windowed({}, {}), Windowed({}, {}), {})
    facts = GroupFacts("g", 1, nodes_min=desired)
    evidence = GroupEvidence(facts, (FleetMembers("g", "g-r1", desired),), nothing)
    policy = HealthPolicy(confirmations=Confirmations(enter=1))
    judged, _ = judge_group(evidence, None, policy, NOW)
    return {"state": judged.state.value, "reason": judged.reasons[0].code}


@pytest.mark.parametrize(("given", "expected"), cases("verdict"))
def test_verdict(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = _verdict(given)
    assert {k: found[k] for k in expected} == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------------------------ lag


def _lag(given: dict[str, Any]) -> dict[str, Any]:
    match given:
        case {"event_ts": event, "nodes": nodes}:
            lags = [event_lag(event, n["in"], n["out"]) for n in nodes]
            return {
                "transit": list(transits(lags)),
                "process": [n.process_duration for n in lags],
                "e2e": lags[-1].lag_out,
            }
        case {"event_ts": event, "in_ts": came}:
            lag = event_lag(event, came, given.get("out_ts"))
            return {
                "lag_in": lag.lag_in,
                "lag_out": lag.lag_out,
                "process_duration": lag.process_duration,
                "lag_in_raw": lag.lag_in,
                "lag_in_hist": lag.in_histogram,
                "clock_skew": lag.clock_skew,
            }
        case {"oldest_unprocessed_event_ts": oldest, "now": now, "last_p95_s": p95}:
            told = reported_lag(now, p95_s=p95, oldest_unprocessed_at=oldest, in_rate=1, pending=1, out_recently=False)
            return {"reported_lag_s": told.seconds, "source": told.source, "p95_valid": told.p95_valid}
        case {"in_rate": rate, "pending": pending, "now": now}:
            told = reported_lag(
                now, p95_s=None, oldest_unprocessed_at=None, in_rate=rate, pending=pending, out_recently=False
            )
            return {"lag": told.seconds, "verdict": told.source.upper()}
        case {"instances": instances}:
            every = [(i["value"], i.get("count", i.get("count_each", 0)), i.get("n", 1)) for i in instances]
            nodes = [(value, count) for value, count, n in every for _ in range(n)]
            return {
                "mean_of_p95": sum(v for v, _ in nodes) / len(nodes),
                "true_p95": weighted_quantile(0.95, nodes),
                "max_of_p95": max(v for v, _ in nodes),
            }
        case _:
            raise AssertionError(given)


@pytest.mark.parametrize(("given", "expected"), cases("lag"))
def test_lag(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = _lag(given)
    for key, value in expected.items():
        assert found[key] == (pytest.approx(value, abs=1e-3) if isinstance(value, (int, float, list)) else value), key


def test_histograms_merge_by_adding() -> None:
    assert merge([{1.0: 1, 2.0: 3}, {1.0: 2, 2.0: 2}]) == {1.0: 3, 2.0: 5}


# ----------------------------------------------------------------------------------------------------------------- loss


def _loss(given: dict[str, Any]) -> dict[str, Any]:
    bound, least = given.get("threshold", 0.01), given.get("min_events", 1)
    match given:
        case {"event_ts_s": list() as times, "bucket_s": width}:
            return {"bucket_start_s": [bucket_start(t, width) for t in times]}
        case {"event_ts_s": at, "bucket_s": width}:
            return {"src_bucket": bucket_start(at, width), "dst_bucket": bucket_start(at, width)}
        case {"arrival_age_s": age, "retention_s": kept}:
            gone = closing(0, age, None, CloseRule(retention_s=kept - 60)) is Closing.GONE
            return {"too_late": int(gone), "verdict_changed": not gone}
        case {"n1": first, "n2": second, "n3": third}:
            hops = {"hop12": (first, second), "hop23": (second, third), "e2e": (first, third)}
            return {hop: loss_ratio(compare_ids(*ends)[0]) for hop, ends in hops.items()}
        case {"dst_at_close": early}:
            src = given["src"]
            later = given.get("dst_later", src)
            before = judge_bucket(len(set(src)), compare_ids(src, early)[0], closed=True, bound=bound, events_min=1)
            after = judge_bucket(len(set(src)), compare_ids(src, later)[0], closed=True, bound=bound, events_min=1)
            return {
                "ratio_at_close": before.ratio,
                "ratio_final": after.ratio,
                "alarm_raised": before.alarm,
                "alarm_resolved": before.alarm and not after.alarm,
                "late": len(set(later) - set(early)),
            }
        case {"src_count": sent, "lost_count": lost}:
            one = judge_bucket(sent, Comparison(sent, lost), closed=True, bound=bound, events_min=least)
            found = {"ratio": one.ratio, "alarm": one.alarm, "page": pages([one]), "recorded": one.recorded}
            assert "min_events" not in given or pages([one, one, one])
            return found
        case _:
            return _compared(given, bound)


def _compared(given: dict[str, Any], bound: float) -> dict[str, Any]:
    src, dst = given["src"], given.get("dst", given.get("dst_parent_ids"))
    compared: Comparison | None = None
    lost_ids: tuple[str, ...] = ()
    duplicates = 0
    if src is not None and dst is not None:
        compared, lost_ids, duplicates = compare_ids(src, dst, given.get("declared_dropped", ()))
    sent = None if src is None else len(set(src))
    one = judge_bucket(sent, compared, closed=given["bucket_closed"], bound=bound, events_min=1)
    return {
        "ratio": one.ratio,
        "alarm": one.alarm,
        "verdict": one.state.value,
        "reason": one.code,
        "lost": compared.lost if compared else None,
        "unexpected": compared.unexpected if compared else None,
        "lost_ids": list(lost_ids),
        "duplicates": duplicates,
        "count_diff": len(src or ()) - len(dst or ()),
        "filtered": len(given.get("declared_dropped", ())),
    }


@pytest.mark.parametrize(("given", "expected"), cases("loss_bucket"))
def test_loss(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = _loss(given)
    for key, value in expected.items():
        numeric = isinstance(value, float)
        assert found[key] == (pytest.approx(value, rel=1e-9) if numeric else value), key


def test_a_stuck_watermark_is_not_loss() -> None:
    rule = CloseRule(wait_s=180, stuck_s=600)
    assert closing(0, 239, 60, rule) is Closing.OPEN
    assert closing(0, 240, 59, rule) is Closing.OPEN
    assert closing(0, 240, 60, rule) is Closing.CLOSED
    assert closing(0, 840, 59, rule) is Closing.STUCK
    assert judge_bucket(None, None, closed=True, bound=0.01).state is LossState.UNKNOWN


# -------------------------------------------------------------------------------------------------------------- quieting


def scope_of(parts: dict[str, str]) -> Scope | None:
    if "group" in parts:
        return Scope.parse(f"group/{parts['group']}")
    if "stage" in parts:
        return Scope.parse(f"stage/{parts.get('pipeline', 'p')}/{parts['stage']}")
    return None


def window_of(parts: dict[str, Any]) -> QuietWindow:
    scope = scope_of(parts.get("scope", {"group": "g7"}))
    assert scope is not None
    return QuietWindow(
        id=parts["id"],
        scope=scope,
        classes=frozenset(parts.get("classes", ("capacity", "instance_churn", "lag_warn"))),
        starts_at=parts.get("starts_at", 0),
        ends_at=parts["ends_at"],
        tail_s=parts.get("extension_s", 0),
        activity=parts.get("action_id", ""),
        token=parts.get("epoch", 0),
        pierce=Pierce(**parts["pierce"]) if "pierce" in parts else Pierce(),
    )


def firing_of(alarm: dict[str, Any], at: float) -> Firing:
    scope = scope_of(alarm["scope"])
    assert scope is not None
    return Firing(
        scope,
        alarm["class"],
        at,
        root_scope=scope_of(alarm["root_scope"]) if "root_scope" in alarm else None,
        value_over_threshold=alarm.get("value_over_threshold", 0.0),
        error_fast_burn=alarm.get("error_fast_burn", False),
        silent_share=alarm.get("silent_instances_share", 0.0),
        silent_for_s=alarm.get("silent_for_s", 0.0),
        bad_share=alarm.get("bad_share", 0.0),
    )


def _refusal(given: dict[str, Any]) -> str:
    try:
        if "quiet_seconds_last_6h" in given:
            budget_left(given["quiet_seconds_last_6h"], given["budget_s"])
        else:
            w = given["window"]
            checked_window(scope_of(w["scope"]), w["classes"], w["starts_at"], w["ends_at"], given.get("max_s", 7200))
    except HeadraceError as e:
        return e.message.partition(":")[0]
    return ""


def _quiet(given: dict[str, Any]) -> dict[str, Any]:
    windows = [window_of(w) for w in given.get("windows", [given.get("window")])]
    raw = given["alarm"]
    holders: dict[str, Holder] = {}
    if "current_epoch" in given:
        holders["dep-17"] = Holder(given["current_epoch"], raw["t"])
    if "actor_last_heartbeat" in given:
        holders["dep-17"] = Holder(5, given["actor_last_heartbeat"], given["actor_ttl_s"])
    at = raw["t"]
    judged = quieting(firing_of(raw, at), windows, holders=holders)
    alarm = Alarm("al-1", firing_of(raw, at).scope, raw["class"], AlarmState.PENDING, at, notified=False)
    step = step_alarm(alarm, firing_of(raw, at), at, pending_s=0, windows=windows, holders=holders)
    hushed = step.alarm.state is AlarmState.QUIETED
    read = Verdict(alarm.scope, VerdictState.UNHEALTHY, at, at, 30.0, quieted=hushed)
    found: dict[str, Any] = {
        "notify": step.notification is not None,
        "recorded": True,
        "quieted_by": step.alarm.quieted_by,
        "phase": judged.phase.value if judged.phase else "",
        "pierced": judged.pierced,
        "ignored": judged.ignored,
        "why_not_quieted": judged.ignored,
        "in_action_report": step.alarm.state is AlarmState.QUIETED,
        "verdict_state": effective(read, at).state.value,
        "quieted": step.alarm.state is AlarmState.QUIETED,
    }
    assert found["notify"] == judged.notify
    if "still_firing_at" in raw:
        later = raw["still_firing_at"]
        earlier = step_alarm(step.alarm, firing_of(raw, later - 1), later - 1, pending_s=0, windows=windows)
        assert earlier.notification is None
        told = step_alarm(step.alarm, firing_of(raw, later), later, pending_s=0, windows=windows)
        found["notify_at"] = later if told.notification else None
    if "resolved_at" in raw:
        before = Alarm(
            "al-1", alarm.scope, alarm.alarm_class, step.alarm.state, at, notified=raw.get("notified", False)
        )
        over = step_alarm(before, None, raw["resolved_at"], pending_s=0, windows=windows)
        found["notify_resolved"] = over.notification is not None
        found["notify"] = found["notify"] or (over.notification is not None)
    return found


@pytest.mark.parametrize(("given", "expected"), cases("quieting"))
def test_quieting(given: dict[str, Any], expected: dict[str, Any]) -> None:
    if "error" in expected:
        assert _refusal(given) == expected["error"]
        return
    found = _quiet(given)
    assert {k: found[k] for k in expected} == expected
