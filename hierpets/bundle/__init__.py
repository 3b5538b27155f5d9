"""What a bundle's folder holds and says, for whoever needs no network."""
