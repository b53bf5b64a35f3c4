"""What every table of the project shares."""

import uuid

from django.db import models
from django.db.models.functions import Now

from config import ids


class Row(models.Model):
    """A row keyed by UUIDv7, stamped by the database's clock when it is inserted."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # The kind in config.ids.PREFIXES, where the row has a public id.
    public_kind = ""

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        """The id that others see, such as `pw_018f…`."""
        assert isinstance(self.id, uuid.UUID)
        return ids.public(self.public_kind, self.id)
