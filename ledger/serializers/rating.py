"""Prices and burn tables on the wire."""

from typing import Any

from rest_framework import serializers

from config.wire import StrictText, envelope
from ledger.metering.reading import MAX_COUNT
from ledger.rating.catalogue import PROVIDERS
from ledger.serializers.metering import Number


class Calculation(serializers.Serializer[Any]):
    provider = serializers.ChoiceField([(name, name) for name in PROVIDERS])
    model = StrictText(max_length=128)
    inputTokens = serializers.IntegerField(min_value=0, max_value=MAX_COUNT)
    outputTokens = serializers.IntegerField(min_value=0, max_value=MAX_COUNT)


class Calculations(serializers.Serializer[Any]):
    calculations = serializers.ListField(child=Calculation(), min_length=1, max_length=100)


class Calculated(serializers.Serializer[Any]):
    cost = Number(help_text="What the provider charges.")
    currency = serializers.CharField()
    credits = Number(help_text="What it burns.")


class CalculatedOne(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    inputTokens = serializers.IntegerField()
    outputTokens = serializers.IntegerField()
    cost = Number(allow_null=True)
    currency = serializers.CharField()
    credits = Number(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text='"unknown_model" where it has no price.')


class BulkAnswer(serializers.Serializer[Any]):
    customerId = serializers.CharField()
    results = CalculatedOne(many=True)
    total = serializers.IntegerField(help_text="How many results.")
    totalCost = Number()
    totalCredits = Number()


class PricedModel(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    inputCost = Number(help_text="US dollars per million tokens; so are the next three.")
    outputCost = Number()
    cacheReadCost = Number()
    cacheWriteCost = Number()
    requestCost = Number(help_text="US dollars an event.")
    imageCost = Number(help_text="US dollars an image.")
    unitCost = Number(help_text="US dollars a unit of an event's quantity.")
    currency = serializers.CharField()
    costSource = serializers.ChoiceField([("operator", "operator"), ("genai-prices", "genai-prices")])


PricingAnswer = envelope("PricingAnswer", PricedModel(many=True), total=serializers.IntegerField())


class RuleJson(serializers.Serializer[Any]):
    inputTokens = Number(help_text="Credits for `perUnit` prompt tokens.")
    outputTokens = Number()
    cacheReadTokens = Number(required=False, help_text="As inputTokens where absent.")
    cacheWriteTokens = Number(required=False, help_text="As inputTokens where absent.")
    perUnit = Number(required=False, help_text="Tokens; 1,000 where absent.")
    images = Number(required=False, help_text="Credits an image.")
    units = serializers.DictField(
        child=Number(), required=False, help_text='Credits a unit, such as {"second": 0.5}.'
    )
    event = Number(required=False, help_text="Credits an event.")


class RulesField(serializers.DictField):
    """Rules by model; they are read by `ledger/rating/rules.py`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=RuleJson(), help_text="By model; * for all others.", **options)

    def to_internal_value(self, data: Any) -> Any:
        return data

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is serializers.empty:
            return super().run_validation(data)
        return data


class BurnTableRequest(serializers.Serializer[Any]):
    name = StrictText(max_length=255)
    rules = RulesField()
    validFrom = serializers.DateTimeField(required=False, allow_null=True)
    validUntil = serializers.DateTimeField(required=False, allow_null=True)


class BurnTablePatch(serializers.Serializer[Any]):
    name = StrictText(max_length=255, required=False)
    rules = RulesField(required=False)
    isActive = serializers.BooleanField(required=False)
    validFrom = serializers.DateTimeField(required=False, allow_null=True)
    validUntil = serializers.DateTimeField(required=False, allow_null=True)


class BurnTablesQuery(serializers.Serializer[Any]):
    isActive = serializers.ChoiceField([("true", "true"), ("false", "false")], required=False)


class BurnTableJson(serializers.Serializer[Any]):
    id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    version = serializers.IntegerField()
    rules = serializers.DictField(child=RuleJson())
    isActive = serializers.BooleanField()
    validFrom = serializers.DateTimeField(allow_null=True)
    validUntil = serializers.DateTimeField(allow_null=True)
    createdAt = serializers.DateTimeField(allow_null=True)


class SimulateRequest(serializers.Serializer[Any]):
    rules = RulesField()
    to = serializers.DateTimeField(required=False, help_text="Now where absent.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name in Python.
        moment = serializers.DateTimeField(required=False, help_text="30 days before `to` where absent.")
        return {**super().get_fields(), "from": moment}


class TrialJson(serializers.Serializer[Any]):
    model = serializers.CharField(allow_null=True)
    events = serializers.IntegerField()
    chargedCredits = Number()
    simulatedCredits = Number(allow_null=True, help_text="Null where some of it would have no price.")


class Simulation(serializers.Serializer[Any]):
    startDate = serializers.DateTimeField()
    endDate = serializers.DateTimeField()
    events = serializers.IntegerField()
    isComplete = serializers.BooleanField(
        help_text="False where only the newest million events of that time were tried."
    )
    chargedCredits = Number()
    simulatedCredits = Number(help_text="Without what would have no price.")
    byModel = TrialJson(many=True)


class DeletedAnswer(serializers.Serializer[Any]):
    message = serializers.CharField()


BurnTableAnswer = envelope("BurnTableAnswer", BurnTableJson())
BurnTablesAnswer = envelope("BurnTablesAnswer", BurnTableJson(many=True), total=serializers.IntegerField())
ActiveAnswer = envelope("ActiveBurnTableAnswer", BurnTableJson(), isDefault=serializers.BooleanField())
SimulationAnswer = envelope("SimulationAnswer", Simulation())
