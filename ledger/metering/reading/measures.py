"""What was used: as the event says it, or as the provider's answer in it does."""

from typing import Any

from ledger.metering.reading import fields
from ledger.metering.reading.faults import Fault
from ledger.rating.rules import Measure
from paywalls import usage

# Other APIs' names for what is counted here. Passed over, as unknown members are, they would make the use free.
MISNAMED = {
    "prompt_tokens": "input_tokens",
    "promptTokens": "input_tokens",
    "inputTokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "completionTokens": "output_tokens",
    "outputTokens": "output_tokens",
}


def measure(item: dict[str, Any], provider: str, model: str | None) -> tuple[Measure, str, str]:
    """What was used, and the provider and the model, which an answer may name."""
    get = item.get
    fresh = fields.count("input_tokens", get("input_tokens"))
    output = fields.count("output_tokens", get("output_tokens"))
    read = write = 0
    if fresh is None or output is None:
        for name in MISNAMED:
            misnamed(item, name)
    if fresh is None and output is None and (reported := response(item)):
        found = reported.usage
        fresh, read, write, output = found.input, found.cache_read, found.cache_write, found.output
        provider, model = provider or reported.provider, model or reported.model[:128]
    return (
        Measure(
            fresh or 0,
            read,
            write,
            output or 0,
            fields.count("image_count", get("image_count"), least=1) or 0,
            fields.text("unit_type", get("unit_type"), 32) or "",
            fields.quantity(get("quantity")),
        ),
        provider,
        model or "",
    )


def misnamed(item: dict[str, Any], name: str) -> None:
    """Raises Fault for tokens under another API's name, where there are none under ours."""
    if item.get(name) is not None and item.get(MISNAMED[name]) is None:
        raise Fault(name, f"is not read; name it {MISNAMED[name]}")


def response(item: dict[str, Any]) -> usage.Reported | None:
    """The usage in the provider's answer, where the event says none itself."""
    answer = item.get("provider_response")
    if answer is None or item.get("input_tokens") is not None or item.get("output_tokens") is not None:
        return None
    reported = usage.of_answer(answer)
    if reported is None or fields.UNUSABLE.search(reported.model):
        raise Fault("provider_response", "has no usage that can be read (OpenAI, Anthropic or Gemini)")
    return reported
