/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk by its driver: random requests of all sizes and parts, many at once, against a model; what is out of range, or
 * not offered; at last the whole disk read back. The checksum of what must be on it is printed for the host.
 *
 * Runs first: yes. Run with: --disk scratch:8M
 * EXO_TEST_OPTIONS: seed=N steps=N; mode=1: one request after the other, results printed (test/e2e/disk.py).
 */
#include "test/guest/disk_ring.h"

#define JOBS		24
#define BLOCKS_MAX	4096
#define UNKNOWN		(~0U)
#define PARTS		EXO_DISK_PARTS_MAX

static struct ring ring;
static exo_cap_t blocks;
static uint32_t disk_blocks, flags;
static uint32_t version[BLOCKS_MAX], versions;	/* 0: zeroes */
static bool block_busy[BLOCKS_MAX], page_busy[FRAMES];
static uint64_t chance;

static struct job {
	bool used;
	uint8_t operation;
	uint32_t block, count;
	uint16_t page[EXO_DISK_BLOCKS_MAX];
	uint32_t version;		/* of the first block that it writes */
	int32_t result;			/* wanted */
} job[JOBS];

static unsigned wrong_data, wrong_results, strange_tags, done_count;

static uint32_t below(uint32_t n)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (uint32_t)((chance >> 16) % n);
}

static void pattern(char *page, uint32_t block, uint32_t v)
{
	uint64_t x = ((uint64_t)block << 32 | v) * 0x9e3779b97f4a7c15, *word = (uint64_t *)page;

	for (unsigned i = 0; i < EXO_PAGE_SIZE / 8; i++)
		word[i] = v ? x + i * 0xd1342543de82ef95 : 0;
}

static bool pattern_is(const char *page, uint32_t block, uint32_t v)
{
	static char wanted[EXO_PAGE_SIZE];

	pattern(wanted, block, v);
	return v == UNKNOWN || !memcmp(page, wanted, EXO_PAGE_SIZE);
}

/* Free pages for a job, in stretches. false: there are too few now. */
static bool pages_take(struct job *j)
{
	unsigned got = 0;

	for (unsigned at = below(FRAMES), i = 0; i < FRAMES && got < j->count; i++, at = (at + 1) % FRAMES) {
		if (page_busy[at] || below(8) == 0)
			continue;
		page_busy[at] = true;
		j->page[got++] = (uint16_t)at;
	}
	if (got == j->count)
		return true;
	while (got)
		page_busy[j->page[--got]] = false;
	return false;
}

/* Descriptors that begin at page i of a job's and go on as long as frames do. */
static unsigned stretch(const struct job *j, unsigned i)
{
	unsigned n = 1;

	while (i + n < j->count && j->page[i + n] == j->page[i] + n && j->page[i + n] % RUN_FRAMES)
		n++;
	return n;
}

static unsigned parts_of(const struct job *j)
{
	unsigned parts = 0;

	if (j->operation > EXO_DISK_WRITE)
		return 1;
	for (unsigned i = 0; i < j->count; i += stretch(j, i))
		parts++;
	return parts;
}

static void pages_free(struct job *j)
{
	for (unsigned i = 0; j->operation <= EXO_DISK_WRITE && i < j->count; i++)
		page_busy[j->page[i]] = false;
}

static void job_post(struct job *j)
{
	struct exo_disk_request r = { .blocks = blocks, .block = j->block, .count = (uint16_t)j->count,
		.operation = j->operation, .tag = (uint32_t)(j - job) };

	if (j->operation == EXO_DISK_WRITE && flags & EXO_DISK_HAS_FUA && below(8) == 0)
		r.flags = EXO_DISK_FUA;
	if (j->operation > EXO_DISK_WRITE) {
		ring_add(&ring, &r);
		return;
	}
	for (unsigned i = 0, n; i < j->count; i += n) {
		n = stretch(j, i);
		r.frames = run[j->page[i] / RUN_FRAMES];
		r.frame = j->page[i] % RUN_FRAMES;
		r.count = (uint16_t)n;
		r.flags = (uint8_t)((r.flags & EXO_DISK_FUA) | (i + n < j->count ? EXO_DISK_MORE : 0));
		ring_add(&ring, &r);
		r.block += n;
	}
}

