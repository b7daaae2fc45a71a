import sys

from autobert_hf.cli import main


if __name__ == "__main__":
    sys.exit(main())
