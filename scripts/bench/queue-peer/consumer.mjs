// Drains a queue with consumers of sqs-consumer, a message at a time, as Feedfleet's workers do. Prints the
// seconds from the first poll to the last acknowledgement. Endpoint, region and keys come from the variables
// of the AWS SDK.
//
//     node consumer.mjs QUEUE_URL MESSAGES CONSUMERS

import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const [queueUrl, messages, consumers] = process.argv.slice(2);
let left = Number(messages);
const began = performance.now();

function acknowledged() {
  left -= 1;
  if (left > 0) return;
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }));
  process.exit(0);
}

function failed(error) {
  console.error(error);
  process.exit(1);
}

for (let number = 0; number < Number(consumers); number += 1) {
  const consumer = Consumer.create({
    queueUrl,
    // A client each: they share no connection, as processes would not.
    sqs: new SQSClient({}),
    batchSize: 1,
    visibilityTimeout: 120,
    heartbeatInterval: 40,
    waitTimeSeconds: 1,
    suppressFifoWarning: true,
    handleMessage: async (message) => message,
  });
  // Told after the message was deleted.
  consumer.on("message_processed", acknowledged);
  consumer.on("error", failed);
  consumer.on("processing_error", failed);
  consumer.start();
}
