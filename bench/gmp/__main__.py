"""Prints what bench.gmp measures as JSON; exit status 1 and the reason where it cannot."""

import json
import sys

from bench.gmp import compare

measured = compare()
if isinstance(measured, str):
    sys.exit(measured)
print(json.dumps(measured, indent=2))
