/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels between environments on two CPUs: all arrives, nothing enters the kernel while both run, a sleeper
 * is woken on the other CPU, and a peer that dies, leaves, lies or takes the memory away is told apart from
 * one that is slow.
 *
 * Runs first: yes
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include "libos/core/channel.h"
#include "libos/core/share.h"
#include "libos/core/watch.h"
#include "test/guest/family.h"

#define SLOTS		16
#define BULK		256
#define PAGES		4
#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define STREAM		20000

/* Words of the page that all see. */
enum { READY, DONE, SUM, BAD, WAKES, SLEEPS, CALLS };

static struct share memory;
static struct channel channel;

static uint64_t own_calls(void)
{
	return info_env((uint32_t)core_disp->self)->entries;
}

/* --- the peer: echoes each message, in a way that its argument names ------------------------------------ */

static int echo(exo_time_t wait_ns)
{
	struct channel_message message;
	char bulk[BULK];
	int error;

	while (!(error = channel_receive(&channel, &message, bulk, sizeof(bulk), EXO_NEVER))) {
		if (message.kind == 1)		/* says when it wants to be asked again */
			thread_sleep(core_now() + wait_ns);
		family_word[SUM] += message.word[0];
		message.word[1] = message.word[0] + 1;
		if (channel_send(&channel, &message, bulk, core_now() + 10 * CORE_SECOND))
			family_word[BAD]++;
		family_word[WAKES] = channel.wakes;
		family_word[SLEEPS] = channel.sleeps;
	}
	channel_close(&channel);
	family_word[DONE] = 1 + (uint64_t)-error;
	return 0;
}

/* Takes what comes, without an answer. */
static int drain(void)
{
	struct channel_message message;
	uint64_t next = 0;

	while (!channel_receive(&channel, &message, NULL, 0, EXO_NEVER)) {
		family_word[BAD] += message.word[0] != next++;
		family_word[SUM]++;
		family_word[SLEEPS] = channel.sleeps;
	}
	family_word[CALLS] = own_calls();
	family_word[DONE] = 1;
	return 0;
}

static int peer(void)
{
	void *at = share_map(&memory, core_named("line"), 0, PAGES, EXO_MAP_READ | EXO_MAP_WRITE);

	if (!at || channel_attach(&channel, at, PAGES * EXO_PAGE_SIZE))
		return 1;
	if (core_named("director"))
		channel_connect(&channel, core_named("director"), info_env(1)->id);
	else if (channel_connect_kick(&channel, core_named("line"), 0, info_env(1)->id))
		return 1;
	__atomic_fetch_add((uint64_t *)&family_word[READY], 1, __ATOMIC_SEQ_CST);
	if (!strcmp(core_argument(2), "drain"))
		return drain();
	if (!strcmp(core_argument(2), "vanish"))
		thread_sleep(core_now() + 20 * MS);	/* ends without closing */
	else
		return echo(200 * MS);
	core_exit(3);
}

/*
 * --- the director ----------------------------------------------------------------------------------------
 */

static exo_cap_t frames, director;
static bool by_kick;	/* without capabilities for each other */

static bool begin(struct member *member, const char *how, uint32_t cpu)
{
	memset(member, 0, sizeof(*member));
	memset(&channel, 0, sizeof(channel));
	for (unsigned i = 0; i < 8; i++)
		family_word[i] = 0;
	frames = take_frames(PAGES);
	void *at = frames ? share_map(&memory, frames, 0, PAGES, EXO_MAP_READ | EXO_MAP_WRITE) : NULL;
	if (!at || channel_make(&channel, at, PAGES * EXO_PAGE_SIZE, SLOTS, BULK))
		return false;
	family_grant(member, "page", family_page, RW, 1);
	family_grant(member, "line", frames, RW, PAGES);
	if (!by_kick)
		family_grant(member, "director", director, EXO_RIGHT_EXEC, 0);
	if (!family_make(member, "peer", how) || (cpu && exo_env_move(member->spawn.env, cpu)) ||
	    spawn_start(&member->spawn))
		return false;
	if (!by_kick)
		channel_connect(&channel, family_entry(member, 0), member->spawn.id);
	else if (channel_connect_kick(&channel, frames, 0, member->spawn.id))
		return false;
	return family_await_word(READY, 1, 5000);
}

static void end(struct member *member)
{
	if (by_kick)
		channel_close(&channel);
	else
		caps_delete(channel.wake);
	family_drop(member);
	share_unmap(&memory);
	caps_delete(frames);
}

static int ask(uint64_t number, uint32_t kind, exo_time_t deadline)
{
	struct channel_message message = { .kind = kind, .bytes = 100, .word = { number } };
	char text[BULK], got[BULK] = "";

	memset(text, (int)number & 0x7f, sizeof(text));
	int error = channel_send(&channel, &message, text, deadline);
	if (!error)
		error = channel_receive(&channel, &message, got, sizeof(got), deadline);
	if (error)
		return error;
	return message.word[0] == number && message.word[1] == number + 1 && message.bytes == 100 &&
	    !memcmp(text, got, 100) ? 0 : 1;
}

