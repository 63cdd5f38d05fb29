/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/core/rpc: both variants, what the other side cannot do to one (forge, never answer, answer late, die,
 * take the shared memory away), chains, and the way round by a channel when the other is on another CPU.
 *
 * Runs first: yes
 * Run with: --smp 2
 * Time limit: 90 s
 */
#include "libos/core/rpc.h"
#include "libos/core/share.h"
#include "test/guest/family.h"

#pragma GCC target("general-regs-only")

#define BUFFER_PAGES	2
#define BUFFER		(BUFFER_PAGES * EXO_PAGE_SIZE)
#define SLOTS		8
#define BULK		1024
#define LINE_PAGES	5
#define SESSIONS	4
#define RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define BADGE_PLAIN	1	/* these sessions have the buffer, untrusting ... */
#define BADGE_TRUSTED	2	/* ... and trusted */
#define BADGE_REFUSED	13

/* Words of the page that all see. */
enum { READY, GO, STARTED, FINISHED, CALLS, REFUSED, LATE, AWAY, GONE, HOLES, CLIENT_SAID, CLIENT_BADGE };

enum { ADD, REVERSE, WHO, SPIN, WAIT_FOR_GO, FURTHER, COUNT, GAP, SIZES, HANDLERS };

/* --- the server ----------------------------------------------------------------------------------------- */

static struct rpc_session sessions[SESSIONS];
static char copy[BUFFER];
static struct share shared;
static char *buffer;
static struct rpc_client further;
static struct rpc_server server;

static int64_t add(struct rpc_request *request)
{
	request->word[0] += request->word[1] + request->word[2];
	request->bytes = 0;
	return 42;
}

static int64_t reverse(struct rpc_request *request)
{
	for (uint32_t i = 0, k = request->bytes; i + 1 < k; i++) {
		char c = request->data[i];
		request->data[i] = request->data[--k];
		request->data[k] = c;
	}
	return request->bytes;
}

static int64_t who(struct rpc_request *request)
{
	request->word[0] = request->session->badge;
	request->word[1] = request->session->caller;
	request->bytes = 0;
	return 0;
}

static int64_t spin(struct rpc_request *request)
{
	(void)request;
	family_word[STARTED]++;
	for (;;)
		__asm__ volatile("pause");
	return 0;
}

static int64_t wait_for_go(struct rpc_request *request)
{
	family_word[STARTED]++;
	while (!family_word[GO])
		__asm__ volatile("pause");
	request->bytes = 0;
	family_word[FINISHED]++;
	return 7;
}

/* How many are behind this one, or what stopped it. */
static int64_t go_further(struct rpc_request *request)
{
	uint64_t word[RPC_WORDS] = { 0 };

	(void)request;
	if (!further.entry)
		return 0;
	int64_t result = rpc_ask(&further, FURTHER, word, NULL, 0, NULL, NULL);
	return result < 0 ? result : result + 1;
}

/* State of the session's own: it counts the calls of this pair, whatever others do. */
static int64_t count(struct rpc_request *request)
{
	request->bytes = 0;
	request->session->state = (char *)request->session->state + 1;
	return (int64_t)(uintptr_t)request->session->state;
}

static int64_t sizes(struct rpc_request *request)
{
	request->bytes = (uint32_t)request->word[0];
	return 0;
}

static const rpc_handler handlers[HANDLERS] = { add, reverse, who, spin, wait_for_go, go_further, count, NULL,
	sizes };

static bool open(struct rpc_session *session)
{
	if (session->badge == BADGE_REFUSED)
		return false;
	if (session->badge == BADGE_PLAIN || session->badge == BADGE_TRUSTED) {
		session->trusted = session->badge == BADGE_TRUSTED;
		session->buffer = buffer;
		session->copy = copy;
		session->bytes = buffer ? BUFFER : 0;
	}
	return true;
}

static void gone(struct rpc_session *session)
{
	(void)session;
	family_word[GONE]++;
}

