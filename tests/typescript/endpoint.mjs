// Workflows written with the published SDK, on Hono and Node. Writes its URL as the first line of the output, then a line for each
// step that runs and each event of a run that is of interest to the test.

import { serve as listen } from "@hono/node-server";
import { WorkflowNonRetryableError } from "@upstash/workflow";
import { serve } from "@upstash/workflow/hono";
import { Hono } from "hono";

const say = (line) => process.stdout.write(line + "\n");
const app = new Hono();

app.post(
  "/steps",
  serve(async (context) => {
    const doubled = await context.run("double", () => {
      say("double");
      return context.requestPayload.number * 2;
    });
    await context.sleep("nap", 1);
    await context.sleepUntil("until long ago", 1_700_000_000);
    return await context.run("tell", () => ({
      doubled,
      user: context.headers.get("x-user"),
      label: context.label,
      runId: context.workflowRunId,
    }));
  }),
);

app.post(
  "/parallel",
  serve(async (context) => {
    const [first, second] = await Promise.all([
      context.run("first", () => "one"),
      context.run("second", () => ({ two: 2 })),
      context.sleep("nap", 1),
    ]);
    const [event, nothing] = await Promise.all([
      context.waitForEvent("event", "parallel-event"),
      context.waitForEvent("nothing", "nothing", { timeout: 1 }),
    ]);
    return await context.run("join", () => {
      say("join");
      return { first, second, event, nothing };
    });
  }),
);

app.post(
  "/wait",
  serve(async (context) => {
    const { eventId, timeout } = context.requestPayload;
    await context.run("before", () => say(`before ${eventId}`));
    return await context.waitForEvent("wait", eventId, { timeout });
  }),
);

app.post(
  "/late-wait",
  serve(async (context) => {
    await context.run("announce", () => say(`announce ${context.workflowRunId}`));
    await context.waitForEvent("gate", "gate");
    return await context.waitForEvent("wait", "late");
  }),
);

app.post(
  "/tell",
  serve(async (context) => {
    const { eventId, data, runId } = context.requestPayload;
    return await context.notify("tell", eventId, data, runId);
  }),
);

app.post(
  "/fail",
  serve(async (context) => {
    await context.run("fail", () => {
      say("fail");
      throw context.requestPayload.forGood ? new WorkflowNonRetryableError("for good") : new Error("for now");
    });
  }),
);

app.post(
  "/cancel",
  serve(async (context) => {
    await context.run("before", () => {});
    await context.cancel();
  }),
);

// How many deliveries are open at once; the first waits for a second one.
const crowd = { open: 0, most: 0 };
crowd.second = new Promise((resolve) => (crowd.arrived = resolve));

app.use("/crowd", async (_, next) => {
  crowd.open += 1;
  crowd.most = Math.max(crowd.most, crowd.open);
  if (crowd.open >= 2) crowd.arrived();
  await crowd.second;
  try {
    await next();
  } finally {
    crowd.open -= 1;
  }
});

app.post(
  "/crowd",
  serve(async (context) => {
    await context.run("first", () => {});
    await Promise.all([context.run("left", () => {}), context.run("right", () => {})]);
    return await context.run("most", () => crowd.most);
  }),
);

app.get("/not-a-workflow", (context) => context.text("hello"));
app.post("/not-a-workflow", (context) => context.text("hello"));

listen({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => say(`http://127.0.0.1:${port}`));
