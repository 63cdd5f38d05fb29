/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies of schedulers of environments, without environments: clients that are ready or not by chance, time
 * that passes as the test says, and beside each policy what it should do, said in another way.
 */
#include <stdlib.h>
#include "libos/sched/env.h"
#include "test/lib/random.h"
#include "test/unit/tap.h"

#define CLIENTS	7
#define SLICE	1000000

static struct env_client client[CLIENTS];
static struct env_sched sched;
static uint64_t seed = 99;

static uint32_t below(uint32_t n)
{
	return (uint32_t)((random_next(&seed) >> 32) % n);
}

static void begin(const struct env_policy *policy, unsigned count)
{
	sched = (struct env_sched){ .policy = policy, .seed = 1 + below(1000000), .clients = client };
	memset(client, 0, sizeof(client));
	for (unsigned i = 0; i < count; i++) {
		client[i].share = 1 + below(20);
		client[i].next = i + 1 < count ? &client[i + 1] : NULL;
	}
}

static struct env_client *pick(exo_time_t now, exo_time_t *until)
{
	*until = EXO_NEVER;
	return sched.policy->pick(&sched, now, until);
}

static void used(struct env_client *one, uint64_t ns)
{
	one->ns += ns;
	if (sched.policy->used)
		sched.policy->used(&sched, one, ns);
}

/* --- round robin ---------------------------------------------------------------------------------------- */

static void round_robin(void)
{
	unsigned waited[CLIENTS] = { 0 }, worst = 0;
	bool ready = true, idle = true;
	exo_time_t until;

	begin(&env_rr, CLIENTS);
	for (int turn = 0; turn < 20000; turn++) {
		bool any = false;
		for (int i = 0; i < CLIENTS; i++)
			any = (client[i].ready = below(3)) || any;
		struct env_client *one = pick(0, &until);
		idle = idle && any == (one != NULL);
		ready = ready && (!one || one->ready) && until == EXO_NEVER;
		for (int i = 0; i < CLIENTS; i++) {
			waited[i] = client[i].ready && one != &client[i] ? waited[i] + 1 : 0;
			worst = waited[i] > worst ? waited[i] : worst;
		}
	}
	ok(ready && idle, "round robin: one that is ready, if there is one");
	ok(worst == CLIENTS - 1, "nobody waits longer than for all the others (%u)", worst);
}

/* --- stride --------------------------------------------------------------------------------------------- */

/* What each has had for its share is compared by multiplication, without passes. */
static bool has_least(const struct env_client *one)
{
	for (int i = 0; i < CLIENTS; i++) {
		unsigned __int128 its = (unsigned __int128)client[i].ns * one->share;
		unsigned __int128 own = (unsigned __int128)one->ns * client[i].share;
		/* Passes are cut off: half a nanosecond a turn is nobody's loss. */
		if (its + 20000 < own)
			return false;
	}
	return true;
}

static void stride(void)
{
	uint64_t total = 0, shares = 0, off, worst = 0;
	bool least = true, again = true;
	exo_time_t until;

	begin(&env_stride, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		client[i].ready = true;
		shares += client[i].share;
	}
	for (int turn = 0; turn < 20000; turn++) {
		struct env_client *one = pick(0, &until);
		uint64_t ns = 1 + below(SLICE);
		least = least && has_least(one);
		used(one, ns);
		total += ns;
		for (int i = 0; i < CLIENTS; i++) {
			off = client[i].ns * shares > total * client[i].share ?
				client[i].ns - total * client[i].share / shares :
				total * client[i].share / shares - client[i].ns;
			worst = off > worst ? off : worst;
		}
	}
	ok(least, "stride: who has had the least for its share");
	ok(worst < 2 * SLICE, "nobody is two slices from its due (%lu us)", (unsigned long)worst / 1000);
	client[0].ready = false;
	for (int turn = 0; turn < 1000; turn++)
		used(pick(0, &until), SLICE);
	client[0].ready = true;
	uint64_t before = client[0].ns;
	for (int turn = 0; turn < 100; turn++)
		used(pick(0, &until), SLICE);
	off = (client[0].ns - before) / SLICE;
	again = off <= 100 * client[0].share / shares + 2 && off + 2 >= 100 * client[0].share / shares;
	ok(again, "who was away has its share again, and nothing for the time that it was away");
}

/* --- lottery -------------------------------------------------------------------------------------------- */

static void lottery(void)
{
	uint64_t n = 200000, drawn[CLIENTS] = { 0 }, shares = 0;
	bool good = true, same = true;
	exo_time_t until;

	begin(&env_lottery, CLIENTS);
	client[3].ready = false;
	for (int i = 0; i < CLIENTS; i++) {
		client[i].ready = i != 3;
		shares += i != 3 ? client[i].share : 0;
	}
	for (uint64_t turn = 0; turn < n; turn++)
		drawn[pick(0, &until) - client]++;
	for (int i = 0; i < CLIENTS; i++) {
		double p = i == 3 ? 0 : (double)client[i].share / (double)shares, off =
		    (double)drawn[i] - (double)n * p;
		good = good && off * off <= 16 * (double)n * p * (1 - p);
	}
	ok(good, "lottery: each within four standard deviations of its share; nobody who is not ready");
	struct env_sched first = sched, second = sched;
	for (int turn = 0; turn < 1000; turn++)
		same = same && env_lottery.pick(&first, 0, &until) == env_lottery.pick(&second, 0, &until);
	ok(same, "the same seed draws the same lots");
	for (int i = 0; i < CLIENTS; i++)
		client[i].ready = false;
	ok(!pick(0, &until), "nobody, if nobody is ready");
}

