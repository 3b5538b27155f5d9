"""``python -m hierpets``."""

from hierpets.cli import main

if __name__ == "__main__":
    main()
