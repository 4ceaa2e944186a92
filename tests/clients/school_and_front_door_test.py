"""A school and a council's front door that share no line of code with ours.

The school speaks gRPC with stubs made from the published contract; the front door reads its own
queue with pika and answers over gRPC. Each check prints `ok NAME` or `not ok NAME: why`.
Every person is invented. Nothing here knows more than the contract says.
"""

import hashlib
import os
import ssl
import sys
import time
import uuid

import grpc
import pika

from safeguarding.childrens_services.v1 import front_door_service_pb2 as front_door
from safeguarding.childrens_services.v1 import front_door_service_pb2_grpc as front_door_grpc
from safeguarding.common.v1 import submission_pb2 as submission
from safeguarding.common.v1 import vocabulary_pb2 as words
from safeguarding.delivery.v1 import delivery_pb2 as delivery
from safeguarding.referral.v1 import referral_service_pb2 as referral
from safeguarding.referral.v1 import referral_service_pb2_grpc as referral_grpc
from safeguarding.school.v1 import school_service_pb2 as school
from safeguarding.school.v1 import school_service_pb2_grpc as school_grpc

GATEWAY = os.environ["SAFEGUARDING_GATEWAY"]
CERTIFICATES = os.environ["SAFEGUARDING_CERTIFICATES"]
AMQPS_PORT = int(os.environ["SAFEGUARDING_AMQPS_PORT"])
VHOST = os.environ["SAFEGUARDING_VHOST"]

LEEDS = "la.E08000035.front-door"
KENT = "la.E10000016.front-door"
PATIENCE_SECONDS = 30

failures = 0


def check(name, holds, why=""):
    """Report one check; go on either way."""
    global failures
    if holds:
        print(f"ok {name}", flush=True)
    else:
        failures += 1
        print(f"not ok {name}: {why}", flush=True)
    return holds


def read(name):
    with open(os.path.join(CERTIFICATES, name), "rb") as file:
        return file.read()


def channel_of(party):
    """A gRPC channel as this party; as nobody without one."""
    own = (read(f"{party}.key"), read(f"{party}.pem")) if party else (None, None)
    return grpc.secure_channel(GATEWAY, grpc.ssl_channel_credentials(read("ca.pem"), *own))


def queue_connection(party):
    context = ssl.create_default_context(cafile=os.path.join(CERTIFICATES, "ca.pem"))
    context.load_cert_chain(os.path.join(CERTIFICATES, f"{party}.pem"), os.path.join(CERTIFICATES, f"{party}.key"))
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            "localhost",
            AMQPS_PORT,
            VHOST,
            pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context, "localhost"),
        )
    )


def code_of(call, request):
    """The status code with which a call ends."""
    try:
        call(request, timeout=10)
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def form(urn="999001", worry="Came to school hungry again and slept through the morning."):
    """A referral of an invented child in Leeds, with one part that is not for everybody."""
    return school.ReferralForm(
        school=school.School(
            urn=urn,
            name="Larkfield Primary School",
            designated_safeguarding_lead=submission.Practitioner(
                name="Ruth Ellison", role="designated safeguarding lead", contact="dsl@larkfield.example"
            ),
        ),
        pupil=school.Pupil(
            identity=submission.Identity(given_name="Tamsin", family_name="Oakridge", date_of_birth="2017-05-04"),
            places=submission.Places(home="E08000035", located="E08000035"),
        ),
        consent=school.Consent(
            agreement=words.AGREEMENT_GIVEN, by_whom="mother", duty_decision=words.DUTY_DECISION_SHARE
        ),
        level=words.LEVEL_IN_NEED,  # below significant harm it is the front door at any hour (RA-20)
        harm=words.HARM_TYPE_NEGLECT,
        harm_place=words.HARM_PLACE_HOME,
        account=[
            school.AccountPart(
                topic=school.TOPIC_WORRY,
                subject=words.SUBJECT_CHILD,
                statement=school.Statement(text=worry, source=words.KNOWLEDGE_DIRECT),
            ),
            school.AccountPart(
                topic=school.TOPIC_PARENT_HEALTH,
                subject=words.SUBJECT_PARENT,
                statement=school.Statement(text="Is being treated for depression.", source=words.KNOWLEDGE_THIRD_PARTY),
            ),
        ],
    )


