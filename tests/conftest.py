"""What every test may rely on, whoever started the tests."""

import signal

# under nohup, and in some jobs, SIGHUP is ignored, and every process that a test starts would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)
