/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ps: environments, CPUs, frames, slices, flows and disks of the machine, from the pages that the kernel exposes.
 *
 * Between the first line and the last it makes no kernel entry but one console write for each line: the
 * tables are mapped before, and a line is put together in a buffer that is there already. With --entries it
 * measures just that, by its own entry in the table, which the kernel brings up to date when another
 * environment has run.
 *
 * Usage: ps [--entries]
 */
#include <exo/disk.h>
#include <stdio.h>
#include <string.h>
#include "libos/core/core.h"
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

static unsigned lines;

/* One line, and that it was written. */
#define line(...)	(core_line(__VA_ARGS__), lines++)

static void list_environments(void)
{
	static const char *const states[] = { "none", "made", "ready", "asleep", "calling", "ended", "stopped" };

	line("%-5s %-15s %-8s %3s %8s %10s %10s %9s %9s %9s %8s", "env", "label", "state", "cpu", "frames",
	     "cpu us", "calls", "faults", "upcalls", "switches", "slices");
	for (uint32_t i = 1; i < core_info->envs.entries; i++) {
		const struct exo_env_info *env = info_env(i);
		unsigned slices = 0;
		if (env->state == EXO_ENV_NONE)
			continue;
		for (uint32_t s = 0; s < core_info->slices.entries; s++)
			slices += info_slice(s)->env == i;
		line("%-5u %-15.15s %-8s %3u %8u %10lu %10lu %9lu %9lu %9lu %8u", i, env->label,
		     env->state < 7 ? states[env->state] : "?", env->cpu, env->frames, env->ns / 1000, env->entries,
		     env->exceptions, env->upcalls, env->switches, slices);
	}
}

static void list_cpus(void)
{
	for (uint32_t i = 0; i < core_info->cpus; i++) {
		const struct exo_cpu_info *cpu = info_cpu(i);
		unsigned taken = 0, bound = 0;
		for (uint32_t s = i * EXO_SLICES; s < (i + 1) * EXO_SLICES; s++) {
			taken += info_slice(s)->taken != 0;
			bound += info_slice(s)->env != 0;
		}
		line("cpu %-2u idle %lu us, %lu switches, %lu interrupts, %lu asked, %lu invalidations, "
		     "%lu lock waits, slices: %u taken, %u bound", i, cpu->idle_ns / 1000, cpu->switches,
		     cpu->interrupts, cpu->asked, cpu->invalidations, cpu->lock_waits, taken, bound);
	}
}

static void list_frames(void)
{
	static const char *const states[] = { "absent", "free", "owned", "table", "links", "caps", "disp",
		"arg", "env", "flow", "ring", "account", "kernel", "info" };
	uint32_t counts[sizeof(states) / sizeof(states[0])] = { 0 };
	char text[EXO_CONSOLE_MAX];
	size_t used = 0;

	for (uint32_t pfn = 0; pfn < core_info->frames_total; pfn++) {
		uint8_t state = info_frame(pfn)->state;
		if (state < sizeof(states) / sizeof(states[0]))
			counts[state]++;
	}
	for (unsigned i = EXO_FRAME_FREE; i < sizeof(states) / sizeof(states[0]) && used < sizeof(text); i++)
		if (counts[i])
			used += core_format(text + used, sizeof(text) - used, " %s %u", states[i], counts[i]);
	line("frames: %u of 4 KiB:%s", core_info->frames_memory, used ? text : "");
}

static void list_slices(void)
{
	uint32_t taken = 0, bound = 0;
	uint64_t used = 0;

	for (uint32_t i = 0; i < core_info->slices.entries; i++) {
		const struct exo_slice_info *slice = info_slice(i);
		taken += slice->taken != 0;
		bound += slice->env != 0;
		used += slice->used_ns;
	}
	line("slices: %u of %lu us, %u taken, %u bound, used %lu us", core_info->slices.entries,
	     core_info->slice_ns / 1000, taken, bound, used / 1000);
}

static void list_flows(void)
{
	for (uint32_t i = 0; i < core_info->flows.entries; i++) {
		const struct exo_flow_info *flow = info_flow(i);
		if (!flow->state)
			continue;
		line("flow %-3u %-15.15s %s env %u  in %lu (%lu bytes, %lu copied, %lu dropped)  "
		     "out %lu (%lu bytes, %lu refused)", i, flow->label,
		     flow->state == 2 ? "bound" : "made ", flow->env, flow->rx_packets, flow->rx_bytes,
		     flow->rx_bytes - flow->rx_direct, flow->rx_dropped, flow->tx_packets, flow->tx_bytes, flow->tx_refused);
	}
}

static void list_disks(void)
{
	for (uint32_t i = 0; i < EXO_DEVICES_MAX; i++) {
		const struct exo_device_info *disk = &core_info->device[i];
		if (disk->kind != 2)
			continue;
		line("%s (%.7s)%s: %lu blocks, read %lu, written %lu, %lu flushes, busy %lu ms, %lu errors, %lu refused",
		     disk->name, disk->name + 8, disk->flags & EXO_DISK_READ_ONLY ? " read-only" : "", disk->blocks,
		     disk->read_blocks, disk->written_blocks, disk->flushes, disk->busy_ns / 1000000, disk->errors,
		     disk->refused);
	}
}

static const struct exo_env_info *self;

/* Kernel entries so far, the ones of the sleep that brings the figure up to date included. */
static uint64_t entries(void)
{
	thread_sleep(core_now() + CORE_SECOND / 1000);
	return self->entries;
}

int main(int argc, char **argv)
{
	bool measure = argc > 1 && !strcmp(argv[1], "--entries");
	uint64_t before = 0;

	if (argc > 1 && !measure) {
		fprintf(stderr, "ps: unknown argument %s; the known one is --entries\n", argv[1]);
		return 2;
	}
	self = info_env((uint32_t)core_disp->self);
	if (!self || !info_cpu(0) || !info_slice(0) || !info_flow(0) || !info_frame(0)) {
		fprintf(stderr, "ps: cannot map the exposed pages\n");
		return 1;
	}
	core_write("", 0);
	if (measure)
		before = entries();
	list_environments();
	list_cpus();
	list_frames();
	list_slices();
	list_flows();
	list_disks();
	if (measure) {
		uint64_t after = entries();
		core_print("ps: %u lines, %lu kernel entries for them\n", lines, after - before - 1);
	}
	return 0;
}
