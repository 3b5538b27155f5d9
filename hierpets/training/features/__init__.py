"""Photos as features of a frozen backbone: computed once, here or on a cluster, and kept."""
