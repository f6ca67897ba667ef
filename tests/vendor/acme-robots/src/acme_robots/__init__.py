"""Arms of Acme for skillcore."""
