/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters that the kernel exposes, written to the log when they have changed. */
#include <stdlib.h>
#include <string.h>
#include "apps/record/log.h"
#include "apps/record/record.h"
#include "libos/core/spawn.h"

#define FLOWS_MAX	64	/* that are followed */

static struct {
	uint32_t index;
	uint64_t packets;	/* in, out and dropped, when they were last written */
	char label[16];
} flows[FLOWS_MAX];
static unsigned flow_count;
static uint64_t *slice_used;	/* of each slice, when it was last written ... */
static uint32_t *slice_env;	/* ... and whose it was; 0: nobody's, or this program's */
static uint64_t cpu_seen[EXO_CPUS_MAX];

bool counters_begin(void)
{
	size_t slices = (size_t)core_info->cpus * EXO_SLICES;

	slice_used = calloc(slices, sizeof(*slice_used));
	slice_env = calloc(slices, sizeof(*slice_env));
	return slice_used && slice_env && info_env(0) && info_cpu(0) && info_slice(0) && info_flow(0);
}

void counters_flows(void)
{
	for (unsigned i = 0; i < flow_count; i++) {
		const struct exo_flow_info *flow = info_flow(flows[i].index);
		uint64_t packets = flow->rx_packets + flow->rx_dropped + flow->tx_packets;
		if (packets == flows[i].packets)
			continue;
		flows[i].packets = packets;
		log_write(0, LOG_FLOW, flows[i].index, (uint64_t[6]){ flow->rx_packets, flow->rx_bytes, flow->rx_dropped,
			flow->tx_packets, flow->tx_bytes, flow->env });
	}
}

/* Flows that are new, or others than before under their number. */
static void find_flows(void)
{
	for (uint32_t index = 0; index < core_info->flows.entries; index++) {
		const struct exo_flow_info *flow = info_flow(index);
		uint64_t word[6] = { 0 };
		unsigned i;
		if (!flow->state)
			continue;
		for (i = 0; i < flow_count && flows[i].index != index; i++)
			;
		if (i == FLOWS_MAX || (i < flow_count && !memcmp(flows[i].label, flow->label, sizeof(flow->label))))
			continue;
		if (i == flow_count)
			flow_count++;
		flows[i].index = index;
		flows[i].packets = 0;
		memcpy(flows[i].label, flow->label, sizeof(flow->label));
		memcpy(word, flow->label, sizeof(flow->label));
		log_write(0, LOG_FLOW_NAME, index, word);
	}
}

void counters_machine(void)
{
	find_flows();
	for (uint32_t c = 0; c < core_info->cpus && c < EXO_CPUS_MAX; c++) {
		const struct exo_cpu_info *cpu = info_cpu(c);
		if (cpu->switches == cpu_seen[c])
			continue;
		cpu_seen[c] = cpu->switches;
		log_write(0, LOG_CPU, c, (uint64_t[6]){ cpu->idle_ns, cpu->switches, cpu->interrupts });
	}
	for (uint32_t s = 0; s < core_info->cpus * EXO_SLICES; s++) {
		const struct exo_slice_info *slice = info_slice(s);
		uint32_t env = slice->env == (uint32_t)core_disp->self ? 0 : slice->env;
		if (env == slice_env[s] && (slice->used_ns == slice_used[s] || !env))
			continue;
		slice_env[s] = env;
		slice_used[s] = slice->used_ns;
		log_write(0, LOG_SLICE, s % EXO_SLICES, (uint64_t[6]){ s / EXO_SLICES, env, slice->used_ns });
	}
}

void counters_patient(const struct patient *patient)
{
	const struct exo_env_info *info = info_env((uint32_t)patient->id);

	if (info->id == patient->id)
		log_write(patient->number, LOG_ENV, info->cpu, (uint64_t[6]){ info->ns, info->entries, info->exceptions,
			info->interrupts, info->upcalls, info->frames });
}
