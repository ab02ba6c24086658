// Calls methods of the published client, such as `cancel` or `dlq.list`. One call per line of the input:
// {"method": name, "arguments": [..]}; one line of output for each: {"resolved": value} or {"rejected": {name, message, status}}.

import { createInterface } from "node:readline";
import { Client } from "@upstash/workflow";

const client = new Client({ baseUrl: process.env.ENGINE_URL, token: process.env.ENGINE_TOKEN });

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  let answer;
  try {
    const path = call.method.split(".");
    const name = path.pop();
    const target = path.reduce((object, part) => object[part], client);
    const value = await target[name](...call.arguments);
    answer = { resolved: value ?? null };
  } catch (error) {
    answer = { rejected: { name: error.name, message: error.message, status: error.status } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
