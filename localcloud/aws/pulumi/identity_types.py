"""IAM: roles, their inline policies and attached ones, instance profiles. And parameters of SSM."""

import json
import logging
from typing import Any

from localcloud.aws.pulumi.resource import Change, Context, Seen, removed_keys
from localcloud.aws.pulumi.values import Inputs, as_mapping, as_pairs, given

log = logging.getLogger(__name__)


class Role:
    """aws:iam/role:Role."""

    known = frozenset(
        {
            "name",
            "path",
            "description",
            "assumeRolePolicy",
            "tags",
            "maxSessionDuration",
            "permissionsBoundary",
            "forceDetachPolicies",
        }
    )
    replaced_by = frozenset({"name", "path"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """The id is the name."""
        aws.clients["iam"].create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=as_pairs(inputs.get("tags")),
            **given(
                {
                    "Path": inputs.get("path"),
                    "Description": inputs.get("description"),
                    "MaxSessionDuration": inputs.get("maxSessionDuration"),
                    "PermissionsBoundary": inputs.get("permissionsBoundary"),
                }
            ),
        )
        return str(inputs["name"])

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        return str(aws.clients["iam"].get_role(RoleName=inputs["name"])["Role"]["RoleName"])

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By name."""
        role = aws.clients["iam"].get_role(RoleName=resource_id)["Role"]
        seen = {
            "name": role["RoleName"],
            "path": role["Path"],
            "description": role.get("Description"),
            "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"], sort_keys=True),
            "tags": as_mapping(role.get("Tags")),
            "maxSessionDuration": role.get("MaxSessionDuration"),
            "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        }
        return Seen(seen, {"arn": role["Arn"], "uniqueId": role["RoleId"]})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Each thing by its own call."""
        iam, new = aws.clients["iam"], change.new
        if "assumeRolePolicy" in change.names:
            iam.update_assume_role_policy(RoleName=resource_id, PolicyDocument=new["assumeRolePolicy"])
        if change.names & {"description", "maxSessionDuration"}:
            iam.update_role(
                RoleName=resource_id,
                Description=new.get("description") or "",
                MaxSessionDuration=new.get("maxSessionDuration") or 3600,
            )
        if "permissionsBoundary" in change.names:
            if new.get("permissionsBoundary"):
                iam.put_role_permissions_boundary(RoleName=resource_id, PermissionsBoundary=new["permissionsBoundary"])
            else:
                iam.delete_role_permissions_boundary(RoleName=resource_id)
        if "tags" in change.names:
            if gone := removed_keys(change):
                iam.untag_role(RoleName=resource_id, TagKeys=gone)
            if new.get("tags"):
                iam.tag_role(RoleName=resource_id, Tags=as_pairs(new["tags"]))

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        """With `forceDetachPolicies` also what hangs on it."""
        iam = aws.clients["iam"]
        if inputs.get("forceDetachPolicies"):
            for name in iam.list_role_policies(RoleName=resource_id)["PolicyNames"]:
                iam.delete_role_policy(RoleName=resource_id, PolicyName=name)
            for one in iam.list_attached_role_policies(RoleName=resource_id)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=resource_id, PolicyArn=one["PolicyArn"])
        iam.delete_role(RoleName=resource_id)


