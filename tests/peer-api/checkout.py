"""The peer's repository, as a working tree or as a Git directory."""

import subprocess
import sys
from pathlib import Path


class Checkout:
    """The peer's repository: a working tree, or a Git directory at a revision. `folder` is one that
    it must have."""

    def __init__(self, path, revision, folder):
        self.path, self.revision = Path(path), revision
        self.is_tree = (self.path / folder).is_dir()
        if not self.is_tree and self._git("rev-parse", "--verify", f"{revision}:{folder}") is None:
            sys.exit(f"{path} has neither the folder {folder} nor the Git revision {revision}")

    def _git(self, *arguments):
        command = ["git", "--git-dir", self.path, *arguments]
        done = subprocess.run(command, capture_output=True)
        return done.stdout if done.returncode == 0 else None

    def read(self, name):
        """The bytes of a file."""
        if self.is_tree:
            return (self.path / name).read_bytes()
        found = self._git("show", f"{self.revision}:{name}")
        if found is None:
            sys.exit(f"{self.revision} of {self.path} has no {name}")
        return found

    def files(self, folder):
        """The paths of the files below a folder, relative to it."""
        if self.is_tree:
            top = self.path / folder
            return sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.is_file())
        listed = self._git("ls-tree", "-r", "--name-only", f"{self.revision}:{folder}")
        return sorted(listed.decode().split("\n")[:-1])