/* --- EDF ------------------------------------------------------------------------------------------------ */

#define SLACK	3000	/* of a budget beyond the work: see env_edf.c */

/* A periodic task of the test: what is left of its job, and when the next one is released. */
static struct job {
	uint64_t work, left;
	exo_time_t release, deadline;
	unsigned misses, done;
} job[CLIENTS];

static void tasks_make(unsigned count, unsigned percent)
{
	uint64_t part[CLIENTS], sum = 0;

	begin(&env_edf, count);
	for (unsigned i = 0; i < count; i++)
		sum += part[i] = 1 + below(100);
	for (unsigned i = 0; i < count; i++) {
		client[i].period = 1000000ULL * (1 + below(40)) + below(1000);
		client[i].release = below(5000000);
		job[i] = (struct job){ client[i].period * percent * part[i] / sum / 100, 0, client[i].release,
		    0, 0, 0 };
		client[i].budget = client[i].left = job[i].work + SLACK;
	}
}

/* The naive rule: of those who have something to do, the one whose deadline comes first. */
static bool earliest(const struct env_client *one, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (job[i].left && (!one || job[i].deadline < job[one - client].deadline))
			return false;
	return true;
}

static void release(unsigned count, exo_time_t now)
{
	for (unsigned i = 0; i < count; i++)
		if (now >= job[i].release) {
			job[i].misses += job[i].left != 0;
			job[i].left = job[i].work;
			job[i].deadline = job[i].release += client[i].period;
		}
}

/* Run the tasks for a time; false: at some point another than the earliest deadline's was chosen. */
static bool follow(unsigned count, exo_time_t length)
{
	exo_time_t now = 0, until, next;
	bool right = true;

	while (now < length) {
		release(count, now);
		for (unsigned i = 0; i < count; i++)
			client[i].ready = job[i].left != 0;
		struct env_client *one = pick(now, &until);
		right = right && earliest(one, count);
		next = until;
		for (unsigned i = 0; i < count; i++)
			if (!one && job[i].release < next)
				next = job[i].release;
		if (one) {
			struct job *its = &job[one - client];
			next = now + its->left < until ? now + its->left : until;
			/* Between now and then nobody with an earlier deadline may be released. */
			for (unsigned i = 0; i < count; i++)
				right = right && !(job[i].release < next &&
				    job[i].release + client[i].period < its->deadline);
			its->left -= next - now;
			its->done += !its->left;
			used(one, next - now);
		}
		right = right && next > now;
		if (next <= now)
			break;
		now = next;
	}
	return right;
}

static unsigned misses(unsigned count)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += job[i].misses;
	return sum;
}

static void edf(void)
{
	bool right = true;
	unsigned late = 0, over = 0, rounds = 0;

	for (int round = 0; round < 200; round++) {
		unsigned count = 2 + below(CLIENTS - 2);
		tasks_make(count, 95 + below(6));
		right = follow(count, 400000000) && right;
		late += misses(count);
	}
	ok(right,
	    "edf: always the earliest deadline, asked again when that may change; in 200 sets of tasks");
	ok(late == 0, "with up to 100 %% of the time no deadline is missed (%u)", late);
	for (int round = 0; round < 50; round++) {
		tasks_make(5, 120);
		(void)follow(5, 200000000);
		over += misses(5) > 0;
		rounds++;
	}
	ok(over == rounds, "with 120 %%, always some: the test sees them");
	tasks_make(5, 80);
	job[2].work *= 10;
	(void)follow(5, 400000000);
	ok(job[2].misses && misses(5) == job[2].misses, "who wants more than its budget is late alone");
}

/* Those without a period have what is left, in turn. */
static void background(void)
{
	struct env_client *one;
	exo_time_t until;

	begin(&env_edf, 3);
	for (int i = 0; i < 3; i++)
		client[i].ready = true;
	client[0].period = 1000000;
	client[0].budget = client[0].left = 100000;
	client[0].release = 5000;
	one = pick(0, &until);
	ok(one == &client[1] && until == 5000, "before a release, one without a period, until then");
	one = pick(5000, &until);
	ok(one == &client[0] && until == 5000 + 100000, "then who has one, for its budget");
	used(one, 100000);
	one = pick(105000, &until);
	ok(one == &client[2] && until == 1005000, "then the next one without, until the next release");
	one = pick(9999999999, &until);
	ok(one == &client[0] && client[0].release % 1000000 == 5000 && client[0].release <= 9999999999,
	   "after a long time, the period that it is in");
}

int main(void)
{
	round_robin();
	stride();
	lottery();
	edf();
	background();
	return done();
}
