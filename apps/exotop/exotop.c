/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exotop: who uses the machine, interval by interval, from the pages that the kernel exposes.
 *
 * It enters the kernel to sleep between two looks and to write its lines, and for nothing else: the tables
 * are mapped before the first look, and what they said at the last one is kept in memory that is there
 * already. With --entries it says how often it did enter.
 *
 * The kernel brings a CPU's accounts up to date when something happens there, so a CPU that idles, or runs
 * one environment that nobody disturbs, is behind. What is missing of an interval belongs to the environment
 * that is ready there, or else was idle.
 *
 * Usage: exotop [-d SECONDS] [-n COUNT] [-l LINES] [-b | -t] [--entries]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/core.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

#define USAGE	"usage: exotop [-d SECONDS] [-n COUNT] [-l LINES] [-b | -t] [--entries]\n"

static const char help[] = USAGE
	"Shows CPUs, environments by share of CPU time, slices, frames, flows and disks, once in an interval.\n"
	"  -d SECONDS  the interval (2)\n"
	"  -n COUNT    end after so many looks (0: go on until the machine ends)\n"
	"  -l LINES    environments shown at most (20; 0: all)\n"
	"  -b          plain lines, one look after the other; so, too, without an option\n"
	"  -t          on a terminal: each look in the place of the one before, what is busy in bold\n"
	"  --entries   at the end, say how many kernel entries it took\n";

struct env_seen {
	exo_env_id_t id;
	uint64_t ns, calls, faults, upcalls;	/* then ... */
	uint64_t used, call_rate, fault_rate, upcall_rate;	/* ... and what has come since, in a second */
	bool shown;
};

struct cpu_seen {
	uint64_t idle, interrupts, asked, waits, switches, slices;
	uint64_t busy;		/* in this interval */
};

struct flow_seen {
	uint64_t in, in_bytes, dropped, out, out_bytes;
};

static struct {
	double seconds;
	unsigned count, lines;
	bool terminal, entries;
} option = { .seconds = 2, .lines = 20 };

static struct env_seen *envs;
static struct cpu_seen cpus[EXO_CPUS_MAX];
static struct flow_seen *flows;

static struct disk_seen {
	uint64_t read, written, flushes, busy;
} disks[EXO_DEVICES_MAX];
static exo_time_t looked, passed;
static unsigned lines;

/* One line, and that it was written. */
#define line(...)	(core_line(__VA_ARGS__), lines++)

/* What a counter has grown by, in a second; the value is kept for the next time. */
static uint64_t rate(uint64_t *seen, uint64_t now)
{
	uint64_t grown = now > *seen ? now - *seen : 0;

	*seen = now;
	return (uint64_t)((unsigned __int128)grown * CORE_SECOND / passed);
}

static uint64_t grown(uint64_t *seen, uint64_t now)
{
	uint64_t since = now > *seen ? now - *seen : 0;

	*seen = now;
	return since;
}

/* In tenths of a percent of the interval. */
static unsigned share(uint64_t ns)
{
	uint64_t tenths = (ns * 1000 + passed / 2) / passed;

	return tenths > 1000 ? 1000 : (unsigned)tenths;
}

/* --- looking -------------------------------------------------------------------------------------------- */

static void look_at_env(uint32_t i)
{
	const struct exo_env_info *info = info_env(i);
	struct env_seen *seen = &envs[i];

	if (seen->id != info->id)
		*seen = (struct env_seen){ .id = info->id };
	seen->used = grown(&seen->ns, info->ns);
	seen->call_rate = rate(&seen->calls, info->entries);
	seen->fault_rate = rate(&seen->faults, info->exceptions);
	seen->upcall_rate = rate(&seen->upcalls, info->upcalls);
	seen->shown = info->state == EXO_ENV_NONE;
	if (info->cpu < EXO_CPUS_MAX)
		cpus[info->cpu].busy += seen->used;
}

/* What a CPU has not accounted for yet is its ready environment's. */
static void settle(uint32_t cpu, uint64_t missing)
{
	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if (info_env(i)->state == EXO_ENV_READY && info_env(i)->cpu == cpu) {
			envs[i].used += missing;
			cpus[cpu].busy += missing;
			return;
		}
}

