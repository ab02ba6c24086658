// Workflows that invoke others and are invoked by them. They share their URLs with workflows of another language, which is why the
// URL that they are reached at comes from the environment. Writes its own URL as the first line of the output.

import { serve as listen } from "@hono/node-server";
import { createWorkflow, serveMany } from "@upstash/workflow/hono";
import { Hono } from "hono";

const say = (line) => process.stdout.write(line + "\n");
const app = new Hono();

const child = createWorkflow(async (context) => {
  return await context.run("shout", () => context.requestPayload.word.toUpperCase());
});

const failing = createWorkflow(async (context) => {
  await context.run("fail", () => {
    throw new Error("no luck");
  });
});

// Stands for a workflow that is served by another program at a sibling of this one's URL.
const elsewhere = createWorkflow(async () => {});

const parent = createWorkflow(async (context) => {
  const { body, isFailed, isCanceled } = await context.invoke("ask the other language", {
    workflow: elsewhere,
    body: { word: context.requestPayload.word },
    retries: 0,
  });
  return { body, isFailed, isCanceled };
});

app.post("/many/*", serveMany({ "ts-child": child, "ts-failing": failing, "ts-parent": parent, "rust-child": elsewhere }));

listen({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => say(`http://127.0.0.1:${port}`));