/* A random request that nothing under way is in conflict with. */
static bool job_make(struct job *j)
{
	static const uint8_t kinds[] = { 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4 };

	*j = (struct job){ .operation = kinds[below(sizeof(kinds))], .count = below(2) ? 1 : 1 + below(below(3) ? 8 : 64) };
	if ((j->operation == EXO_DISK_DISCARD && !(flags & EXO_DISK_HAS_DISCARD)) ||
	    (j->operation == EXO_DISK_ZEROES && !(flags & EXO_DISK_HAS_ZEROES)))
		j->result = -EXO_EINVAL;
	j->block = below(disk_blocks + 2);
	if (j->operation != EXO_DISK_FLUSH && j->block + j->count > disk_blocks && !j->result)
		j->result = -EXO_ERANGE;
	for (uint32_t b = j->block; b < j->block + j->count && b < disk_blocks; b++)
		if (block_busy[b])
			return false;
	if (j->operation <= EXO_DISK_WRITE && !pages_take(j))
		return false;
	if (!ring_room(&ring, parts_of(j)) || parts_of(j) > PARTS) {
		pages_free(j);
		return false;
	}
	j->used = true;
	j->version = versions + 1;
	if (j->operation == EXO_DISK_WRITE)
		versions += j->count;
	for (unsigned i = 0; j->operation <= EXO_DISK_WRITE && i < j->count; i++)
		pattern(data[j->page[i]], j->block + i, j->operation == EXO_DISK_WRITE ? j->version + i : 0xdead0000 + i);
	if (j->operation != EXO_DISK_FLUSH && !j->result)
		memset(&block_busy[j->block], true, j->count);
	job_post(j);
	return true;
}

static void job_end(const struct exo_disk_done *done)
{
	struct job *j = &job[done->tag % JOBS];

	if (done->tag >= JOBS || !j->used) {
		strange_tags++;
		return;
	}
	done_count++;
	if (done->result != j->result && wrong_results++ < 5)
		printf("# operation %u block %u count %u: %d, not %d\n", j->operation, j->block, j->count, done->result, j->result);
	for (unsigned i = 0; i < j->count && !j->result && j->operation != EXO_DISK_FLUSH; i++) {
		uint32_t *v = &version[j->block + i];

		if (j->operation == EXO_DISK_READ && !pattern_is(data[j->page[i]], j->block + i, *v) && wrong_data++ < 5)
			printf("# block %u is not version %u\n", j->block + i, *v);
		*v = j->operation == EXO_DISK_WRITE ? j->version + i : j->operation == EXO_DISK_ZEROES ? 0 :
		    j->operation == EXO_DISK_DISCARD ? UNKNOWN : *v;
		block_busy[j->block + i] = false;
	}
	pages_free(j);
	j->used = false;
}

/* Completions, at most so many of those that are there; `must`: and one at least. */
static bool ends(unsigned most, bool must)
{
	struct exo_disk_done done;

	while (most-- && (must || ring.seen != ring.at->done)) {
		must = false;
		if (!ring_next(&ring, &done))
			return false;
		job_end(&done);
	}
	return true;
}

static bool ends_all(void)
{
	struct exo_disk_done done;

	for (unsigned i = 0; i < JOBS; i++)
		while (job[i].used) {
			if (!ring_next(&ring, &done))
				return false;
			job_end(&done);
		}
	return true;
}

