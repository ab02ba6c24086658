// Calls methods of the published clients, such as `cancel` or `dlq.list`: those of `@upstash/workflow` where it has them, else those
// of `@upstash/qstash`, such as `flowControl.pause`. One call per line of the input: {"method": name, "arguments": [..]}; one line of
// output for each: {"resolved": value} or {"rejected": {name, message, status}}.

import { createInterface } from "node:readline";
import { Client as QStash } from "@upstash/qstash";
import { Client } from "@upstash/workflow";

const settings = { baseUrl: process.env.ENGINE_URL, token: process.env.ENGINE_TOKEN };
const client = new Client(settings);
const qstash = new QStash(settings);

function call(method, given) {
  const path = method.split(".");
  const name = path.pop();
  const from = (root) => path.reduce((object, field) => object?.[field], root);
  const target = from(client)?.[name] ? from(client) : from(qstash);
  return target[name](...given);
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    const value = await call(request.method, request.arguments);
    answer = { resolved: value ?? null };
  } catch (error) {
    answer = { rejected: { name: error.name, message: error.message, status: error.status } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
