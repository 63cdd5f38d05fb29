# SPDX-License-Identifier: BSD-2-Clause
"""The runner (tools/exo run) on its own, with the tiny kernel: statuses, signals, limits, errors.

Time limit: 240 s
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same, wait_until
from tiny import TinyTree

tree = TinyTree()


def start(*words, **how):
    return guest.Guest(*words, env=tree.env, name=how.pop("name", "tiny"), **how)


def error_line(done, *parts):
    """The tool must have failed with one line that has these parts."""
    same(done.returncode, 125, "exit status")
    lines = done.stderr.splitlines()
    same(len(lines), 1, "lines of the message %r" % done.stderr)
    check(lines[0].startswith("exo: "), "the line does not begin with exo: " + lines[0])
    for part in parts:
        has(lines[0], part, "message")
    check("Traceback" not in done.stderr, done.stderr)


def test_status():
    """the exit status is the program's, and its console is shown"""
    for status in (0, 1, 7, 42, 127, 134, 142, 255):
        done = tree.exo("run", "hello", "halt", status)
        same(done.returncode, status, "exit status")
        same(done.stdout, "tiny kernel\nhalt %d\n" % status, "console")
        same(done.stderr, "", "messages")


def test_large_status():
    """a status beyond 255 is told as 255, with a warning"""
    done = tree.exo("run", "hello", "halt", 256)
    same(done.returncode, 255, "exit status")
    has(done.stderr, "256")


def test_kernel_stop():
    """a kernel stop, a silent end and a triple fault are 126"""
    for what in ("panic", "bare", "reset"):
        done = tree.exo("run", "hello", what)
        same(done.returncode, 126, "exit status of " + what)
        same(len(done.stderr.splitlines()), 1, "lines of message")


def test_time_limit():
    """the time limit is 124, is named, and the last line is shown"""
    began = time.monotonic()
    done = tree.exo("run", "--timeout", "1", "hello", "wait", "here")
    same(done.returncode, 124, "exit status")
    has(done.stderr, "time limit of 1 s")
    has(done.stderr, "'wait here'")
    check(0.9 < time.monotonic() - began < 10, "took %g s" % (time.monotonic() - began))
    done = tree.exo("run", "-t", "0.5s", "hello", "flood")
    same(done.returncode, 124, "exit status of a flood")
    same(tree.left_behind(), [], "files left behind")


def test_signals():
    """a signal ends the machine and leaves nothing behind"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        with start("hello", "wait", name="signal") as machine:
            machine.wait_line("^wait$")
            emulators = wait_until(lambda: guest.emulator_pids(machine.process.pid), what="emulator process")
            machine.process.send_signal(number)
            same(machine.wait(10), 128 + number, "exit status")
            same(machine.record["cause"], "signal", "cause")
            same([pid for pid in emulators if guest.alive(pid)], [], "emulators left")
            same(tree.left_behind(), [], "files left behind")


def test_stopped_emulator():
    """an emulator that does not listen to SIGTERM is killed"""
    with start("hello", "wait", name="deaf") as machine:
        machine.wait_line("^wait$")
        emulators = guest.emulator_pids(machine.process.pid)
        os.kill(emulators[0], signal.SIGSTOP)
        machine.process.send_signal(signal.SIGINT)
        same(machine.wait(15), 130, "exit status")
        same([pid for pid in emulators if guest.alive(pid)], [], "emulators left")


def test_killed_runner():
    """if the runner is killed, the emulator dies too; the next run sweeps its files"""
    with start("hello", "wait", name="killed") as machine:
        machine.wait_line("^wait$")
        emulators = guest.emulator_pids(machine.process.pid)
        same(len(emulators), 1, "emulators")
        machine.process.kill()
        machine.process.wait()
        wait_until(lambda: not guest.alive(emulators[0]), what="end of the emulator")
    left = tree.left_behind()
    same(len(left), 1, "directories of the killed run")
    os.utime(os.path.join(tree.temp, left[0]), (1, 1))
    tree.exo("run", "hello", "halt", 0)
    same(tree.left_behind(), [], "files left behind")


def test_reader_goes():
    """if nobody reads the console any more, the machine ends"""
    words = guest.exo_command("run", "hello", "flood")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tree.env) as process:
        process.stdout.readline()
        process.stdout.close()
        same(process.wait(15), 141, "exit status")
        same(process.stderr.read(), b"", "messages")
    same(tree.left_behind(), [], "files left behind")


def test_blocked_reader():
    """Ctrl-C works while the console's reader is stuck"""
    words = guest.exo_command("run", "hello", "flood")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tree.env) as process:
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        same(process.wait(15), 130, "exit status")
        process.stdout.close()


