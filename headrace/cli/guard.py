"""freeze, unfreeze, quiet, ramps, drift."""

import click

from headrace.cli.declare import end_with, waits
from headrace.cli.listings import LISTINGS, show_list
from headrace.cli.output import output_option
from headrace.cli.session import Session, with_session
from headrace.declaring import duration_s


class Duration(click.ParamType[float]):
    """Seconds, or text such as 30m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        try:
            return float(duration_s(value))  # type: ignore[arg-type]  # a float refuses what is no number
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a duration: use seconds, or 30s, 15m, 2h", param, ctx)


for_option = click.option(
    "--for", "seconds", type=Duration(), required=True, help="How long, e.g. 30m; an end is needed."
)
reason_option = click.option("--reason", required=True, help="Why; others read it.")


@click.command()
@click.argument("scope")
@for_option
@reason_option
@output_option("table", "json")
@with_session
def freeze(session: Session, scope: str, *, seconds: float, reason: str) -> None:
    """Let what runs in SCOPE finish its step and hold; nothing new begins.

    \b
      headrace freeze system --for 2h --reason "incident 42"
      headrace freeze group/delays --for 30m --reason "load test"
    """  # noqa: D301  click keeps a block after this mark as it is
    held = session.client.post("/v1/freezes", {"scope": scope, "seconds": seconds, "reason": reason})
    if not session.output.document(held):
        session.output.line(f"{scope} is frozen for {seconds:g} s; to lift it: `headrace unfreeze {scope}`")


@click.command()
@click.argument("scope")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@output_option("table", "json")
@with_session
def unfreeze(session: Session, scope: str, *, reason: str) -> None:
    """Lift the freeze of SCOPE."""
    held = session.client.delete(f"/v1/freezes/{scope}", reason=reason)
    if not session.output.document(held):
        session.output.line(f"{scope} is no longer frozen")


@click.command()
@click.argument("scope")
@click.option("--class", "classes", multiple=True, required=True, help="Alarm class, e.g. lag_warn; may be repeated.")
@for_option
@reason_option
@output_option("table", "json")
@with_session
def quiet(session: Session, scope: str, *, classes: tuple[str, ...], seconds: float, reason: str) -> None:
    """Send no notifications of these alarm classes of SCOPE; verdicts stay what they are.

    \b
      headrace quiet group/delays --class lag_warn --for 15m --reason "replay"
    """  # noqa: D301  click keeps a block after this mark as it is
    body = {"scope": scope, "classes": list(classes), "seconds": seconds, "reason": reason}
    held = session.client.post("/v1/quiet-windows", body)
    if not session.output.document(held):
        session.output.line(f"{', '.join(classes)} of {scope} are quiet for {seconds:g} s (window {held['id']})")


@click.group()
def ramp() -> None:
    """Ramps of traffic onto new pipelines."""


def _ramp_order(name: str, text: str) -> click.Command:
    @click.command(name, help=f"{text}\n\n\b\n  headrace ramp {name} departures")
    @click.argument("pipeline")
    @output_option("table", "json")
    @with_session
    def command(session: Session, pipeline: str) -> None:
        seen = session.client.post(f"/v1/ramps/{pipeline}:{name}")
        if not session.output.document(seen):
            session.output.line(f"{pipeline}: {seen['percent']} % {seen['detail']}".rstrip())

    return command


ramp.add_command(_ramp_order("hold", "Stand at the present percent until resumed."))
ramp.add_command(_ramp_order("resume", "Let a held ramp go on."))
ramp.add_command(_ramp_order("back", "Step back to the phase before, and hold there."))


@click.group()
def drift() -> None:
    """What is not as declared."""


@drift.command("list")
@click.option("--group", default="", help="Only this group.")
@click.option("--all", "include_repaired", is_flag=True, help="Also repaired findings.")
@output_option()
@with_session
def list_drift(session: Session, *, group: str, include_repaired: bool) -> None:
    """List findings, field by field.

    \b
      headrace drift list --group delays
    """  # noqa: D301  click keeps a block after this mark as it is
    found = session.client.get("/v1/drift", group=group, include_repaired="true" if include_repaired else "")
    if not session.output.document(found["items"]):
        show_list(session.output, LISTINGS["drift"], found["items"])


@drift.command("check")
@waits
@output_option("table", "json")
@with_session
def check_drift(session: Session, *, no_wait: bool, timeout: float | None) -> None:
    """Look at every group now; what is the Provisioner's is repaired, as the schedule would."""
    end_with(session, session.client.post("/v1/drift:check"), no_wait=no_wait, timeout=timeout)


@drift.command("repair")
@click.argument("group")
@waits
@output_option("table", "json")
@with_session
def repair_drift(session: Session, group: str, *, no_wait: bool, timeout: float | None) -> None:
    """Look now and repair, for the sake of GROUP; refused while something else holds it.

    \b
      headrace drift repair delays
    """  # noqa: D301  click keeps a block after this mark as it is
    end_with(session, session.client.post("/v1/drift:check", {"group": group}), no_wait=no_wait, timeout=timeout)