static void tell_figures(void)
{
	uint64_t calls = 0, refused = 0, late = 0;

	for (unsigned i = 0; i < SESSIONS; i++) {
		calls += sessions[i].calls;
		refused += sessions[i].refused;
		late += sessions[i].late;
	}
	family_word[CALLS] = calls;
	family_word[REFUSED] = refused;
	family_word[LATE] = late;
	family_word[AWAY] = server.turned_away;
	family_word[HOLES] = shared.holes;
}

static struct channel channel;
static struct rpc_line line;

static void serve_line(void *arg)
{
	(void)arg;
	rpc_serve_channel(&line);
}

/* The channel belongs to badge 1 of the first environment. */
static void serve_channel(void)
{
	static struct share memory;
	static char line_copy[BULK];
	void *at = share_map(&memory, core_named("line"), 0, LINE_PAGES, EXO_MAP_READ | EXO_MAP_WRITE);

	if (!at || channel_attach(&channel, at, LINE_PAGES * EXO_PAGE_SIZE))
		return;
	channel_connect(&channel, core_named("director"), info_env(1)->id);
	line = (struct rpc_line){ &server, rpc_session(&server, 99, info_env(1)->id), &channel };
	line.session->copy = line_copy;
	line.session->bytes = BULK;
	thread_create("line", serve_line, NULL);
}

static int serve(void)
{
	server = (struct rpc_server){ .handler = handlers, .handlers = HANDLERS, .session = sessions,
		.sessions = SESSIONS, .open = open, .gone = gone };
	if (core_named("buffer"))
		buffer = share_map(&shared, core_named("buffer"), 0, BUFFER_PAGES,
				   EXO_MAP_READ | EXO_MAP_WRITE);
	further.entry = core_named("next");
	further.timeout_ns = 20 * CORE_SECOND;
	rpc_serve(&server);
	if (core_named("line"))
		serve_channel();
	family_word[READY]++;
	for (;;) {
		thread_sleep(core_now() + MS);
		tell_figures();
	}
	return 0;
}

/* --- another client ------------------------------------------------------------------------------------- */

/* Tells what badge the server sees, then calls what does not return before GO. */
static int be_client(void)
{
	struct rpc_client client = { .entry = core_named("entry"), .timeout_ns = 20 * CORE_SECOND };
	uint64_t word[RPC_WORDS] = { 0 };
	uint32_t slot = caps_slot();

	/* Its own entry it cannot change, nor make one to the server. */
	int64_t forged = exo_entry_make(slot, client.entry, BADGE_TRUSTED);
	int64_t derived = caps_derive(client.entry, EXO_RIGHT_EXEC, BADGE_TRUSTED, 1);
	if (derived > 0)
		client.entry = (exo_cap_t)derived;
	rpc_ask(&client, WHO, word, NULL, 0, NULL, NULL);
	family_word[CLIENT_BADGE] = word[0];
	for (uint64_t handle = 1; handle < 400; handle++) {
		struct rpc_client guess = { .entry = handle % 64 | (handle / 64) << 32,
					    .timeout_ns = CORE_SECOND };
		if (guess.entry != core_named("entry") && guess.entry != client.entry &&
		    rpc_ask(&guess, WHO, word, NULL, 0, NULL, NULL) >= 0)
			forged = 1;
	}
	family_word[CLIENT_SAID] = forged == -EXO_ETYPE ? 1 : 2;
	rpc_ask(&client, WAIT_FOR_GO, word, NULL, 0, NULL, NULL);
	family_word[CLIENT_SAID] = 3;
	return 0;
}

/*
 * --- the director ----------------------------------------------------------------------------------------
 */

static exo_cap_t buffer_frames, line_frames;
static char *mine;
static struct channel to_server;

