"""The official Python client, `mcp`, over stdio and streamable HTTP, in both protocol eras."""

import asyncio
import json

import athena
from mcp import Client
from mcp.client.stdio import StdioServerParameters

TOOLS = ["remember", "recall", "get", "update", "forget"]
# What the default profile may cost an agent: 2,500 tokens of four bytes.
LIST_BYTES = 10_000


async def main():
    for mode, version in [("auto", "2026-07-28"), ("legacy", "2025-11-25")]:
        with athena.check(f"stdio, {mode}: connects and runs"), athena.home() as (env, directory):
            # The client hands down a small part of our environment; the home is all it needs.
            server = StdioServerParameters(
                command=athena.BINARY,
                args=["mcp"],
                env={"ATHENA_HOME": env["ATHENA_HOME"]},
                cwd=directory,
            )
            async with Client(server, mode=mode, read_timeout_seconds=30) as client:
                await story(client, f"stdio, {mode}", version)
    with athena.check("http: server starts"), athena.serve() as base:
        for mode, version in [("auto", "2026-07-28"), ("legacy", "2025-11-25")]:
            with athena.check(f"http, {mode}: connects and runs"):
                async with Client(f"{base}/mcp", mode=mode, read_timeout_seconds=30) as client:
                    await story(client, f"http, {mode}", version)
    athena.finish()


async def story(client, how, version):
    with athena.check(f"{how}: speaks {version}"):
        assert client.protocol_version == version, client.protocol_version
        assert client.server_info.name == "athena", client.server_info
    with athena.check(f"{how}: lists the tools"):
        await lists_the_tools(client)

    # A text of its own for each connection: the server keeps them all.
    content = f"The staging database moved to port 6543, said over {how}."
    with athena.check(f"{how}: remembers"):
        first = await call(client, "remember", content=content)
        again = await call(client, "remember", content=content)
        assert first["duplicate"] is False, first
        assert again["duplicate"] is True and again["id"] == first["id"], again
    memory = first["id"]
    with athena.check(f"{how}: recalls"):
        hits = await recall(client, f"which port has the staging database, said over {how}")
        assert hits[0]["id"] == memory, hits
        assert hits[0]["content"] == content, hits[0]
        assert 0 < hits[0]["match"] <= 1 and 0 < hits[0]["score"] <= 1, hits[0]
    with athena.check(f"{how}: gets"):
        assert (await call(client, "get", id=memory))["content"] == content
    with athena.check(f"{how}: updates"):
        corrected = content.replace("6543", "7654")
        updated = await call(client, "update", id=memory, content=corrected, reason="it moved")
        assert (await call(client, "get", id=updated["id"]))["content"] == corrected
        hits = await recall(client, f"which port has the staging database, said over {how}")
        assert [hit["id"] for hit in hits if hit["content"] in (content, corrected)] == [
            updated["id"]
        ], hits
    with athena.check(f"{how}: forgets"):
        await call(client, "forget", id=updated["id"], reason="the server is gone")
        hits = await recall(client, f"which port has the staging database, said over {how}")
        assert all(hit["content"] not in (content, corrected) for hit in hits), hits
    with athena.check(f"{how}: says what was wrong"):
        for name, arguments in [
            ("get", {"id": 987_654_321}),
            ("get", {"id": "not a number"}),
            ("remember", {}),
            ("remember", {"content": "a", "no_such_argument": 1}),
            ("recall", {"query": "a", "min_score": 7}),
        ]:
            result = await client.call_tool(name, arguments)
            assert result.is_error, (name, arguments, result)
            assert len(result.content[0].text) > 10, result
    with athena.check(f"{how}: survives hostile text"):
        for text in ["'; DROP TABLE memories; --", "\u202e\U0001f9e0 日本語 \"AND\" NOT (", "a" * 100_000]:
            stored = await call(client, "remember", content=text)
            assert (await call(client, "get", id=stored["id"]))["content"] == text
            await recall(client, text[:1000])


async def lists_the_tools(client):
    listed = await client.list_tools()
    names = [tool.name for tool in listed.tools]
    assert set(TOOLS) <= set(names), names
    assert len(names) <= 10, names
    text = json.dumps([dump(tool) for tool in listed.tools], separators=(",", ":"))
    assert len(text.encode()) <= LIST_BYTES, len(text.encode())
    again = await client.list_tools(cache_mode="bypass")
    assert text == json.dumps([dump(tool) for tool in again.tools], separators=(",", ":"))
    for tool in listed.tools:
        assert tool.description and tool.annotations, tool.name
        # What `call_tool` answers depends on the operation that it calls.
        assert tool.output_schema or tool.name == "call_tool", tool.name
        assert tool.input_schema["type"] == "object", tool.name
    read_only = {tool.name for tool in listed.tools if tool.annotations.read_only_hint}
    assert read_only & set(TOOLS) == {"recall", "get"}, read_only


def dump(tool):
    return tool.model_dump(mode="json", by_alias=True, exclude_none=True)


async def recall(client, query):
    return (await call(client, "recall", query=query))["hits"]


async def call(client, name, **arguments):
    """Calls a tool that must succeed; the client checks the answer against the output schema."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result
    assert result.content, "an old client sees nothing"
    return result.structured_content


asyncio.run(main())
