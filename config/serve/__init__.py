"""Running the whole product with one command: `python -m config.serve` (`make run`).

`__main__` is the order of things; `preparation` what happens before anything is served; `supervisor` keeps
the processes `web` and `worker` running; `banner` is what is printed when they answer.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
