"""Copies the pins of requirements.lock into `[tool.uv] constraint-dependencies`, or with --check compares the two."""

import re
import sys
import tomllib
from pathlib import Path

PIN = re.compile(r"^([a-z0-9][^ \\]*==[^ \\]+(?: ; [^\\]+?)?) *\\?$", re.MULTILINE)
BLOCK = re.compile(r"(?<=^constraint-dependencies = \[\n).*?(?=^\])", re.MULTILINE | re.DOTALL)


def main(root: Path) -> int:
    """0 when they agree or were written; 1 when --check finds a difference."""
    project = root / "pyproject.toml"
    locked = PIN.findall((root / "requirements.lock").read_text())
    if "--check" in sys.argv:
        stated = tomllib.loads(project.read_text())["tool"]["uv"]["constraint-dependencies"]
        differ = sorted(set(stated) ^ set(locked))
        print("\n".join(differ) or f"{len(locked)} pins agree")
        return int(bool(differ))
    lines = "".join(f'  "{pin}",\n' for pin in locked)
    project.write_text(BLOCK.sub(lambda _: lines, project.read_text(), count=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