def test_input():
    """standard input reaches the console if asked for"""
    words = guest.exo_command("run", "-i", "hello", "echo")
    done = subprocess.run(words, input=b"typed q", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=tree.env,
                          timeout=30, check=False)
    same(done.returncode, 0, "exit status")
    has(done.stdout.decode(), "typed q", "console")
    with open(tree.file("typed", b"from a file q"), "rb") as file:
        done = tree.exo("run", "-i", "hello", "echo", stdin=file)
    same(done.returncode, 0, "exit status with a file")
    has(done.stdout, "from a file q", "console")
    done = tree.exo("run", "-t", 1, "-i", "hello", "wait", stdin=open("/dev/zero", "rb"))
    same(done.returncode, 124, "exit status with more input than is read")


def test_full_output():
    """an output that cannot be written any more is an error of the tool"""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(guest.exo_command("run", "hello", "flood"), stdout=full, stderr=subprocess.PIPE,
                              env=tree.env, timeout=30, check=False)
    same(done.returncode, 125, "exit status")
    has(done.stderr.decode(), "No space left")
    same(tree.left_behind(), [], "files left behind")


def test_json():
    """--json ends the output with a status record"""
    for words, status, cause in ((("halt", 3), 3, "exit"), (("halt", 142), 142, "fault"),
                                 (("panic",), 126, "kernel-stop"),
                                 (("wait",), 124, "time-limit")):
        done = tree.exo("run", "--json", "-t", 2, "-m", "32M", "hello", *words)
        record = json.loads(done.stdout.splitlines()[-1])
        same((done.returncode, record["status"], record["cause"]), (status, status, cause),
             "record of %r" % (words,))
        same(record["memory_bytes"], 32 << 20, "memory")
        check(record["console_bytes"] > 10 and record["seconds"] > 0, "figures: %r" % record)


def test_busy_port():
    """a busy port is one clear line; port 0 is any free one"""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        error_line(tree.exo("run", "-p", "%d:80" % port, "hello"), str(port), "busy", "choose another")
    with start("-p", "0:80", "hello", "wait", name="ports") as machine:
        machine.wait_line("^wait$")
        with socket.create_connection(("127.0.0.1", machine.port(80)), 5):
            pass
    check(os.path.getsize(machine.pcap_path) >= 24, "no capture")
    free = free_port()
    error_line(tree.exo("run", "-p", "%d:80" % free, "-p", "%d:81" % free, "hello"), "twice")
    error_line(tree.exo("run", "-p", "192.0.2.1:8080:80", "hello"), "no such address")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_missing_things():
    """missing programs, directories, trees and emulators are named, with a mend"""
    error_line(tree.exo("run"), "program", "none is named")
    error_line(tree.exo("run", "helo"), "helo", "nearest known one is hello")
    error_line(tree.exo("run", "./nothing"), "./nothing", "no such file")
    error_line(tree.exo("run", "-v", "/nonexistent/dir", "hello"), "/nonexistent/dir", "no such directory")
    error_line(tree.exo("run", "-v", tree.file("plain"), "hello"), "is not a directory")
    error_line(tree.exo("run", "--config", "/nonexistent.conf"), "/nonexistent.conf", "cannot be read")
    error_line(tree.exo("run", tree.file("text.uni", b"no program")), "not a 64-bit ELF")
    error_line(tree.exo("run", "--libos", "uno", "hello"), "uno", "nearest known one is uni")
    error_line(tree.exo("run", "--module", "/nonexistent.mod"), "no such file")
    error_line(tree.exo("run", "hello", more_env={"EXO_QEMU": "/nonexistent/qemu"}), "not installed",
               "exo doctor")
    error_line(tree.exo("run", "hello", more_env={"EXO_BUILD": "/nonexistent"}), "EXO_BUILD", "exo.elf")
    error_line(tree.exo("run", "--pcap", "/nonexistent/x", "-p", "0:80", "hello"), "/nonexistent/x",
               "cannot be written")
    same(tree.left_behind(), [], "files left behind")