static void round_trips(uint32_t cpu)
{
	struct member member;
	unsigned good = 0;

	if (!ok(begin(&member, "echo", cpu), "a peer on CPU %u", cpu))
		return;
	for (uint64_t i = 0; i < 300; i++)
		good += ask(i, 0, core_now() + 5 * CORE_SECOND) == 0;
	is(good, 300, "round trips (%lu wakes, %lu sleeps here)", (long)channel.wakes, (long)channel.sleeps);
	exo_time_t before = core_now();
	is(ask(7, 1, core_now() + 5 * CORE_SECOND), 0, "a slow answer");
	ok(core_now() - before >= 200 * MS, "is waited for");
	before = core_now();
	is(ask(8, 1, core_now() + 5 * MS), -EXO_ETIME, "a deadline before it");
	ok(core_now() - before >= 5 * MS, "is kept");
	struct channel_message message;
	is(channel_receive(&channel, &message, NULL, 0, core_now() + CORE_SECOND), 0,
	   "the answer comes later");
	channel_close(&channel);
	ok(family_await_word(DONE, 1, 5000), "closing wakes the peer");
	is((int64_t)family_word[DONE], 1 + EXO_EDEAD, "which sees it");
	is(channel_receive(&channel, &message, NULL, 0, core_now() + CORE_SECOND), -EXO_EDEAD,
	   "and closes, too");
	ok(!family_word[BAD], "nothing went wrong there");
	end(&member);
}

/* Two CPUs that both run: messages cost no entry into the kernel, here or there. */
static void stream(void)
{
	struct channel_message message = { 0 };
	struct member member;
	uint64_t sent = 0;

	if (!ok(begin(&member, "drain", 1), "a peer that takes what comes"))
		return;
	uint64_t calls = own_calls(), peer_calls = info_env((uint32_t)member.spawn.id)->entries;
	for (; sent < STREAM; sent++) {
		message.word[0] = sent;
		if (channel_send(&channel, &message, NULL, core_now() + 10 * CORE_SECOND))
			break;
	}
	uint64_t here = own_calls() - calls;
	family_await_word(SUM, STREAM, 10000);
	uint64_t there = info_env((uint32_t)member.spawn.id)->entries - peer_calls;
	ok(sent == STREAM && family_word[SUM] == STREAM && !family_word[BAD], "%u messages, in order",
	   STREAM);
	printf("# %lu entries here (%lu wakes, %lu sleeps), %lu there (%lu sleeps)\n", (long)here,
	    (long)channel.wakes, (long)channel.sleeps, (long)there, (long)family_word[SLEEPS]);
	/* The first sleep by kick makes a program. */
	ok(here <= 2 * (channel.wakes + channel.sleeps) + (by_kick ? 40 : 2),
	   "the kernel is entered to sleep and to wake, and for nothing else");
	channel_close(&channel);
	family_await_word(DONE, 1, 5000);
	end(&member);
}

static void deaths(void)
{
	struct channel_message message = { 0 };
	struct member member;
	int error = 0;

	if (!ok(begin(&member, "vanish", 1), "a peer that ends without a word"))
		return;
	exo_time_t before = core_now();
	is(channel_receive(&channel, &message, NULL, 0, EXO_NEVER), -EXO_EDEAD, "who waits for ever is told");
	ok(core_now() - before < 2 * CORE_SECOND, "soon");
	for (unsigned i = 0; i <= SLOTS && !error; i++)
		error = channel_send(&channel, &message, NULL, EXO_NEVER);
	is(error, -EXO_EDEAD, "so is who waits for room");
	end(&member);

	if (!ok(begin(&member, "echo", 1), "a peer"))
		return;
	is(ask(1, 0, core_now() + 5 * CORE_SECOND), 0, "it answers");
	*channel.in.tail = *channel.in.tail + SLOTS + 1;	/* as the peer could */
	is(channel_receive(&channel, &message, NULL, 0, core_now() + CORE_SECOND), -EXO_ERANGE,
	   "an index that cannot be");
	is(channel_send(&channel, &message, NULL, core_now() + CORE_SECOND), -EXO_ERANGE,
	   "is the end of the channel");
	end(&member);

	if (!ok(begin(&member, "echo", 1), "a peer"))
		return;
	is(ask(1, 0, core_now() + 5 * CORE_SECOND), 0, "it answers");
	int64_t result;
	while ((result = exo_cap_revoke(frames)) == -EXO_EAGAIN)
		;
	is(result, 0, "the memory is taken from it");
	ok(ask(2, 0, core_now() + 300 * MS) < 0, "no answer comes");
	family_await(&member, EXO_ENV_ENDED, 5000);
	const struct exo_env_info *info = info_env((uint32_t)member.spawn.id);
	ok(info->cause == EXO_CAUSE_EXIT && family_word[DONE] == 1 + EXO_ERANGE,
	    "the peer saw a channel that is broken, and ended by itself (cause %u)", info->cause);
	end(&member);
}

int main(void)
{
	const char *role = family_begin();
	uint32_t slot;

	if (role && !strcmp(role, "peer"))
		return peer();
	slot = caps_slot();
	director = made(slot, exo_entry_make(slot, EXO_CAP_NONE, 0));
	for (unsigned i = 0; i < 2; i++) {
		by_kick = i != 0;
		printf("# %s\n", by_kick ? "by kick" : "by wake");
		round_trips(0);
		if (family_cpus() > 1) {
			round_trips(1);
			stream();
			deaths();
		}
	}
	ok(watch_sleeps > 0, "slept on words %lu times", (long)watch_sleeps);
	return call_done();
}
