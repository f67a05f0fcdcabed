"""New tokens."""

import secrets

TOKEN_BYTES = 32


class SystemCredentials:
    """`Credentials` from the machine's own randomness."""

    def new_token(self) -> str:
        """`hr_` and 256 bits; the prefix lets scanners find a leaked one."""
        return f"hr_{secrets.token_urlsafe(TOKEN_BYTES)}"
