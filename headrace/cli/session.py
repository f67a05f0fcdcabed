"""What a command works with: the client of the chosen profile and the output of the chosen form."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from headrace.cli.output import Output
from headrace.client import AdminClient
from headrace.errors import HeadraceCommandError
from headrace.profile import find_profile

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Session:
    """One run of the command; the client is made when it is first needed."""

    url: str = ""
    token_file: str = ""
    output: Output = field(default_factory=Output)
    _client: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """WrongUse when nothing says where the admin API is."""
        if self._client is None:
            profile = find_profile(self.url, self.token_file)
            self._client = AdminClient(profile.url, profile.token, via="cli")
        return self._client

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.close()


def with_session(command: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Gives the command its session, takes `form` (`-o`) from it; errors become sentences and exit codes."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        context = click.get_current_context()
        session = context.find_object(Session)
        if session is None:
            session = Session()
        form: Any = kwargs.pop("form", None)
        session.output = Output(form or "table")
        try:
            return command(session, *args, **kwargs)
        except HeadraceCommandError as e:
            session.output.error(e)
            raise click.exceptions.Exit(e.exit_code) from e
        finally:
            session.close()

    return run
