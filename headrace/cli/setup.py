"""Tokens, who one is, completion, version."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from headrace.cli.guard import Duration
from headrace.cli.output import instant, output_option
from headrace.cli.session import Session, with_session

PACKAGES = ("headrace", "headrace-control-plane")
SHELLS = ("bash", "zsh", "fish")


@click.group()
def token() -> None:
    """Tokens for people and programs."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "owner", "admin"]), required=True)
@click.option("--workspace", default="default", show_default=True, help="`*` is every workspace.")
@click.option("--expires", type=Duration(), help="Lifetime, e.g. 12h or 30d.")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the text to a file of mode 0600.")
@output_option("table", "json")
@with_session
def create_token(  # noqa: PLR0913  one parameter per option
    session: Session, name: str, *, role: str, workspace: str, expires: float | None, to: Path | None
) -> None:
    """Make a token; its text is shown once.

    \b
      headrace token create ci --role operator --expires 30d --to ci-token
    """  # noqa: D301  click keeps a block after this mark as it is
    made = session.client.post("/v1/tokens", {"name": name, "role": role, "workspace": workspace, "expires_s": expires})
    if to:
        to.touch(mode=0o600)
        to.chmod(0o600)
        to.write_text(made.pop("token") + "\n")
    if not session.output.document(made):
        session.output.line(made.get("token") or f"written to {to}")


@token.command("list")
@output_option()
@with_session
def list_tokens(session: Session) -> None:
    """List tokens, without their text."""
    found = session.client.get("/v1/tokens")["items"]
    if not session.output.document(found):
        rows = [
            (t["name"], t["role"], t["workspace"], t["created_by"], instant(t["expires_at"]), instant(t["revoked_at"]))
            for t in found
        ]
        session.output.table(("NAME", "ROLE", "WORKSPACE", "MADE BY", "EXPIRES", "REVOKED"), rows)


@token.command("revoke")
@click.argument("name")
@with_session
def revoke_token(session: Session, name: str) -> None:
    """It stops working at once."""
    session.client.delete(f"/v1/tokens/{name}")
    session.output.line(f"token {name} is revoked")


@click.command()
@output_option("table", "json")
@with_session
def whoami(session: Session) -> None:
    """Who the token says you are, and what you may."""
    me = session.client.get("/v1/me")
    if not session.output.document(me):
        allowed = ", ".join(verb for verb, may in me["may"].items() if may)
        session.output.line(f"{me['name']}, {me['role']} of workspace {me['workspace']}; may {allowed}")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
      eval "$(headrace completion bash)"
    """  # noqa: D301  click keeps a block after this mark as it is
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} has no completion")
    click.echo(kind(context.find_root().command, {}, "headrace", "_HEADRACE_COMPLETE").source())


@click.command("version")
def version_command() -> None:
    """Print the version."""
    for package in PACKAGES:
        try:
            click.echo(f"headrace {version(package)}")
        except PackageNotFoundError:
            continue
        return
    click.echo("headrace (not installed as a package)")
