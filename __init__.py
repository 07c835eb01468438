"""chipwire: would this news have made money, after costs, on the day you could have known it?

Imports run one way: ``cli → reports → engine → strategies → signals → data``.
"""

__version__ = "0.1.0"
