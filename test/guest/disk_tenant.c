/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tenant of a disk, for test/e2e/disk_tenants.py: reads blocks from anywhere for a while, and says how many it got and how
 * long it waited for each. Not a test by itself.
 *
 * Usage: disk_tenant PLACE DEPTH BEGIN END. PLACE is a file, read by pread(), or `extent:NAME`, read through libos/disk
 * with DEPTH requests under way. It reads at once, and counts what was asked for and done between BEGIN and END,
 * in milliseconds of the machine's clock, so that several programs speak of the same time. It ends some time later, so that
 * all have spoken when the first ends, and with it the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libos/disk/disk.h"

#define MS		1000000ULL
#define DEPTH_MAX	32
#define WAITS_MAX	20000
#define LINGER_US	500000

static exo_time_t begin_at, end_at;
static uint32_t waits[WAITS_MAX];		/* us */
static unsigned count;
static uint64_t chance = 1;

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "disk_tenant: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t draw(uint32_t below)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((chance >> 33) % below);
}

static void told(exo_time_t asked, exo_time_t done)
{
	if (asked >= begin_at && done < end_at && count < WAITS_MAX)
		waits[count++] = (uint32_t)((done - asked) / 1000);
}

static void from_file(const char *path)
{
	static char page[BLOCK_BYTES];
	int file = open(path, O_RDONLY);
	struct stat st;
	exo_time_t asked, now;

	need(file >= 0 && !fstat(file, &st), path);
	while ((asked = core_now()) < end_at) {
		need(pread(file, page, sizeof(page), (off_t)draw((uint32_t)(st.st_size / BLOCK_BYTES)) * BLOCK_BYTES) == BLOCK_BYTES, path);
		now = core_now();
		told(asked, now);
	}
	close(file);
}

static void from_extent(const char *name, unsigned depth)
{
	static struct block_request request[DEPTH_MAX];
	static exo_time_t asked[DEPTH_MAX];
	struct block_device *device;
	uint8_t *memory;

	errno = -disk_extent_open(name, &device);
	need(!errno, name);
	memory = block_memory(device, DEPTH_MAX);
	need(memory != NULL, "memory");
	for (unsigned i = 0; core_now() < end_at; i = (i + 1) % depth) {
		errno = -block_wait(device, &request[i]);
		need(!errno, name);
		if (asked[i])
			told(asked[i], core_now());
		request[i] = (struct block_request){ .operation = BLOCK_READ, .parts = 1, .block = draw(device->blocks), .count = 1,
			.part = { { memory + i * BLOCK_BYTES, 1 } } };
		asked[i] = core_now();
		block_submit(device, &request[i]);
	}
}

static int by_length(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

int main(int argc, char **argv)
{
	unsigned depth = argc == 5 ? (unsigned)atoi(argv[2]) : 0;

	if (!depth || depth > DEPTH_MAX)
		return 2;
	begin_at = strtoull(argv[3], NULL, 10) * MS;
	end_at = strtoull(argv[4], NULL, 10) * MS;
	if (!strncmp(argv[1], "extent:", 7))
		from_extent(argv[1] + 7, depth);
	else
		from_file(argv[1]);
	need(count > 0, "nothing was read");
	qsort(waits, count, sizeof(waits[0]), by_length);
	printf("disk_tenant %s: %u blocks, half within %u us, 99 %% within %u us\n", argv[1], count, waits[count / 2],
	    waits[count * 99 / 100]);
	fflush(stdout);
	usleep(LINGER_US);
	return 0;
}