static void look(void)
{
	exo_time_t now = core_now();

	passed = now > looked ? now - looked : 1;
	looked = now;
	for (uint32_t c = 0; c < core_info->cpus && c < EXO_CPUS_MAX; c++)
		cpus[c].busy = 0;
	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		look_at_env(i);
	for (uint32_t c = 0; c < core_info->cpus && c < EXO_CPUS_MAX; c++) {
		uint64_t known = grown(&cpus[c].idle, info_cpu(c)->idle_ns) + cpus[c].busy;
		if (known < passed)
			settle(c, passed - known);
	}
}

/* --- showing -------------------------------------------------------------------------------------------- */

static void show_machine(void)
{
	uint32_t alive = 0;

	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		alive += info_env(i)->state != EXO_ENV_NONE && info_env(i)->state != EXO_ENV_ENDED;
	line("exotop: %lu.%02lu s of %lu s, %u environments, frames: %u free of %u, %u promised",
	     (unsigned long)(passed / CORE_SECOND), (unsigned long)(passed / (CORE_SECOND / 100) % 100),
	     (unsigned long)(looked / CORE_SECOND), alive,
	     core_info->frames_free, core_info->frames_memory, core_info->frames_promised);
}

static void show_cpu(uint32_t c)
{
	const struct exo_cpu_info *info = info_cpu(c);
	struct cpu_seen *seen = &cpus[c];
	unsigned taken = 0, bound = 0, idle = 1000 - share(seen->busy);
	uint64_t used = 0;

	for (uint32_t s = 0; s < EXO_SLICES; s++) {
		const struct exo_slice_info *slice = info_slice(c * EXO_SLICES + s);
		taken += slice->taken != 0;
		bound += slice->env != 0;
		used += slice->used_ns;
	}
	used = share(grown(&seen->slices, used));
	line("cpu %-2u idle %3u.%u%%  switches %lu/s  interrupts %lu/s  asked %lu/s  lock waits %lu/s  "
	     "slices %u taken, %u bound, used %lu.%lu%%", c, idle / 10, idle % 10,
	     rate(&seen->switches, info->switches), rate(&seen->interrupts, info->interrupts),
	     rate(&seen->asked, info->asked), rate(&seen->waits, info->lock_waits), taken, bound,
	     used / 10, used % 10);
}

/* The one with the largest share that has not been shown; 0: none. */
static uint32_t next_env(void)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if (!envs[i].shown && (!best || envs[i].used > envs[best].used))
			best = i;
	return best;
}

static void show_envs(void)
{
	static const char *const states[] = { "none", "made", "ready", "asleep", "calling", "ended" };
	unsigned left = option.lines ? option.lines : core_info->envs.entries;
	uint32_t i;

	line("%5s %-15s %3s %-8s %6s %8s %8s %8s %9s %10s %8s", "env", "label", "cpu", "state", "%CPU",
	     "frames", "calls/s", "faults/s", "upcalls/s", "overrun us", "debt us");
	while (left-- && (i = next_env())) {
		const struct exo_env_info *info = info_env(i);
		const struct env_seen *seen = &envs[i];
		unsigned used = share(seen->used);
		bool bold = option.terminal && used >= 100;
		line("%s%5u %-15.15s %3u %-8s %4u.%u %8u %8lu %8lu %9lu %10lu %8lu%s",
		     bold ? "\033[1m" : "", i, info->label, info->cpu,
		     info->state < 6 ? states[info->state] : "?", used / 10, used % 10, info->frames,
		     seen->call_rate, seen->fault_rate, seen->upcall_rate, info->overrun_ns / 1000,
		     info->debt_ns / 1000, bold ? "\033[0m" : "");
		envs[i].shown = true;
	}
}

static void show_flows(void)
{
	for (uint32_t i = 0; i < core_info->flows.entries; i++) {
		const struct exo_flow_info *info = info_flow(i);
		struct flow_seen *seen = &flows[i];
		if (!info->state)
			continue;
		uint64_t in = rate(&seen->in, info->rx_packets),
			 in_bytes = rate(&seen->in_bytes, info->rx_bytes);
		uint64_t dropped = rate(&seen->dropped, info->rx_dropped);
		uint64_t out = rate(&seen->out, info->tx_packets),
			 out_bytes = rate(&seen->out_bytes, info->tx_bytes);
		line("flow %-3u %-15.15s env %u  in %lu/s (%lu bytes/s, %lu dropped/s)  "
		     "out %lu/s (%lu bytes/s)", i, info->label, info->env, in, in_bytes, dropped, out, out_bytes);
	}
}

