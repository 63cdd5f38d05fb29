# SPDX-License-Identifier: BSD-2-Clause
"""Non-maskable interrupts: whoever they meet goes on, and nobody comes into the kernel by one.

Time limit: 120 s
"""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from monitor import Monitor
from tap import check, same

BUILD = os.environ["EXO_BUILD"]


def storm(*options):
    """The console of test/guest/attack, of which one case is repeated, under some hundred of them a second."""
    with Monitor() as monitor:
        with guest.Guest("-m", "64M", *monitor.options, os.path.join(BUILD, "test", "guest", "attack.uni"), "--", "scale=50",
                         *options, name="storm", timeout=90) as machine:
            machine.wait_line(r"^ok 1 ")
            try:
                while machine.process.poll() is None:
                    monitor.ask("nmi")
                    time.sleep(0.002)
            except OSError:             # the machine has ended
                pass
            machine.wait(60)
            same(machine.status, 0, "status (see %s)" % machine.console_path)
            return machine.text


def test_attack():
    """hostile code in virtual 8086 mode, where an emulator has it, may name a segment of the kernel's: it is ended"""
    text = storm("old=20")
    seen = re.findall(r"vector 2 .* cs ([0-9a-f]+)  flags ([0-9a-f]+)", text)
    old = [cs for cs, flags in seen if int(flags, 16) & 0x20000]
    tap.say("%d seen, %d of them in virtual 8086 mode" % (len(seen), len(old)))
    check(len(seen) >= 20, "only %d were seen" % len(seen))


if __name__ == "__main__":
    tap.main()
