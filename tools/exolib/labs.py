# SPDX-License-Identifier: BSD-2-Clause
"""The experiments of `exo lab`: what each is about, its stock policies, its machine, its plot.

An experiment is the program apps/lab/NAME.c (installed in lib/exo/lab), its policies are functions
of a type, and its figures rows with named columns.  To add one: the program, a policy to modify
(NAME_mine.c), and an entry here.
"""


class Plot:
    """Which columns are drawn: a panel for each value of `panel`, a series for each of `series`."""

    def __init__(self, panel, series, x, y, x_label, y_label, style="lines", log=False):
        self.panel, self.series, self.x, self.y = panel, series, x, y
        self.x_label, self.y_label, self.style, self.log = x_label, y_label, style, log


class Experiment:
    """One experiment.  `stock`: policies by name, each with its symbol in the libraries or its file beside the
    experiment; `disk`: extents that it has, with their sizes (ext2: made so); `bpf`: policies run in the
    kernel; `config`: more lines for its section of the machine's configuration."""

    def __init__(self, name, title, question, type_, stock, plots, ideal=(), disk=None, bpf=False, config=""):
        self.name, self.title, self.question, self.type = name, title, question, type_
        self.stock, self.plot, self.ideal = stock, plots, ideal
        self.disk, self.bpf, self.config = disk, bpf, config


EXPERIMENTS = {experiment.name: experiment for experiment in (
    Experiment(
        "pages", "page replacement", "which page goes when memory is full?", "struct policy (libos/vm/policy.h)",
        {"lru": "policy_lru", "clock": "policy_clock", "fifo": "policy_fifo", "mru": "policy_mru", "2q": "policy_2q"},
        Plot("program", "policy", "frames", "faults", "frames", "page faults", log=True),
        ideal=("optimal",)),
    Experiment(
        "cpu", "CPU sharing", "who has the CPU, and for how long?", "struct env_policy (libos/sched/env.h)",
        {"rr": "env_rr", "stride": "env_stride", "lottery": "env_lottery", "edf": "env_edf"},
        Plot("policy", "client", "ms", "percent", "time, ms", "received share of the CPU, %")),
    Experiment(
        "disk", "disk layout", "where do inodes and data of small files lie?", "struct layout (layout.h)",
        {"colocated": "layout_colocated", "tables": "layout_tables", "scattered": "layout_scattered",
         "cofs": "layout_cofs", "ext2": "layout_ext2"},
        Plot("measure", "layout", "deed", "value", "", "", "bars"), disk={"lab": "1024M", "ext2": "1024M"}),
    Experiment(
        "steer", "packet steering", "to which ring, and so to whom, does a request go?",
        "int steer(struct exo_packet *) (exo/bpf.h)",
        {"hash": "steer_hash.bpf.c", "rr": "steer_rr.bpf.c", "key": "steer_key.bpf.c"},
        Plot("measure", "ring", "policy", "value", "", "%", "bars"), bpf=True,
        config="net = own\nlimit_flows = 16\n"),
    Experiment(
        "cache", "buffer cache", "which block of the disk stays in memory?", "struct cache_policy (libos/fs/cache.h)",
        {"lru": "cache_lru", "2q": "cache_2q", "app": "cache_app.c"},
        Plot("load", "policy", "blocks", "hits", "blocks in the cache", "hits, %"), disk={"lab": "16M"}),
)}
