"""What the ledger's endpoints read and answer."""
