"""Workflows written with the published SDK, on FastAPI. Writes its URL as the first line of the output, then a line for each step
that runs and each event of a run that is of interest to the test."""

import socket

import uvicorn
from fastapi import FastAPI
from upstash_workflow.fastapi import Serve

app = FastAPI()
serve = Serve(app)


def say(line):
    print(line, flush=True)


@serve.post("/steps")
async def steps(context):
    number = context.request_payload["number"]

    async def double():
        say("double")
        return number * 2

    doubled = await context.run("double", double)
    await context.sleep("nap", 1)
    await context.sleep_until("until long ago", 1_700_000_000)

    async def tell():
        say(f"told {doubled} to {context.headers.get('x-user')}")

    await context.run("tell", tell)


@serve.post("/call")
async def call(context):
    answer = await context.call("ask", url=context.request_payload["url"], method="POST", body={"question": 6})

    async def tell():
        say(f"answered {answer.status} {answer.body}")

    await context.run("tell", tell)


async def tell_failure(context, fail_status, fail_response, fail_headers):
    say(f"failure {fail_status} {fail_response} of {context.request_payload}")


@serve.post("/fail", retries=0, failure_function=tell_failure)
async def fail(context):
    async def raise_error():
        say("fail")
        raise RuntimeError("out of stock")

    await context.run("fail", raise_error)


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
say(f"http://127.0.0.1:{listener.getsockname()[1]}")
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
