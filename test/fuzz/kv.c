/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer: any bytes from a client of kv, in pieces, with little room for the replies. The first two bytes choose both. Whatever
 * came before, "version" behind a full line is answered; values that were announced and did not come are filled up first.
 */
#include "apps/kv/kv.h"
#include "test/unit/conn_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void *store_memory(size_t bytes, bool large, bool *kept)
{
	*kept = large;
	return malloc(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	size_t piece, room;

	if (size < 2)
		return 0;
	if (!started)
		started = store_start(1 << 20);
	kv_value_max = 1 << 16;
	piece = data[0] ? data[0] : 9999;
	room = data[1] ? data[1] * 16 : SIZE_MAX;
	faked.out_len = 0;
	faked.room = room;
	faked.now += 100;
	if (!fake_open(&kv_calls))
		abort();
	if (!fake_feed((const char *)data + 2, size - 2, piece, room))
		abort();
	fake_close();
	if (kv_counts.connections || store_counts.memory > 1 << 20)
		abort();
	return 0;
}
