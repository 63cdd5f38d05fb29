/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels between two real threads: every message arrives once, in order, whole; no wakeup is lost; and
 * whatever the other side writes, this one neither loops nor reads outside. Run it under ThreadSanitizer,
 * too: cc -fsanitize=thread -Iinclude -I. test/unit/channel.c libos/core/channel.c
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "libos/core/channel.h"
#include "test/unit/tap.h"

#define MESSAGES	30000
#define SLOTS		8
#define BULK		192

struct side {
	struct channel channel;
	sem_t *mine, *theirs;
	unsigned waits, wakes, lost;
	int bad;
	bool sleepy;
};

/* Of the exact size, so that the address sanitizer sees a read outside. */
static void *memory_for(uint32_t slots, uint32_t bulk)
{
	return memset(aligned_alloc(CHANNEL_LINE, channel_bytes(slots, bulk)), 0, channel_bytes(slots, bulk));
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* Sleep until woken; a long time without a wake although there is something is a lost wakeup. */
static void wait_for(struct side *side, bool sending)
{
	void (*arm)(struct channel *, bool) = sending ? channel_arm_send : channel_arm_receive;
	bool (*is_ready)(struct channel *) = sending ? channel_writable : channel_readable;
	struct timespec until;

	for (int i = 0; i < 50; i++)
		if (is_ready(&side->channel))
			return;
	arm(&side->channel, true);
	while (!is_ready(&side->channel)) {
		side->waits++;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 10;
		if (sem_timedwait(side->mine, &until) && errno == ETIMEDOUT) {
			side->lost++;
			break;
		}
		arm(&side->channel, true);
	}
	arm(&side->channel, false);
}

static void woken(struct side *side, int result)
{
	if (result == 1) {
		side->wakes++;
		sem_post(side->theirs);
	}
}

static void fill(struct channel_message *message, char *bulk, uint32_t i)
{
	message->kind = i;
	message->bytes = i % (BULK + 1);
	for (unsigned w = 0; w < 7; w++)
		message->word[w] = (uint64_t)i * 7 + w;
	memset(bulk, (int)i & 0xff, BULK);
}

/* Sends MESSAGES, and takes the echo of each. */
static void *asker(void *arg)
{
	struct side *side = arg;
	struct channel_message message, wanted;
	char bulk[BULK], got[BULK];
	uint32_t sent = 0, received = 0;
	uint64_t seed = 1;
	int result;

	while (received < MESSAGES && !side->bad && !side->lost) {
		fill(&message, bulk, sent);
		if (sent < MESSAGES && sent - received < 2 * SLOTS) {
			result = next(&seed) % 4 ? channel_try_send(&side->channel, &message, bulk) :
						   channel_stage(&side->channel, &message, bulk);
			woken(side, result);
			if (result >= 0) {
				if (++sent == MESSAGES || next(&seed) % 2)
					woken(side, channel_publish(&side->channel));
				continue;
			}
			side->bad |= result != -EXO_EFULL;
		}
		woken(side, channel_publish(&side->channel));
		result = channel_try_receive(&side->channel, &message, got, sizeof(got));
		if (result == -EXO_EAGAIN) {
			wait_for(side, false);
			continue;
		}
		woken(side, result);
		fill(&wanted, bulk, received++);
		side->bad |= result < 0 || memcmp(&message, &wanted, sizeof(wanted)) ||
			     memcmp(got, bulk, wanted.bytes);
	}
	channel_mark_closed(&side->channel);
	sem_post(side->theirs);
	return NULL;
}

static void *echo(void *arg)
{
	struct side *side = arg;
	struct channel_message message;
	char bulk[BULK];
	int result;

	for (;;) {
		result = channel_try_receive(&side->channel, &message, bulk, sizeof(bulk));
		if (result == -EXO_EAGAIN) {
			wait_for(side, false);
			if (side->lost)
				break;
			continue;
		}
		if (result == -EXO_EDEAD)
			break;
		side->bad |= result < 0;
		woken(side, result);
		while ((result = channel_try_send(&side->channel, &message, bulk)) == -EXO_EFULL &&
		       !side->lost)
			wait_for(side, true);
		side->bad |= result < 0 && result != -EXO_EDEAD;
		woken(side, result);
		if (side->sleepy && message.kind % 64 == 0)
			nanosleep(&(struct timespec){ 0, 20000 }, NULL);
	}
	return NULL;
}

static void two_threads(bool sleepy)
{
	size_t bytes = channel_bytes(SLOTS, BULK);
	void *memory = memory_for(SLOTS, BULK);
	struct side one = { .sleepy = sleepy }, two = { .sleepy = sleepy };
	sem_t first, second;
	pthread_t thread[2];

	sem_init(&first, 0, 0);
	sem_init(&second, 0, 0);
	one.mine = two.theirs = &first;
	two.mine = one.theirs = &second;
	is_int(channel_make(&one.channel, memory, bytes, SLOTS, BULK), 0, "made");
	is_int(channel_attach(&two.channel, memory, bytes), 0, "attached");
	pthread_create(&thread[0], NULL, asker, &one);
	pthread_create(&thread[1], NULL, echo, &two);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	ok(!one.bad && !two.bad, "%d messages and their echoes, in order and whole%s", MESSAGES,
	   sleepy ? ", a slow side" : "");
	ok(!one.lost && !two.lost, "no wakeup is lost (%u and %u waits, %u and %u wakes)", one.waits,
	   two.waits, one.wakes, two.wakes);
	sem_destroy(&first);
	sem_destroy(&second);
	free(memory);
}

static void geometry(void)
{
	struct channel one, two;
	size_t bytes = channel_bytes(4, 64);
	void *memory = memory_for(4, 64), *old = malloc(bytes);
	struct channel_header *header = memory;

	ok(!channel_bytes(0, 0) && !channel_bytes(3, 0) && !channel_bytes(4, 63) &&
		   !channel_bytes(2 * CHANNEL_SLOTS_MAX, 0) && !channel_bytes(1, CHANNEL_BULK_MAX + 64),
	   "no such geometry");
	is_int(channel_make(&one, memory, bytes - 1, 4, 64), -EXO_ERANGE, "too little memory");
	is_int(channel_make(&one, (char *)memory + 8, bytes - 8, 1, 0), -EXO_EINVAL, "not on a line");
	memset(memory, 0xee, bytes);
	is_int(channel_attach(&two, memory, bytes), -EXO_ESTATE, "nothing laid out");
	is_int(channel_make(&one, memory, bytes, 4, 64), 0, "made");
	is_int(channel_attach(&two, memory, bytes), 0, "attached");
	is_int(channel_attach(&two, memory, bytes - 1), -EXO_ERANGE, "less memory than it says");
	is_int(channel_attach(&two, memory, 63), -EXO_ERANGE, "not even a header");
	memcpy(old, memory, bytes);
	header->version = 2;
	is_int(channel_attach(&two, memory, bytes), -EXO_ESTATE, "another version");
	memcpy(memory, old, bytes);
	header->slots = 8;
	is_int(channel_attach(&two, memory, bytes), -EXO_ERANGE, "more slots than the memory holds");
	header->slots = 0x80000000;
	is_int(channel_attach(&two, memory, bytes), -EXO_ERANGE, "very many");
	memcpy(memory, old, bytes);
	header->size--;
	is_int(channel_attach(&two, memory, bytes), -EXO_ERANGE, "a size that is not the geometry's");
	free(memory);
	free(old);
}

static void full_and_closed(void)
{
	struct channel one, two;
	size_t bytes = channel_bytes(4, 64);
	void *memory = memory_for(4, 64);
	struct channel_message message = { .bytes = 5, .kind = 1 };
	char got[64] = "";
	int sent = 0;

	channel_make(&one, memory, bytes, 4, 64);
	channel_attach(&two, memory, bytes);
	while (sent < 10 && channel_try_send(&one, &message, "abcd") == 0)
		sent++;
	is_int(sent, 4, "as many as slots");
	ok(!channel_writable(&one) && channel_readable(&two) && !channel_readable(&one), "full");
	channel_arm_send(&one, true);
	is_int(channel_try_receive(&two, &message, got, 2), 1, "who waits for room is to be woken");
	ok(!strcmp(got, "ab") && message.bytes == 5, "a short buffer gets what it has room for");
	is_int(channel_try_receive(&two, &message, got, 64), 0, "once");
	message.bytes = 65;
	is_int(channel_try_send(&one, &message, got), -EXO_ERANGE, "more than a slot has");
	message.bytes = 0;
	channel_mark_closed(&one);
	is_int(channel_try_send(&two, &message, NULL), -EXO_EDEAD, "the other side has left");
	is_int(channel_try_receive(&two, &message, got, 64), 0, "what it sent before");
	is_int(channel_try_receive(&two, &message, got, 64), 0, "is still received");
	is_int(channel_try_receive(&two, &message, got, 64), -EXO_EDEAD, "then it is over");
	free(memory);
}

/* Indices run over 2^32. */
static void wrap(void)
{
	struct channel one, two;
	size_t bytes = channel_bytes(4, 0);
	void *memory = memory_for(4, 0);
	struct channel_message message = { 0 };
	bool good = true;

	channel_make(&one, memory, bytes, 4, 0);
	channel_attach(&two, memory, bytes);
	one.out.own = one.out.seen = *one.out.tail = *one.out.head = two.in.own = two.in.seen = 0xfffffffe;
	for (uint32_t i = 0; i < 12; i++) {
		message.kind = i;
		good &= channel_try_send(&one, &message, NULL) == 0;
		good &= i % 3 == 2 || channel_try_send(&one, &message, NULL) == 0;
		while (channel_try_receive(&two, &message, NULL, 0) == 0)
			good &= message.kind == i;
	}
	ok(good, "beyond 2^32");
	free(memory);
}

/*
 * The peer's memory is rewritten at random between and during the calls; results stay within what is
 * promised.
 */
static void liar(void)
{
	uint32_t broken = 0, rubbish = 0;
	uint64_t seed = 0x9e3779b97f4a7c15;
	struct channel one, two;
	size_t bytes = channel_bytes(4, 64);
	bool good = true;

	for (int round = 0; round < 3000; round++) {
		uint64_t *memory = memory_for(4, 64);
		char got[64];
		channel_make(&one, memory, bytes, 4, 64);
		channel_attach(&two, memory, bytes);
		for (int step = 0; step < 20; step++) {
			struct channel_message message = { .bytes = 64 };
			uint64_t value = next(&seed);
			memory[next(&seed) % (bytes / 8)] = value % 3 ? value >> value % 64 : 0;
			*(value & 64 ? one.out.tail : one.in.head) =
				(uint32_t)(value % 16 ? value % 5 : value);
			int result = channel_try_receive(&two, &message, got, sizeof(got));
			rubbish += result >= 0;
			good &= result <= 1 && (result < 0 || message.bytes <= 64);
			message.bytes = 64;
			result = channel_try_send(&two, &message, got);
			good &= result <= 1;
			channel_readable(&two), channel_writable(&two);
			good &= two.out.own - two.out.seen <= 4 && two.in.seen - two.in.own <= 4;
		}
		broken += two.broken;
		free(memory);
	}
	ok(good, "a peer that lies: nothing but rubbish or an error (%u received, %u of 3000 broken)",
	   rubbish, broken);
	ok(broken > 1000 && rubbish > 1000, "both happened");
}

#ifndef __SANITIZE_THREAD__	/* it would see only that these threads race */
/* The same while another thread writes. */
static void *scribble(void *arg)
{
	uint64_t **shared = arg, seed = 77;
	size_t words = channel_bytes(4, 64) / 8;

	while (!__atomic_load_n(&shared[1], __ATOMIC_ACQUIRE)) {
		uint64_t value = next(&seed);
		__atomic_store_n(&shared[0][CHANNEL_LINE / 8 + next(&seed) % (words - CHANNEL_LINE / 8)],
				 value & 1 ? value % 70 : value >> value % 64, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void liar_beside(void)
{
	size_t bytes = channel_bytes(4, 64);
	void *shared[2] = { memory_for(4, 64), NULL };
	bool good = true;
	pthread_t thread;

	pthread_create(&thread, NULL, scribble, shared);
	for (int round = 0; round < 20000; round++) {
		struct channel one, two;
		char got[64];
		channel_make(&one, shared[0], bytes, 4, 64);
		if (channel_attach(&two, shared[0], bytes))
			continue;
		for (int step = 0; step < 20 && !two.broken; step++) {
			struct channel_message message = { .bytes = 1 };
			int result = channel_try_receive(&two, &message, got, sizeof(got));
			good &= result < 0 || message.bytes <= 64;
			channel_try_send(&two, &message, got);
		}
	}
	__atomic_store_n(&shared[1], shared[0], __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ok(good, "a peer that lies while it is read");
	free(shared[0]);
}
#endif

int main(void)
{
	geometry();
	full_and_closed();
	wrap();
	liar();
#ifndef __SANITIZE_THREAD__
	liar_beside();
#endif
	two_threads(false);
	two_threads(true);
	return done();
}
