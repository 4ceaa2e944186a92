"""A school refers from Python and follows what becomes of it.

What to copy from here: the key is on the disk before anything is sent; a call has a deadline and is repeated,
under the same key, only where the answer invites it, with jitter; a watch goes on from the last position it saw.
Every person is invented. Prints `ok NAME` for each thing that held.
"""

import os
import random
import time
import uuid
from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2

from safeguarding.common.v1 import submission_pb2 as submission
from safeguarding.common.v1 import vocabulary_pb2 as words
from safeguarding.referral.v1 import referral_service_pb2 as referral
from safeguarding.referral.v1 import referral_service_pb2_grpc as referral_grpc
from safeguarding.school.v1 import school_service_pb2 as school
from safeguarding.school.v1 import school_service_pb2_grpc as school_grpc

PARTY = "school.999001"
CERTIFICATES = Path(os.environ["SAFEGUARDING_CERTIFICATES"])
KEYS = Path(os.environ.get("SAFEGUARDING_KEYS", "keys"))
DEADLINE_S, PATIENCE_S = 20, 120


def channel():
    pem = [(CERTIFICATES / name).read_bytes() for name in ("ca.pem", f"{PARTY}.key", f"{PARTY}.pem")]
    return grpc.secure_channel(os.environ["SAFEGUARDING_GATEWAY"], grpc.ssl_channel_credentials(*pem))


def kept_key(name):
    """The key of the thing called `name`: made once, and durable before it is used."""
    KEYS.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = KEYS / name
    if not file.exists():
        aside = file.with_suffix(".new")
        with open(aside, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.write(str(uuid.uuid4()))
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, file)
        folder = os.open(KEYS, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return file.read_text()


def asked_to_wait(error):
    """For how many seconds the gateway asks to wait before the same is asked again; None: do not ask again."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return info.retry_delay.ToTimedelta().total_seconds()
    # Without a status of the gateway's own, the line broke before there was an answer.
    return 0 if error.code() == grpc.StatusCode.UNAVAILABLE else None


def patiently(call, request):
    """Calls until there is an answer. The request carries its own key: asking twice is asking once."""
    since, pause = time.monotonic(), 0.5
    while True:
        try:
            return call(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            wait = asked_to_wait(error)
            if wait is None or time.monotonic() - since > PATIENCE_S:
                raise
            time.sleep(max(wait, pause) * random.uniform(1, 1.5))
            pause = min(2 * pause, 8)


def watched(stub, referral_id, until, after=0):
    """The steps of the ladder up to `until`, however often the stream ends on the way, and the last position."""
    steps = []
    while True:
        try:
            for told in stub.Watch(referral.WatchRequest(after=after, referral_id=referral_id), timeout=DEADLINE_S):
                after = told.entry.position
                steps.append(told.entry.WhichOneof("step"))
                if steps[-1] == until:
                    return steps, after
        except grpc.RpcError as error:
            if asked_to_wait(error) is None and error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            time.sleep(random.uniform(1, 2))


def form():
    child = school.Pupil(
        identity=submission.Identity(given_name="Tamsin", family_name="Quillfeather", date_of_birth="2015-02-03"),
        places=submission.Places(home="E08000035"),
    )
    return school.ConcernForm(
        school=school.School(urn="999001", designated_safeguarding_lead=submission.Practitioner(name="Dora Lead")),
        pupil=child,
        worry=school.Statement(text="Comes without a coat and is hungry.", source=words.KNOWLEDGE_DIRECT),
        level=words.LEVEL_SIGNIFICANT_HARM,
        harm=words.HARM_TYPE_NEGLECT,
    )


with channel() as line:
    schools, referrals = school_grpc.SchoolServiceStub(line), referral_grpc.ReferralServiceStub(line)
    request = school.RaiseConcernRequest(idempotency_key=kept_key("concern-of-this-morning"), form=form())
    receipt = patiently(schools.RaiseConcern, request).receipt
    print("ok the concern was received", flush=True)

    # The program was ended and started again: it finds the key, and there is still one referral.
    request = school.RaiseConcernRequest(idempotency_key=kept_key("concern-of-this-morning"), form=form())
    again = patiently(schools.RaiseConcern, request).receipt
    print("ok sent again, it is the same referral" if again == receipt else "not ok sent again: it is another referral", flush=True)

    first, position = watched(referrals, receipt.referral_id, "accepted")
    rest, _ = watched(referrals, receipt.referral_id, "delivered", after=position)
    climbed = first + rest
    complete = climbed[:2] == ["accepted", "routed"] and climbed.count("accepted") == 1
    print("ok the watch went on where it was left" if complete else f"not ok the watch: {climbed}", flush=True)
