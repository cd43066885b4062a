"""What is answered to control requests that touch nothing but the session."""

from supervisor.rehearsal._session import VERSION, Line, Session


def answer(session: Session, request: Line) -> Line | None:
    """Carry out a request and give its answer (empty: none in the reply); None if unknown."""
    match request.get("subtype"):
        case "initialize":
            return session.initialize(request)
        case "get_binary_version":
            return {"version": VERSION, "buildTime": "1970-01-01T00:00:00Z"}
        case "mcp_status":
            return {"mcpServers": []}
        case "get_session_cost":
            return {"text": session.cost_text()}
        case "get_usage":
            return session.usage()
        case "set_model":
            return _set_model(session, request)
        case "set_permission_mode":
            session.permission_mode = str(request.get("mode"))
            session.print_status()
            return {"mode": session.permission_mode}
        case "set_max_thinking_tokens" | "apply_flag_settings" | "reload_skills":
            return {}
    return None


def _set_model(session: Session, request: Line) -> Line:
    session.model = str(request.get("model"))
    text = f"<local-command-stdout>Set model to {session.model}</local-command-stdout>"
    session.conversation.add("user", text, None, is_task=False)
    session.print_model_set(text)
    return {}
