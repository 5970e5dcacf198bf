"""What the doctor checks, in the order in which it does."""
