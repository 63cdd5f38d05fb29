/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/core/rpc with callbacks and with capabilities, and libos/core/directory: programs that find each other by label,
 * call back while the other waits, one on top of the other, and hand each other frames.
 *
 * Runs first: yes
 * Time limit: 60 s
 */
#include "libos/core/directory.h"
#include "libos/core/rpc.h"
#include "test/guest/family.h"

#pragma GCC target("general-regs-only")

#define RW	(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define LEVELS	6
#define STACK_ROOM __attribute__((aligned(16)))

/* Words of the page that all see. */
enum { READY, TAKEN, WORK_DONE, PROBLEM };

/* What the worker does: all that many reports; a chain; a frame in and out. */
enum { WORK, DEEP, TAKE, GIVE, PLAIN, HANDLERS };

static struct rpc_session sessions[4];
static char stacks[LEVELS * RPC_STACK] STACK_ROOM;
static struct rpc_client peer;		/* whom our handlers call back */
static uint64_t reports, total;

/* --- both sides ----------------------------------------------------------------------------------------- */

/* Down to 0, by turns; the result is how deep it went. */
static int64_t deep(struct rpc_request *request)
{
	uint64_t word[RPC_WORDS] = { request->word[0] - 1 };

	if (!request->word[0])
		return 0;
	int64_t result = rpc_ask(&peer, DEEP, word, NULL, 0, NULL, NULL);
	return result < 0 ? result : result + 1;
}

static int64_t plain(struct rpc_request *request)
{
	return (int64_t)request->word[0] + 1;
}

/* --- the worker ----------------------------------------------------------------------------------------- */

static uint32_t kept;			/* a free slot */
static exo_cap_t own_frame;

static int64_t work(struct rpc_request *request)
{
	uint64_t count = request->word[0];

	for (uint64_t i = 1; i <= count; i++) {
		uint64_t word[RPC_WORDS] = { i };
		int64_t result = rpc_ask(&peer, WORK, word, NULL, 0, NULL, NULL);
		if (result)
			return result;
	}
	return (int64_t)count;
}

static int64_t take(struct rpc_request *request)
{
	return rpc_take((uint32_t)request->word[0], kept, RW, request->word[1], 1) < 0 ? -EXO_ERANGE : 0;
}

static int64_t give(struct rpc_request *request)
{
	return rpc_give(own_frame, (uint32_t)request->word[0], EXO_RIGHT_READ, 0, 1) < 0 ? -EXO_ERANGE : 0;
}

static const rpc_handler worker_handlers[HANDLERS] = { work, deep, take, give, plain };

/* What it was given it writes to. */
static void look_at_gift(void)
{
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	if (space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, caps_handle(kept), 0, 1)) {
		family_word[PROBLEM]++;
		return;
	}
	strcpy((char *)at, "written by the worker");
	family_word[TAKEN]++;
}

static int be_worker(void)
{
	static struct rpc_server server = { .handler = worker_handlers, .handlers = HANDLERS,
		.session = sessions, .sessions = 4 };
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);
	static struct share share;
	const struct directory_page *page = directory_open(&share);
	int64_t entry = page ? directory_take(page, "director") : -EXO_ECAP;

	if (entry < 0)
		family_word[PROBLEM]++;
	peer = (struct rpc_client){ .entry = (exo_cap_t)entry, .timeout_ns = 5 * CORE_SECOND };
	own_frame = take_frames(1);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, own_frame, 0, 1);
	strcpy((char *)at, "from the worker");
	kept = caps_slot();
	server.stacks = core_argument(2) ? NULL : stacks;
	server.levels = LEVELS;
	rpc_serve(&server);
	family_word[READY]++;
	while (!caps_at(kept)->type)
		thread_sleep(core_now() + MS);
	look_at_gift();
	thread_sleep(EXO_NEVER);
	return 0;
}

/* --- the director --------------------------------------------------------------------------------------- */

static struct rpc_client worker;

static int64_t report(struct rpc_request *request)
{
	reports++;
	total += request->word[0];
	return request->word[0] == 99 ? -EXO_EINVAL : 0;
}

/* Bytes of a session that serves already, and its own words. */
static const rpc_handler director_handlers[HANDLERS] = { report, deep, NULL, NULL, plain };
static struct rpc_server server = { .handler = director_handlers, .handlers = HANDLERS, .session = sessions,
	.sessions = 4 };
