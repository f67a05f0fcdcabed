"""Launch templates of moto's, as Auto Scaling refers to them: by id or name, in a version."""

from typing import Any

from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.errors import ValidationError
from localcloud.aws.moto_services import MotoServices

FORM_OF_TEMPLATE = "You must use a valid fully-formed launch template."


class LaunchTemplates:
    """Each call takes moto's lock."""

    def __init__(self, services: MotoServices) -> None:
        """`services` has EC2's books."""
        self._services = services

    def find(self, template: TemplateRef) -> TemplateRef:
        """The template with id and name, its version as given; ValidationError."""
        with self._services.lock:
            found = self._template(template)
            self._version(found, template.version)
            return TemplateRef(found.id, found.name, template.version)

    def resolve(self, template: TemplateRef) -> tuple[TemplateRef, str]:
        """The template with its version as a number, and its instance type; ValidationError."""
        with self._services.lock:
            found = self._template(template)
            version = self._version(found, template.version)
            return TemplateRef(found.id, found.name, str(version.number)), version.instance_type or "m1.small"

    def data(self, template: TemplateRef) -> dict[str, Any]:
        """What the template says in its version; ValidationError."""
        with self._services.lock:
            content: dict[str, Any] = self._version(self._template(template), template.version).data
            return content

    def _template(self, ref: TemplateRef) -> Any:
        templates = self._services.backend("ec2").launch_templates
        found = templates.get(ref.id) if ref.id else next((t for t in templates.values() if t.name == ref.name), None)
        if found is None:
            what = f"template ID {ref.id}" if ref.id else f"template name {ref.name}"
            raise ValidationError(f"{FORM_OF_TEMPLATE} The specified launch template, with {what}, does not exist.")
        return found

    def _version(self, template: Any, version: str) -> Any:
        known = str(version).lower() in {"$latest", "$default"} or (
            str(version).isdigit() and 1 <= int(version) <= len(template.versions)
        )
        if not known:
            raise ValidationError(
                f"{FORM_OF_TEMPLATE} Could not find the specified version {version} for the launch template with ID "
                f"{template.id}."
            )
        return template.get_version(version)
