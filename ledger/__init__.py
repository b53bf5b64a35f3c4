"""Money: accounts, transfers, holds, lots, top-ups. `posting.post()` is the only writer."""