static struct directory directory;

static bool begin(struct member *member, const char *argument)
{
	memset(member, 0, sizeof(*member));
	family_word[READY] = family_word[TAKEN] = family_word[PROBLEM] = 0;
	family_grant(member, "page", family_page, RW, 1);
	member->grant[member->spawn.grants++] = (struct spawn_grant){ DIRECTORY_NAME, directory.frame.cap,
		EXO_RIGHT_READ, directory.frame.first, 1 };
	return family_make(member, "worker", argument);
}

static void callbacks(void)
{
	uint64_t word[RPC_WORDS] = { 5 };

	reports = total = 0;
	is(rpc_ask(&worker, WORK, word, NULL, 0, NULL, NULL), 5, "a call during which we are called back");
	ok(reports == 5 && total == 15, "five times");
	word[0] = 0;
	is(rpc_ask(&worker, WORK, word, NULL, 0, NULL, NULL), 0, "or not at all");
	word[0] = 4;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), 4, "callbacks of callbacks");
	word[0] = EXO_CHAIN_MAX - 1;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), EXO_CHAIN_MAX - 1, "as deep as chains may be");
	word[0] = EXO_CHAIN_MAX;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), -EXO_EDEPTH, "and no deeper");
	word[0] = 1;
	is(rpc_ask(&worker, PLAIN, word, NULL, 0, NULL, NULL), 2, "all stacks are free again");
	server.levels = 2;
	rpc_serve(&server);
	word[0] = EXO_CHAIN_MAX - 1;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "with two stacks: BUSY at the third");
	word[0] = 4;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), 4, "two are enough for four");
	server.levels = LEVELS;
	rpc_serve(&server);
}

static void gifts(void)
{
	exo_cap_t frame = take_frames(2);
	struct rpc_slots slots = { .offer = exo_cap_slot(frame), .offers = 1, .window = caps_slots(2), .windows = 2 };
	exo_vaddr_t at = vm_addresses(2 * EXO_PAGE_SIZE);
	uint64_t word[RPC_WORDS] = { 0, 1 };

	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, frame, 1, 1);
	is(rpc_ask(&worker, TAKE, word, NULL, 0, NULL, NULL), -EXO_ERANGE, "nothing is offered");
	word[0] = 1, word[1] = 0;
	is(rpc_pass(&worker, &slots, TAKE, word), -EXO_ERANGE, "beyond what is offered");
	word[0] = 0, word[1] = 1;
	is(rpc_pass(&worker, &slots, TAKE, word), 0, "a frame as an argument");
	ok(family_await_word(TAKEN, 1, 5000) && !strcmp((const char *)at, "written by the worker"), "is the worker's, too");
	ok(!rpc_given(&slots, 0) && !rpc_given(&slots, 1), "nothing was given");
	word[0] = 1;
	is(rpc_pass(&worker, &slots, GIVE, word), 0, "a frame as a result");
	exo_cap_t given = rpc_given(&slots, 1);
	ok(given && !rpc_given(&slots, 0) && cap_of(given)->type == EXO_TYPE_FRAME, "lies in the window");
	is(space_map(at + EXO_PAGE_SIZE, EXO_MAP_READ, given, 0, 1), 0, "it is mapped");
	ok(!strcmp((const char *)at + EXO_PAGE_SIZE, "from the worker"), "and read");
	is(rpc_pass(&worker, &slots, GIVE, word), -EXO_ERANGE, "the slot is full");
	ok(!core_disp->offer_count && !core_disp->window_count, "all is shut again");
	space_map(at, 0, EXO_CAP_NONE, 0, 2);
	caps_delete(given), caps_delete(frame);
}

