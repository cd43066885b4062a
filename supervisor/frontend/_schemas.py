"""The schemas that tools are declared with: of what they take, as short as it can be said.

Each word of an input schema costs the model that is told of the tool. So a title that repeats the
key goes, and so does null where an argument may be left out; who sends it is served all the same.
"""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema


class _Short(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """What is allowed but for null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """The default, where it is a value."""
        made: dict[str, Any] = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


# Made once: it takes a millisecond and more each, and every client asks for all of them.
@cache
def arguments_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """What a tool takes."""
    schema = arguments.model_json_schema(schema_generator=_Short)
    for table in (schema, *schema.get("$defs", {}).values()):
        table.pop("title", None)
        table.pop("description", None)
    return schema


@cache
def record_schema(record: type[BaseModel]) -> dict[str, Any]:
    """What a tool gives back; no client shows it to a model."""
    schema = record.model_json_schema()
    schema.pop("description", None)
    return schema
