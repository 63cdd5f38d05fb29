/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exposed tables behind frame 0 of the info run: mapped when first asked for, then read by plain loads.
 * An entry is found by the table's own stride, so that a program goes on working when the kernel appends
 * fields.
 */
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"

enum { ENVS, CPUS, SLICES, FLOWS, FRAMES, TABLES };
static const char *mapped[TABLES];

static const void *table_entry(const char **table, const struct exo_table_info *where, uint32_t index)
{
	if (index >= where->entries)
		return NULL;
	if (!*table) {
		uint32_t first = where->offset / EXO_PAGE_SIZE;
		uint64_t bytes = where->offset % EXO_PAGE_SIZE + (uint64_t)where->stride * where->entries;
		exo_cap_t cap = core_named(EXO_NAME_INFO);
		const struct exo_cap *there = caps_at(exo_cap_slot(cap));
		exo_vaddr_t va = there && there->type != EXO_TYPE_NONE ? vm_addresses(bytes) : 0;
		if (!va ||
		    space_map(va, EXO_MAP_READ, cap, first, (uint32_t)(PAGE_UP(bytes) / EXO_PAGE_SIZE)))
			return NULL;
		*table = (const char *)va + where->offset % EXO_PAGE_SIZE;
	}
	return *table + (uint64_t)where->stride * index;
}

const struct exo_env_info *info_env(uint32_t index)
{
	return table_entry(&mapped[ENVS], &core_info->envs, index);
}

const struct exo_cpu_info *info_cpu(uint32_t index)
{
	return table_entry(&mapped[CPUS], &core_info->cpu, index);
}

const struct exo_slice_info *info_slice(uint32_t index)
{
	return table_entry(&mapped[SLICES], &core_info->slices, index);
}

const struct exo_flow_info *info_flow(uint32_t index)
{
	return table_entry(&mapped[FLOWS], &core_info->flows, index);
}

const struct exo_frame_info *info_frame(uint32_t pfn)
{
	return table_entry(&mapped[FRAMES], &core_info->frames, pfn);
}

/*
 * The kernel adds up when it takes the CPU away. As long as its figure is what it was, this environment has had the
 * CPU since it was first seen so.
 */
static uint64_t seen_ns, seen_at, told_ns;

uint64_t info_cpu_ns(void)
{
	const struct exo_env_info *own = info_env((uint32_t)core_disp->self);
	exo_time_t now = core_now();
	uint64_t ns;

	if (!own)
		return now;
	ns = *(const volatile uint64_t *)&own->ns;
	if (ns != seen_ns || !seen_at) {
		seen_ns = ns;
		seen_at = now;
	}
	ns += now - seen_at;
	if (ns > told_ns)
		told_ns = ns;
	return told_ns;
}

void info_forked(void)
{
	seen_ns = seen_at = told_ns = 0;
	memset(mapped, 0, sizeof(mapped));
}
