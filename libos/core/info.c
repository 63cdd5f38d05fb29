/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exposed tables behind frame 0 of the info run: mapped when first asked for, then read by plain loads.
 * An entry is found by the table's own stride, so that a program goes on working when the kernel appends
 * fields.
 */
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"

static const void *table_entry(const char **table, const struct exo_table_info *where, uint32_t index)
{
	if (index >= where->entries)
		return NULL;
	if (!*table) {
		uint32_t first = where->offset / EXO_PAGE_SIZE;
		uint64_t bytes = where->offset % EXO_PAGE_SIZE + (uint64_t)where->stride * where->entries;
		exo_cap_t cap = core_named(EXO_NAME_INFO);
		exo_vaddr_t va = cap ? vm_addresses(bytes) : 0;
		if (!va ||
		    space_map(va, EXO_MAP_READ, cap, first, (uint32_t)(PAGE_UP(bytes) / EXO_PAGE_SIZE)))
			return NULL;
		*table = (const char *)va + where->offset % EXO_PAGE_SIZE;
	}
	return *table + (uint64_t)where->stride * index;
}

const struct exo_env_info *info_env(uint32_t index)
{
	static const char *table;

	return table_entry(&table, &core_info->envs, index);
}

const struct exo_cpu_info *info_cpu(uint32_t index)
{
	static const char *table;

	return table_entry(&table, &core_info->cpu, index);
}

const struct exo_slice_info *info_slice(uint32_t index)
{
	static const char *table;

	return table_entry(&table, &core_info->slices, index);
}

const struct exo_flow_info *info_flow(uint32_t index)
{
	static const char *table;

	return table_entry(&table, &core_info->flows, index);
}

const struct exo_frame_info *info_frame(uint32_t pfn)
{
	static const char *table;

	return table_entry(&table, &core_info->frames, pfn);
}