static void test_random(unsigned steps)
{
	unsigned most = 0;
	bool ended = true;

	while (done_count < steps && ended) {
		unsigned used = 0, made = 0;

		for (unsigned i = 0; i < JOBS; i++) {
			if (!job[i].used && made < 6)
				made += job_make(&job[i]);
			used += job[i].used;
		}
		most = used > most ? used : most;
		if (made && ring_post(&ring) < 0)
			break;
		ended = ends(1 + below(8), used > 0 && (!made || below(2)));
	}
	ok(ended && ends_all() && done_count >= steps, "%u requests, each ended once", done_count);
	ok(!strange_tags && !wrong_results, "with the right results (%u wrong, %u strange)", wrong_results, strange_tags);
	ok(!wrong_data, "what is read is what was written");
	ok(most > 4, "up to %u at once", most);
}

static uint32_t crc(uint32_t sum, const unsigned char *bytes)
{
	static uint32_t table[256];

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (unsigned bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (unsigned i = 0; i < EXO_PAGE_SIZE; i++)
		sum = sum >> 8 ^ table[(sum ^ bytes[i]) & 255];
	return sum;
}

/* Everything is written that is not known, read again block by block; what must be there is told. */
static void test_whole(void)
{
	unsigned wrong = 0;
	uint32_t sum = ~0U;

	for (uint32_t b = 0; b < disk_blocks; b++) {
		if (version[b] != UNKNOWN)
			continue;
		pattern(data[0], b, version[b] = ++versions);
		wrong += ring_do(&ring, blocks, EXO_DISK_WRITE, b, 0) != 0;
	}
	wrong += ring_do(&ring, blocks, EXO_DISK_FLUSH, 0, 0) != 0;
	for (uint32_t b = 0; b < disk_blocks; b++) {
		memset(data[0], 0x55, EXO_PAGE_SIZE);
		wrong += ring_do(&ring, blocks, EXO_DISK_READ, b, 0) != 0 || !pattern_is(data[0], b, version[b]);
		sum = crc(sum, (unsigned char *)data[0]);
	}
	ok(!wrong, "all blocks, one by one (%u wrong)", wrong);
	printf("# crc %08x\n", ~sum);
}

static void test_counters(void)
{
	const struct exo_device_info *info = disk_entry(0);

	ok(ring.at->failed == 0 && info->errors == 0, "the device reported no failure");
	ok(info->interrupts > 0 && info->read_blocks >= disk_blocks, "what is exposed counts");
	printf("# %s, %u blocks, flags %02x, %lu interrupts, %lu read, %lu written\n", info->name + 8, disk_blocks, flags,
	    (unsigned long)info->interrupts, (unsigned long)info->read_blocks, (unsigned long)info->written_blocks);
}

/* Results as they come, for a disk that fails: one line each. */
static void show_results(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		printf("# read %ld", (long)ring_do(&ring, blocks, EXO_DISK_READ, i, 0));
		pattern(data[0], i, i + 1);
		printf(" write %ld", (long)ring_do(&ring, blocks, EXO_DISK_WRITE, i, 0));
		printf(" flush %ld\n", (long)ring_do(&ring, blocks, EXO_DISK_FLUSH, 0, 0));
	}
	printf("# failed %lu\n", (unsigned long)ring.at->failed);
	ok(true, "all ended");
}

int main(void)
{
	const struct exo_device_info *info = disk_entry(0);

	blocks = core_named(EXO_NAME_BLOCKS);
	if (!ok(info && blocks && core_named(EXO_NAME_DISK), "there is a disk"))
		return call_done();
	disk_blocks = info->blocks < BLOCKS_MAX ? (uint32_t)info->blocks : BLOCKS_MAX;
	flags = info->flags;
	chance = call_option("seed", 1) * 0x9e3779b97f4a7c15 + 1;
	if (!ok(data_prepare() && ring_open(&ring, core_named(EXO_NAME_DISK)), "it has a ring"))
		return call_done();
	if (call_option("mode", 0) == 1) {
		show_results(8);
		return call_done();
	}
	test_random((unsigned)call_option("steps", 3000));
	test_whole();
	test_counters();
	return call_done();
}
