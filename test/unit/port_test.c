/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports and interrupt lines for applications: rights and ranges, one owner a line, masking, the cut of a storm, and how
 * a line becomes nobody's. The machine is the fake port's: line 4 is its own, ports 0x2f8 to 0x2ff are free.
 */
#include "test/unit/tap.h"
#include "test/unit/world.h"

enum { PORTS = 40, LINES, WEAK };

static void prepare(void)
{
	world_boot(300);
	interrupts_init();
	for (unsigned who = 0; who < WORLD_ENVS; who++) {
		cap_fill(cap_slot(world.env[who], PORTS), EXO_TYPE_PORTS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0x10000, 0, NULL,
		    PORTS);
		cap_fill(cap_slot(world.env[who], LINES), EXO_TYPE_INTERRUPTS, EXO_RIGHT_BIND, 0, EXO_LINES, 0, NULL, LINES);
	}
}

static int64_t port(unsigned who, uint64_t number, uint64_t how, uint64_t value)
{
	return CALL(who, port, world_handle(who, PORTS), number, how, value);
}

static int64_t line(unsigned who, uint64_t number)
{
	return CALL(who, interrupt, world_handle(who, LINES), number);
}

/* The line interrupts, if it may; what its owner is told. */
static uint64_t fire(unsigned number, unsigned who)
{
	if (null.lines_open >> number & 1)
		null.line_handler(null.line_arg[number]);
	return __atomic_exchange_n(&world.env[who]->disp->pending, 0, __ATOMIC_RELAXED) & EXO_EVENT_INTERRUPT ?
	    __atomic_exchange_n(&world.env[who]->disp->interrupts, 0, __ATOMIC_RELAXED) : 0;
}

static void test_ports(void)
{
	exo_cap_t part, weak;

	prepare();
	part = (exo_cap_t)CALL(0, cap_derive, world_handle(0, PORTS), 0, 50, 3, 0x2fa, 4);
	weak = (exo_cap_t)CALL(0, cap_derive, part, 0, 51, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, port, 0x7000001, 0x2f8, 1), ERR(CAP), "port CAP");
	is_int(CALL(0, port, world_handle(0, LINES), 0x2f8, 1), ERR(TYPE), "port TYPE");
	is_int(CALL(0, port, weak, 0x2fa, 1 | EXO_PORT_WRITE, 1), ERR(RIGHTS), "port RIGHTS: write");
	is_int(port(0, 0x2f8, 0, 0), ERR(INVAL), "port INVAL: 0 bytes");
	is_int(port(0, 0x2f8, 3, 0), ERR(INVAL), "port INVAL: 3 bytes");
	is_int(port(0, 0x2f8, 8, 0), ERR(INVAL), "port INVAL: 8 bytes");
	is_int(port(0, 0x2f8, 1ULL << 32 | 1, 0), ERR(INVAL), "port INVAL: high bits");
	is_int(port(0, 0x10000, 1, 0), ERR(RANGE), "port RANGE: there is none");
	is_int(port(0, ~0ULL, 1, 0), ERR(RANGE), "port RANGE: the last number");
	is_int(port(0, 0xffff, 2, 0), ERR(RANGE), "port RANGE: its second byte");
	is_int(CALL(0, port, part, 0x2f9, 1), ERR(RANGE), "port RANGE: below the part");
	is_int(CALL(0, port, part, 0x2fe, 1), ERR(RANGE), "port RANGE: behind it");
	is_int(CALL(0, port, part, 0x2fd, 2), ERR(RANGE), "port RANGE: half behind it");
	is_int(port(0, 0x60, 1, 0), ERR(BUSY), "port BUSY");
	is_int(port(0, 0x2fe, 4, 0), ERR(BUSY), "port BUSY: half of it");
	is_int(CALL(0, port, part, 0x2fa, 4 | EXO_PORT_WRITE, 0x123456789), 0, "port: write");
	is_int(CALL(0, port, weak, 0x2fa, 4), 0x23456789, "port: read");
	is_int(CALL(0, port, weak, 0x2fa, 2), 0x6789, "port: half of it");
}