static bool start_server(struct member *member, exo_cap_t next)
{
	memset(member, 0, sizeof(*member));
	family_grant(member, "page", family_page, RW, 1);
	if (buffer_frames)
		family_grant(member, "buffer", buffer_frames, RW, BUFFER_PAGES);
	if (next)
		family_grant(member, "next", next, EXO_RIGHT_EXEC, 0);
	uint64_t ready = family_word[READY];
	return family_make(member, "server", NULL) && spawn_start(&member->spawn) == 0 &&
	       family_await_word(READY, ready + 1, 5000);
}

/* A trusted call. The server may be at work for itself; then again, as often as rpc_ask would. */
static int64_t call(struct rpc_client *client, uint32_t number, uint64_t word[RPC_WORDS], uint32_t *bytes)
{
	int64_t result;

	for (unsigned i = 0; i < RPC_TRIES; i++) {
		result = rpc_call(client, number, word, bytes);
		if (result != -EXO_EBUSY || client->answered)
			break;
		core_yield(EXO_CAP_NONE);
	}
	return result;
}

static void words_and_bytes(struct member *member)
{
	struct rpc_client client = { .entry = family_entry(member, BADGE_PLAIN), .buffer = mine,
		.buffer_bytes = BUFFER, .timeout_ns = 5 * CORE_SECOND };
	uint64_t word[RPC_WORDS] = { 1, 20, 300 };
	char text[] = "abcdefghi", got[BUFFER];
	uint32_t bytes = sizeof(got);

	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), 42, "a call");
	ok(client.answered && word[0] == 321, "three words there and back");
	is(rpc_ask(&client, REVERSE, word, text, 9, got, &bytes), 9, "bytes");
	ok(bytes == 9 && !memcmp(got, "ihgfedcba", 9) && !strcmp(text, "abcdefghi"), "there and back");
	bytes = 5;
	is(rpc_ask(&client, REVERSE, word, text, 9, got, &bytes), -EXO_ERANGE, "more than there is room for");
	ok(!client.answered && bytes == 5, "is not an answer");
	is(rpc_ask(&client, REVERSE, word, got, BUFFER + 1, NULL, NULL), -EXO_ERANGE,
	   "more than the buffer holds");
	bytes = BUFFER;
	is(rpc_ask(&client, REVERSE, word, got, BUFFER, got, &bytes), BUFFER, "as much as it holds");
	is(rpc_ask(&client, GAP, word, NULL, 0, NULL, NULL), -EXO_ENOCALL, "no such number");
	ok(client.answered, "is the server's word");
	is(rpc_ask(&client, HANDLERS, word, NULL, 0, NULL, NULL), -EXO_ENOCALL, "beyond the last");
	word[0] = BUFFER + 1;
	bytes = BUFFER;
	is(rpc_ask(&client, SIZES, word, NULL, 0, got, &bytes), 0,
	   "a handler that answers more than there is");
	is(bytes, 0, "answers nothing");
	/* What a hostile client puts in the registers. */
	uint64_t raw[4];
	int64_t status = -EXO_EBUSY;
	for (unsigned i = 0; i < RPC_TRIES && status == -EXO_EBUSY; i++) {
		memcpy(raw, (uint64_t[4]){ REVERSE | (uint64_t)(BUFFER + 1) << 32 }, sizeof(raw));
		status = exo_call(client.entry, EXO_NEVER, raw);
	}
	ok(status > 0 && (int64_t)raw[0] == -EXO_ERANGE,
	   "a length beyond the buffer is refused by the server");
	struct rpc_client trusting = client;
	trusting.entry = family_entry(member, BADGE_TRUSTED);
	memcpy(mine, "0123456789", 10);
	bytes = 10;
	is(call(&trusting, REVERSE, word, &bytes), 10, "trusted");
	ok(bytes == 10 && !memcmp(mine, "9876543210", 10), "in place");
	is(call(&trusting, GAP, word, NULL), -EXO_ENOCALL, "no such number");
	caps_delete(trusting.entry);
	trusting.entry = family_entry(member, BADGE_REFUSED);
	is(call(&trusting, ADD, word, NULL), -EXO_ERIGHTS, "a badge that the server refuses");
	ok(trusting.answered, "by its own word");
	caps_delete(trusting.entry);
	family_await_word(REFUSED, 4, 5000);
	family_await_word(AWAY, 1, 5000);
	ok(family_word[REFUSED] == 4 && family_word[AWAY] == 1, "it has counted what it refused (%lu, %lu)",
	    (long)family_word[REFUSED], (long)family_word[AWAY]);
	caps_delete(client.entry);
}

