/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's input: one reader, the ring between device and reader, what is lost and told, and how a reader
 * goes. The device is the fake port's (null.typed).
 */
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define READ(who, bytes)	CALL(who, console_read, world_handle(who, SLOT_CONSOLE), 64, bytes)

static char many[1000];

static void type(const char *bytes, size_t count)
{
	null.typed = bytes;
	null.typed_bytes = count;
}

/* The device has something: does the kernel hear it? */
static bool interrupt(void)
{
	if (null.listening)
		null.console_irq(NULL);
	return null.listening;
}

static bool event(unsigned who)
{
	return (__atomic_exchange_n(&world.env[who]->disp->pending, 0, __ATOMIC_RELAXED) & EXO_EVENT_CONSOLE) != 0;
}

static void test_errors(void)
{
	exo_cap_t weak;

	world_boot(300);
	console_init();
	weak = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_CONSOLE), 0, 40, EXO_RIGHT_WRITE, 0, 0);
	is_int(CALL(0, console_read, 0x7000001, 0, 1), ERR(CAP), "CAP");
	is_int(CALL(0, console_read, world_handle(0, SLOT_SPACE), 0, 1), ERR(TYPE), "TYPE");
	is_int(CALL(0, console_read, weak, 0, 1), ERR(RIGHTS), "RIGHTS");
	is_int(CALL(0, console_read, world_handle(0, SLOT_CONSOLE), 4097, 0), ERR(RANGE), "RANGE: offset");
	is_int(CALL(0, console_read, world_handle(0, SLOT_CONSOLE), 4000, 97), ERR(RANGE), "RANGE: bytes");
	is_int(CALL(0, console_read, world_handle(0, SLOT_CONSOLE), 1, ~0ULL), ERR(RANGE), "RANGE: a sum that wraps");
	ok(!info->console_reader && !null.listening, "errors make nobody the reader");
	type("early", 5);
	ok(!interrupt() && null.typed_bytes == 5, "nobody reads: the device keeps what comes");
	is_int(READ(0, 0), 0, "the first becomes the reader");
	ok(info->console_reader == world.env[0]->index && null.listening, "and is shown");
	is_int(READ(1, 5), ERR(BUSY), "BUSY: another reads");
	is_int(READ(0, 3), 3, "what had come is there");
	ok(!memcmp(world.env[0]->arg + 64, "ear", 3), "in order");
	is_int(READ(0, 4096 - 64), 2, "and the rest");
	is_int(READ(0, 9), 0, "no more");
}

static void test_ring(void)
{
	unsigned i, got = 0, calls = 0;
	bool same = true;
	int64_t n;

	for (i = 0; i < sizeof(many); i++)
		many[i] = (char)(i * 7 + i / 256);
	world_boot(300);
	console_init();
	(void)READ(0, 0);
	(void)event(0);
	type("x", 1);
	ok(interrupt() && event(0), "a byte comes: an event");
	ok(!event(1), "for the reader only");
	type(many, sizeof(many));
	ok(!interrupt() && null.typed_bytes == sizeof(many) - EXO_CONSOLE_MAX + 1,
	    "a full ring: the rest stays with the device, which is quiet");
	ok(!interrupt() && event(0), "there is one event");
	is_int(READ(0, 1), 1, "one byte is taken");
	ok(world.env[0]->arg[64] == 'x' && null.listening, "the first one; the device may interrupt again");
	while ((n = READ(0, below(90) + 1)) > 0) {
		same = same && !memcmp(world.env[0]->arg + 64, many + got, (size_t)n);
		got += (unsigned)n;
		calls++;
		(void)interrupt();
	}
	ok(same && got == sizeof(many), "all of %u bytes come through in order, in %u calls", got, calls);
	null.typed_lost = true;
	type("y", 1);
	(void)interrupt();
	is_int(info->console_lost, 1, "what the device lost is counted");
	ok(!world_check(), "the invariants hold");
}

static void test_going(void)
{
	exo_cap_t other;

	world_boot(300);
	console_init();
	other = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_CONSOLE), 0, 40, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, console_read, other, 0, 0), 0, "a reader by a derived capability");
	is_int(READ(0, 0), 0, "it may read through another one, too");
	type("secret", 6);
	(void)interrupt();
	is_int(CALL(0, cap_delete, other), 0, "that capability goes");
	ok(!info->console_reader && !null.listening, "so does the reader, whatever else it holds");
	is_int(READ(1, 3), 3, "another reads what is left");
	ok(!memcmp(world.env[1]->arg + 64, "sec", 3), "it belongs to the console");
	other = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_CONSOLE), 0, 40, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, cap_delete, other), 0, "a capability that nobody reads through goes");
	is_int(READ(0, 3), ERR(BUSY), "and changes nothing");
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	ok(!info->console_reader && !null.listening, "the reader ends");
	type("z", 1);
	ok(!interrupt(), "nothing is told to the dead");
	other = (exo_cap_t)CALL(0, cap_derive, world_handle(0, SLOT_CONSOLE), 0, 41, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, console_read, other, 64, 9), 4, "the next one finds the rest");
	is_int(world_finish(0, EXO_CALL_cap_revoke, world_handle(0, SLOT_CONSOLE), 0), 0, "revoked");
	ok(!info->console_reader && !null.listening, "it reads no more");
	ok(!world_check(), "the invariants hold");
}

int main(void)
{
	test_errors();
	test_ring();
	test_going();
	return done();
}
