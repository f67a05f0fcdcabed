from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransformBatchRequest(_message.Message):
    __slots__ = ("function", "events")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    function: str
    events: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, function: _Optional[str] = ..., events: _Optional[_Iterable[bytes]] = ...) -> None: ...

class TransformBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[TransformResult]
    def __init__(self, results: _Optional[_Iterable[_Union[TransformResult, _Mapping]]] = ...) -> None: ...

class TransformResult(_message.Message):
    __slots__ = ("outputs", "error")
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    outputs: _containers.RepeatedScalarFieldContainer[bytes]
    error: TransformError
    def __init__(self, outputs: _Optional[_Iterable[bytes]] = ..., error: _Optional[_Union[TransformError, _Mapping]] = ...) -> None: ...

class TransformError(_message.Message):
    __slots__ = ("error_class", "reason", "message")
    class ErrorClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ERROR_CLASS_UNSPECIFIED: _ClassVar[TransformError.ErrorClass]
        ERROR_CLASS_RECOVERABLE: _ClassVar[TransformError.ErrorClass]
        ERROR_CLASS_NON_RECOVERABLE: _ClassVar[TransformError.ErrorClass]
    ERROR_CLASS_UNSPECIFIED: TransformError.ErrorClass
    ERROR_CLASS_RECOVERABLE: TransformError.ErrorClass
    ERROR_CLASS_NON_RECOVERABLE: TransformError.ErrorClass
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    error_class: TransformError.ErrorClass
    reason: str
    message: str
    def __init__(self, error_class: _Optional[_Union[TransformError.ErrorClass, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ("ready", "detail", "functions", "runtime_version", "restarts", "busy_ratio", "crash_looping", "workers", "workers_up", "calls", "calls_taken", "calls_turned_away")
    READY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    BUSY_RATIO_FIELD_NUMBER: _ClassVar[int]
    CRASH_LOOPING_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_UP_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CALLS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    CALLS_TURNED_AWAY_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    detail: str
    functions: _containers.RepeatedScalarFieldContainer[str]
    runtime_version: str
    restarts: int
    busy_ratio: float
    crash_looping: bool
    workers: int
    workers_up: int
    calls: int
    calls_taken: int
    calls_turned_away: int
    def __init__(self, ready: _Optional[bool] = ..., detail: _Optional[str] = ..., functions: _Optional[_Iterable[str]] = ..., runtime_version: _Optional[str] = ..., restarts: _Optional[int] = ..., busy_ratio: _Optional[float] = ..., crash_looping: _Optional[bool] = ..., workers: _Optional[int] = ..., workers_up: _Optional[int] = ..., calls: _Optional[int] = ..., calls_taken: _Optional[int] = ..., calls_turned_away: _Optional[int] = ...) -> None: ...

class GetMeasuresRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMeasuresResponse(_message.Message):
    __slots__ = ("measures",)
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    def __init__(self, measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("kind", "name", "sum", "counts", "bounds")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Measure.Kind]
        KIND_COUNTER: _ClassVar[Measure.Kind]
        KIND_VALUE: _ClassVar[Measure.Kind]
        KIND_SCORE: _ClassVar[Measure.Kind]
    KIND_UNSPECIFIED: Measure.Kind
    KIND_COUNTER: Measure.Kind
    KIND_VALUE: Measure.Kind
    KIND_SCORE: Measure.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    kind: Measure.Kind
    name: str
    sum: float
    counts: _containers.RepeatedScalarFieldContainer[int]
    bounds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, kind: _Optional[_Union[Measure.Kind, str]] = ..., name: _Optional[str] = ..., sum: _Optional[float] = ..., counts: _Optional[_Iterable[int]] = ..., bounds: _Optional[_Iterable[float]] = ...) -> None: ...