/* State goes by badge and caller; a second client gets its own, a dead one's place is used again. */
static void sessions_apart(struct member *member)
{
	struct rpc_client one = { .entry = family_entry(member, BADGE_PLAIN), .timeout_ns = 5 * CORE_SECOND },
			  two = { .entry = family_entry(member, 5), .timeout_ns = 5 * CORE_SECOND };
	struct member other = { 0 };
	uint64_t word[RPC_WORDS] = { 0 };

	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), 1, "a session's own state");
	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), 2, "stays");
	is(rpc_ask(&two, COUNT, word, NULL, 0, NULL, NULL), 1, "another badge, another session");
	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), 3, "the first is as it was");
	rpc_ask(&two, WHO, word, NULL, 0, NULL, NULL);
	ok(word[0] == 5 && word[1] == core_disp->self, "badge and caller as the kernel says");

	family_word[GO] = family_word[STARTED] = family_word[FINISHED] = 0;
	family_grant(&other, "page", family_page, RW, 1);
	family_grant(&other, "entry", two.entry, EXO_RIGHT_EXEC, 0);
	if (!ok(family_make(&other, "client", NULL) && spawn_start(&other.spawn) == 0, "another client"))
		return;
	ok(family_await_word(STARTED, 1, 5000), "it waits for an answer");
	is((int64_t)family_word[CLIENT_BADGE], 5, "its badge is the entry's, however it tries");
	is((int64_t)family_word[CLIENT_SAID], 1, "it could not make one of its own, nor guess a handle");
	one.tries = 3;
	one.busy = 0;
	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "the server is busy meanwhile");
	ok(one.busy == 3 && !one.answered, "tried as often as was said");
	family_drop(&other);
	family_word[GO] = 1;
	ok(family_await_word(FINISHED, 1, 5000), "the client is destroyed, the handler ends");
	family_await_word(LATE, 1, 5000);
	ok(family_word[LATE] >= 1 && family_word[CLIENT_SAID] == 1, "its answer reaches nobody");
	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), 4, "the server serves on");

	struct rpc_client many = { .timeout_ns = 5 * CORE_SECOND };
	unsigned opened = 0, refused = 0;
	for (uint64_t badge = 20; badge < 30; badge++) {
		many.entry = family_entry(member, badge);
		int64_t result = rpc_ask(&many, COUNT, word, NULL, 0, NULL, NULL);
		opened += result == 1;
		refused += result == -EXO_ERIGHTS;
		caps_delete(many.entry);
	}
	ok(opened == 1 && refused == 9, "a full table turns away: %u opened, %u refused", opened, refused);
	ok(family_word[GONE] == 1, "the dead one's place was used again");
	is(rpc_ask(&one, COUNT, word, NULL, 0, NULL, NULL), 5, "and nobody else's");
	caps_delete(one.entry), caps_delete(two.entry);
}