def test_bad_options():
    """an unknown option, verb, value or kernel argument names the nearest known one"""
    error_line(tree.exo("rum"), "rum", "nearest known one is run")
    error_line(tree.exo("run", "--timeuot", 3, "hello"), "--timeuot", "--timeout")
    error_line(tree.exo("run", "-x", "hello"), "option -x")
    error_line(tree.exo("run", "--machine", "q53", "hello"), "q53", "q35")
    error_line(tree.exo("run", "--boot", "uefy", "hello"), "uefy", "uefi")
    error_line(tree.exo("run", "--kernel-arg", "quite", "hello"), "quite", "quiet")
    error_line(tree.exo("run", "--kernel-arg", "slice_us=x", "hello"), "slice_us=", "number")
    error_line(tree.exo("run", "--net", "usr", "hello"), "usr", "user")
    error_line(tree.exo("run", "-m", "900K", "hello"), "900K", "at least 1M")
    error_line(tree.exo("run", "-m", "much", "hello"), "much")
    error_line(tree.exo("run", "-m", "0", "hello"), "0")
    error_line(tree.exo("run", "--smp", "0", "hello"), "0")
    error_line(tree.exo("run", "--cpus", "17", "hello"), "17")
    error_line(tree.exo("run", "--cpu", "max", "--cpus", "2", "--smp", "2", "hello"), "twice")
    error_line(tree.exo("run", "--randomize", "--no-randomize", "hello"), "contradict")
    error_line(tree.exo("run", "--no-randomise", "hello"), "--no-randomise", "--no-randomize")
    error_line(tree.exo("run", "--config", tree.file("cpu.conf", b"[program hello]\ncpu = 1\n")), "program hello",
               "one CPU", "--cpus")
    error_line(tree.exo("run", "--cpus", "3", "--config", tree.file("cpu.conf", b"[program hello]\ncpu = 3\n")),
               "program hello", "0 to 2")
    error_line(tree.exo("run", "--copies", "3", "hello"), "copies", "1, 2, 4, 8 or 16")
    error_line(tree.exo("run", "--copies", "2", "--smp", "1", "hello"), "cpu = 1", "one CPU")
    error_line(tree.exo("run", "--copies", "2", "--net", "user", "hello"), "--copies", "a port")
    for text, reason in ((b"copies = 2\n[program p1]", "called p1 already"), (b"copies = 2\nnet = own", "publish one"),
                         (b"net = own\nport = tcp/1/1of2\ncopies = 2", "is a part"), (b"copies = 8\ncpu = 9", "no CPU 16")):
        check(reason in tree.exo("run", "--config", tree.file("copies.conf", b"[program p]\nimage = hello\n" + text + b"\n")).stderr,
              "copies: %s" % reason)
    error_line(tree.exo("run", "-p", "80", "hello"), "80")
    error_line(tree.exo("run", "-p", "0:70000", "hello"), "70000")
    error_line(tree.exo("run", "-p", "1:2/sctp", "hello"), "sctp")
    error_line(tree.exo("run", "--mac", "01:00:00:00:00:00", "hello"), "group address")
    error_line(tree.exo("run", "--timeout", "-1", "hello"), "-1")
    error_line(tree.exo("run", "--timeout", "1", "--timeout", "2", "hello"), "twice")
    error_line(tree.exo("run", "--icount=5", "hello"), "takes no value")
    error_line(tree.exo("run", "--memory"), "needs a value")
    error_line(tree.exo("run", "--pcap", "x.pcap", "hello"), "no network")
    error_line(tree.exo("run", "--boot", "bios", "--machine", "microvm", "hello"), "microvm")
    error_line(tree.exo("run", "--boot", "bios", "-m", "16M", "hello"), "at least 32M")
    error_line(tree.exo("run", "--accel", "kvm", "--icount", "hello"), "kvm")
    error_line(tree.exo("run", "hello", "two\nlines"), "line breaks")
    error_line(tree.exo("help", "rum"), "run")
    error_line(tree.exo("image", "hello"), "-o")


