"""``python -m notebook_remote`` is ``jupyter notebook-remote``."""

from .app import main

if __name__ == "__main__":
    main()