/* A server that answers late, then one that never does. */
static void late_and_never(struct member *member)
{
	struct rpc_client client = { .entry = family_entry(member, BADGE_PLAIN), .buffer = mine,
		.buffer_bytes = BUFFER, .timeout_ns = 10 * MS };
	uint64_t word[RPC_WORDS] = { 1, 2, 3 }, late = family_word[LATE];

	family_word[GO] = family_word[STARTED] = family_word[FINISHED] = 0;
	exo_time_t before = core_now();
	is(rpc_ask(&client, WAIT_FOR_GO, word, NULL, 0, NULL, NULL), -EXO_ETIME, "no answer in time");
	ok(core_now() - before >= 10 * MS && core_now() - before < 2000 * MS && !client.answered,
	   "at the deadline");
	ok(word[0] == 1 && word[1] == 2 && word[2] == 3, "the words are as they were");
	client.timeout_ns = 5 * CORE_SECOND;
	client.tries = 2;
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "it is still in that handler");
	family_word[GO] = 1;
	client.tries = 1000000;
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), 42, "then the next call is answered");
	ok(word[0] == 6, "by its own answer, not by the late one");
	family_await_word(LATE, late + 1, 5000);
	ok(family_word[LATE] == late + 1, "which the server knows to be late");

	client.timeout_ns = 10 * MS;
	is(rpc_ask(&client, SPIN, word, NULL, 0, NULL, NULL), -EXO_ETIME, "a handler that never ends");
	client.tries = 5;
	client.timeout_ns = 5 * CORE_SECOND;
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), -EXO_EBUSY, "costs its server, not its client");
	caps_delete(client.entry);
}

static void chain(void)
{
	static struct member server[EXO_CHAIN_MAX + 1];
	exo_cap_t entry = EXO_CAP_NONE, entries[EXO_CHAIN_MAX + 1];
	unsigned made = 0;
	uint64_t word[RPC_WORDS] = { 0 };

	exo_cap_t frames = buffer_frames;
	buffer_frames = EXO_CAP_NONE;
	while (made < EXO_CHAIN_MAX + 1 && start_server(&server[made], entry))
		entries[made] = entry = family_entry(&server[made], made), made++;
	buffer_frames = frames;
	if (!ok(made == EXO_CHAIN_MAX + 1, "%u servers, each knows the one before", made))
		return;
	struct rpc_client client = { .entry = entries[EXO_CHAIN_MAX - 1], .timeout_ns = 30 * CORE_SECOND };
	is(rpc_ask(&client, FURTHER, word, NULL, 0, NULL, NULL), EXO_CHAIN_MAX - 1, "a chain of eight");
	client.entry = entries[EXO_CHAIN_MAX];
	is(rpc_ask(&client, FURTHER, word, NULL, 0, NULL, NULL), -EXO_EDEPTH,
	   "of nine: the last call is refused");
	family_drop(&server[3]);
	is(rpc_ask(&client, FURTHER, word, NULL, 0, NULL, NULL), -EXO_EDEAD, "one of them is dead");
	client.entry = entries[2];
	is(rpc_ask(&client, FURTHER, word, NULL, 0, NULL, NULL), 2, "those behind it live");
	for (unsigned i = 0; i < made; i++) {
		caps_delete(entries[i]);
		if (i != 3)
			family_drop(&server[i]);
	}
}

/* The shared frames are the director's: it takes them back while the server lives. */
static void memory_gone(struct member *member)
{
	struct rpc_client client = { .entry = family_entry(member, BADGE_PLAIN), .buffer = mine,
		.buffer_bytes = BUFFER, .timeout_ns = 5 * CORE_SECOND };
	uint64_t word[RPC_WORDS] = { 1, 2, 3 };
	char text[2000] = "x", got[2000];
	uint32_t bytes = sizeof(got);

	is(rpc_ask(&client, REVERSE, word, text, 2000, got, &bytes), 2000, "bytes while the memory is there");
	int64_t error;
	while ((error = exo_cap_revoke(buffer_frames)) == -EXO_EAGAIN)
		;
	ok(error >= 0, "the shared frames are taken from the server");
	bytes = sizeof(got);
	is(rpc_ask(&client, REVERSE, word, text, 2000, got, &bytes), 2000, "it answers");
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), 42, "and lives");
	family_await_word(HOLES, 1, 5000);
	ok(family_word[HOLES] >= 1, "on a page of its own (%lu holes)", (long)family_word[HOLES]);
	caps_delete(client.entry);
}

