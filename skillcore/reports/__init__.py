"""What a person sees: the live console and the summaries at a command's end."""
