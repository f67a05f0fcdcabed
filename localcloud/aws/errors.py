"""What a call to AWS is refused with: AWS's own code, text and HTTP status, whatever protocol carries them.

AwsError              root: any refusal that a client sees
  ValidationError       a parameter, or a combination of them, that AWS does not accept
  LaunchRefused         EC2 has no machine for us; never reaches a client, it becomes a failed scaling activity
"""


class AwsError(Exception):
    """A refusal as AWS words it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """`code` is AWS's error code, `status` the HTTP status."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ValidationError(AwsError):
    """A value that AWS does not accept."""

    def __init__(self, message: str) -> None:
        """`message` names the parameter and the value."""
        super().__init__("ValidationError", message)


class LaunchRefused(AwsError):
    """EC2 does not launch a machine now; `code` tells why, for example InsufficientInstanceCapacity."""