static void wrong_pages(void)
{
	static struct directory_page fake;
	struct directory_entry entry;

	memcpy(&fake, directory.page, sizeof(fake));
	is(directory_find(&fake, "director", &entry), 0, "a page that is right");
	ok(entry.opener == core_disp->self && !strcmp(entry.label, "director"), "what stands there");
	is(directory_find(&fake, "", &entry), -EXO_ECAP, "no label");
	is(directory_find(&fake, "director2", &entry), -EXO_ECAP, "a longer one");
	fake.sequence |= 1;
	is(directory_find(&fake, "director", &entry), -EXO_EBUSY, "a maker that died in the middle");
	memset(&fake.entry, 'x', sizeof(fake.entry));
	fake.sequence = 0;
	is(directory_find(&fake, "director", &entry), -EXO_ECAP, "labels without an end");
	fake.entries = 1000000;
	is(directory_find(&fake, "director", &entry), -EXO_ESTATE, "more entries than fit");
	memset(&fake, 0, sizeof(fake));
	is(directory_find(&fake, "director", &entry), -EXO_ESTATE, "a page that was taken away");
}

static void labels(struct member *member, exo_cap_t own)
{
	exo_cap_t account = core_named(EXO_NAME_ACCOUNT), entry = family_entry(member, 3);
	int64_t taken;

	is(directory_publish(&directory, "", entry, account), -EXO_EINVAL, "an empty label");
	is(directory_publish(&directory, "a label that has more than 31 letters", entry, account), -EXO_EINVAL, "a long one");
	is(directory_publish(&directory, "x", account, account), -EXO_ETYPE, "not an entry");
	is(directory_take(directory.page, "worker"), -EXO_ECAP, "a label that is not there yet");
	is(directory_publish(&directory, "worker", entry, account), 0, "publish");
	taken = directory_take(directory.page, "worker");
	ok(taken > 0 && cap_of((exo_cap_t)taken)->first == 3, "take");
	worker = (struct rpc_client){ .entry = (exo_cap_t)taken, .timeout_ns = 5 * CORE_SECOND, .tries = 3 };
	is(directory_publish(&directory, "worker", own, account), 0, "another under the same label");
	is(exo_entry_take(caps_slot(), core_disp->self, entry), -EXO_ECAP, "the one before is shut");
	is(directory_publish(&directory, "director", own, account), 0, "that was the director's own");
	is(directory_withdraw(&directory, "worker"), 0, "withdraw");
	is(directory_withdraw(&directory, "worker"), -EXO_ECAP, "twice");
	is(directory_withdraw(&directory, ""), -EXO_ECAP, "nothing");
	is(directory_take(directory.page, "director"), -EXO_ECAP, "a name that is shut");
	is(directory_publish(&directory, "director", own, account), 0, "publish");
	unsigned count = 0;
	for (char label[] = "aa"; count < DIRECTORY_ENTRIES + 1; count++) {
		label[0] = (char)('a' + count / 10);
		label[1] = (char)('a' + count % 10);
		if (directory_publish(&directory, label, own, account))
			break;
	}
	is(count, DIRECTORY_ENTRIES - 1, "until it is full");
	for (char label[] = "aa"; count--;) {
		label[0] = (char)('a' + count / 10);
		label[1] = (char)('a' + count % 10);
		directory_withdraw(&directory, label);
	}
	is(directory_publish(&directory, "director", own, account), 0, "published again");
}

static void direct(void)
{
	struct member member;
	uint32_t slot = caps_slot();
	exo_cap_t own = made(slot, exo_entry_make(slot, EXO_CAP_NONE, 77));

	server.stacks = stacks;
	server.levels = LEVELS;
	if (!ok(directory_make(&directory), "a directory") || !ok(begin(&member, NULL), "a worker"))
		return;
	labels(&member, own);
	wrong_pages();
	spawn_start(&member.spawn);
	ok(family_await_word(READY, 1, 5000) && !family_word[PROBLEM], "it has found the director");
	uint64_t word[RPC_WORDS] = { 3 };
	is(rpc_ask(&worker, WORK, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "who does not serve cannot be called back");
	rpc_serve(&server);
	peer = worker;
	callbacks();
	gifts();
	caps_delete(worker.entry);
	family_drop(&member);
	if (!ok(begin(&member, "plain"), "a worker that may not be entered again"))
		return;
	spawn_start(&member.spawn);
	family_await_word(READY, 1, 5000);
	peer.entry = worker.entry = family_entry(&member, 3);
	word[0] = 1;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), 1, "it calls back");
	word[0] = 2;
	is(rpc_ask(&worker, DEEP, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "but is not called back itself");
	caps_delete(worker.entry);
	family_drop(&member);
	caps_delete(own);
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "worker"))
		return be_worker();
	direct();
	return call_done();
}