def test_emulator_fails():
    """what the emulator has to say is passed on, with status 125"""
    done = tree.exo("run", "--cpu", "nonexistent", "hello")
    same(done.returncode, 125, "exit status")
    has(done.stderr, "exo: emulator: ")
    has(done.stderr, "nonexistent")


def dry(*words):
    done = tree.exo("run", "-n", *words)
    same((done.returncode, done.stderr), (0, ""), "outcome")
    same(done.stdout.count("\n"), 1, "lines")
    return shlex.split(done.stdout)


def test_dry_run():
    """-n prints the command on one line and does nothing"""
    words = dry("-p", "8080:80", "hello", "halt", 1)
    has(words, "user,id=n0,hostfwd=tcp:127.0.0.1:8080-:80", "command")
    has(words, "virtio-net-device,netdev=n0", "command")
    has(" ".join(words), "-M microvm", "command")
    words = " ".join(dry("--machine", "q35", "-p", "0.0.0.0:53:53/udp", "-m", "5000K", "--smp", 2,
                         "--icount", "--seed", 7,
                         "--gdb", "--kernel-arg", "slice_us=100", "-q", "--mac", "52:54:00:00:00:09",
                         "hello"))
    for part in ("-M q35", "hostfwd=udp:0.0.0.0:53-:53", "-m 5000K", "-smp 2", "-icount shift=0,sleep=off",
                 "-seed 7",
                 "-gdb tcp:127.0.0.1:1234 -S", "-append slice_us=100 quiet", "virtio-net-pci",
                 "mac=52:54:00:00:00:09"):
        has(words, part, "command")
    words = " ".join(dry("--disk", "a,,b,readonly", "--disk", "scratch:8M,driver=nvme,sector=4096,iops=5,log=w", "hello"))
    for part in ("-M q35", "filename=a,,b,discard=unmap,read-only=on", "x-iops-total=5", "file=disk1-logged",
                 "virtio-blk-pci,disable-legacy=on,drive=disk0-raw,write-cache=on,rerror=report",
                 "nvme,serial=exo1,drive=disk1-slow,logical_block_size=4096"):
        has(words, part, "command")
    has(dry("--disk", "node:x,cache=writethrough", "hello")[-1], "virtio-blk-device,drive=x,write-cache=off", "command")
    words = " ".join(dry("--boot", "bios", "--net", "dgram:/a,/b", "--pcap", "with,comma", "hello"))
    for part in ("-M q35", "local.path=/a,remote.type=unix,remote.path=/b", "file=with,,comma",
                 "exo-disk.img"):
        has(words, part, "command")
    same(tree.left_behind(), [], "files left behind")


