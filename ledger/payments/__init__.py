"""Getting paid through Stripe: accounts, checkouts, events, refunds, auto top-ups, plans. One idea a file.

No call to Stripe is made while a transaction is open, and nothing that Stripe sends is believed without asking it.
"""
