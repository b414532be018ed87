"""An MCP server with the tools and the prompt that the conformance suite calls about elicitation and input-required.

They do nothing but say their name: in front of them the gateway asks people, and that is what the suite looks at.
"""

from mcp.server.mcpserver import MCPServer

TOOLS = (
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_input_required_result_capabilities",
    "test_input_required_result_elicitation",
    "test_input_required_result_list_roots",
    "test_input_required_result_multi_round",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_request_state",
    "test_input_required_result_sampling",
    "test_input_required_result_tampered_state",
)
PROMPT = "test_input_required_result_prompt"


def server() -> MCPServer:
    """All of them."""
    made = MCPServer("asked")
    for name in TOOLS:
        made.add_tool(_named(name), name=name, description=f"{name} of the suite")

    @made.prompt(name=PROMPT)
    def prompt() -> str:
        return "the prompt of the suite"

    return made


def _named(name: str):
    def tool(message: str = "") -> str:
        return f"{name} ran {message}"

    return tool


if __name__ == "__main__":
    server().run("stdio")
