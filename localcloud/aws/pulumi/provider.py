"""The resource provider: pulumirpc.ResourceProvider over what `resource` describes. Concurrent engines are served.

Errors of AWS become gRPC codes with a meaning: UNKNOWN would tell the engine that the provider may have corrupted its
state. Handshake, Parameterize, GetSchema and the like stay UNIMPLEMENTED, which the engine takes for "not needed".
"""

import logging
from collections.abc import Mapping
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localcloud.aws.pulumi.identity_types import InstanceProfile, Parameter, Role, RolePolicy, RolePolicyAttachment
from localcloud.aws.pulumi.launch_template import LaunchTemplate
from localcloud.aws.pulumi.network_types import SecurityGroup, TargetGroup
from localcloud.aws.pulumi.reading import DEFAULTS, EXISTS, GONE, adopt, code_of, differing, is_gone, look, settled
from localcloud.aws.pulumi.resource import Change, Context, Resource, TimedOutError
from localcloud.aws.pulumi.scaling_types import Group, LifecycleHook
from localcloud.aws.pulumi.values import Inputs, from_struct, same, shaped_like, to_struct, without

log = logging.getLogger(__name__)
VERSION = "7.51.1"
AUTONAME_HEX = 7
TYPES: Mapping[str, Resource] = {
    "aws:autoscaling/group:Group": Group(),
    "aws:autoscaling/lifecycleHook:LifecycleHook": LifecycleHook(),
    "aws:ec2/launchTemplate:LaunchTemplate": LaunchTemplate(),
    "aws:ec2/securityGroup:SecurityGroup": SecurityGroup(),
    "aws:iam/instanceProfile:InstanceProfile": InstanceProfile(),
    "aws:iam/role:Role": Role(),
    "aws:iam/rolePolicy:RolePolicy": RolePolicy(),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": RolePolicyAttachment(),
    "aws:lb/targetGroup:TargetGroup": TargetGroup(),
    "aws:ssm/parameter:Parameter": Parameter(),
}
CODES: tuple[tuple[tuple[str, ...], grpc.StatusCode], ...] = (
    (EXISTS, grpc.StatusCode.ALREADY_EXISTS),
    (GONE, grpc.StatusCode.NOT_FOUND),
    (("Throttl", "RequestLimitExceeded", "SlowDown", "LimitExceeded"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (("AccessDenied", "Unauthorized"), grpc.StatusCode.PERMISSION_DENIED),
    (("InUse", "InProgress", "DependencyViolation", "DeleteConflict"), grpc.StatusCode.FAILED_PRECONDITION),
    (("Unavailable", "InternalFailure", "InternalError"), grpc.StatusCode.UNAVAILABLE),
)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves every engine that attaches."""

    def __init__(self, aws: Context) -> None:
        """`aws` has the clients, made before anybody calls."""
        self._aws = aws

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """An engine is there; nothing is asked of it."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """The version that the SDK asks for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Any configuration will do."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """No change of configuration replaces anything."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """The engine strips secrets before it calls and marks the results again."""
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Other engines are served on; what this one waits for ends with its call."""
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """No functions."""
        reason = f"the stand-in has no function {request.tok}: pass its result in as a value"
        return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(reason=reason)])

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """Unknown types and inputs are refused; a name is made up where there is none."""
        resource = TYPES.get(type_of(request.urn))
        news = from_struct(request.news)
        if resource is None:
            reason = f"the stand-in has no type {type_of(request.urn)}: it has {', '.join(sorted(TYPES))}"
            return provider_pb2.CheckResponse(failures=[provider_pb2.CheckFailure(reason=reason)])
        unknown = sorted(set(news) - resource.known - {DEFAULTS})
        failures = [
            provider_pb2.CheckFailure(property=name, reason=f"the stand-in does not offer {name} of this type")
            for name in unknown
        ]
        if "name" in resource.known and "name" not in news:
            suffix = request.randomSeed.hex()[:AUTONAME_HEX]
            news["name"] = from_struct(request.olds).get("name") or f"{request.urn.split('::')[-1]}-{suffix}"
        return provider_pb2.CheckResponse(inputs=to_struct(news), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        """By input; what `ignoreChanges` names is not looked at."""
        resource = TYPES[type_of(request.urn)]
        ignored = list(request.ignoreChanges)
        old, new = without(from_struct(request.old_inputs), ignored), without(from_struct(request.news), ignored)
        answer = provider_pb2.DiffResponse(hasDetailedDiff=True)
        for name in sorted((set(old) | set(new)) - {DEFAULTS}):
            before, after = old.get(name), new.get(name)
            if same(before, after):
                continue
            kind = "ADD" if before is None else "DELETE" if after is None else "UPDATE"
            if name in resource.replaced_by:
                kind += "_REPLACE"
                answer.replaces.append(name)
            answer.diffs.append(name)
            answer.detailedDiff[name].kind = provider_pb2.PropertyDiff.Kind.Value(kind)
            answer.detailedDiff[name].inputDiff = True
        some = provider_pb2.DiffResponse.DIFF_SOME
        answer.changes = some if answer.diffs else provider_pb2.DiffResponse.DIFF_NONE
        answer.deleteBeforeReplace = bool(answer.replaces)  # names are fixed
        return answer

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Make it, or adopt what an earlier, interrupted attempt has made under the same name."""
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=request.properties)
        aws, resource, inputs = self._for(context), TYPES[type_of(request.urn)], from_struct(request.properties)
        try:
            resource_id = resource.create(aws, inputs)
        except ClientError as error:
            if not code_of(error, EXISTS):
                raise
            resource_id = adopt(aws, resource, inputs, error)
        properties = settled(aws, resource, resource_id, inputs, frozenset(inputs))
        return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(properties))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Inputs as they are, of those that the program has set; an empty id when it is gone."""
        aws, resource = self._for(context), TYPES[type_of(request.urn)]
        declared = without(from_struct(request.inputs), [DEFAULTS])
        seen = look(aws, resource, request.id, declared or from_struct(request.properties))
        if seen is None:
            return provider_pb2.ReadResponse()
        inputs: Inputs = dict(seen.inputs) if not declared else {}
        for name, value in declared.items():
            if name not in seen.inputs:
                inputs[name] = value  # cannot be read back
                continue
            live = shaped_like(seen.inputs[name], value)
            inputs[name] = value if same(live, value) else live
        properties = {**declared, **seen.inputs, **seen.outputs, "id": request.id}
        return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(inputs), properties=to_struct(properties))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Carry out what differs."""
        if request.preview:
            return provider_pb2.UpdateResponse(properties=request.news)
        aws, resource = self._for(context), TYPES[type_of(request.urn)]
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        ignored = list(request.ignoreChanges)
        names = differing(without(old, ignored), without(new, ignored))
        resource.update(aws, request.id, Change(old, new, names))
        return provider_pb2.UpdateResponse(properties=to_struct(settled(aws, resource, request.id, new, names)))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Remove it; what is gone is gone."""
        aws, resource = self._for(context), TYPES[type_of(request.urn)]
        inputs = {**from_struct(request.properties), **from_struct(request.old_inputs)}
        try:
            resource.delete(aws, request.id, inputs)
        except ClientError as error:
            if not is_gone(error):
                raise
        return empty_pb2.Empty()

    def _for(self, context: grpc.ServicerContext) -> Context:
        return Context(self._aws.clients, self._aws.account, self._aws.region, context.is_active)


class AwsErrors(grpc.ServerInterceptor):
    """One clean gRPC error for each error of AWS."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Wraps every unary method."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return handler.unary_unary(request, context)
            except ClientError as error:
                context.abort(status_of(error), str(error))
            except NotImplementedError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{details.method} is not needed here")
            except ParamValidationError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except BotoCoreError as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, f"AWS does not answer: {error}")
            except TimedOutError as error:
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
            except (KeyError, TypeError, ValueError) as error:
                log.exception("%s", details.method)
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"an input is missing or has the wrong form: {error!r}")

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


def type_of(urn: str) -> str:
    """The type in a URN.

    >>> type_of("urn:pulumi:dev::proj::my:Component$aws:iam/role:Role::r")
    'aws:iam/role:Role'
    """
    return urn.split("::")[2].rsplit("$", maxsplit=1)[-1]


def status_of(error: ClientError) -> grpc.StatusCode:
    """The gRPC code of an AWS error; what AWS does not accept is an invalid argument."""
    return next((status for parts, status in CODES if code_of(error, parts)), grpc.StatusCode.INVALID_ARGUMENT)