/* On another CPU a transfer is refused; the same handlers by a channel. */
static void across(void)
{
	struct member member = { 0 };
	char *at = (char *)vm_addresses(LINE_PAGES * EXO_PAGE_SIZE), text[] = "0123456789", got[64];
	uint64_t word[RPC_WORDS] = { 1, 20, 300 };
	uint32_t bytes = sizeof(got), own = caps_slot();
	struct rpc_client client = { .timeout_ns = 5 * CORE_SECOND, .buffer_bytes = BULK };

	if (family_cpus() < 2) {
		printf("ok %d - # SKIP one CPU\n", ++tap_count);
		return;
	}
	line_frames = take_frames(LINE_PAGES);
	space_map((exo_vaddr_t)at, EXO_MAP_READ | EXO_MAP_WRITE, line_frames, 0, LINE_PAGES);
	is(channel_make(&to_server, at, LINE_PAGES * EXO_PAGE_SIZE, SLOTS, BULK), 0, "a channel");
	exo_cap_t director = made(own, exo_entry_make(own, EXO_CAP_NONE, 0));
	family_grant(&member, "page", family_page, RW, 1);
	family_grant(&member, "line", line_frames, RW, LINE_PAGES);
	family_grant(&member, "director", director, EXO_RIGHT_EXEC, 0);
	uint64_t ready = family_word[READY];
	if (!ok(family_make(&member, "server", NULL) && exo_env_move(member.spawn.env, 1) == 0 &&
		    spawn_start(&member.spawn) == 0 && family_await_word(READY, ready + 1, 5000),
		"a server on another CPU"))
		return;
	client.entry = family_entry(&member, BADGE_PLAIN);
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), -EXO_ECPU, "no transfer reaches it");
	client.channel = &to_server;
	channel_connect(&to_server, client.entry, member.spawn.id);
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), 42, "a channel does");
	ok(word[0] == 321 && client.answered, "words there and back");
	is(rpc_ask(&client, REVERSE, word, text, 10, got, &bytes), 10, "bytes");
	ok(bytes == 10 && !memcmp(got, "9876543210", 10), "there and back");
	is(rpc_ask(&client, GAP, word, NULL, 0, NULL, NULL), -EXO_ENOCALL, "no such number");
	unsigned good = 0;
	for (uint64_t i = 0; i < 500; i++) {
		word[0] = i, word[1] = word[2] = 1;
		good += rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL) == 42 && word[0] == i + 2;
	}
	is(good, 500, "many calls (%lu wakes, %lu sleeps)", (long)to_server.wakes, (long)to_server.sleeps);
	family_word[GO] = family_word[STARTED] = 0;
	client.timeout_ns = 10 * MS;
	is(rpc_ask(&client, WAIT_FOR_GO, word, NULL, 0, NULL, NULL), -EXO_ETIME, "no answer in time");
	family_word[GO] = 1;
	client.timeout_ns = 5 * CORE_SECOND;
	word[0] = 5, word[1] = word[2] = 1;
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), 42, "the late answer is not taken for the next");
	ok(client.late == 1 && word[0] == 7, "it was thrown away");
	family_drop(&member);
	is(rpc_ask(&client, ADD, word, NULL, 0, NULL, NULL), -EXO_EDEAD, "a server that has ended");
	caps_delete(client.entry), caps_delete(director);
}

static void direct(void)
{
	static struct member member;

	if (!ok(start_server(&member, EXO_CAP_NONE), "a server"))
		return;
	words_and_bytes(&member);
	sessions_apart(&member);
	memory_gone(&member);
	late_and_never(&member);
	family_drop(&member);
	chain();
	across();
}

int main(void)
{
	const char *role = family_begin();

	if (role && !strcmp(role, "server"))
		return serve();
	if (role && !strcmp(role, "client"))
		return be_client();
	buffer_frames = take_frames(BUFFER_PAGES);
	mine = (char *)vm_addresses(BUFFER);
	space_map((exo_vaddr_t)mine, EXO_MAP_READ | EXO_MAP_WRITE, buffer_frames, 0, BUFFER_PAGES);
	direct();
	return call_done();
}