def deliveries_until(connection, queue, referral_id):
    """Read the front door's own queue until the delivery about this referral comes; settle what was read."""
    channel = connection.channel()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        method, properties, body = channel.basic_get(queue)
        if method is None:
            time.sleep(0.1)
            continue
        envelope = delivery.DeliveryEnvelope.FromString(body)
        message = delivery.Delivery.FromString(envelope.plain)
        channel.basic_ack(method.delivery_tag)
        if message.referral_id == referral_id:
            return message, properties, hashlib.sha256(envelope.plain).digest()
    return None, None, None


def status_until(stub, referral_id, reached):
    """The referral's status once `reached` holds for it, or as it is when patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status = stub.Get(referral.GetRequest(referral_id=referral_id), timeout=10).status
        if reached(status) or time.monotonic() > deadline:
            return status
        time.sleep(0.2)


def rungs(status):
    return [entry.WhichOneof("step") for entry in status.ladder]


def the_journey():
    """Refer, repeat, deliver, acknowledge, decide, hear of it."""
    with channel_of("school.999001") as channel:
        schools = school_grpc.SchoolServiceStub(channel)
        referrals = referral_grpc.ReferralServiceStub(channel)
        request = school.ReferRequest(idempotency_key=str(uuid.uuid4()), form=form())
        receipt = schools.Refer(request, timeout=20).receipt
        check("the school gets a receipt", receipt.referral_id and receipt.meaning, "it is empty")

        again = schools.Refer(request, timeout=20).receipt
        check("the same form under the same key gets the same receipt", again == receipt, "another receipt came back")

        with queue_connection(LEEDS) as connection:
            message, properties, digest = deliveries_until(connection, f"delivery.{LEEDS}", receipt.referral_id)
        if not check("the front door reads it from its own queue", message is not None, "nothing came"):
            return receipt.referral_id
        check("the message is named after the delivery", properties.message_id == message.delivery_id, "two names")
        check("the delivery is for this front door", message.recipient == LEEDS, message.recipient)
        check("it can be read without a system", message.rendering != "", "the rendering is empty")
        check("it says why it comes here", len(message.sentences) > 0, "no sentence")
        check("nothing personal is in the headers", "Tamsin" not in repr(properties.headers), "a name is")

        with channel_of(LEEDS) as desk_channel:
            desk = front_door_grpc.FrontDoorServiceStub(desk_channel)
            answer = front_door.Answer(
                delivery_id=message.delivery_id,
                digest=digest,
                by=submission.Practitioner(name="Priya Shah", role="duty social worker"),
            )
            acknowledged = desk.Acknowledge(front_door.AcknowledgeRequest(answer=answer), timeout=20)
            check("a named person acknowledges", acknowledged.referral_id == receipt.referral_id, "another referral")
            status = status_until(referrals, receipt.referral_id, lambda s: "acknowledged" in rungs(s))
            check("the school sees who has it", "acknowledged" in rungs(status), str(rungs(status)))
            desk.Decide(
                front_door.DecideRequest(
                    answer=answer, outcome=words.OUTCOME_S17_ASSESSMENT, reason="Assessment under section 17 begins."
                ),
                timeout=20,
            )
        status = status_until(referrals, receipt.referral_id, lambda s: "decided" in rungs(s))
        check("the school sees the outcome", status.outcome == words.OUTCOME_S17_ASSESSMENT, str(rungs(status)))
        check("the rungs are in order", ordered(rungs(status)), str(rungs(status)))
        check("watching tells the same rungs", watched(referrals, receipt.referral_id) == positions(status), "others")
        return receipt.referral_id


def ordered(steps):
    """Accepted before routed before delivered before acknowledged before decided."""
    ladder = [s for s in steps if s in ("accepted", "routed", "delivered", "acknowledged", "decided")]
    first_seen = list(dict.fromkeys(ladder))
    return first_seen == ["accepted", "routed", "delivered", "acknowledged", "decided"]


def positions(status):
    return [entry.position for entry in status.ladder if entry.WhichOneof("step") != "outcome_returned"]


def watched(stub, referral_id):
    """What Watch tells up to the decision, read in two goes: the second resumes where the first ended."""
    seen = []
    for stop_at in ("routed", "decided"):
        after = seen[-1] if seen else 0
        stream = stub.Watch(referral.WatchRequest(after=after, referral_id=referral_id), timeout=20)
        for response in stream:
            seen.append(response.entry.position)
            if response.entry.WhichOneof("step") == stop_at:
                stream.cancel()
                break
    return seen


def who_may_not(referral_id):
    """Each party speaks only as itself, and hears only of its own."""
    with channel_of("school.999001") as channel:
        schools = school_grpc.SchoolServiceStub(channel)
        another = school.ReferRequest(idempotency_key=str(uuid.uuid4()), form=form(urn="999002"))
        code = code_of(schools.Refer, another)
        check("a school that names another is refused", code == grpc.StatusCode.PERMISSION_DENIED, code)
        empty = school.ReferRequest(idempotency_key="not a key", form=school.ReferralForm())
        code = code_of(schools.Refer, empty)
        check("an empty form is refused as wrong", code == grpc.StatusCode.INVALID_ARGUMENT, code)
        desk = front_door_grpc.FrontDoorServiceStub(channel)
        code = code_of(desk.Decide, front_door.DecideRequest())
        check("a school cannot decide as a front door", code == grpc.StatusCode.PERMISSION_DENIED, code)
    with channel_of("school.999002") as channel:
        code = code_of(referral_grpc.ReferralServiceStub(channel).Get, referral.GetRequest(referral_id=referral_id))
        check("another school's referral does not exist", code == grpc.StatusCode.NOT_FOUND, code)
    with channel_of(None) as channel:
        code = code_of(referral_grpc.ReferralServiceStub(channel).List, referral.ListRequest())
        check("without a certificate there is no conversation", code == grpc.StatusCode.UNAVAILABLE, code)


def refused_by_the_queue(name, attempt):
    """One attempt on a connection of its own: a refusal closes the channel."""
    with queue_connection(LEEDS) as connection:
        channel = connection.channel()
        try:
            attempt(channel)
            channel.basic_get(f"delivery.{LEEDS}")
            check(name, False, "it was allowed")
        except pika.exceptions.ChannelClosedByBroker as error:
            check(name, error.reply_code == 403, error.reply_text)


def a_front_door_reads_its_own_queue_and_nothing_else():
    own, other = f"delivery.{LEEDS}", f"delivery.{KENT}"
    refused_by_the_queue("a front door cannot read another's queue", lambda c: c.basic_get(other))
    refused_by_the_queue("nor purge another's", lambda c: c.queue_purge(other))
    refused_by_the_queue("nor delete its own", lambda c: c.queue_delete(own))
    refused_by_the_queue("nor declare one", lambda c: c.queue_declare("mine"))
    refused_by_the_queue("nor read the intake", lambda c: c.basic_get("intake.0"))
    for exchange in ("", "safeguarding.intake", "safeguarding.delivery", "safeguarding.quarantine"):
        refused_by_the_queue(
            f"nor publish to {exchange or 'the default exchange'}",
            lambda c, exchange=exchange: c.basic_publish(exchange, own, b"x"),
        )


if __name__ == "__main__":
    try:
        who_may_not(the_journey() or str(uuid.uuid4()))
        a_front_door_reads_its_own_queue_and_nothing_else()
    except grpc.RpcError as error:
        check("every call is answered", False, f"{error.code()}: {error.details()}")
    sys.exit(1 if failures else 0)
