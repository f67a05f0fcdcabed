from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Compared(_message.Message):
    __slots__ = ("name", "value", "op", "limit", "unit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    op: str
    limit: float
    unit: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., op: _Optional[str] = ..., limit: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class Remedy(_message.Message):
    __slots__ = ("text", "cli", "href")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CLI_FIELD_NUMBER: _ClassVar[int]
    HREF_FIELD_NUMBER: _ClassVar[int]
    text: str
    cli: str
    href: str
    def __init__(self, text: _Optional[str] = ..., cli: _Optional[str] = ..., href: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "scope", "text", "compared", "since", "retry_after_s", "remedy")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    code: str
    scope: str
    text: str
    compared: _containers.RepeatedCompositeFieldContainer[Compared]
    since: float
    retry_after_s: float
    remedy: _containers.RepeatedCompositeFieldContainer[Remedy]
    def __init__(self, code: _Optional[str] = ..., scope: _Optional[str] = ..., text: _Optional[str] = ..., compared: _Optional[_Iterable[_Union[Compared, _Mapping]]] = ..., since: _Optional[float] = ..., retry_after_s: _Optional[float] = ..., remedy: _Optional[_Iterable[_Union[Remedy, _Mapping]]] = ...) -> None: ...