class RolePolicy:
    """aws:iam/rolePolicy:RolePolicy; its id is ROLE:NAME."""

    known = frozenset({"name", "role", "policy"})
    replaced_by = frozenset({"name", "role"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """Putting one that is there replaces it."""
        role, name = inputs["role"], inputs["name"]
        aws.clients["iam"].put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=inputs["policy"])
        return f"{role}:{name}"

    def find(self, aws: Context, inputs: Inputs) -> str | None:  # noqa: ARG002
        """Never asked: creating is putting."""
        return f"{inputs['role']}:{inputs['name']}"

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By role and name."""
        role, _, name = resource_id.partition(":")
        document = aws.clients["iam"].get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document, sort_keys=True)
        return Seen({"name": name, "role": role, "policy": text}, {})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:  # noqa: ARG002
        """Put the new one."""
        self.create(aws, change.new)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """Remove it."""
        role, _, name = resource_id.partition(":")
        aws.clients["iam"].delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachment:
    """aws:iam/rolePolicyAttachment:RolePolicyAttachment; its id is ROLE/ARN."""

    known = frozenset({"role", "policyArn"})
    replaced_by = frozenset({"role", "policyArn"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """Attaching twice is attaching once."""
        aws.clients["iam"].attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def find(self, aws: Context, inputs: Inputs) -> str | None:  # noqa: ARG002
        """Never asked: creating is idempotent."""
        return f"{inputs['role']}/{inputs['policyArn']}"

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By role and ARN."""
        role, _, arn = resource_id.partition("/")
        attached = aws.clients["iam"].list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        found = any(one["PolicyArn"] == arn for one in attached)
        return Seen({"role": role, "policyArn": arn}, {}) if found else None

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Nothing can change in place."""

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """Detach it."""
        role, _, arn = resource_id.partition("/")
        aws.clients["iam"].detach_role_policy(RoleName=role, PolicyArn=arn)


class InstanceProfile:
    """aws:iam/instanceProfile:InstanceProfile."""

    known = frozenset({"name", "path", "role", "tags"})
    replaced_by = frozenset({"name", "path"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """The profile, then its role."""
        iam = aws.clients["iam"]
        place = given({"Path": inputs.get("path")})
        iam.create_instance_profile(InstanceProfileName=inputs["name"], Tags=as_pairs(inputs.get("tags")), **place)
        if inputs.get("role"):
            iam.add_role_to_instance_profile(InstanceProfileName=inputs["name"], RoleName=inputs["role"])
        return str(inputs["name"])

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        return str(self._describe(aws, inputs["name"])["InstanceProfileName"])

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By name."""
        profile = self._describe(aws, resource_id)
        seen = {
            "name": resource_id,
            "path": profile["Path"],
            "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else None,
            "tags": as_mapping(profile.get("Tags")),
        }
        return Seen(seen, {"arn": profile["Arn"], "uniqueId": profile["InstanceProfileId"]})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """The role and the tags."""
        iam, profile = aws.clients["iam"], {"InstanceProfileName": resource_id}
        if "role" in change.names:
            if change.old.get("role"):
                iam.remove_role_from_instance_profile(RoleName=change.old["role"], **profile)
            if change.new.get("role"):
                iam.add_role_to_instance_profile(RoleName=change.new["role"], **profile)
        if "tags" in change.names:
            if gone := removed_keys(change):
                iam.untag_instance_profile(TagKeys=gone, **profile)
            if change.new.get("tags"):
                iam.tag_instance_profile(Tags=as_pairs(change.new["tags"]), **profile)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        """Its role first: the one that we gave it, even where AWS does not show the profile yet."""
        iam = aws.clients["iam"]
        try:
            roles = {str(role["RoleName"]) for role in self._describe(aws, resource_id)["Roles"]}
        except iam.exceptions.NoSuchEntityException:
            roles = set()
        for role in sorted(roles | ({str(inputs["role"])} if inputs.get("role") else set())):
            try:
                iam.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=role)
            except iam.exceptions.NoSuchEntityException:
                log.info("%s was not in %s any more", role, resource_id)
        iam.delete_instance_profile(InstanceProfileName=resource_id)

    def _describe(self, aws: Context, name: str) -> dict[str, Any]:
        found: dict[str, Any] = aws.clients["iam"].get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        return found


class Parameter:
    """aws:ssm/parameter:Parameter."""

    known = frozenset({"name", "type", "value", "description", "tags", "tier", "overwrite", "keyId"})
    replaced_by = frozenset({"name"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """The id is the name."""
        self._put(aws, inputs, overwrite=bool(inputs.get("overwrite")))
        return str(inputs["name"])

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        return str(aws.clients["ssm"].get_parameter(Name=inputs["name"])["Parameter"]["Name"])

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """With its value, decrypted."""
        ssm = aws.clients["ssm"]
        found = ssm.get_parameter(Name=resource_id, WithDecryption=True)["Parameter"]
        filters = [{"Key": "Name", "Option": "Equals", "Values": [resource_id]}]
        details = ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=resource_id)["TagList"]
        seen = {
            "name": found["Name"],
            "type": found["Type"],
            "value": found["Value"],
            "description": details[0].get("Description") if details else None,
            "tags": as_mapping(tags),
        }
        return Seen(seen, {"arn": found.get("ARN"), "version": found["Version"]})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """A new version, and the tags."""
        ssm = aws.clients["ssm"]
        if change.names & {"value", "type", "description"}:
            self._put(aws, change.new, overwrite=True, tags=False)
        if "tags" in change.names:
            if gone := removed_keys(change):
                ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=resource_id, TagKeys=gone)
            if change.new.get("tags"):
                wanted = as_pairs(change.new["tags"])
                ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=resource_id, Tags=wanted)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """Remove it."""
        aws.clients["ssm"].delete_parameter(Name=resource_id)

    def _put(self, aws: Context, inputs: Inputs, *, overwrite: bool, tags: bool = True) -> None:
        aws.clients["ssm"].put_parameter(
            Name=inputs["name"],
            Type=inputs["type"],
            Value=inputs["value"],
            Overwrite=overwrite,
            **given(
                {
                    "Description": inputs.get("description"),
                    "KeyId": inputs.get("keyId"),
                    "Tags": as_pairs(inputs["tags"]) if tags and not overwrite and inputs.get("tags") else None,
                }
            ),
        )
