"""What can go wrong with the embedded stack; every text is a sentence that names the thing and says what to do."""


class StackError(Exception):
    """Root of the stack's errors."""


class ToolMissingError(StackError):
    """A program that the stack starts is not there."""


class PortInUseError(StackError):
    """Another program listens where one of ours should."""


class NotReadyError(StackError):
    """A process did not become ready in time, or died before it was."""


class DiskNearlyFullError(StackError):
    """There is too little room for the stack's state."""
