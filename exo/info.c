/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exposed pages: their layout, and the fields that never change after boot. All others are written where
 * what they tell happens: frames by frame.c, environments by env.c and cpu.c, CPUs by cpu.c and the port,
 * slices by slice.c, flows by flow.c, the clock by the port.
 *
 * The run is: struct exo_info, CPUs, slices, flows, environments, packed; then, from a frame of its own on,
 * the table of frames, which is by far the largest. frame_init asks for the size, places the run and calls
 * info_place. Until then `info` is a stand-in, so that counters and the clock can be used from the first
 * instruction on.
 */
#include "exo/kernel.h"

#define TABLE_ALIGN	128

static struct exo_info early;
struct exo_info *info = &early;
struct exo_env_info *info_env;
struct exo_cpu_info *info_cpu;
struct exo_slice_info *info_slice;
struct exo_flow_info *info_flow;
struct exo_frame_info *info_frame;
exo_pfn_t info_first;
uint32_t info_count;

static uint32_t align_up(uint32_t value, uint32_t align)
{
	return (value + align - 1) / align * align;
}

/* A table at or behind `offset`; returns where it ends. */
static uint32_t layout(struct exo_table_info *table, uint32_t offset, uint32_t align, uint32_t stride,
    uint32_t entries)
{
	table->offset = align_up(offset, align);
	table->stride = stride;
	table->entries = entries;
	return table->offset + stride * entries;
}

uint32_t info_frames(uint32_t frames)
{
	uint32_t end = sizeof(struct exo_info);

	info->cpus = arch_cpus();
	end = layout(&info->cpu, end, TABLE_ALIGN, sizeof(struct exo_cpu_info), info->cpus);
	end = layout(&info->slices, end, TABLE_ALIGN, sizeof(struct exo_slice_info), info->cpus * EXO_SLICES);
	end = layout(&info->flows, end, TABLE_ALIGN, sizeof(struct exo_flow_info), flow_entries(frames));
	end = layout(&info->envs, end, TABLE_ALIGN, sizeof(struct exo_env_info),
	    env_entries(frames));
	end = layout(&info->frames, end, EXO_PAGE_SIZE, sizeof(struct exo_frame_info), frames);
	return align_up(end, EXO_PAGE_SIZE) / EXO_PAGE_SIZE;
}

void info_place(exo_pfn_t first)
{
	char *run = pfn_to_virt(first);

	info->magic = EXO_INFO_MAGIC;
	info->version = EXO_INFO_VERSION;
	info->size = sizeof(struct exo_info);
	info->abi_major = EXO_ABI_MAJOR;
	info->abi_minor = EXO_ABI_MINOR;
	info->cpu_features = arch_cpu_features();
	info_first = first;
	info_count = info_frames(info->frames_total);
	info_env = (struct exo_env_info *)(run + info->envs.offset);
	info_cpu = (struct exo_cpu_info *)(run + info->cpu.offset);
	info_slice = (struct exo_slice_info *)(run + info->slices.offset);
	info_flow = (struct exo_flow_info *)(run + info->flows.offset);
	info_frame = (struct exo_frame_info *)(run + info->frames.offset);
	*(struct exo_info *)run = *info;
	info = (struct exo_info *)run;
}
