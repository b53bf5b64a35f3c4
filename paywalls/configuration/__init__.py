"""Paywalls as code: a YAML document that says what the installation sells, applied again and again.

`loading` reads the text, `sections` picks values out of it and collects the faults, `document` knows the
keys, `parts` those of other apps, `writing` brings the database in line. The format is described in
`docs/configuration.md`.
"""

from paywalls.configuration.faults import InvalidDocument
from paywalls.configuration.loading import load
from paywalls.configuration.writing import apply_document, stripe_keys

__all__ = ["InvalidDocument", "apply_document", "load", "stripe_keys"]
