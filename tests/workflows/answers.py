"""Answers of the Observer that are not simply a yes."""

from shared.contracts import admission
from shared.contracts.base import ReasonModel
from shared.domain.activity import HolderAsk


def reason(code: str) -> ReasonModel:
    return ReasonModel(code=code, scope="group/delays", text=code)


def park(code: str = "Held") -> admission.HeartbeatAnswer:
    return admission.HeartbeatAnswer(ask=HolderAsk.PARK, lease_ttl_s=30.0, reasons=(reason(code),), retry_after_s=5.0)


def stop(code: str) -> admission.HeartbeatAnswer:
    return admission.HeartbeatAnswer(ask=HolderAsk.STOP, reasons=(reason(code),))


def blocked(code: str = "Held", retry_after_s: float = 5.0) -> admission.BeginAnswer:
    return admission.BeginAnswer(outcome="blocked", reasons=(reason(code),), retry_after_s=retry_after_s)
