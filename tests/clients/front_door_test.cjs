// A school and a front door in Node: one refers over gRPC, the other reads its own queue with amqplib,
// where the messages lie in protobuf's JSON mapping. Shares no line of code with ours; knows the .proto
// files and nothing else. Each check prints `ok NAME` or `not ok NAME: why`. Every person is invented.
"use strict";

const { randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const amqp = require("amqplib");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const { SAFEGUARDING_GATEWAY, SAFEGUARDING_AMQPS_PORT, SAFEGUARDING_VHOST } = process.env;
const { SAFEGUARDING_CERTIFICATES, SAFEGUARDING_PROTO } = process.env;
const NEWHAM = "la.E09000025.front-door";
const PATIENCE_MS = 30_000;

let failures = 0;

function check(name, holds, why) {
  if (!holds) failures += 1;
  console.log(holds ? `ok ${name}` : `not ok ${name}: ${why}`);
  return holds;
}

const certificate = (name) => readFileSync(`${SAFEGUARDING_CERTIFICATES}/${name}`);

function schoolAs(party) {
  const definition = loader.loadSync("safeguarding/school/v1/school_service.proto", {
    includeDirs: [SAFEGUARDING_PROTO],
    keepCase: true,
    enums: String,
  });
  const { SchoolService } = grpc.loadPackageDefinition(definition).safeguarding.school.v1;
  return new SchoolService(
    SAFEGUARDING_GATEWAY,
    grpc.credentials.createSsl(certificate("ca.pem"), certificate(`${party}.key`), certificate(`${party}.pem`)),
  );
}

function queuesAs(party) {
  return amqp.connect(
    { protocol: "amqps", hostname: "localhost", port: Number(SAFEGUARDING_AMQPS_PORT), vhost: SAFEGUARDING_VHOST },
    {
      ca: [certificate("ca.pem")],
      cert: certificate(`${party}.pem`),
      key: certificate(`${party}.key`),
      credentials: amqp.credentials.external(),
    },
  );
}

function raise(school, request) {
  return new Promise((resolve, reject) => {
    school.RaiseConcern(request, { deadline: Date.now() + 20_000 }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

function concern() {
  return {
    idempotency_key: randomUUID(),
    form: {
      school: {
        urn: "999002",
        name: "Marsh Lane Academy",
        designated_safeguarding_lead: { name: "Owen Baptiste", role: "designated safeguarding lead" },
      },
      pupil: {
        identity: { given_name: "Jonah", family_name: "Merrow", date_of_birth: "2013-11-19" },
        places: { home: "E09000025", located: "E09000025" },
      },
      worry: { text: "Falls asleep in lessons and has stopped bringing lunch.", source: "KNOWLEDGE_DIRECT" },
      level: "LEVEL_IN_NEED", // below significant harm it is the front door at any hour (RA-20)
      harm: "HARM_TYPE_OTHER_WELFARE",
      consent: { agreement: "AGREEMENT_GIVEN", duty_decision: "DUTY_DECISION_SHARE" },
    },
  };
}

// The first message about this referral; what is read on the way is settled.
function deliveryOf(channel, queue, referralId) {
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => resolve(null), PATIENCE_MS);
    const take = (message) => {
      const delivery = JSON.parse(message.content.toString("utf8"));
      channel.ack(message);
      if (delivery.referralId !== referralId) return;
      clearTimeout(giveUp);
      resolve({ delivery, properties: message.properties });
    };
    channel.consume(queue, (message) => {
      try {
        if (message) take(message);
      } catch (error) {
        reject(error);
      }
    }).catch(reject);
  });
}

async function refused(name, connection, attempt) {
  const channel = await connection.createChannel();
  const closed = new Promise((resolve) => channel.on("error", (error) => resolve(error.code)));
  const allowed = new Promise((resolve) => setTimeout(() => resolve("nothing happened"), 5_000));
  await Promise.resolve(attempt(channel)).catch(() => {});
  const code = await Promise.race([closed, allowed]);
  check(name, code === 403, code);
}

async function main() {
  const { receipt } = await raise(schoolAs("school.999002"), concern());
  check("a school that speaks JavaScript gets a receipt", Boolean(receipt.referral_id), "it is empty");

  const connection = await queuesAs(NEWHAM);
  const read = await deliveryOf(await connection.createChannel(), `delivery.${NEWHAM}`, receipt.referral_id);
  if (check("the front door reads it from its own queue, in JSON", read !== null, "nothing came")) {
    check("the message is named after the delivery", read.properties.messageId === read.delivery.deliveryId, "two names");
    check("the message says what it is", /json/.test(read.properties.contentType), read.properties.contentType);
    check("it can be read without a system", Boolean(read.delivery.rendering), "the rendering is empty");
    check("nothing personal is in the headers", !JSON.stringify(read.properties.headers).includes("Jonah"), "a name is");
  }

  const publish = (exchange) => (channel) => channel.publish(exchange, "0", Buffer.from("x"));
  await refused("it can publish nothing to the intake", connection, publish("safeguarding.intake"));
  await refused("nor to another's queue", connection, publish(""));
  await refused("nor read another's queue", connection, (channel) => channel.get("delivery.la.E08000035.front-door"));
  await connection.close();
}

main()
  .catch((error) => check("nothing goes wrong on the way", false, error.message))
  .finally(() => process.exit(failures ? 1 : 0));
