"""Print the settings of the copy of the site in the current folder, as JSON."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    import config.settings as site

    print(json.dumps({name: getattr(site, name) for name in dir(site) if name.isupper()}, default=str))
