"""Errors as each of AWS's protocols carries them; never an HTML page."""

import json
import re
from xml.sax.saxutils import escape

from localcloud.aws.errors import AwsError

QUERY = frozenset({"autoscaling", "iam", "sts", "elasticloadbalancing", "cloudformation", "rds", "sns"})
SERVER_ERROR = 500
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 can not say


def write(service: str, error: AwsError, request_id: str) -> tuple[str, str]:
    """The body and its content type."""
    code, text = escape(error.code), escape(UNWRITABLE.sub("?", error.message))
    if service == "ec2":
        return (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        ), "text/xml"
    if service == "s3":
        return (
            f"<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId></Error>"
        ), "application/xml"
    if service in QUERY or not service:
        kind = "Sender" if error.status < SERVER_ERROR else "Receiver"
        return (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{text}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        ), "text/xml"
    return json.dumps({"__type": error.code, "message": error.message}), "application/x-amz-json-1.1"
