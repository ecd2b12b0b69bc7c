"""A key of its own for every request.

The suite repeats simple values. An idempotency key that is repeated with another request is
refused, and one repeated with the same request answers what the first one did, even when the thing
has been deleted since: both as documented, and neither is what the other checks are about.
"""

import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key" and case.headers[name]:
            case.headers[name] = str(uuid.uuid4())
