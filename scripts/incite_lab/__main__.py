import sys

from incite_lab.command_line import main

sys.exit(main())
