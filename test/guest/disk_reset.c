/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo_disk_reset on virtio-blk and NVMe: each documented error; a disk that is much too slow has all that it had ended by it, and
 * works again; hundreds of resets in the middle of requests, with the data looked at after each; a disk that is given up,
 * and taken back. The NVMe controller has nothing under way when it is reset: else QEMU (7.2) has ended by a signal, or
 * has reported writes that were not there then, which is not explained; test/unit/nvme_test resets one in the middle of its work.
 *
 * Runs first: yes. Run with: --machine q35 --smp 2 --disk scratch:16M,iops=1 --disk scratch:16M --disk scratch:16M,driver=nvme
 * Time limit: 120 s
 */
#include "test/guest/disk_ring.h"

#define SLOW		12	/* requests, one a second */
#define RESETS		150

static exo_cap_t shares, blocks;
static struct ring ring;
static const struct exo_device_info *entry;
static unsigned steps;

static uint64_t *page(unsigned i)
{
	return (uint64_t *)data[i];
}

/* Steps until it is not AGAIN, for ten seconds at most. */
static int64_t reset(exo_cap_t cap)
{
	exo_time_t end = core_now() + 10 * CORE_SECOND;
	int64_t result;

	steps = 0;
	while ((result = exo_disk_reset(cap, EXO_DISK_STEP)) == -EXO_EAGAIN && core_now() < end)
		steps++;
	return result;
}

static void post(unsigned operation, uint32_t block, unsigned frame)
{
	ring_add(&ring, &(struct exo_disk_request){ .blocks = blocks, .frames = run[frame / RUN_FRAMES], .block = block,
		.frame = frame % RUN_FRAMES, .count = 1, .operation = (uint8_t)operation, .tag = block });
}

/* Ends so far, without waiting: how many failed. */
static unsigned ends(unsigned *failed)
{
	unsigned count = 0;

	for (; ring.seen != __atomic_load_n(&ring.at->done, __ATOMIC_ACQUIRE); count++)
		*failed += ring.at->completion[ring.seen++ % EXO_DISK_SLOTS].result != 0;
	return count;
}

/* No frame is pinned. */
static bool unpinned(void)
{
	for (unsigned i = 0; i < RUNS; i++)
		if (exo_frame_reclaim(run[i], 0, RUN_FRAMES))
			return false;
	return true;
}

static bool disk_begin(unsigned number)
{
	char name[] = "disk0", of[] = "blocks0";

	name[4] = of[6] = (char)('0' + number);
	shares = core_named(name);
	blocks = core_named(of);
	entry = disk_entry(number);
	return ok(shares && blocks && entry && ring_open(&ring, shares), "disk %u, %s", number, entry ? entry->name + 8 : "");
}

static void errors(void)
{
	exo_cap_t weak = (exo_cap_t)caps_derive(shares, EXO_RIGHT_BIND, 0, EXO_DISK_SHARES);
	exo_cap_t part = (exo_cap_t)caps_derive(shares, EXO_RIGHT_CONTROL, 0, EXO_DISK_SHARES - 1);

	is(exo_disk_reset(NO_CAP, EXO_DISK_STEP), -EXO_ECAP, "CAP");
	is(exo_disk_reset(blocks, EXO_DISK_STEP), -EXO_ETYPE, "TYPE");
	is(exo_disk_reset(weak, EXO_DISK_STEP), -EXO_ERIGHTS, "RIGHTS");
	is(exo_disk_reset(part, EXO_DISK_STEP), -EXO_ERANGE, "RANGE");
	is(exo_disk_reset(shares, EXO_DISK_GIVE_UP + 1), -EXO_EINVAL, "INVAL");
	caps_delete(weak);
	caps_delete(part);
}

static void slow(void)
{
	unsigned failed = 0, count;
	exo_time_t begun = core_now();

	for (unsigned i = 0; i < SLOW; i++) {
		*page(i) = i;
		post(EXO_DISK_WRITE, i, i);
	}
	is(ring_post(&ring), SLOW, "requests for a disk that does one in a second");
	count = ends(&failed);
	ok(count < SLOW && !unpinned(), "it has not done them");
	is(reset(shares), 0, "it starts anew");
	count += ends(&failed);
	is(count, SLOW, "all of them have ended, %u with an error, after %u steps", failed, steps);
	ok(core_now() - begun < SLOW / 2 * CORE_SECOND && unpinned(), "before their time, and no frame is pinned");
	is(entry->flags & (EXO_DISK_STOPPED | EXO_DISK_DEAD), 0, "it runs");
	is(ring_do(&ring, blocks, EXO_DISK_READ, 1, 0), 0, "and works");
}

/* Requests of all parts of the disk; whatever was reported written must be there. */
static void often(bool busy)
{
	static uint64_t written[RESETS * 16];
	unsigned failed = 0, all = 0, wrong = 0, bad = 0;

	for (unsigned round = 0; round < RESETS; round++) {
		for (unsigned i = 0; i < 16; i++) {
			*page(i) = round * 16 + i + 1;
			post(EXO_DISK_WRITE, round * 16 + i, i);
		}
		wrong += ring_post(&ring) < 0;
		for (unsigned pause = round * 200; pause; pause--)
			__builtin_ia32_pause();
		while (!busy && ring.at->done - ring.seen < 16)
			__builtin_ia32_pause();
		wrong += reset(shares) != 0;
		while (ring.seen != ring.at->done) {
			const struct exo_disk_done *done = &ring.at->completion[ring.seen++ % EXO_DISK_SLOTS];
			all++;
			failed += done->result != 0;
			wrong += done->result && done->result != -EXO_EDEVICE;
			if (!done->result)
				written[done->tag] = done->tag + 1;
		}
	}
	ok(!wrong && all == RESETS * 16 && unpinned(), "%u requests and %u resets: %u failed", all, RESETS, failed);
	for (unsigned i = 0; i < RESETS * 16; i++) {
		if (!written[i])
			continue;
		*page(0) = 0;
		bad += ring_do(&ring, blocks, EXO_DISK_READ, i, 0) != 0 || *page(0) != written[i];
	}
	is(bad, 0, "what was reported written is there");
}

static void given_up(void)
{
	*page(0) = 77;
	is(exo_disk_reset(shares, EXO_DISK_GIVE_UP), 0, "given up");
	is(entry->flags & EXO_DISK_DEAD, EXO_DISK_DEAD, "which all can see");
	post(EXO_DISK_WRITE, 5, 0);
	is(ring_post(&ring), -EXO_EDEVICE, "kick DEVICE");
	is(exo_disk_reset(shares, EXO_DISK_STEP), -EXO_EAGAIN, "a step");
	is(entry->flags & (EXO_DISK_STOPPED | EXO_DISK_DEAD), EXO_DISK_STOPPED, "it is stopped");
	is(ring_post(&ring), 0, "requests are not taken");
	is(reset(shares), 0, "taken back");
	struct exo_disk_done done;
	ok(ring_next(&ring, &done) && done.tag == 5 && done.result == 0, "and so is what was posted");
	is(ring_do(&ring, blocks, EXO_DISK_FLUSH, 0, 0), 0, "a flush");
}

int main(void)
{
	if (!ok(data_prepare(), "frames"))
		return call_done();
	for (unsigned disk = 0; disk < 3; disk++) {
		if (!disk_begin(disk))
			continue;
		if (disk == 0)
			errors();
		if (disk == 0)
			slow();
		else
			often(disk == 1);
		given_up();
	}
	return call_done();
}
