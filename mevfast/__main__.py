"""`python -m mevfast`."""

from mevfast.cli import main

raise SystemExit(main())
