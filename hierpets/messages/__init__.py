"""What hierpets says to people, in their language: one catalogue of messages, and the names of breeds."""
