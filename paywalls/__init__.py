"""Who sells what to whom: tenants, keys, paywalls, providers, models and prices, end users."""
