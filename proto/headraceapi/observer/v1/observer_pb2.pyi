from headraceapi.reason.v1 import reason_pb2 as _reason_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ActivityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVITY_KIND_UNSPECIFIED: _ClassVar[ActivityKind]
    ACTIVITY_KIND_ROLLBACK: _ClassVar[ActivityKind]
    ACTIVITY_KIND_SCALE_OUT: _ClassVar[ActivityKind]
    ACTIVITY_KIND_DEPLOY: _ClassVar[ActivityKind]
    ACTIVITY_KIND_RAMP: _ClassVar[ActivityKind]
    ACTIVITY_KIND_PROVISION: _ClassVar[ActivityKind]
    ACTIVITY_KIND_DRIFT_REPAIR: _ClassVar[ActivityKind]
    ACTIVITY_KIND_SCALE_IN: _ClassVar[ActivityKind]
    ACTIVITY_KIND_FREEZE: _ClassVar[ActivityKind]
ACTIVITY_KIND_UNSPECIFIED: ActivityKind
ACTIVITY_KIND_ROLLBACK: ActivityKind
ACTIVITY_KIND_SCALE_OUT: ActivityKind
ACTIVITY_KIND_DEPLOY: ActivityKind
ACTIVITY_KIND_RAMP: ActivityKind
ACTIVITY_KIND_PROVISION: ActivityKind
ACTIVITY_KIND_DRIFT_REPAIR: ActivityKind
ACTIVITY_KIND_SCALE_IN: ActivityKind
ACTIVITY_KIND_FREEZE: ActivityKind

class Verdict(_message.Message):
    __slots__ = ("scope", "state", "effective", "reasons", "as_of", "since", "ttl_s", "epoch", "seq", "observed_generation", "coverage_expected", "coverage_reporting", "cause", "quieted", "flapping", "signals")
    class SignalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_REPORTING_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    QUIETED_FIELD_NUMBER: _ClassVar[int]
    FLAPPING_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    scope: str
    state: str
    effective: str
    reasons: _containers.RepeatedCompositeFieldContainer[_reason_pb2.Reason]
    as_of: float
    since: float
    ttl_s: float
    epoch: int
    seq: int
    observed_generation: int
    coverage_expected: int
    coverage_reporting: int
    cause: str
    quieted: bool
    flapping: bool
    signals: _containers.ScalarMap[str, float]
    def __init__(self, scope: _Optional[str] = ..., state: _Optional[str] = ..., effective: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[_reason_pb2.Reason, _Mapping]]] = ..., as_of: _Optional[float] = ..., since: _Optional[float] = ..., ttl_s: _Optional[float] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., observed_generation: _Optional[int] = ..., coverage_expected: _Optional[int] = ..., coverage_reporting: _Optional[int] = ..., cause: _Optional[str] = ..., quieted: _Optional[bool] = ..., flapping: _Optional[bool] = ..., signals: _Optional[_Mapping[str, float]] = ...) -> None: ...

class GetVerdictRequest(_message.Message):
    __slots__ = ("scope",)
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    scope: str
    def __init__(self, scope: _Optional[str] = ...) -> None: ...

class GetVerdictResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ...) -> None: ...

class ListVerdictsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "prefix")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    prefix: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class ListVerdictsResponse(_message.Message):
    __slots__ = ("verdicts", "next_page_token")
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    next_page_token: str
    def __init__(self, verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchVerdictsRequest(_message.Message):
    __slots__ = ("resume_token", "prefix")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    prefix: str
    def __init__(self, resume_token: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class WatchVerdictsResponse(_message.Message):
    __slots__ = ("verdict", "resume_token")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    resume_token: str
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ..., resume_token: _Optional[str] = ...) -> None: ...

class BeginRequest(_message.Message):
    __slots__ = ("kind", "scope", "ttl_s", "request_id", "holder", "reason", "quiets", "override_reason", "creates", "security", "takes_over", "signal_age_s", "dry_run")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    QUIETS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    CREATES_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    TAKES_OVER_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_AGE_S_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    kind: ActivityKind
    scope: str
    ttl_s: float
    request_id: str
    holder: str
    reason: str
    quiets: _containers.RepeatedScalarFieldContainer[str]
    override_reason: str
    creates: bool
    security: bool
    takes_over: str
    signal_age_s: float
    dry_run: bool
    def __init__(self, kind: _Optional[_Union[ActivityKind, str]] = ..., scope: _Optional[str] = ..., ttl_s: _Optional[float] = ..., request_id: _Optional[str] = ..., holder: _Optional[str] = ..., reason: _Optional[str] = ..., quiets: _Optional[_Iterable[str]] = ..., override_reason: _Optional[str] = ..., creates: _Optional[bool] = ..., security: _Optional[bool] = ..., takes_over: _Optional[str] = ..., signal_age_s: _Optional[float] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("activity_id", "token", "kind", "scope")
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    activity_id: str
    token: int
    kind: ActivityKind
    scope: str
    def __init__(self, activity_id: _Optional[str] = ..., token: _Optional[int] = ..., kind: _Optional[_Union[ActivityKind, str]] = ..., scope: _Optional[str] = ...) -> None: ...

class BeginResponse(_message.Message):
    __slots__ = ("outcome", "lease", "lease_ttl_s", "quiet_windows", "reasons", "retry_after_s", "asked_to_park")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[BeginResponse.Outcome]
        OUTCOME_GRANTED: _ClassVar[BeginResponse.Outcome]
        OUTCOME_BLOCKED: _ClassVar[BeginResponse.Outcome]
        OUTCOME_YIELDING: _ClassVar[BeginResponse.Outcome]
    OUTCOME_UNSPECIFIED: BeginResponse.Outcome
    OUTCOME_GRANTED: BeginResponse.Outcome
    OUTCOME_BLOCKED: BeginResponse.Outcome
    OUTCOME_YIELDING: BeginResponse.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_S_FIELD_NUMBER: _ClassVar[int]
    QUIET_WINDOWS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    ASKED_TO_PARK_FIELD_NUMBER: _ClassVar[int]
    outcome: BeginResponse.Outcome
    lease: Lease
    lease_ttl_s: float
    quiet_windows: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedCompositeFieldContainer[_reason_pb2.Reason]
    retry_after_s: float
    asked_to_park: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, outcome: _Optional[_Union[BeginResponse.Outcome, str]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., lease_ttl_s: _Optional[float] = ..., quiet_windows: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[_Union[_reason_pb2.Reason, _Mapping]]] = ..., retry_after_s: _Optional[float] = ..., asked_to_park: _Optional[_Iterable[str]] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("activity_id", "token", "parked", "before_step")
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    BEFORE_STEP_FIELD_NUMBER: _ClassVar[int]
    activity_id: str
    token: int
    parked: bool
    before_step: bool
    def __init__(self, activity_id: _Optional[str] = ..., token: _Optional[int] = ..., parked: _Optional[bool] = ..., before_step: _Optional[bool] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("ask", "lease_ttl_s", "reasons", "retry_after_s")
    class Ask(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ASK_UNSPECIFIED: _ClassVar[HeartbeatResponse.Ask]
        ASK_GO_ON: _ClassVar[HeartbeatResponse.Ask]
        ASK_PARK: _ClassVar[HeartbeatResponse.Ask]
        ASK_STOP: _ClassVar[HeartbeatResponse.Ask]
    ASK_UNSPECIFIED: HeartbeatResponse.Ask
    ASK_GO_ON: HeartbeatResponse.Ask
    ASK_PARK: HeartbeatResponse.Ask
    ASK_STOP: HeartbeatResponse.Ask
    ASK_FIELD_NUMBER: _ClassVar[int]
    LEASE_TTL_S_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    ask: HeartbeatResponse.Ask
    lease_ttl_s: float
    reasons: _containers.RepeatedCompositeFieldContainer[_reason_pb2.Reason]
    retry_after_s: float
    def __init__(self, ask: _Optional[_Union[HeartbeatResponse.Ask, str]] = ..., lease_ttl_s: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[_reason_pb2.Reason, _Mapping]]] = ..., retry_after_s: _Optional[float] = ...) -> None: ...

class EndRequest(_message.Message):
    __slots__ = ("activity_id", "token", "outcome", "note")
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    activity_id: str
    token: int
    outcome: str
    note: str
    def __init__(self, activity_id: _Optional[str] = ..., token: _Optional[int] = ..., outcome: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class EndResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Activity(_message.Message):
    __slots__ = ("id", "kind", "scope", "holder", "reason", "token", "state", "outcome", "began_at", "expires_at", "ended_at", "override_reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: ActivityKind
    scope: str
    holder: str
    reason: str
    token: int
    state: str
    outcome: str
    began_at: float
    expires_at: float
    ended_at: float
    override_reason: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[ActivityKind, str]] = ..., scope: _Optional[str] = ..., holder: _Optional[str] = ..., reason: _Optional[str] = ..., token: _Optional[int] = ..., state: _Optional[str] = ..., outcome: _Optional[str] = ..., began_at: _Optional[float] = ..., expires_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., override_reason: _Optional[str] = ...) -> None: ...

class ListActivitiesRequest(_message.Message):
    __slots__ = ("scope", "include_ended", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: str
    include_ended: bool
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[str] = ..., include_ended: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListActivitiesResponse(_message.Message):
    __slots__ = ("activities", "next_page_token")
    ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    activities: _containers.RepeatedCompositeFieldContainer[Activity]
    next_page_token: str
    def __init__(self, activities: _Optional[_Iterable[_Union[Activity, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReportAuditRequest(_message.Message):
    __slots__ = ("report_id", "node", "pipeline", "stage", "point", "minute", "sketch", "count", "dropped", "watermark")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    SKETCH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    report_id: str
    node: str
    pipeline: str
    stage: str
    point: str
    minute: int
    sketch: bytes
    count: int
    dropped: _containers.ScalarMap[str, int]
    watermark: float
    def __init__(self, report_id: _Optional[str] = ..., node: _Optional[str] = ..., pipeline: _Optional[str] = ..., stage: _Optional[str] = ..., point: _Optional[str] = ..., minute: _Optional[int] = ..., sketch: _Optional[bytes] = ..., count: _Optional[int] = ..., dropped: _Optional[_Mapping[str, int]] = ..., watermark: _Optional[float] = ...) -> None: ...

class ReportAuditResponse(_message.Message):
    __slots__ = ("accepted",)
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    def __init__(self, accepted: _Optional[int] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("id", "scope", "alarm_class", "state", "reasons", "since", "quieted_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ALARM_CLASS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    QUIETED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    scope: str
    alarm_class: str
    state: str
    reasons: _containers.RepeatedCompositeFieldContainer[_reason_pb2.Reason]
    since: float
    quieted_by: str
    def __init__(self, id: _Optional[str] = ..., scope: _Optional[str] = ..., alarm_class: _Optional[str] = ..., state: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[_reason_pb2.Reason, _Mapping]]] = ..., since: _Optional[float] = ..., quieted_by: _Optional[str] = ...) -> None: ...

class ListAlarmsRequest(_message.Message):
    __slots__ = ("scope", "include_resolved")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    scope: str
    include_resolved: bool
    def __init__(self, scope: _Optional[str] = ..., include_resolved: _Optional[bool] = ...) -> None: ...

class ListAlarmsResponse(_message.Message):
    __slots__ = ("alarms",)
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class QuietRequest(_message.Message):
    __slots__ = ("scope", "classes", "seconds", "holder", "reason", "request_id")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    scope: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    seconds: float
    holder: str
    reason: str
    request_id: str
    def __init__(self, scope: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., seconds: _Optional[float] = ..., holder: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class QuietResponse(_message.Message):
    __slots__ = ("window_id",)
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    window_id: str
    def __init__(self, window_id: _Optional[str] = ...) -> None: ...

class FreezeRequest(_message.Message):
    __slots__ = ("scope", "seconds", "holder", "reason", "request_id", "lift")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    scope: str
    seconds: float
    holder: str
    reason: str
    request_id: str
    lift: bool
    def __init__(self, scope: _Optional[str] = ..., seconds: _Optional[float] = ..., holder: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., lift: _Optional[bool] = ...) -> None: ...

class FreezeResponse(_message.Message):
    __slots__ = ("activity_id",)
    ACTIVITY_ID_FIELD_NUMBER: _ClassVar[int]
    activity_id: str
    def __init__(self, activity_id: _Optional[str] = ...) -> None: ...