def test_disk_faults():
    """images that are no disks are refused before the start, with the mend"""
    for name, content, part in (("empty.img", b"", "exo disk create"), ("odd.img", b"x" * 5000, "truncate -s %4096"),
                                ("q.img", b"QFI\xfb" + bytes(4092), "qemu-img convert")):
        path = tree.file(name)
        with open(path, "wb") as file:
            file.write(content)
        error_line(tree.exo("run", "--disk", path, "hello"), path, part)
    good = tree.file("good.img")
    os.truncate(good, 8192)
    error_line(tree.exo("run", "--disk", good, "--disk", good, "hello"), good, "twice")
    error_line(tree.exo("run", "--disk", "/nonexistent", "hello"), "/nonexistent", "exo disk create")
    error_line(tree.exo("run", "--disk", tree.dir, "hello"), tree.dir, "directory")
    error_line(tree.exo("run", "--disk", good + ",readonyl", "hello"), "readonyl", "readonly")
    error_line(tree.exo("run", "--disk", "scratch:1000B", "hello"), "1000B", "4096")
    error_line(tree.exo("run", "--machine", "microvm", "--disk", good + ",driver=nvme", "hello"), "microvm", "q35")
    error_line(tree.exo("run", *["--disk=" + good + ",readonly"] * 5, "hello"), "5 are too many", "4")


def test_disk_twice():
    """two runs on one image: the second says so"""
    good = tree.file("shared.img")
    os.truncate(good, 8192)
    with start("--disk", good, "hello", "wait", name="disk") as machine:
        machine.wait_line("^wait$")
        error_line(tree.exo("run", "--disk", good, "hello"), good, "another program uses it")
        machine.process.terminate()
        machine.wait(10)


def test_debugger():
    """--gdb waits for a debugger and says how to call it"""
    path = os.path.join(tree.dir, "gdb.sock")
    with start("--gdb=" + path, "hello", "halt", 5, name="gdb") as machine:
        wait_until(lambda: "target remote " + path in machine.messages, what="hint")
        wait_until(lambda: os.path.exists(path), what="socket")
        with socket.socket(socket.AF_UNIX) as debugger:
            debugger.settimeout(10)
            debugger.connect(path)
            debugger.sendall(b"+$?#3f")
            answer = b""
            while b"#" not in answer:
                answer += debugger.recv(100)
            check(b"$T05" in answer or b"$S05" in answer, "answer %r" % answer)
            same(machine.text, "", "console before the first instruction")
            debugger.sendall(b"+$D#44")         # go on without a debugger
            same(machine.wait(20), 5, "exit status")


def test_icount():
    """the same run under --icount takes the same time inside"""
    done = [tree.exo("run", "--icount", "--machine", machine, "hello", "halt",
                     9) for machine in ("microvm", "q35", "pc")]
    same([d.returncode for d in done], [9, 9, 9], "exit statuses")
    done = guest.exo("run", "--icount", "--copies", "4", "hello")       # CPUs come up beside the first program
    same((done.returncode, done.stdout.count("Hello")), (0, 4), "programs on four CPUs: %s" % done.stderr)


def test_help():
    """every verb has a help page with examples; every option of run is in it and in the manual"""
    for verb in ("run", "image", "doctor", "version", "help"):
        for words in (("help", verb), (verb, "--help")):
            done = tree.exo(*words)
            same(done.returncode, 0, "exit status")
            has(done.stdout, "examples:\n")
    sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
    from exolib import cli
    with open(os.path.join(guest.SOURCE, "doc", "man", "exo-run.1"), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    for option in cli.RUN:
        has(manual, option.names[-1].lstrip("-"), "exo-run.1")
    same(tree.exo("version").stdout.split(" ")[0], "exo", "version")
    same(tree.exo().returncode, 125, "status without a verb")


def test_doctor():
    """doctor runs, and tells what is missing"""
    same(tree.exo("doctor").returncode, 0, "exit status")
    done = tree.exo("doctor", more_env={"EXO_QEMU": "/nonexistent/qemu"})
    same(done.returncode, 1, "exit status without emulator")
    has(done.stdout, "missing  emulator")


if __name__ == "__main__":
    tap.main(tree.remove)
