/* SPDX-License-Identifier: BSD-2-Clause */
/* The log's frames, taken in runs, and its entries. */
#include <string.h>
#include "apps/record/log.h"
#include "apps/trace/ring.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

#define RUN_FRAMES	256
#define FRAME_ENTRIES	(EXO_PAGE_SIZE / sizeof(struct exo_trace_record))

static struct log_head *head;
static struct exo_trace_record *entries;

/* Frames [at, at + most) of addresses from a run of memory; how many. */
static uint32_t map_run(exo_vaddr_t at, uint32_t most, exo_pfn_t *first)
{
	exo_cap_t cap;
	int64_t frames = ring_take(most, &cap, first);

	if (frames < 0 || space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, cap, 0, (uint32_t)frames) < 0)
		return 0;
	return (uint32_t)frames;
}

bool log_make(uint32_t frames)
{
	exo_vaddr_t at = vm_addresses((uint64_t)(frames + 1) * EXO_PAGE_SIZE);
	uint32_t used = 0, got;
	exo_pfn_t first;

	if (!at || !map_run(at, 1, &first))
		return false;
	head = (struct log_head *)at;
	entries = (struct exo_trace_record *)(at + EXO_PAGE_SIZE);
	head->self = first;
	while (used < frames && head->runs < LOG_RUNS_MAX) {
		uint32_t most = frames - used < RUN_FRAMES ? frames - used : RUN_FRAMES;
		got = map_run((exo_vaddr_t)entries + (uint64_t)used * EXO_PAGE_SIZE, most, &first);
		if (!got)
			break;
		head->run[head->runs].first = first;
		head->run[head->runs++].frames = got;
		used += got;
	}
	head->version = LOG_VERSION;
	head->entry_bytes = sizeof(struct exo_trace_record);
	head->room = used * FRAME_ENTRIES;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(head->magic, LOG_MAGIC, sizeof(head->magic));
	return used != 0;
}

uint64_t log_room(void)
{
	return head->room - (head->written - __atomic_load_n(&head->taken, __ATOMIC_ACQUIRE));
}

struct log_head *log_head(void)
{
	return head;
}

void log_put(const struct exo_trace_record *entry)
{
	if (!log_room()) {
		head->lost++;
		return;
	}
	entries[head->written % head->room] = *entry;
	__atomic_store_n(&head->written, head->written + 1, __ATOMIC_RELEASE);
}

void log_write(unsigned patient, uint32_t kind, uint64_t number, const uint64_t word[6])
{
	struct exo_trace_record entry = { .time = core_now(), .kind = patient << 16 | kind, .number = (uint32_t)number };

	memcpy(entry.word, word, sizeof(entry.word));
	log_put(&entry);
}
