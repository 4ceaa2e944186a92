// A hospital refers from Node with a FHIR message and follows what becomes of it.
//
// What to copy from here: the key is on the disk before anything is sent; a call has a deadline and is repeated,
// under the same key, only where the answer invites it, with jitter; a watch goes on from the last position it saw.
// Every person is invented. Prints `ok NAME` for each thing that held.
"use strict";

const { randomUUID } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const PARTY = "nhs.ZZ304";
const { SAFEGUARDING_GATEWAY, SAFEGUARDING_CERTIFICATES, SAFEGUARDING_PROTO } = process.env;
const KEYS = process.env.SAFEGUARDING_KEYS ?? "keys";
const DEADLINE_MS = 20_000;
const PATIENCE_MS = 120_000;

// What google.rpc puts into the details of a status, as far as it is needed here.
const rpc = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
`, { keepCase: true }).root;

const pem = (name) => fs.readFileSync(path.join(SAFEGUARDING_CERTIFICATES, name));

function service(file, name) {
  const options = { includeDirs: [SAFEGUARDING_PROTO], keepCase: true, enums: String, longs: Number, oneofs: true };
  const loaded = grpc.loadPackageDefinition(loader.loadSync(file, options));
  const Service = name.split(".").reduce((within, part) => within[part], loaded);
  return new Service(SAFEGUARDING_GATEWAY, grpc.credentials.createSsl(pem("ca.pem"), pem(`${PARTY}.key`), pem(`${PARTY}.pem`)));
}

// The key of the thing called `name`: made once, and durable before it is used.
function keptKey(name) {
  fs.mkdirSync(KEYS, { recursive: true, mode: 0o700 });
  const file = path.join(KEYS, name);
  if (!fs.existsSync(file)) {
    fs.writeFileSync(`${file}.new`, randomUUID(), { mode: 0o600, flush: true });
    fs.renameSync(`${file}.new`, file);
    const folder = fs.openSync(KEYS, "r");
    fs.fsyncSync(folder);
    fs.closeSync(folder);
  }
  return fs.readFileSync(file, "utf8");
}

// For how many milliseconds the gateway asks to wait before the same is asked again; null: do not ask again.
function askedToWait(error) {
  const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (details) {
    const told = rpc.lookupType("Status").decode(details).details.find((one) => one.type_url.endsWith("google.rpc.RetryInfo"));
    if (!told) return null;
    const delay = rpc.lookupType("RetryInfo").decode(told.value).retry_delay;
    return Number(delay?.seconds ?? 0) * 1000 + (delay?.nanos ?? 0) / 1e6;
  }
  // Without a status of the gateway's own, the line broke before there was an answer.
  return error.code === grpc.status.UNAVAILABLE ? 0 : null;
}

// Calls until there is an answer. The request carries its own key: asking twice is asking once.
async function patiently(client, method, request) {
  const since = Date.now();
  for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
    try {
      return await new Promise((resolve, reject) => {
        client[method](request, { deadline: Date.now() + DEADLINE_MS }, (error, answer) => (error ? reject(error) : resolve(answer)));
      });
    } catch (error) {
      const wait = askedToWait(error);
      if (wait === null || Date.now() - since > PATIENCE_MS) throw error;
      await sleep(Math.max(wait, pause) * (1 + Math.random() / 2));
    }
  }
}

// The steps of the ladder up to `until`, however often the stream ends on the way, and the last position.
async function watched(client, referral_id, until, after = 0) {
  const steps = [];
  for (;;) {
    const stream = client.Watch({ after, referral_id }, { deadline: Date.now() + DEADLINE_MS });
    try {
      for await (const { entry } of stream) {
        after = entry.position;
        steps.push(entry.step);
        if (entry.step === until) return [steps, after];
      }
    } catch (error) {
      if (askedToWait(error) === null && error.code !== grpc.status.DEADLINE_EXCEEDED) throw error;
    } finally {
      stream.on("error", () => {}).cancel();
    }
    await sleep(1000 * (1 + Math.random()));
  }
}

async function main() {
  const health = service("safeguarding/health/v1/health_service.proto", "safeguarding.health.v1.HealthService");
  const referrals = service("safeguarding/referral/v1/referral_service.proto", "safeguarding.referral.v1.ReferralService");
  const said = (holds, name, why) => console.log(holds ? `ok ${name}` : `not ok ${name}: ${why}`);
  const body = fs.readFileSync(path.join(__dirname, "../fhir/referral.json"));
  const message_id = JSON.parse(body).entry[0].resource.id;
  const request = () => ({ idempotency_key: keptKey("referral-of-this-morning"), body, media_type: "application/fhir+json" });

  const answer = await patiently(health, "SubmitFhirMessage", request());
  said(answer.receipt, "the message was received", answer.outcome.toString());
  if (!answer.receipt) return;
  // The program was ended and started again: it finds the key, and there is still one referral.
  const { referral_id } = answer.receipt;
  const again = await patiently(health, "SubmitFhirMessage", request());
  said(again.receipt?.referral_id === referral_id, "sent again, it is the same referral", "it is another");

  const [first, position] = await watched(referrals, referral_id, "accepted");
  const [rest] = await watched(referrals, referral_id, "delivered", position);
  const climbed = [...first, ...rest];
  said(climbed[0] === "accepted" && climbed[1] === "routed", "the watch went on where it was left", climbed.join());

  const correlation_id = randomUUID();
  const asked = { referral_id, message_id, correlation_id, media_type: "application/fhir+json" };
  const feedback = await patiently(health, "GetFhirFeedback", asked);
  const header = JSON.parse(feedback.body).entry[0].resource;
  said(header.response.identifier === message_id, "the feedback answers the message", header.response.identifier);
  said(header.id !== message_id && feedback.correlation_id === correlation_id, "under a new id, in the same exchange", header.id);

  const wrong = await patiently(health, "SubmitFhirMessage", { ...request(), body: Buffer.from('{"resourceType":"Patient"}') });
  const outcome = JSON.parse(wrong.outcome);
  said(!wrong.receipt && outcome.issue[0].severity === "error", "what is no message is answered with an outcome", wrong.outcome);
}

main().catch((error) => {
  console.log(`not ok every call is answered: ${error.code} ${error.details ?? error}`);
  process.exitCode = 1;
});
