#!/usr/bin/env python3
"""run.py GROUP...: gives moss the hostile images of these groups. See README.md and harness.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import documents
import harness
import layers

GROUPS = {
    "paths": layers.PATHS,
    "whiteouts": layers.WHITEOUTS,
    "types": layers.TYPES,
    "compression": layers.COMPRESSION,
    "manifests": documents.MANIFESTS,
    "archives": documents.ARCHIVES,
    "configs": documents.CONFIGS,
}

sys.exit(harness.main(sys.argv[1:], GROUPS))