static void show_disks(void)
{
	for (uint32_t i = 0; i < EXO_DEVICES_MAX; i++) {
		const struct exo_device_info *info = &core_info->device[i];
		struct disk_seen *seen = &disks[i];
		if (info->kind != 2)
			continue;
		uint64_t busy = rate(&seen->busy, info->busy_ns / 1000000);
		line("%s (%.7s)  busy %lu.%lu %%  read %lu/s  written %lu/s  flushes %lu/s  of %lu blocks", info->name,
		     info->name + 8, busy / 10, busy % 10, rate(&seen->read, info->read_blocks),
		     rate(&seen->written, info->written_blocks), rate(&seen->flushes, info->flushes), info->blocks);
	}
}

static void show(void)
{
	if (option.terminal)
		core_write("\033[H\033[J", 6), lines++;
	show_machine();
	for (uint32_t c = 0; c < core_info->cpus && c < EXO_CPUS_MAX; c++)
		show_cpu(c);
	show_envs();
	show_flows();
	show_disks();
	if (!option.terminal)
		line("%s", "");
}

/* --- running -------------------------------------------------------------------------------------------- */

static int refuse(const char *what, const char *which)
{
	fprintf(stderr, "exotop: %s%s\n" USAGE, what, which);
	return 2;
}

/* A number behind an option, from `least` on; false: it is none. */
static bool number(const char *text, double least, double most, double *value)
{
	char *end;

	if (!text)
		return false;
	*value = strtod(text, &end);
	return end != text && !*end && *value >= least && *value <= most;
}

/* -1: go on; else end with this status. */
static int options(int argc, char **argv)
{
	double value;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (!strcmp(word, "-h") || !strcmp(word, "--help"))
			return fputs(help, stdout), 0;
		else if (!strcmp(word, "-b"))
			option.terminal = false;
		else if (!strcmp(word, "-t"))
			option.terminal = true;
		else if (!strcmp(word, "--entries"))
			option.entries = true;
		else if (strcmp(word, "-d") && strcmp(word, "-n") && strcmp(word, "-l"))
			return refuse("unknown argument ", word);
		else if (!number(argv[++i], word[1] == 'd' ? 0.01 : 0, 1e6, &value))
			return refuse("no number, or one out of range, behind ", word);
		else if (word[1] == 'd')
			option.seconds = value;
		else
			*(word[1] == 'n' ? &option.count : &option.lines) = (unsigned)value;
	}
	return -1;
}

static bool prepare(void)
{
	size_t env_bytes = core_info->envs.entries * sizeof(*envs),
	       flow_bytes = core_info->flows.entries * sizeof(*flows);

	envs = malloc(env_bytes);
	flows = malloc(flow_bytes);
	if (!envs || !flows || !info_env(0) || !info_cpu(0) || !info_slice(0) || !info_flow(0))
		return false;
	memset(envs, 0, env_bytes);
	memset(flows, 0, flow_bytes);
	return true;
}

/* Kernel entries so far, the one of the sleep that brings the figure up to date included. */
static uint64_t entries(void)
{
	thread_sleep(core_now() + CORE_SECOND / 1000);
	return info_env((uint32_t)core_disp->self)->entries;
}

int main(int argc, char **argv)
{
	int status = options(argc, argv);
	uint64_t before = 0;
	unsigned looks = 0;

	if (status >= 0)
		return status;
	if (!prepare()) {
		fprintf(stderr, "exotop: cannot map the exposed pages\n");
		return 1;
	}
	core_write("", 0);
	if (option.entries)
		before = entries();
	look();
	exo_time_t next = core_now();
	while (!option.count || looks < option.count) {
		next += (exo_time_t)(option.seconds * (double)CORE_SECOND);
		thread_sleep(next);
		look();
		show();
		looks++;
	}
	if (option.entries) {
		uint64_t after = entries();
		core_print("exotop: %u looks, %u lines, %lu kernel entries for them\n", looks, lines,
			   after - before - 1);
	}
	return 0;
}
