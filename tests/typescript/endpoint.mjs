// Workflows written with the published SDK, on Hono and Node. Writes its URL as the first line of the output, then a line for each
// step that runs and each event of a run that is of interest to the test.

import { serve as listen } from "@hono/node-server";
import { WorkflowNonRetryableError } from "@upstash/workflow";
import { createWorkflow, serve, serveMany } from "@upstash/workflow/hono";
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

app.post(
  "/call",
  serve(async (context) => {
    const { status, header, body } = await context.call("call", context.requestPayload);
    const type = Object.entries(header).find(([name]) => name.toLowerCase() === "content-type");
    return await context.run("tell", () => ({ status, type: type?.[1], body }));
  }),
);

app.post(
  "/calls",
  serve(async (context) => {
    // The answer to a call comes with a payload of its own.
    const answers = await Promise.all([
      ...(context.requestPayload.urls ?? []).map((url, n) => context.call(`call ${n}`, { url })),
      context.run("beside", () => ({ status: "beside" })),
    ]);
    return answers.map(({ status }) => status);
  }),
);

app.post(
  "/webhook",
  serve(async (context) => {
    const { timeout, early, times } = context.requestPayload;
    const webhook = await context.createWebhook("make");
    await context.run("announce", () => say(webhook.webhookUrl));
    if (early) {
      await context.waitForEvent("gate", "gate");
    }
    const all = [];
    for (let n = 0; n < times; n++) {
      const { request, timeout: isOver } = await context.waitForWebhook(`wait ${n}`, webhook, timeout);
      all.push(
        isOver
          ? "timeout"
          : { url: request.url, method: request.method, n: request.headers.get("x-n"), body: await request.clone().text() },
      );
    }
    return await context.run("tell", () => all);
  }),
);

app.post(
  "/together",
  serve(async (context) => {
    const [first, second] = await Promise.all([context.createWebhook("first"), context.createWebhook("second")]);
    const [one, answer, two, ran] = await Promise.all([
      context.waitForWebhook("one", first, "1h"),
      context.call("call", { url: context.requestPayload }),
      context.waitForWebhook("two", second, "1s"),
      context.run("announce", () => say(first.webhookUrl)).then(() => "ran"),
    ]);
    return { one: one.request.method, status: answer.status, two: two.timeout, ran };
  }),
);

const child = createWorkflow(async (context) => {
  await context.run("begin", () => say("child"));
  const { fate, event } = context.requestPayload;
  switch (fate) {
    case "return":
      return { payload: context.requestPayload, header: context.headers.get("x-child"), label: context.label };
    case "wait":
      return (await context.waitForEvent("wait", event)).eventData;
    case "fail":
      throw new WorkflowNonRetryableError("as it was told");
    case "cancel":
      await context.cancel();
  }
});

const parent = createWorkflow(async (context) => {
  const all = await Promise.all(
    context.requestPayload.map(({ id, ...body }, n) =>
      context.invoke(`child ${n}`, {
        workflow: child,
        body,
        headers: { "x-child": `${n}` },
        label: "small",
        workflowRunId: id,
      }),
    ),
  );
  return await context.run("tell", () => all);
});

const nested = createWorkflow(async (context) => {
  const { body, isFailed } = await context.invoke("deeper", { workflow: nested, body: context.requestPayload + 1 });
  return isFailed ? context.requestPayload + 1 : body;
});

app.post("/many/*", serveMany({ parent, child, nested }));

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

// How often somebody was at each place.
const counts = new Map();
const count = (place) => {
  counts.set(place, (counts.get(place) ?? 0) + 1);
  return counts.get(place);
};

app.post(
  "/guarded",
  serve(
    async (context) => {
      const { key, failures } = context.requestPayload;
      await context.run("first", () => say(`first ${key}`));
      await context.run("charge", () => {
        if (count(`charge ${key}`) <= failures) throw new WorkflowNonRetryableError("the card was declined");
      });
      return await context.run("last", () => `charged ${key}`);
    },
    {
      failureFunction: async ({ context, failStatus, failResponse, failHeaders }) => {
        const { key, functionFailures } = context.requestPayload;
        say(`failed ${key}`);
        if (count(`failed ${key}`) <= (functionFailures ?? 0)) throw new Error("nobody answers");
        const { workflowRunId, url } = context;
        const user = context.headers.get("x-user");
        const never = failHeaders["upstash-nonretryable-error"];
        return { key, workflowRunId, url, user, label: context.label, never, failStatus, failResponse };
      },
    },
  ),
);

// One of a group fails once the test lets it.
let open;
const opened = new Promise((resolve) => (open = resolve));
app.post("/open", (context) => {
  open();
  return context.text("open");
});

app.post(
  "/group",
  serve(async (context) => {
    await context.run("before", () => say("before"));
    const [left, right, event] = await Promise.all([
      context.run("left", () => {
        say("left");
        return "left";
      }),
      context.run("right", async () => {
        await opened;
        if (count("right") === 1) throw new WorkflowNonRetryableError("not right");
        return "right";
      }),
      context.waitForEvent("wait", "group-event"),
      context.sleep("nap", 1),
    ]);
    return await context.run("after", () => {
      say("after");
      return { left, right, event };
    });
  }),
);

// The endpoint is broken from the time on at which the third party is called until it is mended.
let broken = false;
app.get("/third-party", (context) => {
  say("called");
  broken = true;
  return context.json({ paid: true });
});
app.post("/mend", (context) => {
  broken = false;
  return context.text("mended");
});

app.post(
  "/calling",
  serve(async (context) => {
    if (broken) throw new Error("the endpoint is broken");
    const { status, body } = await context.call("call", {
      url: new URL("/third-party", context.url).href,
      method: "GET",
    });
    return await context.run("after", () => ({ status, body }));
  }),
);

app.get("/not-a-workflow", (context) => context.text("hello"));
app.post("/not-a-workflow", (context) => context.text("hello"));

listen({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => say(`http://127.0.0.1:${port}`));
