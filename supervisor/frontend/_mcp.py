"""The pool as an MCP server: what it can do, and which handler does it.

One server for all connections, over whatever transport; what it serves is the same for each.
"""

from collections.abc import Callable
from typing import Any

import mcp_types
import trio
from mcp.server import Server
from mcp.server.lowlevel.server import NotificationOptions
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from supervisor import __version__
from supervisor.frontend import _completion, _prompts, _resources
from supervisor.frontend._answers import error_result
from supervisor.frontend._calls import CLIENT, Context
from supervisor.frontend._notices import Notices
from supervisor.frontend._questions import shows_forms
from supervisor.frontend._rounds import Rounds
from supervisor.frontend._tools import TOOLS, call_tool, input_schema
from supervisor.pool import Pool, TaskError

INSTRUCTIONS = """\
agent-pool keeps a pool of AI agents, each with a role of its own, ready for tasks. Delegate a \
piece of work when an agent's description fits it (`list` names the agents): it works in this \
project's folder, in a fresh context, and returns only its answer, so long reading, searching and \
trying stays out of this conversation. Do yourself what takes less than it takes to describe.

Write each task so that it stands alone. The agent sees nothing of this conversation, so tell it
- the goal, and what it is for, in a sentence or two
- the files, folders or names to begin with, and what is known already
- what it must not touch
- what to return, in which form, and how short.

Which tool:
- one answer that you need now: `invoke`
- several pieces that do not depend on each other: one `invoke_many`, not one call after the other
- work of many minutes, or something to do meanwhile: `submit`, later `wait`, then `result`
- a follow-up that needs what the agent has learned: the same `conversation` again

What comes back is a report, not a proof: look at a change, or run the tests, before you rely on \
it, and hand over the next step with what you found. A long answer comes as a digest; read the \
parts that you need with `result`, not all of it. Agents keep their processes between tasks, so \
there is nothing to start or stop. An error begins with a code and ends with what to do; call \
again only where it says so."""


class PoolServer(Server[Any]):
    """Serves one pool to any number of clients."""

    def __init__(self, pool: Pool, notices: Notices, on_fault: Callable[[Exception], None]) -> None:
        """`on_fault` is called with what should never happen."""
        super().__init__(
            "agent-pool",
            version=__version__,
            title="agent-pool",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=input_schema,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=notices.subscribe,
            on_unsubscribe_resource=notices.unsubscribe,
            on_subscriptions_listen=notices.listen,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
        )
        self.add_request_handler(
            "logging/setLevel", mcp_types.SetLevelRequestParams, notices.set_level
        )
        self.add_notification_handler(
            "notifications/initialized", mcp_types.NotificationParams, notices.greet
        )
        self._pool = pool
        self._notices = notices
        self._on_fault = on_fault

    def get_capabilities(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
        *,
        protocol_version: str | None = None,
    ) -> mcp_types.ServerCapabilities:
        """Those that hold over every transport; `notification_options` are always the same."""
        return super().get_capabilities(
            NotificationOptions(tools_changed=True, resources_changed=True),
            experimental_capabilities,
            extensions,
            protocol_version=protocol_version,
        )

    async def _list_tools(
        self, context: Context, params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        listed = self._pool.config.frontend.tools
        return mcp_types.ListToolsResult(tools=[TOOLS[name].declared() for name in listed])

    async def _call_tool(
        self, context: Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult | mcp_types.InputRequiredResult:
        # A tool that is not listed can be called: the list is for models, to whom each costs
        # tokens, and the command line has use for all.
        try:
            async with self._notices.logged(context):
                rounds = _rounds_of(context, params)
                if rounds is not None:
                    return await rounds.call(context, params, self._serve)
                return await self._serve(context, params)
        except Exception as error:
            return self._fault(error)
        except BaseExceptionGroup as group:
            if group.split(trio.Cancelled)[1] is None:
                # The SDK only answers for a handler that is cancelled where that raises so itself,
                # and not a group of it, as our nurseries do.
                await trio.lowlevel.checkpoint()
            raise

    async def _serve(
        self, context: Context, params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        try:
            return await call_tool(self._pool, params.name, params.arguments, context)
        except Exception as error:
            return self._fault(error)

    def _fault(self, error: Exception) -> mcp_types.CallToolResult:
        # A fault of the pool itself: the SDK would tell neither the client nor the log.
        self._on_fault(error)
        return error_result(
            TaskError("internal_error", f"the pool failed: {error!r}.", "Its log says more.")
        )

    async def _list_resources(
        self, context: Context, params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListResourcesResult:
        return mcp_types.ListResourcesResult(resources=await _resources.listed(self._pool))

    async def _list_templates(
        self, context: Context, params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListResourceTemplatesResult:
        return mcp_types.ListResourceTemplatesResult(resource_templates=_resources.templates())

    async def _read_resource(
        self, context: Context, params: mcp_types.ReadResourceRequestParams
    ) -> mcp_types.ReadResourceResult:
        return await _resources.read(self._pool, params.uri, context)

    async def _list_prompts(
        self, context: Context, params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListPromptsResult:
        prompts = [prompt.declared() for prompt in _prompts.PROMPTS.values()]
        return mcp_types.ListPromptsResult(prompts=prompts)

    async def _get_prompt(
        self, context: Context, params: mcp_types.GetPromptRequestParams
    ) -> mcp_types.GetPromptResult:
        return await _prompts.get(self._pool, params.name, params.arguments)

    async def _complete(
        self, context: Context, params: mcp_types.CompleteRequestParams
    ) -> mcp_types.CompleteResult:
        return await _completion.complete(self._pool, params)


def _rounds_of(context: Context, params: mcp_types.CallToolRequestParams) -> Rounds | None:
    """Where a call is held whose client may be asked in rounds; None: it is not."""
    tool = TOOLS.get(params.name)
    if tool is None or not tool.asks or context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return None
    # What goes on with a call must never begin one, whatever else it says.
    goes_on = params.request_state is not None or params.input_responses is not None
    return CLIENT.get().rounds if goes_on or shows_forms(context) else None
