"""What heads on frozen features say of photos that were held out of their fit: fold by fold, or breed by breed."""