static void test_owner(void)
{
	exo_cap_t part, weak;

	prepare();
	weak = (exo_cap_t)CALL(0, cap_derive, world_handle(0, LINES), 0, 50, 0, 0, 0);
	part = (exo_cap_t)CALL(0, cap_derive, world_handle(0, LINES), 0, 51, EXO_RIGHT_BIND, 3, 2);
	is_int(CALL(0, interrupt, 0x7000001, 3), ERR(CAP), "interrupt CAP");
	is_int(CALL(0, interrupt, world_handle(0, PORTS), 3), ERR(TYPE), "interrupt TYPE");
	is_int(CALL(0, interrupt, weak, 3), ERR(RIGHTS), "interrupt RIGHTS");
	is_int(CALL(0, interrupt, part, 2), ERR(RANGE), "interrupt RANGE: below");
	is_int(CALL(0, interrupt, part, 5), ERR(RANGE), "interrupt RANGE: behind");
	is_int(line(0, EXO_LINES), ERR(RANGE), "interrupt RANGE: there is none");
	is_int(line(0, ~0ULL), ERR(RANGE), "interrupt RANGE: the last number");
	is_int(line(0, 4), ERR(BUSY), "interrupt BUSY: the machine's own");
	ok(!null.lines_open, "errors open nothing");
	is_int(CALL(0, interrupt, part, 3), 0, "a line is had");
	is_int(null.lines_open, 1 << 3, "and may interrupt");
	is_int(line(0, 3), 0, "again changes nothing");
	is_int(line(1, 3), ERR(BUSY), "interrupt BUSY: another's");
	ok(fire(3, 0) == 1 << 3 && !null.lines_open, "it interrupts, is told, and masked");
	is_int((long long)fire(3, 0), 0, "no more until it is asked for");
	is_int(line(0, 3), 0, "through another capability of the same environment");
	ok(null.lines_open == 1 << 3 && fire(3, 0) == 1 << 3, "it may");
	is_int(line(1, 5), 0, "another has another line");
	ok(fire(5, 1) == 1 << 5 && !fire(5, 0), "which is told to him alone");
	is_int(line(0, 3), 0, "open");
	is_int(CALL(0, cap_delete, part), 0, "the capability that it was had through first goes");
	ok(!null.lines_open, "it is masked");
	is_int(line(1, 3), 0, "and another's");
	(void)line(1, 5);
	is_int(line(0, 5), ERR(BUSY), "BUSY again");	/* and who ends is not the one that runs */
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	ok(!null.lines_open, "the end of its owner masks all of his");
	null.line_handler(null.line_arg[3]);
	is_int(line(2, 3), 0, "and frees them");
	is_int(world_finish(2, EXO_CALL_cap_delete, world_handle(2, LINES), 0), 0, "deleted");
	ok(!null.lines_open && !world_check(), "nothing is left");
}

static void test_storm(void)
{
	unsigned i, told = 0;

	prepare();
	null.now = 5 * EXO_STORM_NS;
	for (i = 0; i < 2 * EXO_STORM_MAX && line(0, 3) == 0; i++) {
		null.now += 1000;
		told += fire(3, 0) != 0;
	}
	is_int(told, EXO_STORM_MAX, "so often it may interrupt");
	is_int(line(0, 3), ERR(AGAIN), "AGAIN: no more");
	is_int(info->interrupts_cut, 1, "which is counted");
	ok(!null.lines_open, "it is cut");
	is_int(line(0, 5), 0, "another line is not");
	null.now += EXO_STORM_NS;
	is_int(line(0, 3), 0, "after a while it may again");
	for (i = 0; i < 1000; i++)
		(void)line(0, 3);
	is_int(line(0, 3), 0, "asking without an interrupt does not count");
}

int main(void)
{
	test_ports();
	test_owner();
	test_storm();
	return done();
}
