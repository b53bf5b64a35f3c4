"""The hosted pages of wallets: signing in, answering a request to connect, and the wallet itself."""
